# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the documentation of plugins: ansible-doc renders it, the linter accepts it, and its examples run unchanged."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import BIN, COLLECTIONS, ROOT, Sandbox, environment, run

NAME = "workload_identity.aws"
CHECKOUT = COLLECTIONS / "ansible_collections" / "workload_identity" / "aws"
# The trust policy in the EKS User Guide, for the roles in ROLE_FIXTURES.
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}
ROLES = """
import boto3, sys
for name in sys.argv[2:]:
    boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=sys.argv[1])
"""


def kinds() -> list[tuple[str, str]]:
    """Return the type and the name of every plugin, module and role, as ansible-doc expects them."""
    plugins = ROOT / "plugins"
    found = [("module", path.stem) for path in sorted((plugins / "modules").glob("*.py"))]
    for kind in ("lookup", "inventory"):
        found += [
            (kind, path.stem) for path in sorted((plugins / kind).glob("*.py")) if path.stem != "__init__"
        ]
    return found + [("role", path.name) for path in sorted((ROOT / "roles").iterdir())]


def examples(kind: str, name: str) -> list[dict[str, Any]]:
    """Return the tasks in the examples of a plugin."""
    folder = "modules" if kind == "module" else kind
    tree = ast.parse((ROOT / f"plugins/{folder}/{name}.py").read_text(encoding="utf-8"))
    text = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES"
    )
    found = yaml.safe_load(text)
    assert isinstance(found, list)
    return found


# Filters whose examples need the results of earlier jobs. Other tests run them in playbooks: tests/package/test_artifacts.py
# and tests/docs/test_migration.py.
NEEDS_RESULTS = ("pod_identity_fleet", "pod_identity_migrate", "pod_identity_audit")


def runnable() -> list[tuple[str, str]]:
    return [
        (kind, name) for kind, name in kinds() if kind in ("module", "lookup") and name not in NEEDS_RESULTS
    ]


# The IAM roles that must exist before the examples of a plugin run, by plugin.
ROLE_FIXTURES = {
    "eks_pod_identity": ["reports"],
    "eks_addon_pod_identity": ["ebs-csi"],
    "eks_pod_identity_association": ["my-role", "tenants"],
    "iam_trust_policy_check": ["my-role"],
    "iam_permissions_check": ["my-role"],
}
# The module whose first example must run before the examples of a plugin, by plugin.
EXAMPLE_FIXTURES = {
    "eks_pod_identity_info": "eks_pod_identity",
    "eks_pod_identity_association_info": "eks_pod_identity",
}
# A script that prints the variables that the inventory plugin eks_clusters sets for the cluster of the sandbox.
CLUSTER_VARIABLES = """
import boto3, json
cluster = boto3.client("eks").describe_cluster(name="my-cluster")["cluster"]
print(json.dumps({"eks_endpoint": cluster["endpoint"], "eks_region": cluster["arn"].split(":")[3],
                  "eks_certificate_authority_data": cluster["certificateAuthority"]["data"]}))
"""
VARIABLE_FIXTURES = {"eks_token": CLUSTER_VARIABLES}
FILE_FIXTURES = {
    "pod_identity_workloads": ("teams/payments.yml", "- {namespace: default, service_account: api}\n")
}


def test_ansible_doc_renders_the_roles(tmp_path: Path) -> None:
    """Render only the roles here: ansible-test sanity renders the plugins and modules on each version of ansible-core."""
    names = [f"{NAME}.{name}" for kind, name in kinds() if kind == "role"]
    done = run([BIN / "ansible-doc", "-t", "role", *names], tmp_path, environment(COLLECTIONS, home=tmp_path))
    assert done.returncode == 0, done.stdout
    assert "ERROR" not in done.stdout
    assert [name for name in names if name.rpartition(".")[2] not in done.stdout] == []


def test_readme_lists_every_module() -> None:
    modules = [path.stem for path in (ROOT / "plugins/modules").glob("*.py")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [
        name
        for name in modules
        if f"`{name}`" not in readme and f"`…{name[len('eks_pod_identity') :]}`" not in readme
    ]
    assert missing == []


@pytest.mark.release
def test_plugin_documentation_passes_the_linter(tmp_path: Path) -> None:
    # The documentation fragments of the dependencies refer to other collections, so allow references to all collections.
    command = ("lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", ".")
    done = run([BIN / "antsibull-docs", *command], CHECKOUT, environment(COLLECTIONS, home=tmp_path))
    assert (done.returncode, done.stdout) == (0, "")


def test_changelog_names_every_plugin(tmp_path: Path) -> None:
    """Compare the changelog with the plugins. docs/contributing/releases.md shows how to generate the changelog."""
    done = run([BIN / "antsibull-changelog", "lint"], CHECKOUT, environment(COLLECTIONS, home=tmp_path))
    assert done.returncode == 0, done.stdout
    changelog = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))
    releases = changelog["releases"].values()
    named = {("module", entry["name"]) for release in releases for entry in release.get("modules", ())}
    for release in releases:
        for part in ("plugins", "objects"):
            for kind, entries in release.get(part, {}).items():
                named |= {(kind, entry["name"]) for entry in entries}
    assert {(kind, name) for kind, name in named if kind != "playbook"} == set(kinds())


# The examples of the other plugins run with TIER=release.
QUICK = ("eks_pod_identity", "eks_token", "pod_identity")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=f"{kind}-{name}", marks=[] if name in QUICK else [pytest.mark.release])
        for kind, name in runnable()
    ],
)
def test_examples_run_unchanged(kind: str, name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset()
    if roles := ROLE_FIXTURES.get(name):
        done = sandbox.run(BIN / "python", "-c", ROLES, json.dumps(TRUST), *roles)
        assert done.returncode == 0, done.stdout
    if name in FILE_FIXTURES:
        path, text = FILE_FIXTURES[name]
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    variables = {}
    if name in VARIABLE_FIXTURES:
        done = sandbox.run(BIN / "python", "-c", VARIABLE_FIXTURES[name])
        variables = json.loads(done.stdout.splitlines()[-1])
    preparation = examples("module", EXAMPLE_FIXTURES[name])[:1] if name in EXAMPLE_FIXTURES else []
    play = {
        "name": f"Examples of {name}",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", **variables},
        "tasks": preparation + examples(kind, name),
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    done = sandbox.run("ansible-playbook", "play.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout, done.stdout
