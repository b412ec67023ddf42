# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stale reads: what is shown late, what is not, and writes that act on the present all the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sandbox.aws.control import AwsControl, AwsControlError

from .conftest import (
    ACCOUNT,
    POD_IDENTITY_TRUST,
    READ_BUCKET,
    Endpoint,
    create_cluster,
    create_policy,
    create_role,
    refusal,
)

# Longer than any test asks; a test that waits for the lag sets a short one.
LAG_MS = 60_000
SHORT_MS = 400
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
P = f"arn:aws:iam::{ACCOUNT}:policy/p"
OTHER_TRUST = POD_IDENTITY_TRUST.replace("pods.eks", "ec2")
OTHER_DOCUMENT = READ_BUCKET.replace("bucket", "bottle")


@dataclass
class World:
    """A role ``app`` with policy ``p``, a cluster ``demo`` with an add-on and an association."""

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
def world(iam: Any, eks: Any) -> World:
    role_arn = create_role(iam, "app")
    create_policy(iam, "p")
    iam.attach_role_policy(RoleName="app", PolicyArn=P)
    iam.put_role_policy(RoleName="app", PolicyName="inline", PolicyDocument=READ_BUCKET)
    create_cluster(eks, "demo")
    eks.create_addon(clusterName="demo", addonName="coredns")
    made = eks.create_pod_identity_association(
        clusterName="demo", namespace="n", serviceAccount="app", roleArn=role_arn
    )
    return World(iam, eks, made["association"]["associationId"])


def shown(read: Callable[[], Any]) -> Any:
    """What a read shows; the code where it is refused."""
    try:
        return read()
    except ClientError as error:
        return error.response["Error"]["Code"]


def everything(iam: Any, kind: str) -> list[str]:
    pages = iam.get_paginator("get_account_authorization_details").paginate()
    names = {"Role": "RoleDetailList", "Policy": "Policies"}
    return [entry[f"{kind}Name"] for page in pages for entry in page[names[kind]]]


Change = Callable[[World], Any]
Read = Callable[[World], Any]

CASES: dict[str, tuple[Change, Read]] = {
    "role made": (
        lambda w: create_role(w.iam, "new"),
        lambda w: w.iam.get_role(RoleName="new")["Role"]["Arn"],
    ),
    "role in the list": (
        lambda w: create_role(w.iam, "new"),
        lambda w: [role["RoleName"] for role in w.iam.list_roles()["Roles"]],
    ),
    "role in all details": (lambda w: create_role(w.iam, "new"), lambda w: everything(w.iam, "Role")),
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
        lambda w: w.iam.list_role_tags(RoleName="app")["Tags"],
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
    "inline policy gone": (
        lambda w: w.iam.delete_role_policy(RoleName="app", PolicyName="inline"),
        lambda w: w.iam.list_role_policies(RoleName="app")["PolicyNames"],
    ),
    "policy made": (
        lambda w: create_policy(w.iam, "new"),
        lambda w: [policy["PolicyName"] for policy in w.iam.list_policies(Scope="Local")["Policies"]],
    ),
    "policy in all details": (lambda w: create_policy(w.iam, "new"), lambda w: everything(w.iam, "Policy")),
    "policy version": (
        lambda w: w.iam.create_policy_version(PolicyArn=P, PolicyDocument=OTHER_DOCUMENT, SetAsDefault=True),
        lambda w: (
            w.iam.get_policy(PolicyArn=P)["Policy"]["DefaultVersionId"],
            [version["VersionId"] for version in w.iam.list_policy_versions(PolicyArn=P)["Versions"]],
            shown(lambda: w.iam.get_policy_version(PolicyArn=P, VersionId="v2")["PolicyVersion"]["Document"]),
        ),
    ),
    "policy tags": (
        lambda w: w.iam.tag_policy(PolicyArn=P, Tags=[{"Key": "a", "Value": "b"}]),
        lambda w: w.iam.list_policy_tags(PolicyArn=P)["Tags"],
    ),
    "policy given to a user": (
        lambda w: (
            w.iam.create_user(UserName="u"),
            w.iam.attach_user_policy(UserName="u", PolicyArn=P),
        ),
        lambda w: w.iam.get_policy(PolicyArn=P)["Policy"]["AttachmentCount"],
    ),
    "role gone": (
        lambda w: (
            w.iam.detach_role_policy(RoleName="app", PolicyArn=P),
            w.iam.delete_role_policy(RoleName="app", PolicyName="inline"),
            w.iam.delete_role(RoleName="app"),
        ),
        lambda w: shown(lambda: w.iam.get_role(RoleName="APP")["Role"]["RoleName"]),
    ),
    "policy gone": (
        lambda w: (w.iam.detach_role_policy(RoleName="app", PolicyArn=P), w.iam.delete_policy(PolicyArn=P)),
        lambda w: shown(lambda: w.iam.get_policy(PolicyArn=P)["Policy"]["PolicyName"]),
    ),
    "association made": (
        lambda w: w.associate("new"),
        lambda w: [
            found["serviceAccount"]
            for found in w.eks.list_pod_identity_associations(clusterName="demo")["associations"]
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
    "association gone": (
        lambda w: w.eks.delete_pod_identity_association(**w.key),
        lambda w: (
            shown(lambda: w.eks.describe_pod_identity_association(**w.key)["association"]["associationId"]),
            len(w.eks.list_pod_identity_associations(clusterName="demo")["associations"]),
        ),
    ),
    "add-on made": (
        lambda w: w.eks.create_addon(clusterName="demo", addonName="vpc-cni"),
        lambda w: w.eks.list_addons(clusterName="demo")["addons"],
    ),
    "add-on gone": (
        lambda w: w.eks.delete_addon(clusterName="demo", addonName="coredns"),
        lambda w: shown(
            lambda: w.eks.describe_addon(clusterName="demo", addonName="coredns")["addon"]["status"]
        ),
    ),
    "cluster made": (lambda w: create_cluster(w.eks, "new"), lambda w: w.eks.list_clusters()["clusters"]),
    "cluster gone": (
        lambda w: (
            w.eks.delete_pod_identity_association(**w.key),
            w.eks.delete_addon(clusterName="demo", addonName="coredns"),
            w.eks.delete_cluster(name="demo"),
        ),
        lambda w: shown(lambda: w.eks.describe_cluster(name="demo")["cluster"]["status"]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_change_is_shown_when_the_lag_is_over(world: World, control: AwsControl, case: str) -> None:
    change, read = CASES[case]
    before = shown(lambda: read(world))
    control.set_read_lag(SHORT_MS)
    change(world)
    moment = time.monotonic()
    late = shown(lambda: read(world))
    # On a busy machine the lag may be over by now; then there is nothing to see.
    if (time.monotonic() - moment) * 1000 < SHORT_MS / 2:
        assert late == before
    time.sleep(SHORT_MS / 1000)
    after = shown(lambda: read(world))
    assert after != before
    control.set_read_lag(0)
    assert shown(lambda: read(world)) == after


class TestWrites:
    """They act on the present."""

    def test_a_name_that_is_not_seen_is_taken(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        create_role(world.iam, "new")
        assert refusal(lambda: world.iam.get_role(RoleName="new"))[1] == "NoSuchEntity"
        assert refusal(lambda: create_role(world.iam, "new"))[1] == "EntityAlreadyExists"
        made = world.associate("new")["association"]["associationId"]
        refused = refusal(lambda: world.associate("new"))
        assert refused[1:] == ("ResourceInUseException", f"Association already exists: {made}")

    def test_what_is_seen_but_gone_cannot_be_changed(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        world.eks.delete_pod_identity_association(**world.key)
        assert world.eks.describe_pod_identity_association(**world.key)
        again = refusal(lambda: world.eks.delete_pod_identity_association(**world.key))
        assert again[1] == "ResourceNotFoundException"

    def test_what_is_not_seen_can_be_changed(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        create_role(world.iam, "new")
        world.iam.update_assume_role_policy(RoleName="new", PolicyDocument=OTHER_TRUST)
        assert control.state(ACCOUNT)["roles"]["new"]["AssumeRolePolicyDocument"] == OTHER_TRUST

    def test_what_is_not_seen_cannot_be_changed_where_that_is_asked_for(
        self, world: World, control: AwsControl
    ) -> None:
        control.set_read_lag(LAG_MS, writes=True)
        create_role(world.iam, "new")
        arn = create_policy(world.iam, "q")
        attachable = (404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
        assert refusal(
            lambda: world.iam.update_assume_role_policy(RoleName="new", PolicyDocument=OTHER_TRUST)
        ) == (404, "NoSuchEntity", "The role with name new cannot be found.")
        assert refusal(lambda: world.iam.attach_role_policy(RoleName="app", PolicyArn=arn)) == attachable
        assert refusal(lambda: world.iam.delete_policy(PolicyArn=arn)) == (
            404,
            "NoSuchEntity",
            f"Policy {arn} was not found.",
        )
        world.iam.attach_role_policy(RoleName="app", PolicyArn=READ_ONLY)
        world.iam.update_role(RoleName="app", Description="seen before")
        control.set_read_lag(LAG_MS, writes=True)
        world.iam.attach_role_policy(RoleName="new", PolicyArn=arn)

    def test_eks_accepts_a_role_that_reads_do_not_show(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        arn = create_role(world.iam, "new")
        world.eks.update_pod_identity_association(**world.key, roleArn=arn)

    def test_sts_is_never_late(self, endpoint: Endpoint, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        arn = create_role(world.iam, "new", json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        assert endpoint.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")


class TestPages:
    def test_of_roles(self, iam: Any, control: AwsControl) -> None:
        for number in range(7):
            create_role(iam, f"r{number}")
        control.set_read_lag(LAG_MS)
        create_role(iam, "r1a")
        iam.delete_role(RoleName="r4")
        pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 3}))
        assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [
            ["r0", "r1", "r2"],
            ["r3", "r4", "r5"],
            ["r6"],
        ]

    def test_of_associations_keep_their_order(self, world: World, control: AwsControl) -> None:
        for number in range(4):
            world.associate(f"s{number}")
        control.set_read_lag(LAG_MS)
        world.eks.update_pod_identity_association(**world.key, disableSessionTags=True)
        world.associate("late")
        listing = world.eks.get_paginator("list_pod_identity_associations")
        pages = listing.paginate(clusterName="demo", PaginationConfig={"PageSize": 2})
        assert [found["serviceAccount"] for page in pages for found in page["associations"]] == [
            *("app", "s0", "s1", "s2", "s3")
        ]


class TestRules:
    def test_two_replicas_disagree(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS, replicas=2)
        create_role(world.iam, "new")
        found = [shown(lambda: world.iam.get_role(RoleName="new")["Role"]["RoleName"]) for _ in range(4)]
        assert found == ["new", "NoSuchEntity", "new", "NoSuchEntity"]

    def test_first_that_matches_decides(self, world: World, control: AwsControl) -> None:
        control.set_read_lags(
            [{"ms": 0, "operations": "iam:Get*"}, {"ms": SHORT_MS, "operations": "iam:*"}, {"ms": LAG_MS}]
        )
        create_role(world.iam, "new")
        world.associate("new")
        assert world.iam.get_role(RoleName="new")
        time.sleep(SHORT_MS / 1000)
        assert len(world.iam.list_roles()["Roles"]) == 2
        assert len(world.eks.list_pod_identity_associations(clusterName="demo")["associations"]) == 1

    def test_no_rule_is_the_present(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS, "eks:*")
        assert create_role(world.iam, "new") == world.iam.get_role(RoleName="new")["Role"]["Arn"]

    def test_setting_a_lag_starts_from_what_is_there(self, world: World, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        create_role(world.iam, "new")
        control.set_read_lag(LAG_MS)
        assert world.iam.get_role(RoleName="new")

    def test_reset_takes_the_lag(self, iam: Any, control: AwsControl) -> None:
        control.set_read_lag(LAG_MS)
        control.reset()
        assert create_role(iam, "new") == iam.get_role(RoleName="new")["Role"]["Arn"]

    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            ({"ms": -1}, "ms must be a number from 0 to 600000: -1"),
            ({}, "ms must be a number from 0 to 600000: None"),
            ({"ms": 1, "replicas": 3}, "replicas must be 1 or 2: 3"),
            ({"ms": 1, "operation": "*"}, "unknown member of a read lag: operation"),
        ],
    )
    def test_refused(self, control: AwsControl, rule: dict[str, Any], message: str) -> None:
        with pytest.raises(AwsControlError) as caught:
            control.set_read_lags([rule])
        assert message in str(caught.value)
