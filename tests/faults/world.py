# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account of the fault tests: resources that no run manages, and the workloads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import default_owner

ACCOUNT = "111122223333"
REGION = "us-west-2"
CLUSTER = "my-cluster"
LEGACY = f"arn:aws:iam::{ACCOUNT}:role/legacy"
THEIRS = f"arn:aws:iam::{ACCOUNT}:policy/theirs"
TARGETS = tuple(f"arn:aws:iam::444455556666:role/target-{name}" for name in ("one", "two"))
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
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


def document(*actions: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(name: str, *actions: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "document": document(*actions), **more}


SHARED = policy("shared", "s3:GetObject")
WIDER = policy("shared", "s3:GetObject", "s3:ListBucket")
WORKLOADS: tuple[Mapping[str, Any], ...] = (
    {
        "namespace": "default",
        "service_account": "api",
        "role": {"name": "shared", "description": "Two use it"},
        "policies": [SHARED, {"arn": READ_ONLY}],
    },
    {
        "namespace": "default",
        "service_account": "worker",
        "role": {"name": "shared", "description": "Two use it"},
        "policies": [SHARED],
    },
    {
        "namespace": "batch",
        "service_account": "report",
        "role": {"name": "report", "tags": {"team": "reports"}},
        "policies": [policy("report", "sqs:SendMessage", path="/batch/")],
        "target_role_arn": TARGETS[0],
    },
    {
        "namespace": "batch",
        "service_account": "sync",
        "role": {"name": "sync", "trust_scope": "account"},
        "policies": [policy("sync", "sns:Publish")],
        "disable_session_tags": True,
        "session_policy": document("sns:*"),
    },
    {"namespace": "old", "service_account": "app", "role": {"arn": LEGACY}, "policies": [{"arn": THEIRS}]},
)
# The same workloads with changed roles, descriptions, trust policies, documents, tags, target role and session policy.
CHANGED: tuple[Mapping[str, Any], ...] = (
    {
        **WORKLOADS[0],
        "role": {"name": "shared", "description": "Three use it", "trust_scope": "namespace"},
        "policies": [WIDER],
    },
    {
        **WORKLOADS[1],
        "role": {"name": "shared", "description": "Three use it", "trust_scope": "namespace"},
        "policies": [WIDER],
    },
    {
        **WORKLOADS[2],
        "role": {"name": "report", "tags": {"team": "billing"}, "permissions_boundary": THEIRS},
        "policies": [policy("report", "sqs:*", path="/batch/", tags={"team": "billing"})],
        "target_role_arn": TARGETS[1],
        "tags": {"team": "billing"},
    },
    {**WORKLOADS[3], "session_policy": document("sns:Publish")},
    {**WORKLOADS[4], "role": {"name": "own"}, "policies": [policy("old", "s3:GetObject")]},
)
# Two lists that share a role: the second one has another policy and a narrower trust scope.
FIRST_LIST: tuple[Mapping[str, Any], ...] = (
    {
        "namespace": "default",
        "service_account": "api",
        "role": {"name": "shared", "trust_scope": "cluster"},
        "policies": [SHARED],
    },
)
SECOND_LIST: tuple[Mapping[str, Any], ...] = (
    {
        "namespace": "default",
        "service_account": "worker",
        "role": {"name": "shared", "trust_scope": "workload"},
        "policies": [policy("worker", "sqs:SendMessage")],
    },
)


def desired(*workloads: Mapping[str, Any], state: str = "present") -> Desired:
    options = Options(owner=default_owner(REGION, CLUSTER))
    return Desired(parse_workloads(list(workloads), CLUSTER, state), options)


def furnish(iam: Any, eks: Any) -> None:
    """Create a cluster, and resources that no run manages. Workloads use some of these resources."""
    eks.create_cluster(
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
    )
    eks.create_addon(clusterName=CLUSTER, addonName="eks-pod-identity-agent")
    iam.create_policy(PolicyName="theirs", PolicyDocument=json.dumps(document("ec2:*")))
    for name in ("legacy", "bystander"):
        iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=[{"Key": "of", "Value": "others"}]
        )
    iam.attach_role_policy(RoleName="legacy", PolicyArn=THEIRS)
    eks.create_pod_identity_association(
        clusterName=CLUSTER,
        namespace="theirs",
        serviceAccount="app",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/bystander",
        tags={"of": "others"},
    )


def fill_versions(iam: Any) -> None:
    """Give the shared policy as many versions as IAM allows, so that a change must delete one."""
    arn = f"arn:aws:iam::{ACCOUNT}:policy/shared"
    for number in range(4):
        text = json.dumps(document("s3:GetObject", f"s3:Old{number}"))
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=False)
