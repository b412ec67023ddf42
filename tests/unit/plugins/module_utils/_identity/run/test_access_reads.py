# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test how roles, their policies and their last uses are read for the access report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    NodeRoles,
    RoleUse,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import access
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.access import (
    RoleReads,
    read_last_uses,
    read_node_roles,
    read_role_facts,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    create_policy,
    document,
    policy_arn,
    role_arn,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    CREATED,
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.test_trust_editor import (
    POD_IDENTITY,
    account,
    add_role,
    requests,
)

ADMINISTRATOR, READ_ONLY = (
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:iam::aws:policy/ReadOnlyAccess",
)
ANYONE = {"Effect": "Allow", "Principal": {"AWS": HERE.account_id}, "Action": "sts:AssumeRole"}


def add_managed_policy(aws: FakeAws, arn: str, *actions: str) -> None:
    """Create an AWS managed policy, which bulk reads do not return."""
    created_arn = create_policy(aws, arn.rpartition("/")[2], *actions)
    aws.iam.policies[arn] = aws.iam.policies.pop(created_arn)


def new_account() -> FakeAws:
    aws = account(POD_IDENTITY)
    create_policy(aws, "reads", "s3:GetObject")
    add_managed_policy(aws, ADMINISTRATOR, "*")
    add_managed_policy(aws, READ_ONLY, "s3:Get*")
    aws.iam.roles["app"]["attached"] = [policy_arn("reads"), READ_ONLY]
    return aws


def read(aws: FakeAws, *names: str) -> RoleReads:
    return read_role_facts(aws, HERE, [role_arn(name) for name in names], 1)


def deny(aws: FakeAws, *names: str) -> None:
    """Let AWS deny the next request for each of these operations."""
    for name in names:
        aws.fail_on(name, classify(name, "AccessDenied", "not authorized"))


def test_roles_are_read_one_by_one_without_bulk_read() -> None:
    aws = new_account()
    add_role(aws, ANYONE, name="other")
    deny(aws, "iam:GetAccountAuthorizationDetails")
    found = read(aws, "app", "gone")
    assert (found.complete, "not authorized" in found.denied) == (False, True)
    assert {name.rpartition("/")[2]: role.state for name, role in found.roles.items()} == {
        "app": "read",
        "gone": "missing",
    }
    app = found.roles[role_arn("app")]
    assert [name for name, _document in app.policies] == [policy_arn("reads"), READ_ONLY]
    assert app.unread == ()


def test_bulk_read_has_the_inline_policies() -> None:
    aws = new_account()
    aws.iam.roles["app"]["inline"] = {"own": json.dumps(document("s3:Put*"))}
    app = read(aws, "app").roles[role_arn("app")]
    assert [name for name, _document in app.policies] == [
        policy_arn("reads"),
        READ_ONLY,
        "inline policy own of role app",
    ]


def test_denied_reads_are_unread_policies() -> None:
    aws = new_account()
    deny(aws, "iam:GetAccountAuthorizationDetails", "iam:ListRolePolicies", "iam:GetPolicyVersion")
    app = read(aws, "app").roles[role_arn("app")]
    # The fake denies each of these requests only once, so the later reads succeed.
    assert app.policies == ((READ_ONLY, document("s3:Get*")),)
    assert app.unread == (("identity", policy_arn("reads")), ("identity", "the inline policies of role app"))
    aws = new_account()
    deny(aws, "iam:GetAccountAuthorizationDetails", "iam:GetRole")
    assert read(aws, "app").roles[role_arn("app")].state == "unread"


def test_other_error_ends_the_read() -> None:
    aws = new_account()
    deny(aws, "iam:GetAccountAuthorizationDetails")
    aws.fail_on("iam:GetRole", classify("iam:GetRole", "ServiceFailure", "Internal failure"))
    with pytest.raises(AwsError, match="Internal failure"):
        read(aws, "app")
    assert "iam:GetRole" in requests(aws)


def add_last_use(aws: FakeAws, operation: str, use: Mapping[str, Any]) -> None:
    """Let an operation of the fake IAM return ``use`` as the last use of each role."""
    answer = getattr(aws.iam, operation)

    def with_use(parameters: Mapping[str, Any]) -> dict[str, Any]:
        found = answer(parameters)
        for role in [found["Role"]] if "Role" in found else found["RoleDetailList"]:
            role["RoleLastUsed"] = use
        return dict(found)

    aws.replace(f"iam:{operation}", with_use)


@pytest.mark.parametrize("is_bulk", [True, False])
@pytest.mark.parametrize(
    ("use", "expected"),
    [({"LastUsedDate": CREATED, "Region": "us-west-2"}, CREATED.isoformat()), ({}, ""), (None, None)],
)
def test_role_has_its_last_use(is_bulk: bool, use: Mapping[str, Any] | None, expected: str | None) -> None:
    aws = new_account()
    if not is_bulk:
        deny(aws, "iam:GetAccountAuthorizationDetails")
    if use is not None:
        add_last_use(aws, "GetAccountAuthorizationDetails" if is_bulk else "GetRole", use)
    assert read(aws, "app").roles[role_arn("app")].use == RoleUse(CREATED.isoformat(), expected)


def last_accessed(status: str = "COMPLETED") -> dict[str, Any]:
    actions = [{"ActionName": "CreateBucket", "LastAccessedTime": CREATED}, {"ActionName": "DeleteBucket"}]
    services = [
        {"ServiceNamespace": "sqs"},
        {"ServiceNamespace": "s3", "LastAuthenticated": CREATED, "TrackedActionsLastAccessed": actions},
    ]
    return {"JobStatus": status, "ServicesLastAccessed": services, "Error": {"Message": "no"}}


def read_uses(aws: FakeAws, *names: str, status: str = "COMPLETED") -> Mapping[str, RoleUse | None]:
    aws.replace("iam:GenerateServiceLastAccessedDetails", lambda request: {"JobId": request["Arn"]})
    waits: list[float] = []
    aws.replace(
        "iam:GetServiceLastAccessedDetails",
        lambda _request: last_accessed(status if waits else "IN_PROGRESS"),
    )
    reads = read(aws, "app", "gone")
    arns = [role_arn(name) for name in (*names, "gone", "elsewhere")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "pause", waits.append)
        found = read_last_uses(aws, reads, arns, 4).roles
    return {name.rpartition("/")[2]: role.use for name, role in found.items()}


def test_services_and_actions_have_their_last_use() -> None:
    aws = new_account()
    add_role(aws, ANYONE, name="other")
    services = {"s3": "2026-11-24T10:00:00Z", "sqs": ""}
    actions = {"s3:CreateBucket": "2026-11-24T10:00:00Z", "s3:DeleteBucket": ""}
    assert read_uses(aws, "app") == {
        "app": RoleUse(CREATED.isoformat(), None, services, actions=actions),
        "other": RoleUse(CREATED.isoformat(), None),
        "gone": None,
    }
    assert aws.parameters("iam:GenerateServiceLastAccessedDetails") == [
        {"Arn": role_arn("app"), "Granularity": "ACTION_LEVEL"}
    ]


def test_last_uses_of_services_may_be_unknown() -> None:
    aws = new_account()
    deny(aws, "iam:GenerateServiceLastAccessedDetails")
    reason = "iam:GenerateServiceLastAccessedDetails: AccessDenied"
    assert read_uses(aws, "app")["app"] == RoleUse(CREATED.isoformat(), None, None, reason)
    reason = (
        f"The report of the last uses of role {role_arn('app')} is missing: IAM could not create it: no. Run again, or leave out "
        "pod_identity_audit_unused_days."
    )
    failed = read_uses(new_account(), "app", status="FAILED")["app"]
    assert failed == RoleUse(CREATED.isoformat(), None, None, reason)


AUTO_ROLE, WORKER_ROLE = role_arn("auto"), role_arn("worker")
GROUPS = {"a": WORKER_ROLE, "b": WORKER_ROLE, "c": AUTO_ROLE}
DENIED_LIST = "eks:ListNodegroups: AccessDenied"
DENIED_GROUP = "eks:DescribeNodegroup: AccessDenied"
# A case has the role of EKS Auto Mode, the roles of the node groups, the operation that AWS denies, and the expected result.
NODES: Mapping[str, tuple[str, Mapping[str, str], str, NodeRoles]] = {
    "none": ("", {}, "", NodeRoles()),
    "Auto Mode": (AUTO_ROLE, {}, "", NodeRoles({AUTO_ROLE: ("EKS Auto Mode",)})),
    "node groups": (
        "",
        GROUPS,
        "",
        NodeRoles({WORKER_ROLE: ("node group a", "node group b"), AUTO_ROLE: ("node group c",)}),
    ),
    "both": (AUTO_ROLE, {"c": AUTO_ROLE}, "", NodeRoles({AUTO_ROLE: ("EKS Auto Mode", "node group c")})),
    "denied list": (
        AUTO_ROLE,
        GROUPS,
        "eks:ListNodegroups",
        NodeRoles({AUTO_ROLE: ("EKS Auto Mode",)}, DENIED_LIST),
    ),
    "denied node group": (
        "",
        GROUPS,
        "eks:DescribeNodegroup",
        NodeRoles({WORKER_ROLE: ("node group b",), AUTO_ROLE: ("node group c",)}, DENIED_GROUP),
    ),
}


@pytest.mark.parametrize("case", NODES)
def test_node_roles_of_a_cluster(case: str) -> None:
    auto_role, groups, denied, expected = NODES[case]
    aws = new_account()
    aws.replace("eks:ListNodegroups", lambda _request: {"nodegroups": sorted(groups)})
    aws.replace(
        "eks:DescribeNodegroup", lambda request: {"nodegroup": {"nodeRole": groups[request["nodegroupName"]]}}
    )
    if denied:
        deny(aws, denied)
    assert read_node_roles(aws, replace(HERE, node_role_arn=auto_role), 1) == expected


def test_other_error_of_a_node_group_ends_the_read() -> None:
    aws = new_account()
    aws.fail_on("eks:ListNodegroups", classify("eks:ListNodegroups", "ServerException", "Internal failure"))
    with pytest.raises(AwsError, match="Internal failure"):
        read_node_roles(aws, HERE, 1)
