# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for updates: preconditions, the parts that an update may change, and generations."""

from __future__ import annotations

from sandbox.kube.errors import bad_request, conflict, modified
from sandbox.kube.jsontree import Json, clone_object, lookup
from sandbox.kube.resources import NAMESPACES, ResourceType

SYSTEM_FIELDS = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
)


def check_same_name(name: str, expected: str) -> None:
    if name != expected:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({expected})")


def check_preconditions(rtype: ResourceType, old: Json, new: Json, namespace: str) -> None:
    check_same_name(new.get("name") or old["name"], old["name"])
    if rtype.namespaced and (new.get("namespace") or namespace) != namespace:
        raise bad_request(
            f"the namespace of the object ({new['namespace']}) does not match the namespace on the"
            f" URL ({namespace})"
        )
    if new.get("uid") not in (None, "", old["uid"]):
        reason = f"Precondition failed: UID in precondition: {new['uid']}, UID in object meta: {old['uid']}"
        raise conflict(rtype, old["name"], reason)
    version = new.get("resourceVersion")
    if version not in (None, "", old["resourceVersion"]):
        raise modified(rtype, old["name"])


def is_new_generation(rtype: ResourceType, old: Json, new: Json) -> bool:
    """Return whether an update increases ``metadata.generation``: the spec or a Deployment's annotations have changed."""
    if old.get("spec") != new.get("spec"):
        return True
    old_annotations, new_annotations = (lookup(obj, "metadata", "annotations") or {} for obj in (old, new))
    return bool(rtype.kind == "Deployment" and old_annotations != new_annotations)


def restrict(rtype: ResourceType, old: Json, new: Json, subresource: str) -> Json:
    """Return the object after an update, without the changes that this kind of update must not make.

    An update of the subresource ``status`` changes only the status, and an update without a subresource does not change it.
    """
    if subresource == "status":
        meta = {**old["metadata"]}
        if "managedFields" in new["metadata"]:
            meta["managedFields"] = new["metadata"]["managedFields"]
        return {**clone_object(old), "metadata": meta, "status": new.get("status") or {}}
    if "status" in rtype.subresources:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    if rtype is NAMESPACES:
        new["spec"] = old.get("spec", {})
    return clone_object(new)


def is_final(rtype: ResourceType, obj: Json) -> bool:
    """Return whether a terminating object can be removed, because it has no finalizers."""
    if rtype is NAMESPACES and lookup(obj, "spec", "finalizers"):
        return False
    return not obj["metadata"].get("finalizers")
