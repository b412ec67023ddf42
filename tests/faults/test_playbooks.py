# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the playbooks on random worlds of the unit tests: exit codes, reports and JUnit files agree, and the plan is the run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.workload_identity.aws.tests.faults.harness import Account
from ansible_collections.workload_identity.aws.tests.faults.kube_world import cluster_objects
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, REGION
from ansible_collections.workload_identity.aws.tests.findings.cluster import TOKEN, Kube
from ansible_collections.workload_identity.aws.tests.findings.conftest import serving
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    OTHER_CLUSTER,
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.test_rule_worlds import (
    Party,
    begin_world,
    prepare_step,
)
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.kube.kubeconfig import write_kubeconfig

ROOT = Path(__file__).resolve().parents[2]
WORLDS = 200 if THOROUGH else 3


@dataclass(frozen=True)
class PlaybookRun:
    """The result of a playbook: its exit code, its output, and the reported changes of AWS and Kubernetes."""

    code: int
    output: str
    aws_changes: tuple[str, ...]
    kubernetes_changes: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """An AWS account with two clusters, which have one Kubernetes API, and a process that runs playbooks."""

    account: Account
    kube: Kube
    folder: Path
    server: subprocess.Popen[str]

    def build(self, aws: FakeAws) -> None:
        """Create two clusters, and the resources of a fake account."""
        self.account.control.reset()
        self.kube.control.reset()
        self.kube.node()
        self.kube.agent()
        self.kube.control.set_associations([("default", name) for name in ("app", "web", "job")])
        authority = (self.folder / "ca.crt").read_bytes()
        iam, eks = self.account.clients["iam"], self.account.clients["eks"]
        subnets = {"subnetIds": ["subnet-1", "subnet-2"]}
        for cluster in (CLUSTER, OTHER_CLUSTER):
            self.account.control.set_kubernetes(ACCOUNT, REGION, cluster, self.kube.endpoint, authority)
            arn = f"arn:aws:iam::{ACCOUNT}:role/cluster"
            eks.create_cluster(name=cluster, roleArn=arn, resourcesVpcConfig=subnets)
            eks.create_addon(clusterName=cluster, addonName="eks-pod-identity-agent")
        for arn, policy in aws.iam.policies.items():
            text = json.dumps(policy["versions"][policy["default"]])
            iam.create_policy(
                PolicyName=arn.rpartition("/")[2], PolicyDocument=text, Tags=_tag_list(policy["tags"])
            )
        for role in aws.iam.roles.values():
            boundary = {"PermissionsBoundary": role["boundary"]} if role["boundary"] else {}
            iam.create_role(
                RoleName=role["RoleName"],
                AssumeRolePolicyDocument=role["trust"],
                Tags=_tag_list(role["tags"]),
                **boundary,
            )
            for arn in role["attached"]:
                iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
        for row in aws.eks.associations.values():
            names = ("clusterName", "namespace", "serviceAccount", "roleArn", "tags")
            eks.create_pod_identity_association(**{name: row[name] for name in names})
        self.account.control.grow_older(ACCOUNT, 3600)

    def state(self) -> tuple[Any, ...]:
        return self.account.control.state(ACCOUNT), cluster_objects(self.kube)

    def play(self, playbook: str, party: Party, options: Mapping[str, Any], *arguments: str) -> PlaybookRun:
        """Run a playbook with the list of a party. Its exit code, its report and its JUnit file must agree."""
        output, report_file, junit_file, variables_file = (
            self.folder / name for name in ("output", "report.json", "junit.xml", "variables.json")
        )
        for file in (output, report_file, junit_file):
            file.unlink(missing_ok=True)
        values = {
            "cluster_name": party.cluster,
            "workloads": party.workloads,
            "owner": party.owner,
            "trust_scope": party.scope,
            "region": REGION,
            "kubeconfig": str(self.kube.kubeconfig),
            "report_file": str(report_file),
            "junit_file": str(junit_file),
            **options,
        }
        variables = {f"pod_identity_{name}": value for name, value in values.items() if value is not None}
        variables_file.write_text(json.dumps(variables), "utf-8")
        path = ROOT / f".collections/ansible_collections/workload_identity/aws/playbooks/{playbook}.yml"
        command = [str(output), str(path), "-e", f"@{variables_file}", *arguments]
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(command) + "\n")
        self.server.stdin.flush()
        code, text = int(self.server.stdout.readline()), output.read_text("utf-8")
        report = json.loads(report_file.read_text("utf-8"))
        has_failure = ElementTree.parse(junit_file).find(".//failure") is not None
        assert (code, report["failed"], has_failure) in ((0, False, False), (2, True, True)), text
        changes = [
            f"{change['action']} {change['resource']} {change['name']}" for change in report["changes"]
        ]
        return PlaybookRun(code, text, tuple(changes), tuple(report["kubernetes_changes"]))


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(scope="module")
def stage(shared_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("playbooks")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_ACCESS_KEY,
        "AWS_ENDPOINT_URL": shared_account.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, str(Path(__file__).with_name("playbook_server.py"))]
    options = ("--cert-dir", str(folder), "--token", TOKEN, "--pod-identity-webhook")
    pipe = subprocess.PIPE
    with (
        serving("sandbox.kube", *options) as address,
        subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as server,
    ):
        authority = folder / "ca.crt"
        write_kubeconfig(folder / "kubeconfig", address, authority.read_text("ascii"), TOKEN)
        yield Stage(shared_account, Kube(address, authority, folder / "kubeconfig"), folder, server)


@pytest.mark.parametrize("number", range(WORLDS))
def test_runs_of_a_world_agree(number: int, stage: Stage) -> None:
    """Edit a world as the unit tests do, then run the playbooks. The engine on the fake of AWS must make the same changes."""
    chance = random.Random(f"playbooks {number}")
    aws, parties = begin_world(chance)
    step = None
    while step is None or not step[0].workloads:
        step = prepare_step(aws, parties, chance)
    party, options = step
    stage.build(aws)
    expected = party.play(aws, **options)
    playbook = "teardown" if options.pop("state", "") == "absent" else "site"
    initial = stage.state()
    planned = stage.play(playbook, party, options, "--check")
    assert stage.state() == initial, planned.output
    done = stage.play(playbook, party, options)
    assert (planned.code, planned.aws_changes, planned.kubernetes_changes) == (
        done.code,
        done.aws_changes,
        done.kubernetes_changes,
    ), planned.output + done.output
    assert (sorted(done.aws_changes), bool(done.code)) == (sorted(expected.changes), expected.red), (
        done.output
    )
    assert (stage.state() != initial) == bool(done.aws_changes + done.kubernetes_changes)
    again = stage.play(playbook, party, options)
    if options.get("purge"):
        # A purge keeps a role that its list has just left until the next purge.
        assert all(change.startswith(("delete ", "detach ")) for change in again.aws_changes), again.output
        again = stage.play(playbook, party, options)
    assert (again.code, again.aws_changes, again.kubernetes_changes) == (done.code, (), ()), again.output
    if playbook == "site":
        verified = stage.play("verify", party, options)
        assert verified.code == done.code, verified.output
