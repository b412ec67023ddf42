# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters, the latency, the fault rules and the rate limit of the endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.aws.counters import Counters
from sandbox.aws.faults import Faults
from sandbox.aws.rate_limit import RateLimit


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
