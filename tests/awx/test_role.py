# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the argument spec, the defaults, the README and the example of the role awx_fleet match."""

from __future__ import annotations

import re
from typing import Any

import yaml
from target import ROOT

ROLE = ROOT / "roles" / "awx_fleet"


def read(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


OPTIONS: dict[str, dict[str, Any]] = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def test_readme_names_every_variable() -> None:
    assert all(option.get("required") or "default" in option for option in OPTIONS.values())
    rows = re.findall(
        r"^\| [\w ]+ \| (.*) \|$", (ROLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    names = re.findall(r"`(\w+)`", " ".join(rows[1:]))
    assert sorted(f"awx_fleet_{name}" for name in names) == sorted(OPTIONS)


def test_example_sets_role_variables() -> None:
    text = (ROOT / "examples" / "awx" / "awx.yml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) <= set(OPTIONS)
    assert {name for name, option in OPTIONS.items() if option.get("required")} <= set(yaml.safe_load(text))
