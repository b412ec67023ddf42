# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cells of a matrix the short form of the suite takes: the same ones each time."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable

THOROUGH = os.environ.get("FAULTS") == "all"


def chosen(*names: object, among: int) -> int:
    """A number from 0 up to ``among``, not included: the same for the same names."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, names)).encode()).digest()[:4], "big") % among


def some(names: Iterable[str], label: str, among: int) -> list[str]:
    """One of so many names and never none: the same for the same names and label, others for another label."""
    ranked = sorted(names, key=lambda name: (chosen(label, name, among=2**32), name))
    return ranked[: math.ceil(len(ranked) / among)]
