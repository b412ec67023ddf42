# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the read lag: reads return an older state, but writes use the current state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sandbox.aws.control import AwsControl

from .conftest import (
    ACCOUNT,
    POD_IDENTITY_TRUST,
    READ_BUCKET,
    api_error,
    create_cluster,
    create_policy,
    create_role,
)

# LAG_MS is longer than any test. Tests with SHORT_MS wait until the lag is over.
LAG_MS = 60_000
SHORT_MS = 400
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
P = f"arn:aws:iam::{ACCOUNT}:policy/p"
OTHER_TRUST = POD_IDENTITY_TRUST.replace("pods.eks", "ec2")
OTHER_DOCUMENT = READ_BUCKET.replace("bucket", "bottle")


@dataclass
class Resources:
    """Existing resources: a role ``app`` with policy ``p``, and a cluster ``demo`` with an add-on and an association."""

    iam: Any
    eks: Any
    association: str

    @property
    def key(self) -> dict[str, str]:
        return {"clusterName": "demo", "associationId": self.association}

    @property
    def association_arn(self) -> str:
        return str(self.eks.describe_pod_identity_association(**self.key)["association"]["associationArn"])

    def associate(self, service_account: str) -> Any:
        arn = f"arn:aws:iam::{ACCOUNT}:role/app"
        return self.eks.create_pod_identity_association(
            clusterName="demo", namespace="n", serviceAccount=service_account, roleArn=arn
        )


@pytest.fixture
def resources(iam: Any, eks: Any) -> Resources:
    role_arn = create_role(iam, "app")
    create_policy(iam, "p")
    iam.attach_role_policy(RoleName="app", PolicyArn=P)
    iam.put_role_policy(RoleName="app", PolicyName="inline", PolicyDocument=READ_BUCKET)
    create_cluster(eks, "demo")
    eks.create_addon(clusterName="demo", addonName="coredns")
    created = eks.create_pod_identity_association(
        clusterName="demo", namespace="n", serviceAccount="app", roleArn=role_arn
    )
    return Resources(iam, eks, created["association"]["associationId"])


def result_or_code(read: Callable[[], Any]) -> Any:
    """Return the result of a read, or the code of its error."""
    try:
        return read()
    except ClientError as error:
        return error.response["Error"]["Code"]


def all_names(iam: Any, kind: str) -> list[str]:
    pages = iam.get_paginator("get_account_authorization_details").paginate()
    names = {"Role": "RoleDetailList", "Policy": "Policies"}
    return [entry[f"{kind}Name"] for page in pages for entry in page[names[kind]]]


Change = Callable[[Resources], Any]
Read = Callable[[Resources], Any]

CASES: dict[str, tuple[Change, Read]] = {
    "role created": (
        lambda w: create_role(w.iam, "new"),
        lambda w: w.iam.get_role(RoleName="new")["Role"]["Arn"],
    ),
    "role in the list": (
        lambda w: create_role(w.iam, "new"),
        lambda w: [role["RoleName"] for role in w.iam.list_roles()["Roles"]],
    ),
    "role in all details": (lambda w: create_role(w.iam, "new"), lambda w: all_names(w.iam, "Role")),
    "trust": (
        lambda w: w.iam.update_assume_role_policy(RoleName="app", PolicyDocument=OTHER_TRUST),
        lambda w: w.iam.get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"],
    ),
    "description": (
        lambda w: w.iam.update_role(RoleName="app", Description="changed"),
        lambda w: w.iam.get_role(RoleName="app")["Role"].get("Description"),
    ),
    "role tags": (
        lambda w: w.iam.tag_role(RoleName="app", Tags=[{"Key": "a", "Value": "b"}]),
        lambda w: w.iam.get_role(RoleName="app")["Role"].get("Tags"),
    ),
    "boundary": (
        lambda w: w.iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=P),
        lambda w: w.iam.get_role(RoleName="app")["Role"].get("PermissionsBoundary"),
    ),
    "users of a boundary": (
        lambda w: w.iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=P),
        lambda w: w.iam.list_entities_for_policy(PolicyArn=P, PolicyUsageFilter="PermissionsBoundary")[
            "PolicyRoles"
        ],
    ),
    "attachment": (
        lambda w: w.iam.attach_role_policy(RoleName="app", PolicyArn=READ_ONLY),
        lambda w: w.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"],
    ),
    "users of AWS's policy": (
        lambda w: w.iam.attach_role_policy(RoleName="app", PolicyArn=READ_ONLY),
        lambda w: (
            w.iam.list_entities_for_policy(PolicyArn=READ_ONLY)["PolicyRoles"],
            w.iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["AttachmentCount"],
        ),
    ),
    "detachment": (
        lambda w: w.iam.detach_role_policy(RoleName="app", PolicyArn=P),
        lambda w: (
            w.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"],
            w.iam.list_entities_for_policy(PolicyArn=P)["PolicyRoles"],
            w.iam.get_policy(PolicyArn=P)["Policy"]["AttachmentCount"],
        ),
    ),
    "inline policy": (
        lambda w: w.iam.put_role_policy(RoleName="app", PolicyName="inline", PolicyDocument=OTHER_DOCUMENT),
        lambda w: w.iam.get_role_policy(RoleName="app", PolicyName="inline")["PolicyDocument"],
    ),
    "inline policy deleted": (
        lambda w: w.iam.delete_role_policy(RoleName="app", PolicyName="inline"),
        lambda w: w.iam.list_role_policies(RoleName="app")["PolicyNames"],
    ),
    "policy created": (
        lambda w: create_policy(w.iam, "new"),
        lambda w: [policy["PolicyName"] for policy in w.iam.list_policies(Scope="Local")["Policies"]],
    ),
    "policy in all details": (lambda w: create_policy(w.iam, "new"), lambda w: all_names(w.iam, "Policy")),
    "policy version": (
        lambda w: w.iam.create_policy_version(PolicyArn=P, PolicyDocument=OTHER_DOCUMENT, SetAsDefault=True),
        lambda w: (
            w.iam.get_policy(PolicyArn=P)["Policy"]["DefaultVersionId"],
            [version["VersionId"] for version in w.iam.list_policy_versions(PolicyArn=P)["Versions"]],
            result_or_code(
                lambda: w.iam.get_policy_version(PolicyArn=P, VersionId="v2")["PolicyVersion"]["Document"]
            ),
        ),
    ),
    "policy tags": (
        lambda w: w.iam.tag_policy(PolicyArn=P, Tags=[{"Key": "a", "Value": "b"}]),
        lambda w: w.iam.get_policy(PolicyArn=P)["Policy"]["Tags"],
    ),
    "policy attached to a user": (
        lambda w: (w.iam.create_user(UserName="u"), w.iam.attach_user_policy(UserName="u", PolicyArn=P)),
        lambda w: w.iam.get_policy(PolicyArn=P)["Policy"]["AttachmentCount"],
    ),
    "role deleted": (
        lambda w: (
            w.iam.detach_role_policy(RoleName="app", PolicyArn=P),
            w.iam.delete_role_policy(RoleName="app", PolicyName="inline"),
            w.iam.delete_role(RoleName="app"),
        ),
        lambda w: result_or_code(lambda: w.iam.get_role(RoleName="APP")["Role"]["RoleName"]),
    ),
    "policy deleted": (
        lambda w: (w.iam.detach_role_policy(RoleName="app", PolicyArn=P), w.iam.delete_policy(PolicyArn=P)),
        lambda w: result_or_code(lambda: w.iam.get_policy(PolicyArn=P)["Policy"]["PolicyName"]),
    ),
    "association created": (
        lambda w: w.associate("new"),
        lambda w: [
            association["serviceAccount"]
            for association in w.eks.list_pod_identity_associations(clusterName="demo")["associations"]
        ],
    ),
    "association by its service account": (
        lambda w: w.associate("new"),
        lambda w: len(
            w.eks.list_pod_identity_associations(clusterName="demo", namespace="n", serviceAccount="new")[
                "associations"
            ]
        ),
    ),
    "association changed": (
        lambda w: w.eks.update_pod_identity_association(**w.key, disableSessionTags=True),
        lambda w: w.eks.describe_pod_identity_association(**w.key)["association"]["disableSessionTags"],
    ),
    "association tags": (
        lambda w: w.eks.tag_resource(resourceArn=w.association_arn, tags={"a": "b"}),
        lambda w: w.eks.describe_pod_identity_association(**w.key)["association"]["tags"],
    ),
    "association deleted": (
        lambda w: w.eks.delete_pod_identity_association(**w.key),
        lambda w: (
            result_or_code(
                lambda: w.eks.describe_pod_identity_association(**w.key)["association"]["associationId"]
            ),
            len(w.eks.list_pod_identity_associations(clusterName="demo")["associations"]),
        ),
    ),
    "add-on created": (
        lambda w: w.eks.create_addon(clusterName="demo", addonName="vpc-cni"),
        lambda w: result_or_code(
            lambda: w.eks.describe_addon(clusterName="demo", addonName="vpc-cni")["addon"]["status"]
        ),
    ),
    "add-on deleted": (
        lambda w: w.eks.delete_addon(clusterName="demo", addonName="coredns"),
        lambda w: result_or_code(
            lambda: w.eks.describe_addon(clusterName="demo", addonName="coredns")["addon"]["status"]
        ),
    ),
    "cluster created": (lambda w: create_cluster(w.eks, "new"), lambda w: w.eks.list_clusters()["clusters"]),
}


@pytest.mark.parametrize("case", CASES)
def test_change_is_visible_after_lag(resources: Resources, control: AwsControl, case: str) -> None:
    change, read = CASES[case]
    original = result_or_code(lambda: read(resources))
    control.set_read_lags([{"ms": SHORT_MS}])
    change(resources)
    moment = time.monotonic()
    stale = result_or_code(lambda: read(resources))
    # On a slow machine, the lag may be over before the read.
    if (time.monotonic() - moment) * 1000 < SHORT_MS / 2:
        assert stale == original
    time.sleep(SHORT_MS / 1000)
    updated = result_or_code(lambda: read(resources))
    assert updated != original
    control.set_read_lags([])
    assert result_or_code(lambda: read(resources)) == updated


class TestWrites:
    def test_create_of_invisible_name_fails(self, resources: Resources, control: AwsControl) -> None:
        control.set_read_lags([{"ms": LAG_MS}])
        create_role(resources.iam, "new")
        assert api_error(lambda: resources.iam.get_role(RoleName="new"))[1] == "NoSuchEntity"
        assert api_error(lambda: create_role(resources.iam, "new"))[1] == "EntityAlreadyExists"
        created = resources.associate("new")["association"]["associationId"]
        api_failure = api_error(lambda: resources.associate("new"))
        assert api_failure[1:] == ("ResourceInUseException", f"Association already exists: {created}")

    def test_delete_of_visible_deleted_association_fails(
        self, resources: Resources, control: AwsControl
    ) -> None:
        control.set_read_lags([{"ms": LAG_MS}])
        resources.eks.delete_pod_identity_association(**resources.key)
        assert resources.eks.describe_pod_identity_association(**resources.key)
        again = api_error(lambda: resources.eks.delete_pod_identity_association(**resources.key))
        assert again[1] == "ResourceNotFoundException"


class TestRules:
    def test_every_second_read_of_two_replicas_is_stale(
        self, resources: Resources, control: AwsControl
    ) -> None:
        control.set_read_lags([{"ms": LAG_MS, "replicas": 2}])
        create_role(resources.iam, "new")
        results = [
            result_or_code(lambda: resources.iam.get_role(RoleName="new")["Role"]["RoleName"])
            for _ in range(4)
        ]
        assert results == ["new", "NoSuchEntity", "new", "NoSuchEntity"]
