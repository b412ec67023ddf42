# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters, the latency, the fault rules and the rate limit of the endpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.aws.counters import Counters
from sandbox.aws.faults import Faults


class RateLimit:
    """A token bucket for all services and accounts together. A full bucket has tokens for one second, but at least one token.

    The bucket is full at first. ``per_second`` is the permitted number of requests per second; 0 means no limit. ``now`` returns
    a time in seconds.
    """

    def __init__(self, per_second: float = 0, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.set(per_second)

    def set(self, per_second: float) -> None:
        """Set another limit, and fill the bucket. Raise ValueError if the limit is invalid."""
        if not 0 <= per_second < math.inf:
            raise ValueError(f"per_second must be a number of at least 0: {per_second!r}")
        self.per_second = per_second
        self._capacity = max(1.0, per_second)
        self._tokens = self._capacity
        self._filled = self._now()

    def take(self) -> bool:
        """Take a token for a request, and return whether the bucket had a token. Without a limit, return True."""
        if not self.per_second:
            return True
        now = self._now()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self.per_second)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True)
class Instruments:
    """The counters, the latency, the fault rules and the rate limit.

    Control requests set latency, fault rules and rate limit, and the gateway applies them to API requests.
    """

    latency_ms: float = 0
    counters: Counters = field(default_factory=Counters)
    faults: Faults = field(default_factory=Faults)
    rate_limit: RateLimit = field(default_factory=RateLimit)

    def clear(self) -> None:
        """Clear counters and fault rules, but keep latency and rate limit."""
        self.counters.clear()
        self.faults.clear()
