# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the tests of a tier: without TIER=release in the environment, leave out the tests with the mark ``release``.

The command line can also name such a test: ``pytest FILE::TEST`` runs it in every tier.
"""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # A worker process inherits the width of the terminal, and tables would depend on it.
    os.environ.pop("COLUMNS", None)
    config.addinivalue_line("markers", "release: a test of `make release-check` and the workflow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TIER") == "release" or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("release")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("release")]
