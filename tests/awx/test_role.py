# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables: the same names and defaults in its specification, its defaults, its README and the example."""

from __future__ import annotations

import re
from typing import Any

import yaml
from target import ROOT

ROLE = ROOT / "roles" / "awx_fleet"


def read(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


OPTIONS: dict[str, dict[str, Any]] = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def test_defaults_are_those_of_the_specification() -> None:
    assert read("defaults/main.yml") == {
        name: option["default"] for name, option in OPTIONS.items() if not option.get("required")
    }


def test_the_readme_has_each_variable_with_its_default() -> None:
    text = (ROLE / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(awx_fleet_\w+)` \| (.*?) \| .* \|$", text, re.MULTILINE))
    shown = {
        name: "none" if option["default"] == "" else f"`{option['default']}`"
        for name, option in OPTIONS.items()
        if "default" in option
    }
    wanted = {name: shown.get(name, "required") for name in OPTIONS}
    assert {name: value.lower() for name, value in rows.items()} == {
        name: value.lower() for name, value in wanted.items()
    }


def test_the_example_sets_variables_of_the_role() -> None:
    text = (ROOT / "examples" / "awx" / "awx.yml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) <= set(OPTIONS)
    assert {name for name, option in OPTIONS.items() if option.get("required")} <= set(yaml.safe_load(text))
