# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of a cluster: objects in memory, indexed by resource, namespace and name. Stored objects never change."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple

from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType


class Key(NamedTuple):
    """The key of an object. ``resource`` is the qualified name, such as ``deployments.apps``."""

    resource: str
    namespace: str
    name: str


def object_key(rtype: ResourceType, namespace: str, name: str) -> Key:
    return Key(rtype.qualified, namespace if rtype.namespaced else "", name)


class Store:
    """The objects of a cluster. ``clock`` and ``new_uid`` are parameters so that tests can replace them."""

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._clock = clock
        self.new_uid = new_uid
        self.version = 1
        self._objects: dict[str, dict[str, dict[str, Json]]] = {}
        self._dependents: dict[str, set[Key]] = {}
        self._on_removal: list[Callable[[Key, Json], None]] = []

    def on_removal(self, listener: Callable[[Key, Json], None]) -> None:
        """Register a function that is called with the key and the last state of each removed object."""
        self._on_removal.append(listener)

    def timestamp(self) -> str:
        """Return the current time in the format of Kubernetes, such as 2026-01-31T12:00:00Z."""
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, key: Key) -> Json | None:
        return self._objects.get(key.resource, {}).get(key.namespace, {}).get(key.name)

    def select(self, resource: str, namespace: str | None = None) -> Iterator[Json]:
        """Yield the objects of a resource in one namespace or in all, sorted by namespace and name."""
        by_namespace = self._objects.get(resource, {})
        for name_of_namespace in sorted(by_namespace) if namespace is None else [namespace]:
            by_name = by_namespace.get(name_of_namespace, {})
            for name in sorted(by_name):
                yield by_name[name]

    def keys_in(self, namespace: str) -> list[Key]:
        """Return the keys of all objects in a namespace."""
        return [
            Key(resource, namespace, name)
            for resource, by_namespace in self._objects.items()
            for name in by_namespace.get(namespace, {})
            if namespace
        ]

    def resources(self) -> list[str]:
        return sorted(self._objects)

    def put(self, key: Key, obj: Json) -> Json:
        """Store an object with a new resource version, and return the stored object.

        The object must not be modified afterwards.
        """
        previous = self.get(key)
        obj["metadata"]["resourceVersion"] = str(self._next())
        self._objects.setdefault(key.resource, {}).setdefault(key.namespace, {})[key.name] = obj
        if previous is not None:
            self._forget_owners(key, previous)
        for owner in obj["metadata"].get("ownerReferences") or []:
            self._dependents.setdefault(owner.get("uid", ""), set()).add(key)
        return obj

    def remove(self, key: Key) -> Json:
        """Remove an object. Return its last state, with the resource version of the removal."""
        previous = self._objects[key.resource][key.namespace].pop(key.name)
        if not self._objects[key.resource][key.namespace]:
            del self._objects[key.resource][key.namespace]
        self._forget_owners(key, previous)
        meta = {**previous["metadata"], "resourceVersion": str(self._next())}
        last = {**previous, "metadata": meta}
        for listener in self._on_removal:
            listener(key, last)
        return last

    def dependents(self, uid: str) -> list[Key]:
        """Return the keys of the objects that have an owner reference to a UID."""
        return sorted(self._dependents.get(uid, ()))

    def _forget_owners(self, key: Key, obj: Json) -> None:
        for owner in obj["metadata"].get("ownerReferences") or []:
            dependents = self._dependents.get(owner.get("uid", ""))
            if dependents is not None:
                dependents.discard(key)
                if not dependents:
                    del self._dependents[owner["uid"]]

    def _next(self) -> int:
        self.version += 1
        return self.version
