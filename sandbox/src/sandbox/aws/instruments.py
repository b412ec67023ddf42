# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands before the services: requests are counted, delayed, throttled and made to fail."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.aws.counters import Counters
from sandbox.aws.faults import Faults
from sandbox.aws.rate_limit import RateLimit


@dataclass(slots=True)
class Instruments:
    """The gateway applies them; the control requests read and set them."""

    latency_ms: float = 0
    counters: Counters = field(default_factory=Counters)
    faults: Faults = field(default_factory=Faults)
    rate_limit: RateLimit = field(default_factory=RateLimit)

    def clear(self) -> None:
        """Forget counts and fault rules. Latency and rate limit stay."""
        self.counters.clear()
        self.faults.clear()
