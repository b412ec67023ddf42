# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The current time in the formats of IAM and EKS."""

from __future__ import annotations

import time


def iam_time() -> str:
    """Return the current time in the format of IAM, such as 2026-01-31T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def eks_time() -> float:
    """Return the current time in the format of EKS: seconds since the epoch, with milliseconds."""
    return round(time.time(), 3)
