# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose reproducible samples of the cases, for runs of the tests without TIER=release in the environment."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable

THOROUGH = os.environ.get("TIER") == "release"


def chosen(*names: object, among: int) -> int:
    """Return a number from 0 to ``among`` - 1 that depends only on the names."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, names)).encode()).digest()[:4], "big") % among


def some(names: Iterable[str], label: str, among: int) -> list[str]:
    """Return a sample of the names: one in ``among``, rounded up. The sample depends only on the names and the label."""
    ranked = sorted(names, key=lambda name: (chosen(label, name, among=2**32), name))
    return ranked[: math.ceil(len(ranked) / among)]
