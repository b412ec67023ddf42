# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test plans that create resources, and the requests of each change."""

from __future__ import annotations

import json

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Call,
    Stage,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OWNED,
    POLICY_TAGS,
    TRUST_BARE,
    FakeAws,
    create_policy,
    desired,
    document,
    key,
    names,
    own_trust,
    plan,
    policy,
    policy_arn,
    role_arn,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._policy.grants import (
    grant_for,
)

OWNER = [{"Key": key, "Value": value} for key, value in OWNED.items()]
MAKER = [{"Key": key, "Value": value} for key, value in sorted(POLICY_TAGS.items())]
TARGET = "arn:aws:iam::444455556666:role/target"
APP = key("app")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def trust_for(*service_accounts: str, scope: str = "workload") -> dict[str, object]:
    return own_trust(*(grant_for(scope, ACCOUNT, CLUSTER_ARN, "default", name) for name in service_accounts))


def test_resources_are_created_in_order() -> None:
    aws = FakeAws()
    found = plan(aws, desired(workload()))
    assert [
        (change.stage, change.target.resource, change.action, change.target.full_name, change.workloads)
        for change in found.changes
    ] == [
        (Stage.POLICY, "policy", "create", policy_arn("my-policy"), (APP,)),
        (Stage.ROLE, "role", "create", "my-role", (APP,)),
        (Stage.ATTACH, "attachment", "attach", f"my-role {policy_arn('my-policy')}", (APP,)),
        (Stage.ASSOCIATE, "association", "create", "default/app", (APP,)),
    ]
    assert [change.before for change in found.changes] == [None] * 4
    assert [change.after for change in found.changes] == [
        {"arn": policy_arn("my-policy"), "document": document("s3:GetObject"), "tags": POLICY_TAGS},
        {"arn": role_arn("my-role"), "trust_policy": trust_for("app"), "tags": OWNED},
        {"role": "my-role", "policy": policy_arn("my-policy")},
        {"role_arn": role_arn("my-role"), "tags": OWNED},
    ]
    assert [change.calls for change in found.changes] == [
        (
            Call(
                "iam",
                "CreatePolicy",
                {
                    "PolicyName": "my-policy",
                    "PolicyDocument": compact(document("s3:GetObject")),
                    "Path": "/",
                    "Tags": MAKER,
                },
            ),
        ),
        (
            Call(
                "iam",
                "CreateRole",
                {
                    "RoleName": "my-role",
                    "Path": "/",
                    "AssumeRolePolicyDocument": compact(trust_for("app")),
                    "Tags": OWNER,
                },
            ),
        ),
        (
            Call(
                "iam",
                "AttachRolePolicy",
                {"RoleName": "my-role", "PolicyArn": policy_arn("my-policy")},
            ),
        ),
        (
            Call(
                "eks",
                "CreatePodIdentityAssociation",
                {
                    "clusterName": CLUSTER,
                    "namespace": "default",
                    "serviceAccount": "app",
                    "roleArn": role_arn("my-role"),
                    "tags": OWNED,
                },
            ),
        ),
    ]
    assert (found.failures, found.findings) == ((), ())


def test_every_attribute_is_sent() -> None:
    aws = FakeAws()
    edge = create_policy(aws, "edge")
    raw = workload(
        role={
            "name": "my-role",
            "path": "/team/",
            "description": "What for",
            "permissions_boundary": edge,
            "max_session_duration": 7200,
            "tags": {"stage": "prod"},
            "trust_policy": TRUST_BARE,
        },
        policies=[policy(path="/team/", description="Reads", tags={"stage": "test"})],
        target_role_arn=TARGET,
        disable_session_tags=True,
        session_policy=document("s3:GetObject"),
        tags={"team": "b"},
    )
    found = plan(aws, desired(raw, tags={"team": "a"}))
    outcome, role, _, association = (change.calls[0].parameters for change in found.changes)
    assert outcome == {
        "PolicyName": "my-policy",
        "PolicyDocument": compact(document("s3:GetObject")),
        "Path": "/team/",
        "Description": "Reads",
        "Tags": [{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "a"}, *MAKER],
    }
    assert role == {
        "RoleName": "my-role",
        "Path": "/team/",
        "Description": "What for",
        "PermissionsBoundary": edge,
        "MaxSessionDuration": 7200,
        "AssumeRolePolicyDocument": compact(TRUST_BARE),
        "Tags": [{"Key": "stage", "Value": "prod"}, {"Key": "team", "Value": "a"}, *OWNER],
    }
    assert association == {
        "clusterName": CLUSTER,
        "namespace": "default",
        "serviceAccount": "app",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/team/my-role",
        "targetRoleArn": TARGET,
        "disableSessionTags": True,
        "policy": compact(document("s3:GetObject")),
        "tags": {"team": "b", **OWNED},
    }


def test_empty_settings_are_not_sent_for_new_resources() -> None:
    raw = workload(
        role={"name": "my-role", "permissions_boundary": ""}, target_role_arn="", session_policy=""
    )
    role, association = (change.calls[0].parameters for change in plan(FakeAws(), desired(raw)).changes[1::2])
    assert "PermissionsBoundary" not in role
    assert not {"targetRoleArn", "policy", "disableSessionTags"} & association.keys()


def test_shared_role_and_policy_are_created_once() -> None:
    found = plan(FakeAws(), desired(workload("one"), workload("two")))
    assert names(found) == [
        f"create policy {policy_arn('my-policy')}",
        "create role my-role",
        f"attach attachment my-role {policy_arn('my-policy')}",
        "create association default/one",
        "create association default/two",
    ]
    keys = (key("one"), key("two"))
    assert [change.workloads for change in found.changes] == [keys, keys, keys, keys[:1], keys[1:]]
    assert found.changes[1].after is not None
    assert found.changes[1].after["trust_policy"] == trust_for("one", "two")


def test_wide_grant_of_one_workload_covers_the_others() -> None:
    combined = desired(workload("one", disable_session_tags=True), workload("two"))
    role = plan(FakeAws(), combined).changes[1]
    assert role.after is not None
    assert role.after["trust_policy"] == trust_for("one", scope="account")


def test_policy_is_attached_only_for_its_workload() -> None:
    combined = desired(workload("one", policies=[policy("a")]), workload("two", policies=[policy("b")]))
    attached = {
        change.target.full_name: change.workloads
        for change in plan(FakeAws(), combined).changes
        if change.action == "attach"
    }
    assert attached == {
        f"my-role {policy_arn('a')}": (key("one"),),
        f"my-role {policy_arn('b')}": (key("two"),),
    }


def test_duplicate_policy_is_attached_once() -> None:
    aws = FakeAws()
    arn = create_policy(aws, "given")
    found = plan(aws, desired(workload(policies=[{"arn": arn}, {"arn": arn}])))
    assert [name for name in names(found) if "attach " in name] == [f"attach attachment my-role {arn}"]


def test_new_policy_may_be_listed_by_arn_in_another_workload() -> None:
    by_arn = workload("one", role={"name": "one"}, policies=[{"arn": policy_arn("my-policy")}])
    found = plan(FakeAws(), desired(by_arn, workload("two", role={"name": "two"})))
    assert found.failures == ()
    assert names(found)[0] == f"create policy {policy_arn('my-policy')}"
    assert found.changes[0].workloads == (key("one"), key("two"))


def test_cluster_without_workloads_has_an_empty_plan() -> None:
    assert names(plan(FakeAws(), desired())) == []


def test_description_of_a_preset_is_for_a_new_policy_only() -> None:
    aws = FakeAws()
    spec = desired(workload(policies=[{"preset": "external-dns"}]))
    created = plan(aws, spec).changes[0]
    arn = policy_arn("my-role-external-dns")
    description = "ExternalDNS, created from preset external-dns version 1"
    assert created.target.full_name == arn
    assert created.calls[0].parameters["Description"] == description
    assert created.after is not None
    assert created.after["description"] == description
    create_policy(aws, "my-role-external-dns", tags=POLICY_TAGS)
    updated = plan(aws, spec).changes[0]
    assert (updated.target.full_name, updated.action) == (arn, "update")
    assert updated.after is not None
    assert list(updated.after) == ["document"]
