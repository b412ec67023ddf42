# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for controllers: find the objects that an owner controls, create its Pods, and change stored objects."""

from __future__ import annotations

from typing import Any

from sandbox.kube.errors import ApiError
from sandbox.kube.jsontree import Json, clone, clone_object, lookup
from sandbox.kube.operations import Operations, WriteOptions
from sandbox.kube.resources import PODS, ResourceType
from sandbox.kube.store import Store, object_key

OPTIONS = WriteOptions(manager="kube-controller-manager")
_TEMPLATE_METADATA = ("annotations", "finalizers", "labels")


def controller_reference(owner: Json, rtype: ResourceType) -> Json:
    """Return the owner reference of an object that an owner controls."""
    return {
        "apiVersion": rtype.group_version,
        "kind": rtype.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def dependents(store: Store, owner: Json, kind: ResourceType) -> list[Json]:
    """Return the objects of a kind with a reference to an owner."""
    keys = [key for key in store.dependents(owner["metadata"]["uid"]) if key.resource == kind.qualified]
    return [obj for key in keys if (obj := store.get(key)) is not None]


def controlled(store: Store, owner: Json, kind: ResourceType) -> list[Json]:
    """Return the objects of a kind that an owner controls, without those that are being deleted."""
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in dependents(store, owner, kind)
        if controller(obj) == uid and not obj["metadata"].get("deletionTimestamp")
    ]


def controller(obj: Json) -> str:
    """Return the UID of the controller of an object, or "" for an object without a controller."""
    references: list[Json] = obj["metadata"].get("ownerReferences") or []
    return next((str(reference["uid"]) for reference in references if reference.get("controller")), "")


def create_pod(
    operations: Operations, owner: Json, rtype: ResourceType, name: Json, labels: Json, spec: Json
) -> Json | None:
    """Create a Pod from the template of an owner.

    Return None if the API rejects the Pod, for example because its service account does not exist. The next tick tries
    again, as a real controller would.

    ``name`` has the member name or generateName. ``labels`` and ``spec`` are added to the labels and the spec of the template.
    """
    template = clone(owner["spec"]["template"])
    meta: Json = template.get("metadata") or {}
    metadata = {key: meta[key] for key in _TEMPLATE_METADATA if meta.get(key)}
    metadata |= {**name, "ownerReferences": [controller_reference(owner, rtype)]}
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    body = {"metadata": metadata, "spec": {**template["spec"], **spec}}
    try:
        return operations.create(PODS, owner["metadata"]["namespace"], body, OPTIONS).obj
    except (ApiError, OSError):
        # OSError: the webhook cannot read the associations, because the embedded AWS does not respond.
        return None


def change(store: Store, rtype: ResourceType, obj: Json, member: str, **values: Any) -> None:
    """Set values in a member of a stored object, such as its status. Do nothing if the object no longer exists."""
    meta = obj["metadata"]
    key = object_key(rtype, meta.get("namespace", ""), meta["name"])
    current = store.get(key)
    if current is None:
        return
    previous = current.get(member) or {}
    if {**previous, **values} != previous:
        changed = clone_object(current)
        changed[member] = {**clone(previous), **clone(values)}
        store.put(key, changed)


def annotate(store: Store, rtype: ResourceType, obj: Json, name: str, value: str) -> None:
    meta = obj["metadata"]
    current = store.get(object_key(rtype, meta.get("namespace", ""), meta["name"]))
    annotations = lookup(current, "metadata", "annotations") or {}
    change(store, rtype, obj, "metadata", annotations={**annotations, name: value})
