# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions that the AWX tests share: the controller, and the paths of this project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator import Controller

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "examples" / "awx" / "project"


@dataclass(frozen=True, slots=True)
class Target:
    """A controller: the environment variables for its connection, and the state of the emulator (None for a real AWX)."""

    env: dict[str, str]
    emulator: Controller | None
