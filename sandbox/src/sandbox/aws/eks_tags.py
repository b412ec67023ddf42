# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS operations for the tags of clusters, add-ons and associations, which a request names by ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.aws.eks_state import EksState
from sandbox.aws.model import ApiError, Call, Record

MAX_TAGS = 50
_ARN = re.compile(r"arn:aws:eks:([a-z0-9-]+):(\d{12}):([a-z]+)/(.+)")


class Tags:
    """The operations for tags.

    Each operation is a method, which returns None for a type of resource that ministack must handle.
    """

    def __init__(self, state: EksState) -> None:
        self._state = state

    def tag(self, call: Call) -> Mapping[str, Any] | None:
        record = self._resource(call)
        if record is None:
            return None
        added = call.data().get("tags", {})
        check_tags(added, {**record["tags"], **added})
        record["tags"] = {**record["tags"], **added}
        return {}

    def untag(self, call: Call) -> Mapping[str, Any] | None:
        record = self._resource(call)
        if record is None:
            return None
        keys = set(call.query.get("tagKeys", ()))
        record["tags"] = {key: value for key, value in record["tags"].items() if key not in keys}
        return {}

    def list(self, call: Call) -> Mapping[str, Any] | None:
        record = self._resource(call)
        return None if record is None else {"tags": record["tags"]}

    def _resource(self, call: Call) -> Record | None:
        arn = call.path_parts[0]
        match = _ARN.fullmatch(arn)
        if not match:
            raise ApiError(400, "BadRequestException", f"Invalid resource ARN: {arn}")
        region, account, kind, path = match.groups()
        parts = path.split("/")
        record: Record | None
        if (region, account) != (call.region, call.account):
            record = None
        elif kind == "podidentityassociation" and len(parts) == 2:
            record = self._state.association(account, region, parts[0], parts[1])
        elif kind == "cluster":
            record = self._state.find_cluster(account, region, path)
        elif kind == "addon" and len(parts) == 3:
            record = self._state.addon(account, region, parts[0], parts[1])
        else:
            return None
        if record is None:
            raise ApiError(404, "NotFoundException", f"The resource with ARN {arn} was not found.")
        return record


def check_tags(added: Mapping[str, str], merged: Mapping[str, str] | None = None) -> None:
    """Check new tags, and raise the error of EKS if they are invalid.

    ``merged`` has all tags that the resource would have afterwards, because the number of tags is limited.
    """
    total = len(added if merged is None else merged)
    if total > MAX_TAGS:
        raise _invalid(f"The number of tags {total} exceeds the limit of {MAX_TAGS}.")
    for key, value in added.items():
        if not key or len(key) > 128 or len(value) > 256:
            raise _invalid(f"Invalid tag: {key}")
        if key.lower().startswith("aws:"):
            raise _invalid(f"Tag keys must not start with aws: {key}")


def _invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterException", message)
