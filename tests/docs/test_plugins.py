# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation inside plugins: it renders, passes the linter, and its examples run as they stand."""

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
# A role with the trust policy of the EKS User Guide, which the examples take for granted.
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
    """(kind for ansible-doc, name) of every plugin, module and role."""
    plugins = ROOT / "plugins"
    found = [("module", path.stem) for path in sorted((plugins / "modules").glob("*.py"))]
    found += [("filter", path.stem) for path in sorted((plugins / "filter").glob("*.yml"))]
    for kind in ("lookup", "inventory"):
        found += [
            (kind, path.stem) for path in sorted((plugins / kind).glob("*.py")) if path.stem != "__init__"
        ]
    return found + [("role", path.name) for path in sorted((ROOT / "roles").iterdir())]


def examples(kind: str, name: str) -> list[dict[str, Any]]:
    """The tasks of a plugin's examples."""
    if kind == "filter":
        text = yaml.safe_load((ROOT / f"plugins/filter/{name}.yml").read_text(encoding="utf-8"))["EXAMPLES"]
    else:
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


# They act on what other jobs or tasks left: tests/package/test_artifacts.py runs them by playbook and role.
AFTER_OTHERS = ("pod_identity_gather", "pod_identity_fleet")


def with_tasks() -> list[tuple[str, str]]:
    return [
        (kind, name)
        for kind, name in kinds()
        if kind in ("module", "filter", "lookup") and name not in AFTER_OTHERS
    ]


# What is there before the examples of a plugin: roles by name, and modules whose first example is run.
ROLES_BEFORE = {
    "eks_pod_identity": ["reports"],
    "eks_pod_identity_association": ["my-role", "tenants"],
    "iam_trust_policy_check": ["my-role"],
    "iam_permissions_check": ["my-role"],
    "pod_identity_report": ["my-role"],
}
EXAMPLE_BEFORE = {
    "eks_pod_identity_info": "eks_pod_identity",
    "eks_pod_identity_association_info": "eks_pod_identity",
}
# What the inventory eks_clusters says of the sandbox's cluster.
CLUSTER_VARIABLES = """
import boto3, json
cluster = boto3.client("eks").describe_cluster(name="my-cluster")["cluster"]
print(json.dumps({"eks_endpoint": cluster["endpoint"], "eks_region": cluster["arn"].split(":")[3],
                  "eks_certificate_authority_data": cluster["certificateAuthority"]["data"]}))
"""
VARIABLES_BEFORE = {"eks_token": CLUSTER_VARIABLES}
FILES_BEFORE = {
    "pod_identity_workloads": ("teams/payments.yml", "- {namespace: default, service_account: api}\n")
}


@pytest.mark.parametrize(
    ("kind", "name"), [pytest.param(kind, name, id=f"{kind}-{name}") for kind, name in kinds()]
)
def test_ansible_doc_renders(kind: str, name: str, tmp_path: Path) -> None:
    done = run(
        [BIN / "ansible-doc", "-t", kind, f"{NAME}.{name}"], tmp_path, environment(COLLECTIONS, home=tmp_path)
    )
    assert done.returncode == 0, done.stdout
    assert "ERROR" not in done.stdout
    assert name in done.stdout


def test_the_readme_lists_every_module() -> None:
    modules = [path.stem for path in (ROOT / "plugins/modules").glob("*.py")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [
        name
        for name in modules
        if f"`{name}`" not in readme and f"`…{name[len('eks_pod_identity') :]}`" not in readme
    ]
    assert missing == []


def test_plugin_documentation_passes_the_linter(tmp_path: Path) -> None:
    # With references to all collections checked it also finds the fragments of those that we depend on.
    command = ("lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", ".")
    done = run([BIN / "antsibull-docs", *command], CHECKOUT, environment(COLLECTIONS, home=tmp_path))
    assert (done.returncode, done.stdout) == (0, "")


def test_changelog_names_every_plugin(tmp_path: Path) -> None:
    """The command in changelogs/config.yaml renews it."""
    done = run([BIN / "antsibull-changelog", "lint"], CHECKOUT, environment(COLLECTIONS, home=tmp_path))
    assert done.returncode == 0, done.stdout
    changelog = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))
    releases = changelog["releases"].values()
    listed = {("module", one["name"]) for release in releases for one in release.get("modules", ())}
    for release in releases:
        for part in ("plugins", "objects"):
            for kind, entries in release.get(part, {}).items():
                listed |= {(kind, one["name"]) for one in entries}
    assert {one for one in listed if one[0] != "playbook"} == set(kinds())


@pytest.mark.parametrize(
    ("kind", "name"), [pytest.param(kind, name, id=f"{kind}-{name}") for kind, name in with_tasks()]
)
def test_examples_run_as_they_stand(kind: str, name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset()
    if roles := ROLES_BEFORE.get(name):
        done = sandbox.run(BIN / "python", "-c", ROLES, json.dumps(TRUST), *roles)
        assert done.returncode == 0, done.stdout
    if name in FILES_BEFORE:
        path, text = FILES_BEFORE[name]
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    variables = {}
    if name in VARIABLES_BEFORE:
        done = sandbox.run(BIN / "python", "-c", VARIABLES_BEFORE[name])
        variables = json.loads(done.stdout.splitlines()[-1])
    before = examples("module", EXAMPLE_BEFORE[name])[:1] if name in EXAMPLE_BEFORE else []
    play = {
        "name": f"Examples of {name}",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", **variables},
        "tasks": before + examples(kind, name),
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    done = sandbox.run("ansible-playbook", "play.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout, done.stdout
