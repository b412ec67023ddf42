# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads of a migration from IRSA, and the workloads that the migration applies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.account import (
    read_snapshot,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.access import ALL_PAGES
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    PlannedApi,
    read_again,
    read_roles,
    workload_rows,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import to_json
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
    API,
    FOREIGN,
    POD_IDENTITY,
    account,
    add_role,
    irsa,
    migrant,
    requests,
    trust,
)


def test_plan_reads_planned_trust_policies() -> None:
    aws = account(irsa(API))
    add_role(aws, FOREIGN, name="other")
    present = read_snapshot(aws, ALL_PAGES).roles
    planned = {
        name: replace(role, trust=trust(POD_IDENTITY)) for name, role in present.items() if name == "app"
    }
    api = PlannedApi(aws, {"app": trust(POD_IDENTITY)})
    assert read_snapshot(api, ALL_PAGES).roles == {**present, **planned}
    assert read_again(api, present, [role.arn for role in present.values()], 1) == {**present, **planned}
    assert read_snapshot(aws, ALL_PAGES).roles == present


ADMINISTRATOR, READ_ONLY = (
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:iam::aws:policy/ReadOnlyAccess",
)


def add_managed_policy(aws: FakeAws, arn: str, *actions: str) -> None:
    """Create an AWS managed policy, which bulk reads do not return."""
    created_arn = create_policy(aws, arn.rpartition("/")[2], *actions)
    aws.iam.policies[arn] = aws.iam.policies.pop(created_arn)


def account_with_managed_policies() -> FakeAws:
    aws = account(irsa(API), POD_IDENTITY)
    create_policy(aws, "reads", "s3:GetObject")
    add_managed_policy(aws, ADMINISTRATOR, "*")
    add_managed_policy(aws, READ_ONLY, "s3:Get*")
    aws.iam.roles["app"]["attached"] = [policy_arn("reads"), ADMINISTRATOR]
    add_role(aws, FOREIGN, name="other")
    aws.iam.roles["other"]["attached"] = [READ_ONLY]
    return aws


@pytest.mark.parametrize("request_name", ["iam:GetPolicy", "iam:GetPolicyVersion"])
@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity"])
def test_unreadable_aws_managed_policy_has_no_document(request_name: str, code: str) -> None:
    aws = account_with_managed_policies()
    # A policy counts as missing if two reads in a row do not find it.
    aws.fail_on(request_name, *[classify(request_name, code, "no")] * (2 if code == "NoSuchEntity" else 1))
    reads = read_roles(aws, HERE, read_snapshot(aws, ALL_PAGES), {}, [role_arn("app"), role_arn("other")], 1)
    assert reads.complete
    # Policies are read in the order of their names, and the first read fails.
    assert reads.documents == {policy_arn("reads"): document("s3:GetObject"), READ_ONLY: document("s3:Get*")}


def test_other_error_of_an_aws_managed_policy_ends_the_read() -> None:
    aws = account_with_managed_policies()
    aws.fail_on("iam:GetPolicy", classify("iam:GetPolicy", "ServiceFailure", "Internal failure"))
    with pytest.raises(AwsError, match="Internal failure"):
        read_roles(aws, HERE, read_snapshot(aws, ALL_PAGES), {}, [role_arn("app")], 1)


def test_only_the_roles_of_the_service_accounts_are_read_without_permission_for_all() -> None:
    aws = account(irsa(API), POD_IDENTITY, name="App")
    add_role(aws, FOREIGN, name="other")
    aws.fail_on(
        "iam:GetAccountAuthorizationDetails",
        classify("iam:GetAccountAuthorizationDetails", "AccessDenied", "no"),
    )
    arns = [
        role_arn("App"),
        role_arn("gone"),
        "arn:aws:iam::444455556666:role/foreign",
        "no-arn",
        role_arn("App"),
    ]
    reads = read_roles(aws, HERE, read_snapshot(aws, ALL_PAGES), {}, arns, 1)
    assert not reads.complete
    assert {name: role.trust for name, role in reads.roles.items()} == {"app": trust(irsa(API), POD_IDENTITY)}
    assert requests(aws).count("iam:GetRole") == 2


def test_workloads_of_a_migration() -> None:
    row = {
        "namespace": "shop",
        "service_account": "api",
        "role": {"arn": role_arn("app"), "extend_trust": True},
        "create_service_account": False,
    }
    migrants = [migrant(), migrant("web", disable_session_tags=True)]
    assert workload_rows(migrants) == [row, {**row, "service_account": "web", "disable_session_tags": True}]


def test_trust_policies_are_read_again() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    add_role(aws, FOREIGN, name="other")
    reads = read_roles(aws, HERE, read_snapshot(aws, ALL_PAGES), {}, [role_arn("app")], 1)
    for name in ("app", "other"):
        aws.iam.UpdateAssumeRolePolicy({"RoleName": name, "PolicyDocument": to_json(trust(POD_IDENTITY))})
    again = read_again(aws, reads.roles, [role_arn("app")], 1)
    assert {name: role.trust for name, role in again.items()} == {
        "app": trust(POD_IDENTITY),
        "other": trust(FOREIGN),
    }
    assert requests(aws)[1:] == ["iam:GetRole"]
