# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests a second the endpoint takes; the others it throttles."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class RateLimit:
    """A token bucket for all services and accounts together. It is full at first and holds what one
    second brings; a request that is throttled takes nothing from it.

    ``per_second`` is in requests; 0 is no limit. ``now`` gives seconds.
    """

    def __init__(self, per_second: float = 0, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.set(per_second)

    def set(self, per_second: float) -> None:
        """Start over with another limit. ValueError where it is none."""
        if not 0 <= per_second < math.inf:
            raise ValueError(f"per_second must be a number of at least 0: {per_second!r}")
        self.per_second = per_second
        self._capacity = max(1.0, per_second)
        self._tokens = self._capacity
        self._filled = self._now()

    def take(self) -> bool:
        """Whether this request is within the limit."""
        if not self.per_second:
            return True
        now = self._now()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self.per_second)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
