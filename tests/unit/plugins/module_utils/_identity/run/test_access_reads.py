# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reads of roles for an access report."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.access import (
    RoleReads,
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
ELSEWHERE = {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"}
BY_APP = {"Effect": "Allow", "Principal": {"AWS": role_arn("app")}, "Action": "sts:AssumeRole"}


def add_managed_policy(aws: FakeAws, arn: str, *actions: str) -> None:
    """Add a policy of AWS, which a bulk read does not return."""
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
    """Deny these requests to the caller."""
    for name in names:
        aws.fail_on(name, classify(name, "AccessDenied", "not authorized"))


def test_roles_have_their_policies() -> None:
    aws = new_account()
    found = read(aws, "app", "gone")
    assert (found.complete, found.denied) == (True, "")
    app = found.roles[role_arn("app")]
    assert app.policies == ((policy_arn("reads"), document("s3:GetObject")), (READ_ONLY, document("s3:Get*")))
    assert (app.state, app.unread, app.boundary) == ("read", (), None)
    assert found.roles[role_arn("gone")].state == "missing"


def test_policies_of_aws_are_read_for_roles_that_can_be_assumed() -> None:
    aws = new_account()
    for name, statement in {"anyone": ANYONE, "by-app": BY_APP, "elsewhere": ELSEWHERE}.items():
        add_role(aws, statement, name=name)
        aws.iam.roles[name]["attached"] = [ADMINISTRATOR]
    found = read(aws, "app")
    assert {name.rpartition("/")[2]: role.unread for name, role in found.roles.items()} == {
        "app": (),
        "anyone": (),
        "by-app": (),
        "elsewhere": (),
    }
    aws = new_account()
    add_role(aws, ELSEWHERE, name="elsewhere")
    aws.iam.roles["elsewhere"]["attached"] = [ADMINISTRATOR]
    found = read(aws, "app")
    assert found.roles[role_arn("elsewhere")].unread == (("identity", ADMINISTRATOR),)


def test_roles_of_other_accounts_are_not_read() -> None:
    found = read_role_facts(new_account(), HERE, ["arn:aws:iam::444455556666:role/far", "no-arn"], 1)
    assert [name.rpartition("/")[2] for name in found.roles] == ["app"]


def test_without_the_bulk_read_roles_are_read_one_by_one() -> None:
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


def test_denied_reads_are_unread_policies() -> None:
    aws = new_account()
    deny(aws, "iam:GetAccountAuthorizationDetails", "iam:ListRolePolicies", "iam:GetPolicyVersion")
    app = read(aws, "app").roles[role_arn("app")]
    # The fake denies each request once.
    assert app.policies == ((READ_ONLY, document("s3:Get*")),)
    assert app.unread == (
        ("identity", policy_arn("reads")),
        ("identity", "the inline policies of role app"),
    )
    aws = new_account()
    deny(aws, "iam:GetAccountAuthorizationDetails", "iam:GetRole")
    assert read(aws, "app").roles[role_arn("app")].state == "unread"


def test_other_errors_end_the_read() -> None:
    aws = new_account()
    deny(aws, "iam:GetAccountAuthorizationDetails")
    aws.fail_on("iam:GetRole", classify("iam:GetRole", "ServiceFailure", "Internal failure"))
    with pytest.raises(AwsError, match="Internal failure"):
        read(aws, "app")
    assert "iam:GetRole" in requests(aws)
