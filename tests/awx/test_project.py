# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project of the example: a file for each job template, each with the playbook of the collection of the same name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from target import PROJECT, ROOT

WRAPPERS = sorted(PROJECT.glob("*.yml"))


def test_each_job_template_finds_its_playbook() -> None:
    text = (
        (ROOT / "roles" / "awx_fleet" / "vars" / "main.yml")
        .read_text(encoding="utf-8")
        .replace("!unsafe", "")
    )
    templates = yaml.safe_load(text)["__awx_fleet_job_templates"]
    assert {one["playbook"] for one in templates} == {path.name for path in WRAPPERS}


@pytest.mark.parametrize("path", WRAPPERS, ids=lambda path: path.stem)
def test_a_playbook_is_that_of_the_collection(path: Path) -> None:
    [play] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert play["ansible.builtin.import_playbook"] == f"workload_identity.aws.{path.stem}"


@pytest.mark.parametrize("path", WRAPPERS, ids=lambda path: path.stem)
def test_the_linter_reads_what_it_can(path: Path) -> None:
    """It cannot read what imports a playbook that is not there."""
    excluded = yaml.safe_load((ROOT / ".ansible-lint").read_text(encoding="utf-8"))["exclude_paths"]
    is_there = (ROOT / "playbooks" / path.name).is_file()
    assert (str(path.relative_to(ROOT)) in excluded) != is_there


def test_the_inventory_file_is_where_the_role_looks() -> None:
    defaults = yaml.safe_load(
        (ROOT / "roles" / "awx_fleet" / "defaults" / "main.yml").read_text(encoding="utf-8")
    )
    source = yaml.safe_load((PROJECT / defaults["awx_fleet_inventory_path"]).read_text(encoding="utf-8"))
    assert source["plugin"] == "workload_identity.aws.eks_clusters"
    assert source["require_all"] is True
