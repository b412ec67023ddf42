# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long what is deleted takes to end, and what is due when."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.store import Key

DEFAULT_GRACE = 30
_ENDED = ("Failed", "Succeeded")


@dataclass(slots=True)
class Termination:
    """Seconds that a Pod on a node takes from SIGTERM to its end, if its grace period does not end before,
    and seconds until the namespace controller begins with a deleted namespace. By default nobody waits."""

    pod: float = 0.0
    namespace: float = 0.0


def grace_of(pod: Json, asked: int | None) -> int:
    """The grace period of a Pod's deletion; none for a Pod that no kubelet has, or that has ended."""
    if not lookup(pod, "spec", "nodeName") or lookup(pod, "status", "phase") in _ENDED:
        return 0
    grace = lookup(pod, "spec", "terminationGracePeriodSeconds") if asked is None else asked
    grace = DEFAULT_GRACE if grace is None else int(grace)
    # What is below nothing is the shortest period, as the API takes it.
    return grace if grace >= 0 else 1


class Due:
    """Keys in the order in which they are due."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queue: list[tuple[float, int, Key]] = []
        self._numbers = itertools.count()
        self._ends: dict[Key, float] = {}

    def add(self, key: Key) -> None:
        """Due at once; what is to end later is not brought forward by that."""
        heapq.heappush(self._queue, (self._clock(), next(self._numbers), key))

    def add_end(self, key: Key, seconds: float) -> None:
        """Due when it has ended, so many seconds from now."""
        moment = self._clock() + seconds
        self._ends[key] = moment
        heapq.heappush(self._queue, (moment, next(self._numbers), key))

    def forget(self, key: Key) -> None:
        """What is gone has no end any more."""
        self._ends.pop(key, None)

    def take(self) -> Key | None:
        """The next key that is due now."""
        while self._queue and self._queue[0][0] <= self._clock():
            key = heapq.heappop(self._queue)[2]
            if self._ends.get(key, 0.0) <= self._clock():
                self._ends.pop(key, None)
                return key
        return None

    def wait(self) -> float | None:
        """Seconds until the next key is due; None when there is none."""
        return max(0.0, self._queue[0][0] - self._clock()) if self._queue else None
