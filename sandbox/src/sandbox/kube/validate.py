# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate names, labels and the containers of Pods, with the messages of the API server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from sandbox.kube.errors import Cause, invalid
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import BATCH, RBAC, ResourceType

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_DNS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_DNS_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)
_TEMPLATES = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job")


def check_valid(rtype: ResourceType, obj: Json) -> None:
    """Validate an object. Raise ApiError 422 with all invalid fields."""
    causes = [*_metadata_causes(rtype, obj["metadata"]), *_kind_causes(rtype, obj)]
    if causes:
        raise invalid(rtype.kind, rtype.group, obj["metadata"].get("name") or "", causes)


def _metadata_causes(rtype: ResourceType, meta: Json) -> Iterator[Cause]:
    name, is_label = meta.get("name"), rtype.kind == "Namespace"
    if not name:
        reason = "Required value: name or generateName is required"
        yield Cause("metadata.name", reason, "FieldValueRequired")
    elif rtype.group != RBAC:
        if len(name) > (63 if is_label else 253):
            yield _invalid(
                "metadata.name", name, f"must be no more than {63 if is_label else 253} characters"
            )
        if not re.fullmatch(_LABEL if is_label else _SUBDOMAIN, name):
            yield _invalid("metadata.name", name, _DNS_LABEL if is_label else _DNS_SUBDOMAIN)
    for value in (meta.get("labels") or {}).values():
        if not re.fullmatch(_VALUE, value):
            yield _invalid("metadata.labels", value, _LABEL_VALUE)


def _kind_causes(rtype: ResourceType, obj: Json) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if rtype.kind == "Pod":
        yield from _container_causes(spec, "spec")
    elif rtype.kind in _TEMPLATES:
        yield from _container_causes(lookup(spec, "template", "spec") or {}, "spec.template.spec")
        labels = lookup(spec, "template", "metadata", "labels") or {}
        selector = lookup(spec, "selector", "matchLabels") or {}
        if rtype.group != BATCH and any(labels.get(key) != value for key, value in selector.items()):
            reason = "`selector` does not match template `labels`"
            yield _invalid("spec.template.metadata.labels", labels, reason)


def _container_causes(spec: Json, field: str) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield Cause(f"{field}.containers", "Required value", "FieldValueRequired")
    for index, container in enumerate(containers):
        for member in ("name", "image"):
            if not container.get(member):
                yield Cause(f"{field}.containers[{index}].{member}", "Required value", "FieldValueRequired")


def _invalid(field: str, value: object, reason: str) -> Cause:
    return Cause(field, f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {reason}")
