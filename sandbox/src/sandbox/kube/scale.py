# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scale subresource: the number of Pods of an owner, seen as an object of its own (autoscaling/v1 Scale)."""

from __future__ import annotations

from typing import Any

from sandbox.kube.errors import Cause, bad_request, invalid, method_not_allowed
from sandbox.kube.jsontree import Json, go_type, lookup
from sandbox.kube.operations import Operations, Outcome, WriteOptions
from sandbox.kube.patch import APPLY, patched
from sandbox.kube.resources import ResourceType
from sandbox.kube.selectors import format_selector
from sandbox.kube.target import Target

GROUP = "autoscaling"
KIND = "Scale"
_SAME = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Json) -> Json:
    """What a Deployment, ReplicaSet or StatefulSet shows of itself as Scale."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    replicas = spec.get("replicas", 1)
    return {
        "kind": KIND,
        "apiVersion": f"{GROUP}/v1",
        "metadata": {name: obj["metadata"][name] for name in _SAME if name in obj["metadata"]},
        # Go's JSON leaves a zero out here, and not in the status.
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": format_selector(spec.get("selector")),
        },
    }


def scaled(rtype: ResourceType, name: str, scale: Any) -> Json:
    """The owner's fields that a Scale sets; ApiError 400 and 422 for what is none."""
    if not isinstance(scale, dict) or scale.get("kind", KIND) != KIND:
        found = scale.get("kind") if isinstance(scale, dict) else scale
        raise bad_request(f"the object provided is unrecognized (must be of type {KIND}): kind is {found}")
    replicas = lookup(scale, "spec", "replicas") or 0
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(
            f"json: cannot unmarshal {go_type(replicas)} into Go struct field ScaleSpec.spec.replicas of type int32"
        )
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(KIND, GROUP, name, [Cause("spec.replicas", why)])
    meta = {key: value for key, value in (scale.get("metadata") or {}).items() if key in _SAME}
    return {
        "kind": rtype.kind,
        "apiVersion": rtype.group_version,
        "metadata": {"name": name, **meta},
        "spec": {"replicas": replicas},
    }


def answer_scale(
    operations: Operations, target: Target, content_type: str, body: Any, options: WriteOptions
) -> Outcome:
    """GET, PUT and PATCH of ``…/NAME/scale``; ApiError for everything that is not success."""
    rtype, namespace, name = target.rtype, target.namespace, target.name
    _, owner = operations.find(rtype, namespace, name)
    if target.verb == "get":
        return Outcome(scale_of(owner))
    if target.verb == "patch" and content_type == APPLY:
        fields = scaled(rtype, name, body)
        outcome = operations.patch(rtype, namespace, name, content_type, fields, options)
    elif target.verb in ("patch", "update"):
        wanted = patched(KIND, scale_of(owner), content_type, body) if target.verb == "patch" else body
        outcome = operations.replace(rtype, namespace, name, scaled(rtype, name, wanted), options)
    else:
        raise method_not_allowed()
    return Outcome(scale_of(outcome.obj), outcome.created, outcome.warnings)
