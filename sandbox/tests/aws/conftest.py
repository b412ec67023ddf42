# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the embedded AWS endpoint in a process, and create clients for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("SANDBOX_PYTHON", ROOT / ".venv-sandbox" / "bin" / "python"))
MODULE = (str(PYTHON), "-m", "sandbox.aws")
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
REGION = "eu-central-1"
POD_IDENTITY_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
)
CLUSTER_TRUST = POD_IDENTITY_TRUST.replace("pods.eks", "eks")
VPC = {"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]}
READ_BUCKET = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}],
    }
)


@dataclass(frozen=True)
class Endpoint:
    url: str

    @property
    def control(self) -> AwsControl:
        return AwsControl(self.url)

    def client(
        self,
        service: Any,
        *,
        account: str = ACCOUNT,
        region: str = REGION,
        secret: str = ROOT_SECRET_ACCESS_KEY,
        token: str | None = None,
        key: str | None = None,
        attempts: int = 1,
    ) -> Any:
        """Return a boto3 client. By default it has the credentials of the root user and does not retry."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key or account,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
        )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "sandbox" / "src")}


@contextmanager
def running(*options: str) -> Iterator[Endpoint]:
    """Run an embedded AWS endpoint on a free port while the block runs, then stop it with SIGTERM."""
    process = subprocess.Popen(
        [*MODULE, "--port", "0", *options], env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert match, f"the server printed {line!r}"
        yield Endpoint(match.group())
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def open_endpoint() -> Iterator[Endpoint]:
    with running() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(open_endpoint: Endpoint) -> Endpoint:
    """Return an endpoint without resources, and without authorization, delays and faults."""
    control = open_endpoint.control
    control.reset()
    control.set_latency(0)
    control.set_propagation(0)
    control.set_rate_limit(0)
    return open_endpoint


@pytest.fixture
def control(endpoint: Endpoint) -> AwsControl:
    return endpoint.control


@pytest.fixture
def iam(endpoint: Endpoint) -> Any:
    return endpoint.client("iam")


@pytest.fixture
def eks(endpoint: Endpoint) -> Any:
    return endpoint.client("eks")


@pytest.fixture
def cluster(eks: Any) -> str:
    """Create a cluster, and return its name."""
    create_cluster(eks, "demo")
    return "demo"


@pytest.fixture
def role_arn(iam: Any) -> str:
    """Create a role that trusts EKS Pod Identity, and return its ARN."""
    return create_role(iam, "app")


def create_cluster(eks: Any, name: str, **members: Any) -> Any:
    return eks.create_cluster(
        name=name, **{"roleArn": f"arn:aws:iam::{ACCOUNT}:role/cluster", "resourcesVpcConfig": VPC, **members}
    )["cluster"]


def create_role(iam: Any, name: str, trust: str = POD_IDENTITY_TRUST, **members: Any) -> str:
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **members)["Role"]
    return str(role["Arn"])


def create_policy(iam: Any, name: str, document: str = READ_BUCKET, **members: Any) -> str:
    policy = iam.create_policy(PolicyName=name, PolicyDocument=document, **members)["Policy"]
    return str(policy["Arn"])


def api_error(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Return the HTTP status, the code and the message of the error that a call raises."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    error = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]
