# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the collection's playbooks on a cluster of another account, without a kubeconfig.

AWS lets the playbooks assume a role in that account, or denies it.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from .conftest import VENV, clean_environment, new_sandbox
from .test_eks_token import KUBECONFIG
from .test_main_job import GUIDE, recap

OWN, OTHER = "111122223333", "444455556666"
CLUSTER, REGION = "my-cluster", "us-west-2"
ROLE = f"arn:aws:iam::{OTHER}:role/fleet/deployer"
SESSION = f"arn:aws:sts::{OTHER}:assumed-role/deployer/workload-identity"
CALLER = f"arn:aws:iam::{OWN}:user/awx"
EXTERNAL_ID = "payments-fleet"


def allow(action: str, resource: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Job:
    """A job without a kubeconfig. It has the credentials of a user in an account without clusters."""

    env: Mapping[str, str]
    cwd: Path

    def run(self, name: str, *variables: str) -> subprocess.CompletedProcess[str]:
        command = [VENV / "bin" / "ansible-playbook", f"workload_identity.aws.{name}", "-e", f"@{GUIDE}"]
        for variable in (f"assume_role_arn={ROLE}", *variables):
            command += ["-e", f"pod_identity_{variable}"]
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.cwd,
            env=dict(self.env),
            check=False,
            capture_output=True,
            text=True,
        )

    def done(self, name: str) -> str:
        ran = self.run(name, f"assume_role_external_id={EXTERNAL_ID}")
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def counters(self) -> Any:
        url = f"{self.env['AWS_ENDPOINT_URL']}/_sandbox/counters"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["accounts"]


@pytest.fixture(scope="module")
def job(installed: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """Create a cluster and a role in one account, and in another account a user who may assume the role.

    The sandbox enforces permissions.
    """
    folder = tmp_path_factory.mktemp("assumed")
    with new_sandbox("--account", OTHER, "--auth") as variables:

        def client(service: str, account: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=variables["AWS_ENDPOINT_URL"],
                region_name=REGION,
                aws_access_key_id=account,
                aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            )

        iam = client("iam", OWN)
        iam.create_user(UserName="awx")
        iam.put_user_policy(UserName="awx", PolicyName="fleet", PolicyDocument=allow("sts:AssumeRole", ROLE))
        key = iam.create_access_key(UserName="awx")["AccessKey"]
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": CALLER},
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role_iam = client("iam", OTHER)
        role_iam.create_role(Path="/fleet/", RoleName="deployer", AssumeRolePolicyDocument=trust)
        role_iam.put_role_policy(RoleName="deployer", PolicyName="all", PolicyDocument=allow("*", "*"))
        client("eks", OTHER).create_access_entry(
            clusterName=CLUSTER, principalArn=ROLE, kubernetesGroups=["pod-identity-operators"]
        )
        home = folder / "home"
        home.mkdir()
        env = {**clean_environment(), **installed, **variables, "HOME": str(home)}
        env |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        bare = {name: value for name, value in env.items() if name not in KUBECONFIG}
        yield Job(bare, folder)


def test_job_converges_verifies_and_removes_with_role(job: Job) -> None:
    first = job.done("site")
    assert "Done: 5 changes." in first
    assert SESSION in first
    verified = job.done("verify")
    assert "Verified: 1 workload; 1 warning." in verified
    assert recap(verified)["changed"] == 0
    assert "Teardown done: 5 changes." in job.done("teardown")


def test_denied_role_is_explained_before_changes(job: Job) -> None:
    initial = job.counters()
    # AWX passes empty text for survey questions without an answer.
    ran = job.run("site", "assume_role_external_id=payments")
    assert ran.returncode != 0, ran.stdout
    message = (
        f"sts:AssumeRole: AccessDenied: User: {CALLER} is not authorized to perform: sts:AssumeRole on resource: {ROLE}. "
        f"Requested in region {REGION}, for account {OTHER}. Allow the caller sts:AssumeRole on this role, and add the caller to "
        "the trust policy of the role. If the trust policy requires sts:ExternalId, pod_identity_assume_role_external_id must "
        "have that value. AWS does not report which of these is missing, or whether the role exists: check the ARN as well. "
        "Nothing was changed."
    )
    assert message in " ".join(ran.stdout.split())
    final = job.counters()
    # The run reads AWS and requests the token for Kubernetes separately, so it tries to assume the role more than once.
    attempts = final.pop(OWN)["sts:AssumeRole"] - initial.pop(OWN).get("sts:AssumeRole", 0)
    assert 1 <= attempts <= 3
    assert final == initial
