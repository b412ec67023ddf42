# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of changes, from which watches are served."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kube.errors import expired
from sandbox.kube.jsontree import Json

Matches = Callable[[Json], bool]


@dataclass(frozen=True, slots=True)
class Event:
    """One stored change: ``type`` is ADDED, MODIFIED or DELETED; ``previous`` the object before."""

    version: int
    type: str
    obj: Json
    previous: Json | None


class EventLog:
    """A bounded history for each resource, in order of resource versions."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._events: dict[str, list[Event]] = {}
        self._versions: dict[str, list[int]] = {}
        self._floors: dict[str, int] = {}
        self._compacted = 0
        self._listeners: set[Callable[[], None]] = set()
        self.closed = False

    def close(self) -> None:
        """Ends every watch."""
        self.closed = True
        self._notify()

    def append(self, resource: str, event: Event) -> None:
        events = self._events.setdefault(resource, [])
        versions = self._versions.setdefault(resource, [])
        events.append(event)
        versions.append(event.version)
        if len(events) > 2 * self._limit:
            self._floors[resource] = versions[-self._limit - 1]
            del events[: -self._limit]
            del versions[: -self._limit]
        self._notify()

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def since(self, resource: str, version: int) -> list[Event]:
        """Events after ``version``; ApiError 410 when that history is gone."""
        if not self.reaches(resource, version):
            floor = self._floor(resource)
            raise expired(f"too old resource version: {version} ({floor})")
        start = bisect_right(self._versions.get(resource, []), version)
        return self._events.get(resource, [])[start:]

    def reaches(self, resource: str, version: int) -> bool:
        """Whether the history goes back to ``version``."""
        return version >= self._floor(resource)

    def compact(self, version: int) -> None:
        """Forgets what was before ``version``, the present one, as etcd does every few minutes."""
        self._compacted = version
        self._events.clear()
        self._versions.clear()

    def _floor(self, resource: str) -> int:
        return max(self._floors.get(resource, 0), self._compacted)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls ``listener`` after each change; the answer ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)


def translate(event: Event, matches: Matches) -> tuple[str, Json] | None:
    """What a watch with a selector sees: an object that stops to match is DELETED for it."""
    before = event.previous is not None and matches(event.previous)
    now = event.type != "DELETED" and matches(event.obj)
    if now:
        return ("MODIFIED" if before else "ADDED", event.obj)
    if before or (event.type == "DELETED" and matches(event.obj)):
        return ("DELETED", event.obj)
    return None


def bookmark(kind: str, group_version: str, version: int, *, initial_end: bool = False) -> Json:
    """A BOOKMARK event; ``initial_end`` marks the end of the initial events."""
    meta: Json = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {
        "type": "BOOKMARK",
        "object": {"kind": kind, "apiVersion": group_version, "metadata": meta},
    }
