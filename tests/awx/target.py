# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of AWX share: the controller that they set up, and where this project's files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator import Controller

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "examples" / "awx" / "project"


@dataclass(frozen=True, slots=True)
class Target:
    """``env`` reaches the controller. ``emulator`` is its state, None where it is a real one."""

    env: dict[str, str]
    emulator: Controller | None
