# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save and restore the resources of all accounts, for tests that all start with the same resources."""

from __future__ import annotations

import copy
import time
from typing import Any

from sandbox.aws.ageing import grow_younger
from sandbox.aws.overlay import Overlay


class Checkpoints:
    """Named copies of all resources. A reset of the emulation does not delete them."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._copies: dict[str, tuple[float, list[dict[Any, Any]]]] = {}

    def save(self, name: str) -> None:
        # Copy all stores in one call: only then do two stores that share a record also share its copy.
        self._copies[name] = (time.monotonic(), copy.deepcopy(self._overlay.stores()))

    def restore(self, name: str) -> None:
        """Restore a checkpoint. Roles, customer managed policies and associations have the same age as when it was saved.

        Raise KeyError if the checkpoint does not exist.
        """
        moment, stores = self._copies[name]
        self._overlay.restore(copy.deepcopy(stores))
        grow_younger(self._overlay.iam_state, self._overlay.eks_state, time.monotonic() - moment)
