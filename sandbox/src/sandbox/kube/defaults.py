# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the values that the API server sets by default.

Without these values, applying a manifest twice would change the object again.
"""

from __future__ import annotations

import base64
from typing import Any

from sandbox.kube.jsontree import Json, clone
from sandbox.kube.resources import RBAC, ResourceType

_SPECS: dict[str, Json] = {
    "CronJob": {"suspend": False},
    "Deployment": {"replicas": 1, "strategy": {"type": "RollingUpdate"}},
    "DaemonSet": {"updateStrategy": {"type": "RollingUpdate"}},
    "ReplicaSet": {"replicas": 1},
    "StatefulSet": {"replicas": 1, "updateStrategy": {"type": "RollingUpdate"}},
    "Job": {"completions": 1, "parallelism": 1, "suspend": False},
}


def apply_defaults(rtype: ResourceType, obj: Json) -> None:
    """Set the missing fields of an object to their defaults. The object is modified."""
    meta = obj["metadata"]
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        if field in meta and not meta[field]:
            del meta[field]
    kind = rtype.kind
    if kind == "Namespace":
        labels = meta.setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = meta["name"]
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    elif kind == "Secret":
        _fill(obj, {"type": "Opaque"})
        for key, value in (obj.pop("stringData", None) or {}).items():
            encoded = base64.b64encode((value or "").encode()).decode()
            obj.setdefault("data", {})[key] = encoded
    elif kind == "Pod":
        pod_spec_defaults(obj.setdefault("spec", {}), bare=True)
    elif kind in _SPECS:
        spec = obj.setdefault("spec", {})
        _fill(spec, _SPECS[kind])
        template = _job_spec(spec) if kind == "CronJob" else spec
        template = template.setdefault("template", {})
        template.setdefault("metadata", {})
        pod_spec_defaults(template.setdefault("spec", {}), always=kind not in ("CronJob", "Job"))
    elif rtype.group == RBAC:
        _rbac_defaults(obj)


def _job_spec(spec: Json) -> Json:
    """Return the spec of the Job in the template of a CronJob."""
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    job_spec: Json = template.setdefault("spec", {})
    return job_spec


def pod_spec_defaults(spec: Json, *, bare: bool = False, always: bool = True) -> None:
    """Set the defaults of a PodSpec.

    ``bare`` is true for a Pod and false for a template. With ``always``, the default restart policy is Always; otherwise there is
    no default.
    """
    _fill(spec, {"dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30})
    if always:
        spec.setdefault("restartPolicy", "Always")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    if bare:
        spec.setdefault("serviceAccountName", "default")
        spec.setdefault("serviceAccount", spec["serviceAccountName"])


def _rbac_defaults(obj: Json) -> None:
    role = obj.get("roleRef")
    if isinstance(role, dict):
        role.setdefault("apiGroup", RBAC)
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", RBAC)


def _fill(target: Json, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = clone(value)
