# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the contents of objects whose types have been checked (see ``decode``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kube import names
from sandbox.kube.errors import Cause, invalid
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import RBAC, ResourceType

_ANNOTATION_BYTES = 262144


def check_valid(rtype: ResourceType, obj: Json) -> None:
    """Validate an object. Raise ApiError 422 with all invalid fields."""
    causes = [*_metadata_causes(rtype, obj["metadata"]), *_kind_causes(rtype, obj)]
    if causes:
        raise invalid(rtype.kind, rtype.group, obj["metadata"].get("name") or "", causes)


def _invalid(field: str, value: Any, reason: str) -> Cause:
    return Cause(field, f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {reason}")


def _required(field: str, reason: str = "") -> Cause:
    message = f"Required value: {reason}" if reason else "Required value"
    return Cause(field, message, "FieldValueRequired")


def _name_rule(rtype: ResourceType) -> Callable[[str], list[str]]:
    if rtype.kind == "Namespace":
        return names.dns_label
    return names.path_segment if rtype.group == RBAC else names.dns_subdomain


def _metadata_causes(rtype: ResourceType, meta: Json) -> Iterator[Cause]:
    name = meta.get("name")
    if not name:
        yield _required("metadata.name", "name or generateName is required")
    else:
        for reason in _name_rule(rtype)(name):
            yield _invalid("metadata.name", name, reason)
    for key, value in (meta.get("labels") or {}).items():
        for reason in names.label_key(key):
            yield _invalid("metadata.labels", key, reason)
        for reason in names.label_value(value or ""):
            yield _invalid("metadata.labels", value, reason)
    annotations = meta.get("annotations") or {}
    for key in annotations:
        for reason in names.label_key(key.lower()):
            yield _invalid("metadata.annotations", key, reason)
    if sum(len(k) + len(v or "") for k, v in annotations.items()) > _ANNOTATION_BYTES:
        reason = f"Too long: may not be more than {_ANNOTATION_BYTES} bytes"
        yield Cause("metadata.annotations", reason, "FieldValueTooLong")


def _kind_causes(rtype: ResourceType, obj: Json) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if rtype.kind == "Pod":
        yield from _pod_spec_causes(spec, "spec")
    elif rtype.kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job"):
        yield from _template_causes(rtype.kind, spec)
    elif rtype.kind == "CronJob":
        if not spec.get("schedule"):
            yield _required("spec.schedule")
        yield from _template_causes("Job", lookup(spec, "jobTemplate", "spec") or {}, "spec.jobTemplate.spec")
    elif rtype.kind in ("ConfigMap", "Secret"):
        for key in obj.get("data") or {}:
            for reason in names.config_key(key):
                yield _invalid(f"data[{key}]", key, reason)
    elif rtype.kind in ("RoleBinding", "ClusterRoleBinding"):
        role = obj.get("roleRef") or {}
        if role.get("kind") not in ("Role", "ClusterRole"):
            reason = f'Unsupported value: "{role.get("kind", "")}": supported values: "ClusterRole"'
            role = ', "Role"' if rtype.kind == "RoleBinding" else ""
            yield Cause("roleRef.kind", reason + role, "FieldValueNotSupported")
        if not role.get("name"):
            yield _required("roleRef.name")
    elif rtype.kind in ("Role", "ClusterRole"):
        for index, rule in enumerate(obj.get("rules") or []):
            if not rule.get("verbs"):
                yield _required(f"rules[{index}].verbs", "verbs must contain at least one value")


def _template_causes(kind: str, spec: Json, field: str = "spec") -> Iterator[Cause]:
    labels = lookup(spec, "template", "metadata", "labels") or {}
    if kind != "Job":
        selector = lookup(spec, "selector", "matchLabels") or {}
        if not spec.get("selector"):
            yield _required(f"{field}.selector")
        elif any(labels.get(key) != value for key, value in selector.items()):
            reason = "`selector` does not match template `labels`"
            yield _invalid(f"{field}.template.metadata.labels", labels, reason)
    pod = lookup(spec, "template", "spec") or {}
    yield from _pod_spec_causes(pod, f"{field}.template.spec")
    policy = pod.get("restartPolicy")
    if kind == "Job" and policy not in ("OnFailure", "Never"):
        reason = 'valid values: "OnFailure", "Never"'
        policy_field = f"{field}.template.spec.restartPolicy"
        if policy == "Always":
            reason = 'Unsupported value: "Always": supported values: "OnFailure", "Never"'
            yield Cause(policy_field, reason, "FieldValueNotSupported")
        else:
            yield _required(policy_field, reason)


def _pod_spec_causes(spec: Json, field: str) -> Iterator[Cause]:
    containers = spec.get("containers")
    if not containers:
        yield _required(f"{field}.containers")
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        container_field = f"{field}.containers[{index}]"
        name = container.get("name")
        if not name:
            yield _required(f"{container_field}.name")
        elif name in seen:
            yield Cause(f"{container_field}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        else:
            for reason in names.dns_label(name):
                yield _invalid(f"{container_field}.name", name, reason)
            seen.add(name)
        if not container.get("image"):
            yield _required(f"{container_field}.image")
