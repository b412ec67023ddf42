# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the integration targets are independent: each uses a separate AWS account and cluster."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml
from support import ROOT

TARGETS = ROOT / "tests" / "integration" / "targets"


@pytest.mark.parametrize("variable", ["sandbox_account", "sandbox_cluster"])
def test_targets_have_unique_values(variable: str) -> None:
    targets = [path for path in TARGETS.iterdir() if not path.name.startswith("setup_")]
    values = Counter(
        str(yaml.safe_load((target / "vars" / "main.yml").read_text(encoding="utf-8"))[variable])
        for target in targets
    )
    assert len(targets) > 1
    assert {value for value, count in values.items() if count > 1} == set()
