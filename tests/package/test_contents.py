# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the contents of the built collection."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT

TOP = {
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "COPYING",
    "FILES.json",
    "LICENSES",
    "MANIFEST.json",
    "README.md",
    "REUSE.toml",
    "SECURITY.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "examples",
    "meta",
    "playbooks",
    "plugins",
    "presets",
    "requirements.txt",
    "roles",
    "tests",
}
MODULES = (
    "eks_addon_pod_identity",
    "eks_pod_identity",
    "eks_pod_identity_association",
    "eks_pod_identity_association_info",
    "eks_pod_identity_info",
    "eks_pod_identity_workloads_info",
    "iam_permissions_check",
    "iam_trust_policy_check",
    "pod_identity",
    "pod_identity_audit",
    "pod_identity_fleet",
    "pod_identity_migrate",
)


@pytest.fixture(scope="session")
def names(tarball: Path) -> list[str]:
    with tarfile.open(tarball) as archive:
        return [member.name for member in archive.getmembers() if member.isfile()]


def test_top_level_files(names: list[str]) -> None:
    assert {name.split("/", 1)[0] for name in names} == TOP


@pytest.mark.parametrize(
    "name",
    [
        "LICENSES/GPL-3.0-or-later.txt",
        "examples/awx/execution-environment.yml",
        "meta/execution-environment.yml",
        "meta/runtime.yml",
        "presets/external-dns.yml",
        "roles/pod_identity/meta/argument_specs.yml",
        *(f"plugins/modules/{module}.py" for module in MODULES),
        *(f"playbooks/{path.name}" for path in sorted((ROOT / "playbooks").glob("*.yml"))),
    ],
)
def test_has_required_file(names: list[str], name: str) -> None:
    assert name in names


def test_tests_are_settings_and_targets_of_ansible_test(names: list[str]) -> None:
    found = {name.split("/")[1] for name in names if name.startswith("tests/")}
    assert found == {"config.yml", "integration"}


def test_no_leftovers(names: list[str]) -> None:
    leftovers = [name for name in names if name.endswith((".pyc", ".orig", ".rej", "~", ".swp"))]
    assert leftovers == []


def test_aws_modules_are_in_action_group(names: list[str]) -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    modules = sorted(
        Path(name).stem for name in names if name.startswith("plugins/modules/") and "__" not in name
    )
    # These modules run only on the controller, and do not have the options of the action group.
    controller_modules = [name for name in MODULES if name.startswith("pod_identity")]
    assert sorted([*runtime["action_groups"]["aws"], *controller_modules]) == modules


@pytest.mark.parametrize("module", MODULES)
def test_documentation_names_the_action_group_of_its_members_only(module: str) -> None:
    text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    member = not module.startswith("pod_identity")
    assert ("  - workload_identity.aws.attributes.aws\n" in text) == member


def test_manifest_matches_galaxy_yml(tarball: Path) -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    with tarfile.open(tarball) as archive:
        member = archive.extractfile("MANIFEST.json")
        assert member is not None
        info = json.load(member)["collection_info"]
    assert {name: info[name] for name in ("namespace", "name", "version", "dependencies")} == {
        name: galaxy[name] for name in ("namespace", "name", "version", "dependencies")
    }
    assert info["license"] == ["GPL-3.0-or-later"]
