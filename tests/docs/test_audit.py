# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/audit.md: its playbook with enforced permissions, its files and risks, and errors of its variables."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.risk_kinds import (
    RISK_KINDS,
)
from ansible_collections.workload_identity.aws.tests.migration.estate import Estate
from botocore.session import get_session
from botocore.validate import ParamValidator
from support import COLLECTIONS, ROOT, Sandbox, blocks, environment

PAGE = ROOT / "docs" / "audit.md"
FILES = ROOT / "examples" / "permissions"
QUESTION = "s3:GetObject on arn:aws:s3:::payments/*"

SET_UP = """
import json, sys, boto3
from kubernetes import client, config, utils
setup = json.load(sys.stdin)
iam, eks = boto3.client("iam"), boto3.client("eks")
iam.create_user(UserName="auditor")
iam.put_user_policy(UserName="auditor", PolicyName="page", PolicyDocument=json.dumps(setup["document"]))
key = iam.create_access_key(UserName="auditor")["AccessKey"]
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
         "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
iam.create_role(RoleName="ci", AssumeRolePolicyDocument=json.dumps(trust))
iam.put_role_policy(RoleName="ci", PolicyName="all", PolicyDocument=json.dumps(everything))
role = iam.get_role(RoleName="ci")["Role"]["Arn"]
for name in ("app-00", "ghost"):
    eks.create_pod_identity_association(clusterName="my-cluster", namespace="shop", serviceAccount=name, roleArn=role)
eks.create_nodegroup(clusterName="my-cluster", nodegroupName="workers", nodeRole=role, subnets=["subnet-12345678"])
config.load_kube_config()
for manifest in setup["manifests"]:
    utils.create_from_dict(client.ApiClient(), manifest)
print("KEY", json.dumps({"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}))
"""


class Cluster:
    """A cluster with service accounts that use IRSA or EKS Pod Identity. The permissions of the page are enforced."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        settings = sandbox.variables
        self.estate = Estate(settings["AWS_ENDPOINT_URL"], Path(settings["KUBECONFIG"]))
        self.estate.build(1)
        setup = {
            "document": json.loads((FILES / "audit-iam-policy.json").read_text()),
            "manifests": yaml.safe_load((FILES / "audit-rbac.yml").read_text())["items"],
        }
        self.key = sandbox.create_user(folder, SET_UP, setup)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables with the credentials and the Kubernetes group of the auditor."""
        return {
            **self.key,
            "K8S_AUTH_IMPERSONATE_USER": "auditor",
            "K8S_AUTH_IMPERSONATE_GROUPS": "pod-identity-auditors",
        }

    def audit(self, *options: str) -> subprocess.CompletedProcess[str]:
        variables = ("pod_identity_cluster_name=my-cluster", *options)
        command = ("ansible-playbook", "workload_identity.aws.audit")
        arguments = [part for option in variables for part in ("-e", option)]
        return self.sandbox.run(*command, *arguments, cwd=self.folder, env=self.environment)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    sandbox = Sandbox(environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--auth", "--rbac", "--kube-controllers", "--pod-identity-webhook")
    yield Cluster(sandbox, folder)
    sandbox.down()


def test_page_lists_the_risks() -> None:
    table = (
        PAGE.read_text(encoding="utf-8").partition("<!-- risks -->")[2].partition("<!-- end of risks -->")[0]
    )
    rows = [
        f"| `{code}` | {kind.severity} | {kind.title} | {kind.remedy} |" for code, kind in RISK_KINDS.items()
    ]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows


def test_report(cluster: Cluster) -> None:
    start = cluster.estate.snapshot()
    names = {"file": "access.html", "json": "access.json", "csv": "access.csv"}
    files = {"pod_identity_audit_file": list(names.values())}
    done = cluster.audit(json.dumps({**files, "pod_identity_audit_questions": [QUESTION, "iam:PassRole"]}))
    assert done.returncode == 0, done.stdout
    assert "AccessDenied" not in done.stdout
    assert "could not be" not in done.stdout.replace("role/foreign could not be read", "")
    assert "(node group workers), which can administer the account." in done.stdout
    assert "changed=0" in done.stdout
    assert cluster.estate.snapshot() == start
    report: dict[str, Any] = json.loads((cluster.folder / "access.json").read_text(encoding="utf-8"))
    sources = {
        f"{row['namespace']}/{row['service_account']}": (row["source"], row["access"])
        for row in report["workloads"]
    }
    assert sources["shop/app-00"] == ("pod_identity", "known")
    assert sources["shop/ghost"] == ("pod_identity", "known")
    assert sources["shop/one"] == ("irsa", "known")
    assert sources["shop/own"] == ("web_identity", "known")
    assert sources["shop/foreign"] == ("irsa", "unknown")
    assert sources["shop/intruder"] == ("irsa", "blocked")
    codes = {risk["code"] for risk in report["risks"]}
    assert codes >= {"ADMINISTRATOR", "ACCOUNT_MISSING", "CREDENTIALS_BY_HAND", "TRUST_WIDE"}
    assert codes.isdisjoint({"ROLE_UNUSED", "SERVICES_UNUSED", "ACTIONS_UNUSED"})
    with (cluster.folder / "access.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {
        (row["service"], row["permissions_management"]) for row in rows if row["service_account"] == "ghost"
    } == {("*", "yes")}
    assert {row[QUESTION] for row in rows if row["service_account"] == "ghost"} == {"yes"}
    assert report["questions"][0]["question"] == QUESTION
    assert f"{QUESTION}: " in done.stdout
    assert "- yes: shop/app-00, shop/ghost" in done.stdout
    page = (cluster.folder / "access.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "shop/ghost" in page
    assert all((cluster.folder / name).stat().st_mode & 0o777 == 0o600 for name in names.values())


def test_commands_match_the_api_of_access_analyzer() -> None:
    """The sandbox has no IAM Access Analyzer, so this test compares the commands with the API model of botocore."""
    model = get_session().get_service_model("accessanalyzer")
    text = next(block.text for block in blocks(PAGE, "console") if "accessanalyzer" in block.text)
    start, get = (shlex.split(command) for command in text.replace("\\\n", "").split("$ ")[1:])
    assert start[:3] == ["aws", "accessanalyzer", "start-policy-generation"]
    options = dict(zip(start[3::2], start[4::2], strict=True))
    request = {
        "policyGenerationDetails": dict([options["--policy-generation-details"].split("=")]),
        "cloudTrailDetails": json.loads(options["--cloud-trail-details"]),
    }
    shape = model.operation_model("StartPolicyGeneration").input_shape
    assert ParamValidator().validate(request, shape).generate_report() == ""
    assert get[:6] == [*start[:2], "get-generated-policy", "--job-id", "my-job-id", "--query"]
    assert get[6] == "generatedPolicyResult.generatedPolicies[0].policy"
    result = model.operation_model("GetGeneratedPolicy").output_shape.members["generatedPolicyResult"]
    assert result.members["generatedPolicies"].member.members["policy"].type_name == "string"
