# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of changes, from which lists at an earlier resource version are computed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from sandbox.kube.errors import expired
from sandbox.kube.jsontree import Json


@dataclass(frozen=True, slots=True)
class Event:
    """A change of an object at a resource version.

    ``previous`` is the object before the change, or None if the change created the object.
    """

    version: int
    obj: Json
    previous: Json | None


class EventLog:
    """The history of changes of each resource, in the order of resource versions. Old changes are dropped."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._events: dict[str, list[Event]] = {}
        self._versions: dict[str, list[int]] = {}
        self._floors: dict[str, int] = {}

    def append(self, resource: str, event: Event) -> None:
        events = self._events.setdefault(resource, [])
        versions = self._versions.setdefault(resource, [])
        events.append(event)
        versions.append(event.version)
        if len(events) > 2 * self._limit:
            self._floors[resource] = versions[-self._limit - 1]
            del events[: -self._limit]
            del versions[: -self._limit]

    def since(self, resource: str, version: int) -> list[Event]:
        """Return the changes after a resource version.

        Raise ApiError 410 if the history does not reach back to that version.
        """
        if not self.reaches(resource, version):
            floor = self._floors.get(resource, 0)
            raise expired(f"too old resource version: {version} ({floor})")
        start = bisect_right(self._versions.get(resource, []), version)
        return self._events.get(resource, [])[start:]

    def reaches(self, resource: str, version: int) -> bool:
        """Return whether the history reaches back to a resource version."""
        return version >= self._floors.get(resource, 0)
