# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in memory, indexed by resource and namespace. Stored objects are never changed in place."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType
from sandbox.kube.watch import Event, EventLog


class Key(NamedTuple):
    """Where an object lives: ``resource`` as ``deployments.apps``; no namespace is ""."""

    resource: str
    namespace: str
    name: str


def key_of(rtype: ResourceType, namespace: str, name: str) -> Key:
    return Key(rtype.qualified, namespace if rtype.namespaced else "", name)


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Store:
    """``clock`` and ``new_uid`` are given by tests that want known values."""

    def __init__(
        self,
        clock: Callable[[], datetime] = utc_now,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
        history: int = 10_000,
    ) -> None:
        self._clock = clock
        self.new_uid = new_uid
        self.version = 1
        self.events = EventLog(history)
        self._objects: dict[str, dict[str, dict[str, Json]]] = {}
        self._dependents: dict[str, set[Key]] = {}
        self._on_removal: list[Callable[[Key, Json], None]] = []

    def on_removal(self, listener: Callable[[Key, Json], None]) -> None:
        """Calls ``listener`` with key and last state of every object that is removed."""
        self._on_removal.append(listener)

    def timestamp(self, later: timedelta = timedelta()) -> str:
        """Now, or so much later, as metav1.Time writes it."""
        return (self._clock() + later).strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, key: Key) -> Json | None:
        return self._objects.get(key.resource, {}).get(key.namespace, {}).get(key.name)

    def select(self, resource: str, namespace: str | None = None) -> Iterator[Json]:
        """Objects in order of (namespace, name); of one namespace, or of all for None."""
        spaces = self._objects.get(resource, {})
        for space in sorted(spaces) if namespace is None else [namespace]:
            found = spaces.get(space, {})
            for name in sorted(found):
                yield found[name]

    def keys_in(self, namespace: str) -> list[Key]:
        """Everything that a namespace holds."""
        return [
            Key(resource, namespace, name)
            for resource, spaces in self._objects.items()
            for name in spaces.get(namespace, {})
            if namespace
        ]

    def resources(self) -> list[str]:
        return sorted(self._objects)

    def put(self, key: Key, obj: Json) -> Json:
        """Stores ``obj`` under a new resource version, which is set in it."""
        previous = self.get(key)
        obj["metadata"]["resourceVersion"] = str(self._next())
        self._objects.setdefault(key.resource, {}).setdefault(key.namespace, {})[key.name] = obj
        if previous is not None:
            self._forget_owners(key, previous)
        for owner in obj["metadata"].get("ownerReferences") or []:
            self._dependents.setdefault(owner.get("uid", ""), set()).add(key)
        kind = "ADDED" if previous is None else "MODIFIED"
        self.events.append(key.resource, Event(self.version, kind, obj, previous))
        return obj

    def remove(self, key: Key) -> Json:
        """Removes the object and gives its last state, with the version of the removal."""
        previous = self._objects[key.resource][key.namespace].pop(key.name)
        if not self._objects[key.resource][key.namespace]:
            del self._objects[key.resource][key.namespace]
        self._forget_owners(key, previous)
        meta = {**previous["metadata"], "resourceVersion": str(self._next())}
        last = {**previous, "metadata": meta}
        self.events.append(key.resource, Event(self.version, "DELETED", last, previous))
        for listener in self._on_removal:
            listener(key, last)
        return last

    def dependents(self, uid: str) -> list[Key]:
        """Objects whose ownerReferences name ``uid``."""
        return sorted(self._dependents.get(uid, ()))

    def _forget_owners(self, key: Key, obj: Json) -> None:
        for owner in obj["metadata"].get("ownerReferences") or []:
            known = self._dependents.get(owner.get("uid", ""))
            if known is not None:
                known.discard(key)
                if not known:
                    del self._dependents[owner["uid"]]

    def _next(self) -> int:
        self.version += 1
        return self.version
