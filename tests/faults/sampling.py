# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cells of a matrix the short form of the suite takes: the same ones each time."""

from __future__ import annotations

import hashlib
import os

THOROUGH = os.environ.get("FAULTS") == "all"


def chosen(*names: object, among: int) -> int:
    """A number from 0 up to ``among``, not included: the same for the same names."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, names)).encode()).digest()[:4], "big") % among
