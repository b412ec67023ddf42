# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that an update does not change immutable fields."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sandbox.kube.errors import Cause, invalid
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import ResourceType

_IMMUTABLE: dict[str, tuple[tuple[str, ...], ...]] = {
    "DaemonSet": (("spec", "selector"),),
    "Deployment": (("spec", "selector"),),
    "Job": (("spec", "selector"), ("spec", "template"), ("spec", "completionMode")),
    "ReplicaSet": (("spec", "selector"),),
    "Secret": (("type",),),
}
_STATEFUL_MUTABLE = (
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "replicas",
    "revisionHistoryLimit",
    "template",
    "updateStrategy",
)
_POD_MUTABLE = ("activeDeadlineSeconds", "schedulingGates", "terminationGracePeriodSeconds")


def check_immutable(rtype: ResourceType, old: Json, new: Json) -> None:
    """Compare an update with the existing object. Raise ApiError 422 if the update changes immutable fields."""
    causes = list(_causes(rtype, old, new))
    if causes:
        raise invalid(rtype.kind, rtype.group, old["metadata"]["name"], causes)


def _causes(rtype: ResourceType, old: Json, new: Json) -> Iterator[Cause]:
    for path in _IMMUTABLE.get(rtype.kind, ()):
        if lookup(old, *path) != lookup(new, *path):
            value = json.dumps(lookup(new, *path), separators=(",", ":"))
            yield Cause(".".join(path), f"Invalid value: {value}: field is immutable")
    if rtype.kind in ("ConfigMap", "Secret") and old.get("immutable") is True:
        for field in ("data", "binaryData"):
            if old.get(field) != new.get(field):
                reason = "Forbidden: field is immutable when `immutable` is set"
                yield Cause(field, reason, "FieldValueForbidden")
    if rtype.kind in ("RoleBinding", "ClusterRoleBinding") and old["roleRef"] != new.get("roleRef"):
        value = json.dumps(new.get("roleRef"), separators=(",", ":"))
        yield Cause("roleRef", f"Invalid value: {value}: cannot change roleRef")
    if rtype.kind == "StatefulSet" and _without(old["spec"], _STATEFUL_MUTABLE) != _without(
        new["spec"], _STATEFUL_MUTABLE
    ):
        reason = (
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals',"
            " 'template', 'updateStrategy', 'revisionHistoryLimit',"
            " 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
        )
        yield Cause("spec", reason, "FieldValueForbidden")
    if rtype.kind == "Pod" and _immutable_pod_spec(old) != _immutable_pod_spec(new):
        reason = (
            "Forbidden: pod updates may not change fields other than"
            " `spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing"
            " tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it"
            " was previously negative)"
        )
        yield Cause("spec", reason, "FieldValueForbidden")


def _without(spec: Json, fields: tuple[str, ...]) -> Json:
    return {key: value for key, value in spec.items() if key not in fields}


def _immutable_pod_spec(pod: Json) -> Json:
    spec = _without(pod["spec"], (*_POD_MUTABLE, "tolerations"))
    for field in ("containers", "initContainers"):
        if field in spec:
            spec[field] = [_without(container, ("image",)) for container in spec[field]]
    return spec
