# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named checkpoints of all accounts, for tests that restore the same resources many times."""

from __future__ import annotations

import copy
import time
from typing import Any

from sandbox.aws.ageing import grow_younger
from sandbox.aws.overlay import Overlay


class Checkpoints:
    """Copies of all records by name; a reset does not delete them. Restored records have the age they had."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._copies: dict[str, tuple[float, list[dict[Any, Any]]]] = {}

    def save(self, name: str) -> None:
        # Copied at once, because stores share records.
        self._copies[name] = (time.monotonic(), copy.deepcopy(self._overlay.stores()))

    def restore(self, name: str) -> None:
        """Restore a checkpoint. Raise KeyError if it does not exist."""
        moment, stores = self._copies[name]
        self._overlay.restore(copy.deepcopy(stores))
        grow_younger(self._overlay.iam_state, self._overlay.eks_state, time.monotonic() - moment)
