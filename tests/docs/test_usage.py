# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/usage.md: the playbook usage with the permissions of the page enforced, and the errors of its variables."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.benchmarks.usage_events import (
    Session,
    role_arn,
    write_trail,
)
from support import COLLECTIONS, ROOT, Sandbox, blocks, environment

PAGE = ROOT / "docs" / "usage.md"
POLICY = ROOT / "examples" / "permissions" / "usage-iam-policy.json"
SET_UP = """
import boto3, json, sys
reader, trust, permissions, role = json.load(sys.stdin)
iam, eks = boto3.client("iam"), boto3.client("eks")
iam.create_role(RoleName="shared", AssumeRolePolicyDocument=json.dumps(trust))
iam.put_role_policy(RoleName="shared", PolicyName="my-policy", PolicyDocument=json.dumps(permissions))
for name in ("app", "batch"):
    eks.create_pod_identity_association(clusterName="my-cluster", namespace="shop", serviceAccount=name, roleArn=role)
iam.create_user(UserName="reader")
iam.put_user_policy(UserName="reader", PolicyName="page", PolicyDocument=json.dumps(reader))
key = iam.create_access_key(UserName="reader")["AccessKey"]
print("KEY", json.dumps({"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}))
"""
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
PERMISSIONS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListAllMyBuckets"], "Resource": "*"}],
}


class Analyst:
    """A user with the permissions of the page, in a sandbox that enforces permissions."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        setup = [json.loads(POLICY.read_text(encoding="utf-8")), TRUST, PERMISSIONS, role_arn("shared")]
        self.key = sandbox.create_user(folder, SET_UP, setup)

    def analyse(self, *variables: str) -> subprocess.CompletedProcess[str]:
        options = [part for variable in variables for part in ("-e", variable)]
        command = ("ansible-playbook", "workload_identity.aws.usage", *options)
        return self.sandbox.run(*command, cwd=self.folder, env=self.key)


@pytest.fixture(scope="module")
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyst]:
    folder = tmp_path_factory.mktemp("usage")
    sandbox = Sandbox(folder / "state", environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--kube", "embedded", "--auth")
    yield Analyst(sandbox, folder)
    sandbox.down()


def test_file_matches_page() -> None:
    [block] = blocks(PAGE, "json")
    assert block.text == POLICY.read_text(encoding="utf-8")


def test_analyses_a_trail(analyst: Analyst) -> None:
    app, batch = Session(1, "shared", "shop", "app"), Session(2, "shared", "shop", "batch")
    events = [app.start(), batch.start(), app.get_object("app-data", "a"), batch.call("s3", "ListBuckets")]
    write_trail(analyst.folder / "trail", events)
    name = "pod_identity_cluster_name=my-cluster"
    variables = (name, "pod_identity_usage_from=trail", "pod_identity_usage_file=usage.json")
    done = analyst.analyse(*variables)
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout
    assert "  used     s3:GetObject once, last 2026-11-20 00:01, on arn:aws:s3:::app-data/a" in done.stdout
    report = json.loads((analyst.folder / "usage.json").read_text(encoding="utf-8"))
    documents = {row["service_account"]: row["suggestion"]["document"] for row in report["service_accounts"]}
    assert {name: document["Statement"] for name, document in documents.items()} == {
        "app": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::app-data/a"]}],
        "batch": [{"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": ["*"]}],
    }
    broken = analyst.folder / "trail" / "broken.json"
    broken.write_text('{"Records": [{]', encoding="utf-8")
    failed = analyst.analyse(*variables)
    assert failed.returncode == 2, failed.stdout
    assert "trail/broken.json (record 1, line 1) is not valid JSON" in failed.stdout
    assert "so no policy was suggested." in failed.stdout
    incomplete = json.loads((analyst.folder / "usage.json").read_text(encoding="utf-8"))
    assert [row["suggestion"]["document"] for row in incomplete["service_accounts"]] == [None, None]


def test_needs_a_cluster(analyst: Analyst) -> None:
    done = analyst.analyse("pod_identity_usage_from=trail")
    assert done.returncode == 2, done.stdout
    assert (
        "The analysis needs the name of the EKS cluster: -e pod_identity_cluster_name=my-cluster."
        in done.stdout
    )
    assert "Traceback" not in done.stdout
