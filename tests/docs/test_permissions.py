# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the permissions in examples/permissions suffice for the documented playbooks, with IAM and RBAC enforced."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.resource_types import (
    RESOURCE_TYPES,
    ResourceType,
)
from support import BIN, COLLECTIONS, ROOT, Sandbox, environment

PAGES = ("iam-permissions.md", "audit.md", "migration.md")
# By user: the policies that the user gets.
USERS = {
    "verify": ("verify",),
    "converge": ("verify", "converge"),
    "teardown": ("verify", "converge", "teardown"),
    "inventory": ("inventory",),
}
VERIFIERS, OPERATORS = "pod-identity-verifiers", "pod-identity-operators"
PATH = "/pod-identity/"
ACCOUNT = "111122223333"
FILES = ROOT / "examples" / "permissions"
DOCUMENTS = {
    name: json.loads((FILES / f"{name}-iam-policy.json").read_text(encoding="utf-8"))
    for name in ("verify", "converge", "teardown", "inventory")
}
MANIFESTS = ("verify-rbac.yml", "converge-rbac.yml", "injection-rbac.yml")
TARGET = "arn:aws:iam::444455556666:role/target"

SET_UP = """
import json, sys, boto3
from kubernetes import client, config, utils
setup = json.load(sys.stdin)
iam = boto3.client("iam")
keys = {}
for user, documents in setup["users"].items():
    iam.create_user(UserName=user)
    for name in documents:
        document = json.dumps(setup["documents"][name])
        iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    keys[user] = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
config.load_kube_config()
for manifest in setup["manifests"]:
    utils.create_from_dict(client.ApiClient(), manifest)
print("KEYS", json.dumps(keys))
"""


class Account:
    """A sandbox that enforces permissions. It has a user for each set of policies."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        setup = {
            "users": USERS,
            "documents": DOCUMENTS,
            "manifests": [
                item
                for name in MANIFESTS
                for item in yaml.safe_load((FILES / name).read_text(encoding="utf-8"))["items"]
            ],
        }
        (folder / "setup.json").write_text(json.dumps(setup), encoding="utf-8")
        (folder / "set_up.py").write_text(SET_UP, encoding="utf-8")
        done = sandbox.run("bash", "-ec", f"{BIN}/python set_up.py <setup.json", cwd=folder)
        assert done.returncode == 0, done.stdout
        line = next(line for line in done.stdout.splitlines() if line.startswith("KEYS "))
        self.keys: dict[str, dict[str, str]] = json.loads(line.removeprefix("KEYS "))

    def as_root(self, script: str, *arguments: str) -> None:
        done = self.sandbox.run(BIN / "python", "-c", script, *arguments, cwd=self.folder)
        assert done.returncode == 0, done.stdout

    def play(self, user: str, playbook: str, variables: Mapping[str, Any], *options: str) -> str:
        done = self.attempt(user, playbook, variables, *options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def attempt(
        self, user: str, playbook: str, variables: Mapping[str, Any], *options: str
    ) -> subprocess.CompletedProcess[str]:
        (self.folder / "workloads.json").write_text(json.dumps(variables), encoding="utf-8")
        env = {
            **self.keys[user],
            "K8S_AUTH_IMPERSONATE_USER": user,
            "K8S_AUTH_IMPERSONATE_GROUPS": VERIFIERS if playbook == "verify" else OPERATORS,
        }
        command = ("ansible-playbook", f"workload_identity.aws.{playbook}", "-e", "@workloads.json", *options)
        return self.sandbox.run(*command, cwd=self.folder, env=env)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("account")
    sandbox = Sandbox(environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--auth", "--rbac", "--pod-identity-webhook")
    yield Account(sandbox, folder)
    sandbox.down()


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES.values(), ids=attrgetter("name"))
def test_policies_have_the_actions_of_each_resource_type(resource_type: ResourceType) -> None:
    statements = [statement for document in DOCUMENTS.values() for statement in document["Statement"]]
    lists = (statement["Action"] for statement in statements)
    documented = {name for names in lists for name in ([names] if isinstance(names, str) else names)}
    service = resource_type.operation.partition(":")[0]
    removals = {f"{service}:{removal}" for removal in resource_type.removals}
    assert {resource_type.operation, *removals} - documented == set()


def variables(**changes: Any) -> dict[str, Any]:
    """Return variables with two workloads that share a role. The namespace of the second workload does not exist yet."""
    role = {"name": "my-role", "path": PATH, **changes.get("role", {})}
    resource = changes.get("resource", "arn:aws:s3:::my-pod-secrets-bucket")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}
    chain = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": TARGET}
    document = {"Version": "2012-10-17", "Statement": [statement, chain]}
    policies = [
        {"name": "my-policy", "path": PATH, "document": document},
        {"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"},
    ]
    shared = {"role": role, "policies": policies, **changes.get("workload", {})}
    return {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_create_namespaces": True,
        **changes.get("options", {}),
        "pod_identity_workloads": [
            {"namespace": "default", "service_account": "my-service-account", **shared},
            {"namespace": "apps", "service_account": "another", **shared},
        ],
    }


ALL_CHANGED = {
    "role": {
        "description": "changed",
        "max_session_duration": 7200,
        "permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess",
        "tags": {"team": "payments"},
        "trust_scope": "namespace",
    },
    "resource": "arn:aws:s3:::my-pod-secrets-bucket/*",
    "workload": {
        "tags": {"team": "payments"},
        "target_role_arn": TARGET,
        "service_account_labels": {"team": "payments"},
    },
    # A role with this scope may have other users.
    "options": {"pod_identity_tags": {"stage": "test"}, "pod_identity_force": True},
}
ALL_REVERTED = {
    "role": {"permissions_boundary": ""},
    "workload": {"target_role_arn": ""},
    "options": {
        "pod_identity_purge_tags": True,
        "pod_identity_purge_policies": True,
        "pod_identity_force": True,
    },
}


def test_pages_link_every_file() -> None:
    pages = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES)
    assert [
        path.name for path in FILES.iterdir() if f"](../examples/permissions/{path.name})" not in pages
    ] == []


OWN_POLICY = f"arn:aws:iam::{ACCOUNT}:policy{PATH}my-policy"
FILL_VERSIONS = """
import boto3, json, sys
iam = boto3.client("iam")
[policy] = sys.argv[1:]
kept = iam.list_policy_versions(PolicyArn=policy)["Versions"]
statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
for _ in range(5 - len(kept)):
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=document, SetAsDefault=True)
"""


def test_policies_suffice_for_their_playbooks(account: Account) -> None:
    assert "Plan: 9 changes" in account.play("verify", "site", variables(), "--check", "--diff")
    assert "Done: 9 changes." in account.play("converge", "site", variables())
    assert "NOT_READABLE" not in account.play("verify", "verify", variables())
    assert "Done: 7 changes." in account.play("converge", "site", variables(**ALL_CHANGED))
    # The policy already has the maximum number of versions, so the next change must delete one.
    account.as_root(FILL_VERSIONS, OWN_POLICY)
    account.play(
        "converge", "site", variables(**{**ALL_CHANGED, "resource": "arn:aws:s3:::another-bucket/*"})
    )
    account.play("converge", "site", variables(**ALL_REVERTED))
    assert "delete role my-role" in account.play("teardown", "teardown", variables())


ADD_REPORTS = f"""
import boto3, json, sys
statement = {{"Effect": "Allow", "Principal": {{"Service": "ec2.amazonaws.com"}}, "Action": "sts:AssumeRole"}}
document = json.dumps({{"Version": "2012-10-17", "Statement": [statement]}})
boto3.client("iam").create_role(RoleName="reports", Path="{PATH}", AssumeRolePolicyDocument=document)
"""
REMOVE_REPORTS = "import boto3; boto3.client('iam').delete_role(RoleName='reports')"


def lists_of_the_documentation() -> dict[str, Mapping[str, Any]]:
    """Return the list of each example, and the first list of README, of the first steps and of the recipes."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.yml")}
    for page in (ROOT / "README.md", ROOT / "docs" / "getting-started.md", ROOT / "docs" / "recipes.md"):
        indented = re.search(
            r"^ *```yaml\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        assert indented is not None
        texts[page.name] = textwrap.dedent(indented[1])
    lists = {name: yaml.safe_load(text) for name, text in texts.items() if "pod_identity_workloads:" in text}
    return {name: content for name, content in lists.items() if "pod_identity_workloads" in content}


LISTS = lists_of_the_documentation()


def test_every_list_of_the_documentation_is_found() -> None:
    assert sorted(LISTS) == [
        "README.md",
        "existing_role.yml",
        "getting-started.md",
        "guide.yml",
        "presets.yml",
        "recipes.md",
        "session_policy.yml",
        "several_workloads.yml",
        "target_role.yml",
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "README.md" else [pytest.mark.release], id=name)
        for name in LISTS
    ],
)
def test_policies_suffice_for_each_list_of_the_documentation(account: Account, name: str) -> None:
    if name == "existing_role.yml":
        account.as_root(ADD_REPORTS)
    account.play("converge", "site", LISTS[name], "--check", "--diff")
    account.play("converge", "site", LISTS[name])
    assert "Teardown done" in account.play("teardown", "teardown", LISTS[name])
    if name == "existing_role.yml":
        account.as_root(REMOVE_REPORTS)


def test_denied_creation_names_the_path_first(account: Account) -> None:
    done = account.attempt("converge", "site", {**LISTS["guide.yml"], "pod_identity_path": "/"})
    printed = " ".join(done.stdout.split())
    remedy = "Create it under an IAM path for which the caller has this permission: set pod_identity_path, such as /pod-identity/"
    assert done.returncode != 0
    assert printed.count(remedy) == 2, printed


FLEET = f"arn:aws:iam::{ACCOUNT}:role/fleet"
# Two inventory sources for the account of the sandbox: with the permissions of the user, or with those of a role.
SOURCES: dict[str, dict[str, Any]] = {
    "every way to name regions and accounts": {"regions": "all", "organization": {"role_name": "fleet"}},
    "a role": {"accounts": [{"assume_role_arn": FLEET}]},
}
MAKE_FLEET = """
import boto3, sys
iam = boto3.client("iam")
iam.create_role(RoleName="fleet", AssumeRolePolicyDocument=sys.argv[1])
iam.put_role_policy(RoleName="fleet", PolicyName="page", PolicyDocument=sys.argv[2])
"""


@pytest.mark.release
@pytest.mark.parametrize("source", SOURCES)
def test_inventory_policy_suffices(account: Account, tmp_path: Path, source: str) -> None:
    document = DOCUMENTS["inventory"]
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/inventory"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }
    if source == "a role":
        done = account.sandbox.run(
            BIN / "python", "-c", MAKE_FLEET, json.dumps(trust), json.dumps(document), cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout
    configuration = {"plugin": "workload_identity.aws.eks_clusters", **SOURCES[source]}
    (tmp_path / "fleet.eks_clusters.yml").write_text(json.dumps(configuration), encoding="utf-8")
    command = ("ansible-inventory", "-i", "fleet.eks_clusters.yml", "--graph")
    done = account.sandbox.run(*command, cwd=tmp_path, env=account.keys["inventory"])
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout, done.stdout
    assert f"|--my-cluster.us-west-2.{ACCOUNT}" in done.stdout


@pytest.mark.release
def test_verify_permissions_do_not_allow_changes(account: Account) -> None:
    done = account.attempt("verify", "site", variables())
    assert done.returncode != 0
    assert "AccessDenied" in done.stdout
    # The run does not create service accounts either, because it has created no roles for them.
    assert "Done: 0 changes." in done.stdout
