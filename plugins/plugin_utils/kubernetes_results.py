# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""What the modules of kubernetes.core return, as the Kubernetes half has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_writes import (
    shown_diff,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Trial,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    mapping_of,
    member,
    objects_of,
    text_of,
)

_STATUSES = {status.phrase: status.value for status in HTTPStatus}


def listing_of(result: Mapping[str, Any]) -> Listing:
    """A result of k8s_info. One that was skipped counts as empty."""
    if "resources" in result and result.get("api_found", True):
        return Listing(objects_of(result["resources"]))
    return Listing(error=_error_of(result))


def written_of(result: Mapping[str, Any], manifests: Sequence[Object]) -> Written:
    """A result of k8s with continue_on_error: of each manifest, under ``result.results`` when there are several."""
    if result.get("failed"):
        return Written(error=_error_of(result))
    several = member(result, "result").get("results")
    results = [result] if several is None else objects_of(several)
    return Written(
        bool(result.get("changed")),
        {
            index: _refusal_of(mapping_of(entry["error"]))
            for index, entry in enumerate(results)
            if "error" in entry
        },
        diffs=[
            diff
            for entry, manifest in zip(results, manifests, strict=False)
            if (diff := shown_diff(mapping_of(entry.get("diff")), manifest)) is not None
        ],
    )


def trials_of(result: Mapping[str, Any], count: int) -> list[Trial]:
    """A result of k8s in check mode, of ``count`` Pods."""
    if result.get("failed"):
        return [Trial(error=_error_of(result))] * count
    several = member(result, "result").get("results")
    results = [result] if several is None else objects_of(several)
    if len(results) != count:
        return [Trial(error=ApiError(0, "kubernetes.core answered for another number of Pods"))] * count
    return [
        Trial(error=_refusal_of(mapping_of(entry["error"])))
        if "error" in entry
        else Trial(member(entry, "result"))
        for entry in results
    ]


def _refusal_of(error: Object) -> ApiError:
    """The API server answers some errors in plain text (429): then the status is in the reason phrase alone."""
    parsed = parse_api_error(text_of(error.get("msg")))
    return parsed if parsed.status else replace(parsed, status=_STATUSES.get(text_of(error.get("reason")), 0))


def _error_of(result: Mapping[str, Any]) -> ApiError:
    return parse_api_error(text_of(result.get("module_stderr") or result.get("msg")))
