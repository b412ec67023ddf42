# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all accounts hold, kept under a name and put back: who starts from it many times makes it once."""

from __future__ import annotations

import copy
import time
from typing import Any

from sandbox.aws.ageing import grow_younger
from sandbox.aws.overlay import Overlay


class Checkpoints:
    """Copies by name; they outlive a reset. What is put back is as old as it was when it was kept."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._kept: dict[str, tuple[float, list[dict[Any, Any]]]] = {}

    def keep(self, name: str) -> None:
        # As one value, so that what two stores share stays shared.
        self._kept[name] = (time.monotonic(), copy.deepcopy(self._overlay.stores()))

    def restore(self, name: str) -> None:
        """KeyError where nothing was kept under that name."""
        moment, stores = self._kept[name]
        self._overlay.put_back(copy.deepcopy(stores))
        grow_younger(self._overlay.iam_state, self._overlay.eks_state, time.monotonic() - moment)
