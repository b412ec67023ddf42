# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the example project. It has a playbook for each job template, which imports the collection's playbook of the same name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from target import PROJECT, ROOT

WRAPPERS = sorted(PROJECT.glob("*.yml"))


def test_project_has_playbook_of_each_job_template() -> None:
    text = (
        (ROOT / "roles" / "awx_fleet" / "vars" / "main.yml")
        .read_text(encoding="utf-8")
        .replace("!unsafe", "")
    )
    templates = yaml.safe_load(text)["__awx_fleet_job_templates"]
    assert {template["playbook"] for template in templates} == {path.name for path in WRAPPERS}


@pytest.mark.parametrize("path", WRAPPERS, ids=lambda path: path.stem)
def test_playbook_imports_collection_playbook(path: Path) -> None:
    [play] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert play["ansible.builtin.import_playbook"] == f"workload_identity.aws.{path.stem}"


def test_inventory_file_matches_default_path() -> None:
    defaults = yaml.safe_load(
        (ROOT / "roles" / "awx_fleet" / "defaults" / "main.yml").read_text(encoding="utf-8")
    )
    source = yaml.safe_load((PROJECT / defaults["awx_fleet_inventory_path"]).read_text(encoding="utf-8"))
    assert source["plugin"] == "workload_identity.aws.eks_clusters"
    assert source["require_all"] is True
