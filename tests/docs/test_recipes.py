# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the recipes of docs/recipes.md, each after the command with which the page begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import BIN, ROOT, Sandbox, blocks

PAGE = ROOT / "docs" / "recipes.md"
FIRST = "ansible-playbook workload_identity.aws.site -e @workloads.yml"
ROLE = """
import boto3, json
statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
document = {"Version": "2012-10-17", "Statement": [statement]}
boto3.client("iam").create_role(RoleName="reports", Path="/pod-identity/", AssumeRolePolicyDocument=json.dumps(document))
"""
SKIPPED = {"Add a second cluster, or replace one", "Give Pods a role in another account"}


@dataclass(frozen=True, slots=True)
class Recipe:
    title: str
    command: str
    output: str


RECIPES = (
    Recipe(
        "Remove one workload",
        "teardown -e @workloads.yml -e pod_identity_only=default/batch",
        "delete association default/batch",
    ),
    Recipe("Rename a service account", "site -e @both.yml", "create association default/web"),
    Recipe("Give a workload another role, or rename its role", "site -e @moved.yml", "RESOURCE_KEPT"),
    Recipe("Use a role of Terraform", "site -e @terraform.yml", "update trust policy reports"),
    Recipe("Undo a run", "teardown -e @workloads.yml", "delete role api"),
    Recipe("Take all permissions away at once", "site -e @quarantine.yml", "adds Deny of * on *"),
    Recipe(
        "Hand a list over to another owner",
        "site -e @workloads.yml -e pod_identity_owner=payments -e pod_identity_adopt=true",
        "OWNER_CHANGED",
    ),
    Recipe("Find out why a Pod has no credentials", "verify -e @workloads.yml", "Verified: 2 workloads"),
)


def test_every_recipe_has_a_row() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(sections) == {recipe.title for recipe in RECIPES} | SKIPPED
    for recipe in RECIPES:
        assert f"$ ansible-playbook workload_identity.aws.{recipe.command}\n" in sections[recipe.title]


@pytest.mark.release
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
def test_recipe(recipe: Recipe, sandbox: Sandbox, tmp_path: Path) -> None:
    for block in blocks(PAGE, "yaml"):
        if name := re.match(r"# (\w+\.yml)\n", block.text):
            (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
    sandbox.reset()
    assert sandbox.run(BIN / "python", "-c", ROLE).returncode == 0
    done = sandbox.run(*FIRST.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    done = sandbox.run("ansible-playbook", *f"workload_identity.aws.{recipe.command}".split(), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert recipe.output in done.stdout
