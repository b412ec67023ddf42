# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API refuses: undecodable bodies (400) and invalid fields (422)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kube import names
from sandbox.kube.errors import Cause, bad_request, invalid
from sandbox.kube.jsontree import Json, go_type, lookup
from sandbox.kube.resources import RBAC, ResourceType

_ANNOTATION_BYTES = 262144
_STRING_MAPS: dict[str, tuple[str, ...]] = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData"),
}
_FIELD_TYPES: dict[str, dict[str, tuple[type, str]]] = {
    "ServiceAccount": {
        "automountServiceAccountToken": (bool, "bool"),
        "imagePullSecrets": (list, "[]v1.LocalObjectReference"),
        "secrets": (list, "[]v1.ObjectReference"),
    },
    "ConfigMap": {"immutable": (bool, "bool")},
    "Secret": {"immutable": (bool, "bool"), "type": (str, "string")},
}
# Top-level fields of kinds whose whole schema is that small, for fieldValidation=Strict.
_KNOWN_FIELDS: dict[str, tuple[str, ...]] = {
    "ServiceAccount": ("automountServiceAccountToken", "imagePullSecrets", "secrets"),
    "Namespace": ("spec", "status"),
    "ConfigMap": ("binaryData", "data", "immutable"),
    "Secret": ("data", "immutable", "stringData", "type"),
    "Pod": ("spec", "status"),
    "Node": ("spec", "status"),
    "DaemonSet": ("spec", "status"),
    "Deployment": ("spec", "status"),
    "ReplicaSet": ("spec", "status"),
    "StatefulSet": ("spec", "status"),
    "Job": ("spec", "status"),
    "Role": ("rules",),
    "ClusterRole": ("aggregationRule", "rules"),
    "RoleBinding": ("roleRef", "subjects"),
    "ClusterRoleBinding": ("roleRef", "subjects"),
}
_KNOWN_METADATA = (
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)


def check_decodable(rtype: ResourceType, body: Any) -> Json:
    """The body as an object of ``rtype``; ApiError 400 in the words of the Go decoder."""
    if not isinstance(body, dict):
        raise _undecodable(
            rtype, f"json: cannot unmarshal {go_type(body)} into Go value of type v1.{rtype.kind}"
        )
    kind, version = body.get("kind", rtype.kind), body.get("apiVersion", rtype.group_version)
    if (kind, version) != (rtype.kind, rtype.group_version):
        raise bad_request(
            f"{rtype.kind} in version {json.dumps(rtype.version)} cannot be handled as a"
            f" {rtype.kind}: the object provided is {version}, Kind={kind}, expected"
            f" {rtype.group_version}, Kind={rtype.kind}"
        )
    meta = body.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise _unmarshal(rtype, meta, f"{rtype.kind}.metadata", "v1.ObjectMeta")
    for field in ("labels", "annotations"):
        _check_string_map(rtype, lookup(body, "metadata", field), f"ObjectMeta.metadata.{field}")
    for field in ("name", "namespace", "generateName", "resourceVersion"):
        value = lookup(body, "metadata", field)
        if value is not None and not isinstance(value, str):
            raise _unmarshal(rtype, value, f"ObjectMeta.metadata.{field}", "string")
    for field in _STRING_MAPS.get(rtype.kind, ()):
        _check_string_map(rtype, body.get(field), f"{rtype.kind}.{field}")
    for field, (expected, go_name) in _FIELD_TYPES.get(rtype.kind, {}).items():
        value = body.get(field)
        if value is not None and not isinstance(value, expected):
            raise _unmarshal(rtype, value, f"{rtype.kind}.{field}", go_name)
    spec = body.get("spec")
    if spec is not None and not isinstance(spec, dict):
        raise _unmarshal(rtype, spec, f"{rtype.kind}.spec", f"v1.{rtype.kind}Spec")
    if rtype.kind == "Secret":
        _check_base64(rtype, body.get("data") or {})
    return body


def unknown_fields(rtype: ResourceType, body: Json) -> list[str]:
    """Unknown top-level and metadata fields, as paths. Deeper schemas are not known here."""
    if rtype.kind not in _KNOWN_FIELDS:
        return []
    known = ("apiVersion", "kind", "metadata", *_KNOWN_FIELDS[rtype.kind])
    found = [field for field in body if field not in known]
    meta = body.get("metadata") or {}
    return found + [f"metadata.{field}" for field in meta if field not in _KNOWN_METADATA]


def _unmarshal(rtype: ResourceType, value: Any, field: str, expected: str) -> Exception:
    return _undecodable(
        rtype,
        f"json: cannot unmarshal {go_type(value)} into Go struct field {field} of type {expected}",
    )


def _undecodable(rtype: ResourceType, why: str) -> Exception:
    return bad_request(
        f'{rtype.kind} in version "{rtype.version}" cannot be handled as a {rtype.kind}: {why}'
    )


def _check_string_map(rtype: ResourceType, value: Any, field: str) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise _unmarshal(rtype, value, field, "map[string]string")
    for item in value.values():
        if item is not None and not isinstance(item, str):
            raise _unmarshal(rtype, item, field, "string")


def _check_base64(rtype: ResourceType, data: Json) -> None:
    for value in data.values():
        try:
            base64.b64decode(value or "", validate=True)
        except binascii.Error:
            stop = re.match(r"[A-Za-z0-9+/]*", value)
            at = stop.end() if stop else 0
            raise _undecodable(rtype, f"illegal base64 data at input byte {at}") from None


def check_valid(rtype: ResourceType, obj: Json) -> None:
    """ApiError 422 with every invalid field of a decoded, defaulted object."""
    causes = [*_metadata_causes(rtype, obj["metadata"]), *_kind_causes(rtype, obj)]
    if causes:
        raise invalid(rtype.kind, rtype.group, obj["metadata"].get("name") or "", causes)


def _invalid(field: str, value: Any, why: str) -> Cause:
    return Cause(field, f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {why}")


def _required(field: str, why: str = "") -> Cause:
    message = f"Required value: {why}" if why else "Required value"
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
        for why in _name_rule(rtype)(name):
            yield _invalid("metadata.name", name, why)
    for key, value in (meta.get("labels") or {}).items():
        for why in names.label_key(key):
            yield _invalid("metadata.labels", key, why)
        for why in names.label_value(value or ""):
            yield _invalid("metadata.labels", value, why)
    annotations = meta.get("annotations") or {}
    for key in annotations:
        for why in names.label_key(key.lower()):
            yield _invalid("metadata.annotations", key, why)
    if sum(len(k) + len(v or "") for k, v in annotations.items()) > _ANNOTATION_BYTES:
        why = f"Too long: may not be more than {_ANNOTATION_BYTES} bytes"
        yield Cause("metadata.annotations", why, "FieldValueTooLong")


def _kind_causes(rtype: ResourceType, obj: Json) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if rtype.kind == "Pod":
        yield from _pod_spec_causes(spec, "spec")
    elif rtype.kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job"):
        yield from _template_causes(rtype, spec)
    elif rtype.kind in ("ConfigMap", "Secret"):
        for key in obj.get("data") or {}:
            for why in names.config_key(key):
                yield _invalid(f"data[{key}]", key, why)
    elif rtype.kind in ("RoleBinding", "ClusterRoleBinding"):
        role = obj.get("roleRef") or {}
        if role.get("kind") not in ("Role", "ClusterRole"):
            why = f'Unsupported value: "{role.get("kind", "")}": supported values: "ClusterRole"'
            more = ', "Role"' if rtype.kind == "RoleBinding" else ""
            yield Cause("roleRef.kind", why + more, "FieldValueNotSupported")
        if not role.get("name"):
            yield _required("roleRef.name")
    elif rtype.kind in ("Role", "ClusterRole"):
        for index, rule in enumerate(obj.get("rules") or []):
            if not rule.get("verbs"):
                yield _required(f"rules[{index}].verbs", "verbs must contain at least one value")


def _template_causes(rtype: ResourceType, spec: Json) -> Iterator[Cause]:
    labels = lookup(spec, "template", "metadata", "labels") or {}
    if rtype.kind != "Job":
        wanted = lookup(spec, "selector", "matchLabels") or {}
        if not spec.get("selector"):
            yield _required("spec.selector")
        elif any(labels.get(key) != value for key, value in wanted.items()):
            why = "`selector` does not match template `labels`"
            yield _invalid("spec.template.metadata.labels", labels, why)
    pod = lookup(spec, "template", "spec") or {}
    yield from _pod_spec_causes(pod, "spec.template.spec")
    policy = pod.get("restartPolicy")
    if rtype.kind == "Job" and policy not in ("OnFailure", "Never"):
        why = 'valid values: "OnFailure", "Never"'
        if lookup(spec, "template", "spec", "restartPolicy") == "Always":
            why = 'Unsupported value: "Always": supported values: "OnFailure", "Never"'
            yield Cause("spec.template.spec.restartPolicy", why, "FieldValueNotSupported")
        else:
            yield _required("spec.template.spec.restartPolicy", why)


def _pod_spec_causes(spec: Json, field: str) -> Iterator[Cause]:
    containers = spec.get("containers")
    if not containers:
        yield _required(f"{field}.containers")
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        where = f"{field}.containers[{index}]"
        name = container.get("name")
        if not name:
            yield _required(f"{where}.name")
        elif name in seen:
            yield Cause(f"{where}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        else:
            for why in names.dns_label(name):
                yield _invalid(f"{where}.name", name, why)
            seen.add(name)
        if not container.get("image"):
            yield _required(f"{where}.image")
