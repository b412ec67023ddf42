# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete objects, collect garbage, and terminate namespaces.

In a real cluster, controllers delete dependents and the contents of namespaces. In this emulation ``Deleter.reconcile`` does
that; the server or a test calls this method.
"""

from __future__ import annotations

from collections import deque

from sandbox.kube.errors import not_found
from sandbox.kube.jsontree import Json, clone_object, lookup
from sandbox.kube.resources import NAMESPACES, ResourceTable, ResourceType
from sandbox.kube.store import Key, Store, object_key


class Deleter:
    """The deletion and the garbage collection of the objects in a store."""

    def __init__(self, store: Store, table: ResourceTable) -> None:
        self._store = store
        self._by_resource = {rtype.qualified: rtype for rtype in table}
        self._by_kind = {(rtype.kind, rtype.group_version): rtype for rtype in table}
        self._queue: deque[Key] = deque()
        store.on_removal(self._after_removal)

    def delete(self, rtype: ResourceType, namespace: str, name: str, *, dry_run: bool = False) -> Json:
        """Delete an object, and return the body of the response. The garbage collection deletes its dependents.

        Raise ApiError 404 if the object does not exist. Propagation policies and preconditions have no effect.
        """
        key = object_key(rtype, namespace, name)
        obj = self._store.get(key)
        if obj is None:
            raise not_found(rtype, name)
        if dry_run:
            return self._response(rtype, obj, removed=True)
        last = self._begin(rtype, key, obj)
        return self._response(rtype, last, removed=self._store.get(key) is None)

    @property
    def pending(self) -> bool:
        """Return whether objects are waiting for :meth:`reconcile`."""
        return bool(self._queue)

    def reconcile(self) -> None:
        """Delete or release the dependents of deleted objects, and empty terminating namespaces."""
        while self._queue:
            self._reconcile_one(self._queue.popleft())

    def _begin(self, rtype: ResourceType, key: Key, obj: Json) -> Json:
        meta = obj["metadata"]
        finalizers = list(meta.get("finalizers") or [])
        if not finalizers and rtype is not NAMESPACES:
            return self._store.remove(key)
        marked = clone_object(obj)
        marked["metadata"].setdefault("deletionTimestamp", self._store.timestamp())
        marked["metadata"].setdefault("deletionGracePeriodSeconds", 0)
        if finalizers:
            marked["metadata"]["finalizers"] = finalizers
        if rtype is NAMESPACES:
            del marked["metadata"]["deletionGracePeriodSeconds"]
            marked["status"] = {**marked.get("status", {}), "phase": "Terminating"}
        self._queue.append(key)
        if marked == obj:
            return obj
        return self._store.put(key, marked)

    def _reconcile_one(self, key: Key) -> None:
        obj = self._store.get(key)
        if obj is None:
            return
        meta = obj["metadata"]
        if not meta.get("deletionTimestamp"):
            self._collect(key, obj)
        elif key.resource == NAMESPACES.qualified:
            self._empty_namespace(key)

    def _collect(self, key: Key, obj: Json) -> None:
        """Delete an object that has owner references, if none of the owners exists."""
        owners = obj["metadata"].get("ownerReferences") or []
        if owners and not any(self._owner_lives(key, owner) for owner in owners):
            self._begin(self._by_resource[key.resource], key, obj)

    def _owner_lives(self, key: Key, owner: Json) -> bool:
        owner_key = self._owner_key(key, owner)
        if owner_key is None:
            return True
        return bool(lookup(self._store.get(owner_key), "metadata", "uid") == owner.get("uid"))

    def _owner_key(self, key: Key, owner: Json) -> Key | None:
        """Return the key of an owner, or None if this API does not serve its kind."""
        rtype = self._by_kind.get((owner.get("kind", ""), owner.get("apiVersion", "")))
        return object_key(rtype, key.namespace, owner.get("name", "")) if rtype else None

    def _after_removal(self, key: Key, obj: Json) -> None:
        """Queue the objects that the removal of an object may affect: its dependents, its owners and its namespace."""
        for dependent in self._store.dependents(obj["metadata"]["uid"]):
            self._queue.append(dependent)
        waiting = [self._owner_key(key, o) for o in obj["metadata"].get("ownerReferences") or []]
        if key.namespace:
            waiting.append(object_key(NAMESPACES, "", key.namespace))
        for waiting_key in waiting:
            if waiting_key and lookup(self._store.get(waiting_key), "metadata", "deletionTimestamp"):
                self._queue.append(waiting_key)

    def _empty_namespace(self, key: Key) -> None:
        for content in self._store.keys_in(key.name):
            obj = self._store.get(content)
            if obj is not None:
                self._begin(self._by_resource[content.resource], content, obj)
        if self._store.keys_in(key.name):
            return
        obj = self._store.get(key)
        if obj is None:
            return
        copy = clone_object(obj)
        finalizers = [name for name in lookup(copy, "spec", "finalizers") or [] if name != "kubernetes"]
        copy["spec"] = {"finalizers": finalizers} if finalizers else {}
        self._store.put(key, copy)
        if not finalizers and not copy["metadata"].get("finalizers"):
            self._store.remove(key)

    def _response(self, rtype: ResourceType, obj: Json, *, removed: bool) -> Json:
        if rtype.returns_deleted or not removed:
            return obj
        details: Json = {"name": obj["metadata"]["name"]}
        if rtype.group:
            details["group"] = rtype.group
        details |= {"kind": rtype.plural, "uid": obj["metadata"]["uid"]}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
