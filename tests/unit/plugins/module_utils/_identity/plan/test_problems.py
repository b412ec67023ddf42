# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that unmanaged, invalid and unreadable resources cause a failure with a message, only for the workloads that use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    owner_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    association_target,
    policy_target,
    role_target,
    trust_target,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    OWNER,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    create_association,
    create_policy,
    create_role,
    desired,
    key,
    names,
    plan,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

APP = (key("app"),)
OLD = role_arn("old")
DENIED = classify("x", "AccessDenied", "User is not authorized")
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"


def existing(**more: Any) -> dict[str, Any]:
    return workload(role={"arn": OLD, **more}, policies=[])


UNMARKED = "exists without the tag workload-identity/managed-by, so this collection may not have created it."
TAKE_BACK = (
    "Use another name, or the existing resource by its ARN, or set ⟨adopt⟩: true to take it over (check mode with diff shows the "
    "changes)."
)


def account(prepare: Callable[[FakeAws], object]) -> FakeAws:
    aws = FakeAws()
    prepare(aws)
    return aws


@pytest.mark.parametrize(
    ("prepare", "raw", "failure"),
    [
        pytest.param(
            lambda aws: create_role(aws, "my-role", TRUST_EC2),
            workload(policies=[]),
            Failure(
                APP,
                role_target("my-role"),
                "update",
                "NOT_OWNED",
                f"role my-role {UNMARKED} It is unchanged, although it would have to change (trust policy).",
                TAKE_BACK,
            ),
            id="unmanaged role",
        ),
        pytest.param(
            FakeAws.state,
            existing(),
            Failure(
                APP,
                role_target(OLD),
                "read",
                "ROLE_MISSING",
                f"role {OLD} does not exist in account {ACCOUNT}.",
                "Correct the ARN, or set role.name instead of role.arn to create the role.",
            ),
            id="missing existing role",
        ),
        pytest.param(
            lambda aws: create_role(aws, "old", TRUST_BARE, Path="/team/"),
            existing(),
            Failure(
                APP,
                role_target(OLD),
                "read",
                "ROLE_MISSING",
                f"role {OLD} does not exist in account {ACCOUNT}; the role of that name is "
                f"arn:aws:iam::{ACCOUNT}:role/team/old.",
                f"Change the ARN to arn:aws:iam::{ACCOUNT}:role/team/old.",
            ),
            id="existing role with another path",
        ),
        pytest.param(
            lambda aws: create_policy(aws, "my-policy", "kms:Decrypt"),
            workload(),
            Failure(
                APP,
                policy_target(policy_arn("my-policy")),
                "update",
                "NOT_OWNED",
                f"policy {policy_arn('my-policy')} {UNMARKED} It is unchanged, although it has another document.",
                TAKE_BACK,
            ),
            id="unmanaged policy",
        ),
        pytest.param(
            FakeAws.state,
            workload(policies=[{"arn": policy_arn("gone")}]),
            Failure(
                APP,
                policy_target(policy_arn("gone")),
                "read",
                "POLICY_MISSING",
                f"policy {policy_arn('gone')} does not exist in account {ACCOUNT}.",
                "Correct the ARN, or set name and document to create the policy.",
            ),
            id="missing existing policy",
        ),
        pytest.param(
            FakeAws.state,
            workload(role={"name": "my-role", "permissions_boundary": policy_arn("edge")}),
            Failure(
                APP,
                policy_target(policy_arn("edge")),
                "read",
                "POLICY_MISSING",
                f"policy {policy_arn('edge')}, the permissions boundary of role my-role, does not exist in account {ACCOUNT}.",
                "Correct the ARN, or create that policy first.",
            ),
            id="missing boundary",
        ),
        pytest.param(
            lambda aws: create_association(aws, "app", "other", ownerArn=ADDON),
            workload(policies=[]),
            Failure(
                APP,
                association_target(APP[0]),
                "update",
                "ASSOCIATION_OWNED_BY_ADDON",
                "association a-00000000000000001 of my-cluster default/app is owned by the EKS add-on "
                f"{ADDON}, which would undo a direct change.",
                "Change the role in the add-on's podIdentityAssociations, or set ⟨force⟩: true.",
            ),
            id="association of an add-on",
        ),
        pytest.param(
            lambda aws: create_association(aws, "app", "other"),
            workload(policies=[]),
            Failure(
                APP,
                association_target(APP[0]),
                "update",
                "NOT_OWNED",
                f"association default/app {UNMARKED} It is unchanged, although the list does not agree with its role "
                f"{role_arn('other')}.",
                "List its role and settings, or set ⟨adopt⟩: true to take it over (check mode with diff shows the changes).",
            ),
            id="unmanaged association",
        ),
        pytest.param(
            lambda aws: create_association(aws, "app", "other", tags=owner_tags("green")),
            workload(policies=[]),
            Failure(
                APP,
                association_target(APP[0]),
                "update",
                "NOT_OWNED",
                f"association default/app belongs to owner 'green', and this run is for owner '{OWNER}'. It is unchanged, "
                f"although the list does not agree with its role {role_arn('other')}.",
                "Change it in a run for owner 'green', or set ⟨adopt⟩: true to take it over (check mode with diff shows the "
                "changes).",
            ),
            id="association of another owner",
        ),
    ],
)
def test_failure_has_cause_and_remedy(
    prepare: Callable[[FakeAws], object], raw: dict[str, Any], failure: Failure
) -> None:
    aws = account(prepare)
    initial = aws.state()
    found = plan(aws, desired(raw))
    assert (names(found), found.failures) == ([], (failure,))
    run(aws, desired(raw))
    assert aws.state() == initial


def test_role_by_arn_is_not_changed() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE)
    assert names(plan(aws, desired(existing()))) == ["create association default/app"]


def test_input_trust_policy_is_evaluated() -> None:
    raw = workload(role={"name": "my-role", "trust_policy": TRUST_EC2})
    found = plan(FakeAws(), desired(raw))
    failure = Failure(
        APP,
        trust_target(role_arn("my-role")),
        "read",
        "TRUST_NOT_USABLE",
        f"role {role_arn('my-role')} cannot be used by default/app: Statement 1 trusts ec2.amazonaws.com, not "
        "pods.eks.amazonaws.com.",
        "Correct role.trust_policy, and apply the workload; or leave role.trust_policy out, so that this collection writes the "
        "trust policy for the workloads of the role.",
    )
    assert (names(found), found.failures) == ([], (failure,))


def test_too_long_extension_fails() -> None:
    aws = FakeAws()
    arns = [f"arn:aws:ec2:us-west-2:111122223333:instance/{number:05}" for number in range(34)]
    long = {"ArnLike": {"aws:SourceArn": arns}}
    create_role(aws, "old", {**TRUST_EC2, "Statement": [{**TRUST_EC2["Statement"][0], "Condition": long}]})
    found = plan(aws, desired(existing(extend_trust=True)))
    failure = Failure(
        APP,
        trust_target("old"),
        "update",
        "TRUST_POLICY_TOO_LONG",
        "the trust policy of role old for its 1 workload has 2348 characters; 2048 are allowed.",
        "Use a wider trust_scope for this role (namespace, then cluster), give the workloads separate roles, or request an "
        "increase of the quota 'Role trust policy length'.",
    )
    assert (names(found), found.failures) == ([], (failure,))


def test_adoption_detaches_only_with_purge_policies() -> None:
    aws = FakeAws()
    extra = create_policy(aws, "extra")
    create_role(aws, "my-role", TRUST_EC2, (extra,))
    spec = desired(workload(policies=[]), adopt=True, purge_policies=True)
    assert f"detach attachment my-role {extra}" in names(plan(aws, spec))
    run(aws, spec)
    assert names(plan(aws, spec)) == []


def test_policy_of_a_failed_workload_remains_attached() -> None:
    aws = FakeAws()
    raw = [workload("one", policies=[policy("a")]), workload("two", policies=[policy("b")])]
    run(aws, desired(*raw))
    aws.fail_on("iam:GetPolicy", DENIED)
    found = plan(aws, desired(*raw))
    target, keys = policy_target(policy_arn("a")), (key("one"),)
    failure = Failure(
        keys, target, "read", "AccessDenied", "x: User is not authorized", DENIED.remedy, cause=DENIED
    )
    assert (names(found), found.failures) == ([], (failure,))
