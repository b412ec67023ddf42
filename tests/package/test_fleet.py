# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of two accounts as AWX runs it, on the oldest core: clusters that the inventory plugin finds, by roles that the job
assumes, and with tokens that it makes; and without a trace of any of these. tests/fleet has the newest core."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import Place, Scene, scene, workload
from ansible_collections.workload_identity.aws.tests.secrets.watch import Watch, found, issued, loud

from .conftest import CORES, VENV, clean_environment
from .test_main_job import artifacts

HERE, THERE = "111122223333", "444455556666"
WEST, MIDDLE = "us-west-2", "eu-central-1"
PLACES = (Place("blue", "prod", HERE, WEST), Place("red", "red", THERE, MIDDLE))
HOSTS = tuple(f"{place.cluster}.{place.region}.{place.account}" for place in PLACES)
CALLER = f"arn:aws:iam::{HERE}:user/awx"
EXTERNAL_ID = "payments-fleet"


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/fleet"


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def client(clusters: Scene, service: str, place: Place) -> Any:
    return boto3.client(
        service,
        endpoint_url=clusters.endpoint,
        region_name=place.region,
        aws_access_key_id=place.account,
        aws_secret_access_key=clusters.root_secret,
    )


def let_in(clusters: Scene, place: Place) -> None:
    """An access entry for the role of the place's account."""
    eks = client(clusters, "eks", place)
    eks.create_access_entry(clusterName=place.cluster, principalArn=role(place.account))


def make_caller(clusters: Scene) -> dict[str, str]:
    """The keys of a user whom a role in each account trusts."""
    own = client(clusters, "iam", PLACES[0])
    own.create_user(UserName="awx")
    own.put_user_policy(
        UserName="awx",
        PolicyName="fleet",
        PolicyDocument=document(Action="sts:AssumeRole", Resource="arn:aws:iam::*:role/fleet"),
    )
    for place in PLACES:
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
    key = own.create_access_key(UserName="awx")["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


@dataclass(frozen=True)
class Jobs:
    """Jobs of ansible-runner in one folder, as loud as can be. ``secret`` is the one of the job's own credentials."""

    clusters: Scene
    secret: str
    env: Mapping[str, str]
    watch: Watch
    folder: Path

    def run(self, playbook: str, ident: str, code: int = 0, **variables: Any) -> str:
        """What it prints, when it ends with the code."""
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
        return dict(artifacts(self.folder, ident)["pod_identity"])


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
    folder, kept, home = short / "job", short / "kept", tmp_path / "home"
    for path in (folder / "env", folder / "inventory", folder / "project", kept, home):
        path.mkdir(parents=True)
    accounts = [
        {"assume_role_arn": role(place.account), "assume_role_external_id": EXTERNAL_ID} for place in PLACES
    ]
    source = {
        "plugin": "workload_identity.aws.eks_clusters",
        "regions": [WEST, MIDDLE],
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
    with scene(tmp_path / "clusters", PLACES, auth=True) as clusters:
        keys = make_caller(clusters)
        # A file: ansible-runner writes down the environment that it was given.
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
        yield Jobs(clusters, keys["aws_secret_access_key"], env, Watch(kept, short / "loud", folder), folder)


def test_a_fleet_of_assumed_roles_and_tokens_leaves_no_secret_anywhere(jobs: Jobs) -> None:
    clusters, (blue, red) = jobs.clusters, PLACES
    let_in(clusters, blue)
    # What fails is told at length, and must tell no more than that.
    printed = {"fleet": jobs.run("fleet", "fleet", code=2)}
    reports = jobs.reports("fleet")
    assert {name: report["failed"] for name, report in reports.items()} == {"prod": False, "red": True}
    session = f"arn:aws:sts::{blue.account}:assumed-role/fleet/workload-identity"
    assert reports["prod"]["caller_arn"] == session
    refused = f"The cluster has no access entry for {role(red.account)}"
    assert refused in reports["red"]["failure"]
    let_in(clusters, red)
    printed["site"] = jobs.run("site", "site")
    changes = {name: len(report["changes"]) for name, report in jobs.reports("site").items()}
    assert changes == {"prod": 0, "red": 8}
    for place in PLACES:
        assert {one["serviceAccount"] for one in clusters.associations(place)} == {"api", "reports"}
        made = clusters.kube(place.host).state()["objects"]["serviceaccounts"]
        assert {"api", "reports"} <= {one["metadata"]["name"] for one in made}
    printed["down"] = jobs.run("fleet", "down", pod_identity_state="absent")
    assert [clusters.associations(place) for place in PLACES] == [[], []]

    texts = {**jobs.watch.seen(), **{name: text.encode() for name, text in printed.items()}}
    names = {str(path) for path in texts}
    # It looked where it matters: the log, events, reports, and what was removed since.
    for part in (
        "ansible.log",
        "/job_events/",
        f"reports/{HOSTS[0]}.json",
        f"reports/{HOSTS[1]}.xml",
        "/loud/junit/",
        "/kept/eks-authority-",
        "/kept/pod-identity-account-",
        "/kept/pod-identity-part-",
    ):
        assert any(part in name for name in names), part
    secrets = [*issued(clusters.control), jobs.secret]
    assert list(found(secrets, texts)) == []
