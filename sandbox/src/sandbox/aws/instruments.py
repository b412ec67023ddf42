# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters, the latency, the fault rules and the rate limit of the endpoint."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.faults import Faults

READ_PREFIXES = ("Get", "List", "Describe", "Simulate")
# These operations count as reads, because they change no resource.
READ_OPERATIONS = frozenset(
    {
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
        "sts:DecodeAuthorizationMessage",
        "eks-auth:AssumeRoleForPodIdentity",
        "iam:GenerateServiceLastAccessedDetails",
    }
)


def is_read(operation: str) -> bool:
    """Return whether an operation such as ``iam:GetRole`` counts as a read."""
    name = operation.partition(":")[2]
    return name.startswith(READ_PREFIXES) or operation in READ_OPERATIONS


class Counters:
    """The numbers of requests by account and operation, responses by status, faults by kind, and connections.

    Requests that fail because of a fault rule are included.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._connections = 0

    def request(self, account: str, operation: str) -> None:
        self._requests[(account, operation)] += 1

    def response(self, status: int) -> None:
        self._statuses[status] += 1

    def fault(self, kind: str) -> None:
        self._faults[kind] += 1

    def connection(self) -> None:
        self._connections += 1

    def clear(self) -> None:
        self._requests.clear()
        self._statuses.clear()
        self._faults.clear()
        self._connections = 0

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers as data for JSON (see :meth:`sandbox.aws.control.AwsControl.counters`)."""
        operations: Counter[str] = Counter()
        accounts: dict[str, dict[str, int]] = {}
        for (account, operation), count in sorted(self._requests.items()):
            operations[operation] += count
            accounts.setdefault(account, {})[operation] = count
        total = operations.total()
        reads = sum(count for operation, count in operations.items() if is_read(operation))
        return {
            "total": total,
            "reads": reads,
            "writes": total - reads,
            "operations": dict(sorted(operations.items())),
            "accounts": accounts,
            "statuses": {str(status): n for status, n in sorted(self._statuses.items())},
            "faults": dict(sorted(self._faults.items())),
            "connections": self._connections,
        }


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
        self.faults.set(())
