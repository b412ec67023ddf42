# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock by which IAM and EKS date what they write. Waiting times have clocks of their own."""

from __future__ import annotations

import time
from dataclasses import dataclass

FURTHEST_SECONDS = 366 * 24 * 3600


@dataclass(slots=True)
class Clock:
    """``skew`` seconds ahead of the machine's clock; below 0, behind it."""

    skew: float = 0

    def set(self, seconds: float) -> None:
        """ValueError where it is further than a year."""
        if not abs(seconds) <= FURTHEST_SECONDS:
            raise ValueError(
                f"s must be a number from -{FURTHEST_SECONDS} to {FURTHEST_SECONDS}: {seconds!r}"
            )
        self.skew = seconds

    def iam(self) -> str:
        """The present as IAM writes it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.skew))

    def eks(self) -> float:
        """The present as EKS writes it: seconds since the epoch, to the millisecond."""
        return round(time.time() + self.skew, 3)
