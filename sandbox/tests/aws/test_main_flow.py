# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create all resources in the order of the EKS User Guide, then delete them."""

from __future__ import annotations

import re
from typing import Any

from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, POD_IDENTITY_TRUST, READ_BUCKET, REGION, create_cluster


def test_create_count_and_delete_all_resources(iam: Any, eks: Any, control: AwsControl) -> None:
    empty = control.state(ACCOUNT)
    create_cluster(eks, "demo")
    policy = iam.create_policy(PolicyName="my-policy", PolicyDocument=READ_BUCKET)["Policy"]
    role = iam.create_role(
        RoleName="my-role",
        AssumeRolePolicyDocument=POD_IDENTITY_TRUST,
        Description="my-role-description",
    )["Role"]
    iam.attach_role_policy(RoleName="my-role", PolicyArn=policy["Arn"])
    association = eks.create_pod_identity_association(
        clusterName="demo",
        namespace="default",
        serviceAccount="my-service-account",
        roleArn=role["Arn"],
    )["association"]

    assert policy["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/my-policy"
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/my-role"
    assert re.fullmatch(r"a-[a-z0-9]{17}", association["associationId"])
    assert association["associationArn"] == (
        f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/demo/{association['associationId']}"
    )
    counters = control.counters()
    assert counters["operations"] == {
        "eks:CreateCluster": 1,
        "eks:CreatePodIdentityAssociation": 1,
        "iam:AttachRolePolicy": 1,
        "iam:CreatePolicy": 1,
        "iam:CreateRole": 1,
    }
    assert (counters["total"], counters["reads"], counters["writes"]) == (5, 0, 5)

    eks.delete_pod_identity_association(clusterName="demo", associationId=association["associationId"])
    iam.detach_role_policy(RoleName="my-role", PolicyArn=policy["Arn"])
    iam.delete_role(RoleName="my-role")
    iam.delete_policy(PolicyArn=policy["Arn"])
    eks.delete_cluster(name="demo")
    assert control.state(ACCOUNT) == empty
