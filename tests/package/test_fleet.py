# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test a fleet in two accounts as AWX runs it, on the oldest ansible-core.

The clusters come from the inventory plugin, and the job assumes roles and uses EKS tokens. It must not write secrets.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    running_fleet,
    workload,
)
from ansible_collections.workload_identity.aws.tests.secrets.watch import Watch, found, issued, loud

from .conftest import CORES, VENV, clean_environment
from .test_main_job import artifacts

pytestmark = pytest.mark.release

OWN_ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
WEST, CENTRAL = "us-west-2", "eu-central-1"
CLUSTER_HOSTS = (
    ClusterHost("blue", "prod", OWN_ACCOUNT, WEST),
    ClusterHost("red", "red", OTHER_ACCOUNT, CENTRAL),
)
HOSTS = tuple(f"{place.cluster}.{place.region}.{place.account}" for place in CLUSTER_HOSTS)
CALLER = f"arn:aws:iam::{OWN_ACCOUNT}:user/awx"
EXTERNAL_ID = "payments-fleet"


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/fleet"


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def client(clusters: FleetFixture, service: str, place: ClusterHost) -> Any:
    return boto3.client(
        service,
        endpoint_url=clusters.endpoint,
        region_name=place.region,
        aws_access_key_id=place.account,
        aws_secret_access_key=clusters.root_secret,
    )


def add_access_entry(clusters: FleetFixture, place: ClusterHost) -> None:
    """Create an access entry for the role that the job assumes in this account."""
    eks = client(clusters, "eks", place)
    eks.create_access_entry(clusterName=place.cluster, principalArn=role(place.account))


def make_caller(clusters: FleetFixture) -> dict[str, str]:
    """Create a user, and in each account a role that trusts the user. Return the access keys of the user."""
    caller_iam = client(clusters, "iam", CLUSTER_HOSTS[0])
    caller_iam.create_user(UserName="awx")
    caller_iam.put_user_policy(
        UserName="awx",
        PolicyName="fleet",
        PolicyDocument=document(Action="sts:AssumeRole", Resource="arn:aws:iam::*:role/fleet"),
    )
    for place in CLUSTER_HOSTS:
        iam = client(clusters, "iam", place)
        trust = document(
            Action="sts:AssumeRole",
            Principal={"AWS": CALLER},
            Condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        )
        iam.create_role(RoleName="fleet", AssumeRolePolicyDocument=trust)
        iam.put_role_policy(
            RoleName="fleet", PolicyName="all", PolicyDocument=document(Action="*", Resource="*")
        )
    key = caller_iam.create_access_key(UserName="awx")["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


@dataclass(frozen=True)
class Jobs:
    """Jobs of ansible-runner, which run in one folder with full verbosity. ``secret`` is the secret access key that they use."""

    clusters: FleetFixture
    secret: str
    env: Mapping[str, str]
    watch: Watch
    folder: Path

    def run(self, playbook: str, ident: str, code: int = 0, **variables: Any) -> str:
        """Run a playbook that must end with this exit code, and return its output."""
        extra = {"pod_identity_hosts": "eks_clusters", **variables}
        (self.folder / "env" / "extravars").write_text(json.dumps(extra), encoding="utf-8")
        command = ["run", str(self.folder), "-p", f"workload_identity.aws.{playbook}", "--ident", ident]
        done = subprocess.run(
            [str(VENV / "bin" / "ansible-runner"), *command, "--cmdline=-vvvv --diff"],
            cwd=self.folder,
            env={**self.env, **self.watch.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout[-4000:]
        return done.stdout

    def reports(self, ident: str) -> dict[str, Any]:
        """Return the reports of a job by the name of the cluster."""
        return {report["cluster_name"]: report for report in artifacts(self.folder, ident).values()}


@pytest.fixture(params=CORES[:1])
def jobs(
    request: pytest.FixtureRequest,
    cores: Mapping[str, tuple[Path, Mapping[str, str]]],
    tmp_path: Path,
    short: Path,
) -> Iterator[Jobs]:
    if request.param not in cores:
        pytest.skip(f"no Python here that ansible-core {request.param} runs on")
    venv, installed = cores[request.param]
    folder, archive, home = short / "job", short / "archive", tmp_path / "home"
    for path in (folder / "env", folder / "inventory", folder / "project", archive, home):
        path.mkdir(parents=True)
    accounts = [
        {"assume_role_arn": role(place.account), "assume_role_external_id": EXTERNAL_ID}
        for place in CLUSTER_HOSTS
    ]
    source = {
        "plugin": "workload_identity.aws.eks_clusters",
        "regions": [WEST, CENTRAL],
        "own_account": False,
        "accounts": accounts,
    }
    (folder / "inventory" / "fleet.eks_clusters.yml").write_text(json.dumps(source), encoding="utf-8")
    files = {
        "pod_identity_workloads": [
            workload("reports"),
            workload("api", "api-{{ pod_identity_cluster_name }}"),
        ],
        "pod_identity_report_file": str(folder / "reports" / "{{ inventory_hostname }}.json"),
        "pod_identity_junit_file": str(folder / "reports" / "{{ inventory_hostname }}.xml"),
    }
    (folder / "reports").mkdir()
    (folder / "inventory" / "group_vars").mkdir()
    (folder / "inventory" / "group_vars" / "all.json").write_text(json.dumps(files), encoding="utf-8")
    with running_fleet(tmp_path / "clusters", CLUSTER_HOSTS, auth=True) as clusters:
        keys = make_caller(clusters)
        # ansible-runner writes environment variables to its artifacts, so pass the keys in a file.
        credentials = tmp_path / "credentials"
        lines = ["[default]", *(f"{name} = {value}" for name, value in keys.items())]
        credentials.write_text("\n".join(lines), encoding="utf-8")
        env = {
            **clean_environment(),
            "ANSIBLE_INJECT_FACT_VARS": "false",
            **installed,
            **loud(short / "loud"),
            "HOME": str(home),
            "PATH": f"{venv / 'bin'}:{VENV / 'bin'}:/usr/bin:/bin",
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_ENDPOINT_URL": clusters.endpoint,
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit",
            "JUNIT_OUTPUT_DIR": str(short / "loud" / "junit"),
        }
        yield Jobs(
            clusters, keys["aws_secret_access_key"], env, Watch(archive, short / "loud", folder), folder
        )


def test_fleet_with_roles_and_tokens_writes_no_secret(jobs: Jobs) -> None:
    clusters, (blue, red) = jobs.clusters, CLUSTER_HOSTS
    add_access_entry(clusters, blue)
    # This run fails, because the detailed messages of failures must not contain secrets either.
    printed = {"fleet": jobs.run("fleet", "fleet", code=2)}
    reports = jobs.reports("fleet")
    assert {name: report["failed"] for name, report in reports.items()} == {"prod": False, "red": True}
    session = f"arn:aws:sts::{blue.account}:assumed-role/fleet/workload-identity"
    assert reports["prod"]["caller_arn"] == session
    refused = f"The cluster has no access entry for {role(red.account)}"
    assert refused in reports["red"]["failure"]
    add_access_entry(clusters, red)
    printed["site"] = jobs.run("site", "site")
    changes = {name: len(report["changes"]) for name, report in jobs.reports("site").items()}
    assert changes == {"prod": 0, "red": 8}
    for place in CLUSTER_HOSTS:
        assert {item["serviceAccount"] for item in clusters.associations(place)} == {"api", "reports"}
        accounts = clusters.kube(place.host).state()["objects"]["serviceaccounts"]
        assert {"api", "reports"} <= {item["metadata"]["name"] for item in accounts}
    printed["down"] = jobs.run("fleet", "down", pod_identity_state="absent")
    assert [clusters.associations(place) for place in CLUSTER_HOSTS] == [[], []]

    texts = {**jobs.watch.seen(), **{name: text.encode() for name, text in printed.items()}}
    names = {str(path) for path in texts}
    # The searched files include the log, events, reports and deleted files; otherwise the search would prove nothing.
    for part in (
        "ansible.log",
        "/job_events/",
        f"reports/{HOSTS[0]}.json",
        f"reports/{HOSTS[1]}.xml",
        "/loud/junit/",
        "/archive/eks-authority-",
    ):
        assert any(part in name for name in names), part
    secrets = [*issued(clusters.control), jobs.secret]
    assert list(found(secrets, texts)) == []
