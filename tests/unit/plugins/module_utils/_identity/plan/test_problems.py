# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that unmanaged, invalid and unreadable resources cause a failure with a message, only for the workloads that use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import owner_tags
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    policy_target,
    trust_target,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
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
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.plan.test_plans import (
    describe_plan,
)

APP = (key("app"),)
OLD = role_arn("old")
DENIED = classify("x", "AccessDenied", "User is not authorized")
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"


def existing(**more: Any) -> dict[str, Any]:
    return workload(role={"arn": OLD, **more}, policies=[])


# By problem: a function that prepares the account, and the workload.
PROBLEMS: dict[str, tuple[Callable[[FakeAws], object], dict[str, Any]]] = {
    "unmanaged role": (lambda aws: create_role(aws, "my-role", TRUST_EC2), workload(policies=[])),
    "missing existing role": (FakeAws.state, existing()),
    "existing role with another path": (
        lambda aws: create_role(aws, "old", TRUST_BARE, Path="/team/"),
        existing(),
    ),
    "unmanaged policy": (lambda aws: create_policy(aws, "my-policy", "kms:Decrypt"), workload()),
    "missing existing policy": (FakeAws.state, workload(policies=[{"arn": policy_arn("gone")}])),
    "missing boundary": (
        FakeAws.state,
        workload(role={"name": "my-role", "permissions_boundary": policy_arn("edge")}),
    ),
    "association of an add-on": (
        lambda aws: create_association(aws, "app", "other", ownerArn=ADDON),
        workload(policies=[]),
    ),
    "unmanaged association": (lambda aws: create_association(aws, "app", "other"), workload(policies=[])),
    "association of another owner": (
        lambda aws: create_association(aws, "app", "other", tags=owner_tags("green")),
        workload(policies=[]),
    ),
}
PLANS = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PROBLEMS)
def test_failure_has_cause_and_remedy(name: str) -> None:
    prepare, raw = PROBLEMS[name]
    aws = FakeAws()
    prepare(aws)
    initial = aws.state()
    assert describe_plan(plan(aws, desired(raw))) == PLANS[name]
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
