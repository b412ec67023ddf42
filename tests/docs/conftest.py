# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parent))

from support import COLLECTIONS, Sandbox, environment


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run a sandbox whose commands use the collection of this checkout."""
    folder = tmp_path_factory.mktemp("sandbox")
    running = Sandbox(environment(COLLECTIONS, home=folder / "home"))
    running.up()
    yield running
    running.down()
