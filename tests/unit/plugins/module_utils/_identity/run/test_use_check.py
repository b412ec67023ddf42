# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a role is kept if it gets a new user while a run removes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    trust_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    FakeAws,
    create_association,
    desired,
    named,
    names,
    plan,
    policy_arn,
    role_arn,
    run,
    workload,
)

DENIED = classify("test:Injected", "AccessDenied", "not authorized")


def create_workload(aws: FakeAws, **options: Any) -> None:
    assert run(aws, desired(workload(), **options)).failures == ()


def joins(aws: FakeAws, service_account: str = "two") -> Callable[[], object]:
    """Return a function that creates another workload with the role."""
    return lambda: run(aws, desired(workload(service_account)))


def moves_to(aws: FakeAws) -> Callable[[], object]:
    """Return a function that assigns the role to an existing association. The role trusts the whole namespace."""

    def move() -> None:
        (association,) = (
            association
            for association in aws.eks.associations.values()
            if association["serviceAccount"] == "mover"
        )
        association["roleArn"] = role_arn("my-role")

    return move


def test_role_with_a_concurrent_user_is_kept_unchanged() -> None:
    aws = FakeAws()
    create_workload(aws)
    aws.before_request("eks:DeletePodIdentityAssociation", joins(aws))
    removed = run(aws, desired(workload()), "absent")
    assert named(removed.done[0].change) == "delete association default/app"
    assert removed.failures == ()
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("my-policy")]
    assert "two" in aws.iam.roles["my-role"]["trust"]
    assert [(str(finding.code), finding.message) for finding in removed.findings] == [
        (
            "RESOURCE_KEPT",
            f"role {role_arn('my-role')} is kept: it is still used by my-cluster default/two.",
        ),
        (
            "RESOURCE_KEPT",
            f"policy {policy_arn('my-policy')} is kept: it is still used by role my-role.",
        ),
    ]
    assert plan(aws, desired(workload("two"))).changes == ()


def test_association_moved_into_a_wide_grant_keeps_the_role() -> None:
    aws = FakeAws()
    create_workload(aws, trust_scope="namespace")
    create_association(aws, "mover", "elsewhere")
    aws.before_request("eks:DeletePodIdentityAssociation", moves_to(aws))
    removed = run(aws, desired(workload()), "absent")
    assert removed.failures == ()
    assert removed.findings[0].message.endswith("it is still used by my-cluster default/mover.")
    assert "my-role" in aws.iam.roles


def test_role_with_a_late_user_is_kept_and_completed_by_a_rerun() -> None:
    aws = FakeAws()
    create_workload(aws)
    aws.before_request("iam:DetachRolePolicy", joins(aws))
    removed = run(aws, desired(workload()), "absent")
    assert removed.failures == ()
    assert "two" in aws.iam.roles["my-role"]["trust"]
    assert names(plan(aws, desired(workload("two"))))[-1:] == [
        f"attach attachment my-role {policy_arn('my-policy')}"
    ]


def test_role_with_a_failed_last_read_is_kept() -> None:
    aws = FakeAws()
    create_workload(aws)
    aws.before_request("eks:DeletePodIdentityAssociation", lambda: aws.fail_on("iam:GetRole", DENIED, DENIED))
    removed = run(aws, desired(workload()), "absent")
    assert "my-role" in aws.iam.roles
    failure = removed.failures[0]
    assert (failure.target.label, failure.error_code) == (
        f"attachment my-role {policy_arn('my-policy')}",
        "AccessDenied",
    )


def test_repeated_conflict_names_the_user() -> None:
    aws = FakeAws()
    create_workload(aws)
    grant = TrustGrant(ACCOUNT, CLUSTER_ARN, "default", "app")
    number = 0

    def changed(request: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        role = aws.iam.roles["my-role"]
        role["trust"] = json.dumps(trust_policy({grant, replace(grant, service_account=f"x{number}")}))
        return aws.iam.GetRole(request)

    aws.replace("iam:GetRole", changed)
    removed = run(aws, desired(workload()), "absent")
    assert [failure.message for failure in removed.failures if failure.error_code == "RoleInUse"] == [
        f"iam:DetachRolePolicy: the trust policy of role {role_arn('my-role')} has changed since it was read. The request was "
        "not sent."
    ]


class Disagreeing(FakeAws):
    """A fake AWS with two replicas, of which one still has the first deleted association.

    Every other list and every description come from this replica.
    """

    deleted: tuple[dict[str, Any], dict[str, Any]] | None = None
    lists = 0

    def _answer(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "DeletePodIdentityAssociation" and self.deleted is None:
            page = super()._answer(
                "eks", "ListPodIdentityAssociations", {"clusterName": parameters["clusterName"]}
            )
            self.deleted = page, super()._answer("eks", "DescribePodIdentityAssociation", parameters)
        if operation == "DescribePodIdentityAssociation" and self.deleted is not None:
            return self.deleted[1]
        answer = super()._answer(service, operation, parameters)
        if operation == "ListPodIdentityAssociations" and self.deleted is not None:
            self.lists += 1
            return self.deleted[0] if self.lists % 2 else answer
        return answer


def test_association_deleted_by_the_run_is_not_a_user() -> None:
    aws = Disagreeing()
    create_workload(aws)
    removed = run(aws, desired(workload()), "absent")
    assert removed.failures == ()
    assert aws.state() == {"roles": {}, "policies": {}, "associations": []}
