# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide the controller for the AWX tests: the AWX that CONTROLLER_HOST names, or the emulator."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulator import TOKEN, emulated
from target import PROJECT, Target


@pytest.fixture
def controller() -> Iterator[Target]:
    if os.environ.get("CONTROLLER_HOST"):
        yield Target(
            {name: value for name, value in os.environ.items() if name.startswith("CONTROLLER_")}, None
        )
        return
    playbooks = tuple(path.name for path in PROJECT.glob("*.yml"))
    with emulated(playbooks) as (address, state):
        yield Target({"CONTROLLER_HOST": address, "CONTROLLER_OAUTH_TOKEN": TOKEN}, state)
