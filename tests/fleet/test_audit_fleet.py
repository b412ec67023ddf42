# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test audit.yml on three clusters in two accounts: the roles of an account are read only once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    running_fleet,
)

OWN_ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
WEST, CENTRAL = "us-west-2", "eu-central-1"
CLUSTER_HOSTS = (
    ClusterHost("blue", "blue", OWN_ACCOUNT, WEST),
    ClusterHost("green", "green", OWN_ACCOUNT, CENTRAL),
    ClusterHost("red", "red", OTHER_ACCOUNT, WEST),
)
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
BY_TARGET = {
    **TRUST,
    "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": f"arn:aws:iam::{OWN_ACCOUNT}:root"}}],
}
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
POLICY_READS = ("iam:GetPolicy", "iam:GetPolicyVersion")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetFixture]:
    with running_fleet(tmp_path_factory.mktemp("fleet"), CLUSTER_HOSTS) as ready:
        build(ready)
        yield ready


def client(fleet: FleetFixture, service: str, account: str, region: str = WEST) -> Any:
    return boto3.client(
        service,
        endpoint_url=fleet.endpoint,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key=fleet.root_secret,
    )


def add_role(fleet: FleetFixture, account: str, name: str, trust: Any = TRUST) -> str:
    iam = client(fleet, "iam", account)
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    return str(arn)


def build(fleet: FleetFixture) -> None:
    """Create a role that the clusters blue and green share, a role for each cluster, and a target role in the account of red."""
    shared = add_role(fleet, OWN_ACCOUNT, "shared")
    roles_by_host = {
        place.host: add_role(fleet, place.account, f"own-{place.host}") for place in fleet.places
    }
    target = add_role(fleet, OTHER_ACCOUNT, "target", BY_TARGET)
    for place in fleet.places:
        eks = client(fleet, "eks", place.account, place.region)
        roles = {"own": roles_by_host[place.host]} | (
            {"shared": shared} if place.account == OWN_ACCOUNT else {}
        )
        for name, role in roles.items():
            eks.create_pod_identity_association(
                clusterName=place.cluster, namespace=name, serviceAccount="app", roleArn=role
            )
    client(fleet, "eks", OWN_ACCOUNT).create_pod_identity_association(
        clusterName="blue", namespace="far", serviceAccount="app", roleArn=shared, targetRoleArn=target
    )


def test_each_account_is_read_once(fleet: FleetFixture, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    fleet.control.reset_counters()
    done = fleet.play("audit", pod_identity_audit_file=str(path), pod_identity_audit_unused_days=90)
    assert done.code == 0, done.output
    report, counts = json.loads(path.read_text(encoding="utf-8")), fleet.control.counters()["accounts"]
    for account, roles in ((OWN_ACCOUNT, 3), (OTHER_ACCOUNT, 2)):
        iam = {name: count for name, count in counts[account].items() if name.startswith("iam:")}
        assert iam == {
            "iam:GetAccountAuthorizationDetails": 1,
            **dict.fromkeys(POLICY_READS, 1),
            "iam:GenerateServiceLastAccessedDetails": roles,
            # The first request shows that IAM has completed the report. The second request reads the only page of the report.
            "iam:GetServiceLastAccessedDetails": 2 * roles,
        }
    assert counts[OWN_ACCOUNT]["eks:ListNodegroups"] == 2
    assert [row["key"] for row in report["clusters"]] == ["blue", "green", "red"]
    assert {row["access"] for row in report["workloads"]} == {"known", "blocked"}
    states = {row["name"]: (row["state"], row.get("unread")) for row in report["roles"]}
    assert states == dict.fromkeys(("own-blue", "own-green", "own-red", "shared", "target"), ("read", None))
