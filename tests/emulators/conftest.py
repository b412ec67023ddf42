# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the embedded AWS of the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.tests.emulators.cases import (
    ACCOUNT,
    CLUSTER,
    OTHER_CLUSTER,
    REGION,
)
from botocore.config import Config
from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY

ROOT = Path(__file__).resolve().parents[2]
Answer = dict[str, Any]
Call = Callable[[str, str, Mapping[str, Any]], Answer]
PYTHON = os.environ.get("SANDBOX_PYTHON", str(ROOT / ".venv-sandbox" / "bin" / "python"))


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Run the embedded AWS endpoint of the sandbox on a free port. Yield its address."""
    process = subprocess.Popen(
        [PYTHON, "-m", "sandbox.aws", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sandbox" / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"unexpected output of the server: {line!r}"
        yield found.group()
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


@pytest.fixture(scope="session")
def clients(endpoint: str) -> dict[str, Any]:
    services: tuple[Any, ...] = ("iam", "eks", "sts")
    return {
        service: boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=ROOT_SECRET_ACCESS_KEY,
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )
        for service in services
    }


@pytest.fixture
def call(endpoint: str, clients: dict[str, Any]) -> Call:
    """Reset the sandbox to two clusters, and return a function that sends requests to it."""
    AwsControl(endpoint).reset()
    for name in (CLUSTER, OTHER_CLUSTER):
        clients["eks"].create_cluster(
            name=name,
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
            resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
        )
    return BotoApi(clients.__getitem__).call
