# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the findings about roles and policies that a run without purge no longer uses, but does not delete."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    CLUSTER_TAG,
    OWNER_TAG,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    OTHER_CLUSTER_ARN,
    OWNED,
    POLICY_TAGS,
    REGION,
    FakeAws,
    create_association,
    create_role,
    desired,
    engine,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

DENIED = classify("x", "AccessDenied", "User is not authorized")
PURGE = "run for this cluster alone with ⟨purge⟩: true"
PLACE = f"cluster {CLUSTER} (account {ACCOUNT}, region {REGION})"
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"


def converged_account(*workloads: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*workloads, **options)).failures == ()
    aws.requests.clear()
    return aws


def left_messages(done: Run) -> list[tuple[str, str, str, str]]:
    return [
        (str(finding.code), finding.severity, finding.message, finding.remedy)
        for finding in done.findings
        if finding.code == "RESOURCE_KEPT"
    ]


def converge(aws: FakeAws, *workloads: dict[str, Any], check_mode: bool = False, **options: Any) -> Run:
    spec = desired(*workloads, **options)
    done = engine(aws, spec).run(spec, "present", check_mode)
    assert done.failures == ()
    return done


# Tests of roles from which an association changes to another role

OLD = workload(role={"name": "old"}, policies=None)
NEW = workload(role={"name": "new"}, policies=None)
LEFT = (
    "RESOURCE_KEPT",
    "info",
    f"role {role_arn('old')} is managed by this collection, and is no longer used by default/app. It is kept, with its trust "
    "policy and its policies.",
    f"Restart the Pods that may still hold its credentials. A later {PURGE} removes the role if it is unused.",
)
DELETE = (
    "the non-default versions of the policy, then the policy itself: aws iam delete-policy --policy-arn "
    f"{policy_arn('old')}"
)


def another_owner(aws: FakeAws) -> None:
    aws.iam.roles["old"]["tags"] |= {OWNER_TAG: "y"}


def not_managed(aws: FakeAws) -> None:
    aws.iam.roles["old"]["tags"] = {}


def another_user(aws: FakeAws) -> None:
    create_association(aws, "other", "old")


def another_cluster(aws: FakeAws) -> None:
    trust = json.loads(aws.iam.roles["old"]["trust"])
    (statement,) = trust["Statement"]
    remote = json.loads(json.dumps(statement).replace(f"cluster/{CLUSTER}", "cluster/other-cluster"))
    aws.iam.roles["old"]["trust"] = json.dumps({**trust, "Statement": [statement, remote]})


def not_readable(aws: FakeAws) -> None:
    def deny(parameters: Any) -> dict[str, Any]:
        if parameters["RoleName"] == "old":
            raise DENIED
        return aws.iam.GetRole(parameters)

    aws.replace("iam:GetRole", deny)


def test_does_not_report_a_role_of_another_listed_workload() -> None:
    other = workload("other", role={"name": "old"}, policies=None)
    assert left_messages(converge(converged_account(OLD, other), NEW, other)) == []


def test_failed_move_leaves_no_role() -> None:
    aws = converged_account(OLD)
    aws.fail_on("eks:UpdatePodIdentityAssociation", DENIED)
    assert left_messages(run(aws, desired(NEW))) == []


# Tests of policies that a run detaches


def with_policy(name: str, service_account: str = "app", **more: Any) -> dict[str, Any]:
    return workload(
        service_account, role={"name": f"role-{service_account}"}, policies=[policy(name)], **more
    )


@pytest.mark.parametrize("check_mode", [True, False])
def test_reports_an_unattached_policy(check_mode: bool) -> None:
    done = converge(converged_account(with_policy("old")), with_policy("new"), check_mode=check_mode)
    assert left_messages(done) == [
        (
            "RESOURCE_KEPT",
            "info",
            f"policy {policy_arn('old')} is managed by this collection, and is no longer attached. It is kept in IAM.",
            f"A {PURGE} deletes it.",
        )
    ]


@pytest.mark.parametrize(
    ("tags", "remedy"),
    [
        (OWNED, f"Delete {DELETE}"),
        (
            POLICY_TAGS | {CLUSTER_TAG: OTHER_CLUSTER_ARN},
            f"The policy was created for cluster {OTHER_CLUSTER_ARN}: {PURGE}. Or delete {DELETE}",
        ),
    ],
)
def test_unattached_policy_of_another_cluster_has_a_command(tags: dict[str, str], remedy: str) -> None:
    aws = converged_account(with_policy("old"))
    aws.iam.policies[policy_arn("old")]["tags"] = tags
    assert [row[-1] for row in left_messages(converge(aws, with_policy("new")))] == [remedy]


def attached_elsewhere(aws: FakeAws) -> None:
    create_role(aws, "theirs", attached=(policy_arn("old"),))


def boundary_elsewhere(aws: FakeAws) -> None:
    create_role(aws, "theirs", PermissionsBoundary=policy_arn("old"))


def policy_of_another_owner(aws: FakeAws) -> None:
    aws.iam.policies[policy_arn("old")]["tags"] |= {OWNER_TAG: "y"}


@pytest.mark.parametrize(
    "change", [attached_elsewhere, boundary_elsewhere, policy_of_another_owner], ids=lambda one: one.__name__
)
def test_does_not_report_a_policy_with_possible_users(change: Callable[[FakeAws], None]) -> None:
    aws = converged_account(with_policy("old"))
    change(aws)
    assert left_messages(converge(aws, with_policy("new"))) == []


def test_does_not_report_a_policy_moved_to_another_role() -> None:
    aws = converged_account(with_policy("one"), with_policy("two", "web"))
    assert left_messages(converge(aws, with_policy("two"), with_policy("one", "web"))) == []


def test_reports_a_policy_detached_from_two_roles_once() -> None:
    aws = converged_account(with_policy("old"), with_policy("old", "web"))
    assert len(left_messages(converge(aws, with_policy("new"), with_policy("new", "web")))) == 1


# Tests of roles without a workload, which a bulk read finds


def many(**more: Any) -> list[dict[str, Any]]:
    """Return twelve workloads, which are enough for a run to read roles and policies in bulk."""
    return [
        workload(f"s{number}", role={"name": f"r{number}"}, policies=[policy(f"p{number}")], **more)
        for number in range(12)
    ]


def orphaned(**role: Any) -> FakeAws:
    """Return an account with a role whose workload is no longer in the list and has no association."""
    orphan = workload("gone", role={"name": "gone", **role}, policies=None)
    aws = converged_account(*many(), orphan)
    aws.eks.associations = {
        identifier: association
        for identifier, association in aws.eks.associations.items()
        if association["serviceAccount"] != "gone"
    }
    return aws


UNUSED = (
    "RESOURCE_KEPT",
    "warning",
    f"1 role that this collection manages for {PLACE} is unused: gone.",
    f"A {PURGE} removes unused resources; its check mode lists them.",
)


def test_short_list_does_not_read_roles_without_workload() -> None:
    aws = orphaned()
    assert left_messages(converge(aws, *many()[:2])) == []


def still_listed_elsewhere(aws: FakeAws) -> None:
    """Create ten associations, then one with the role. A run reads only the first ten, so it does not find this user."""
    for number in range(10):
        create_association(aws, f"a{number}", "x")
    create_association(aws, "gone", "gone")


def used_by_an_addon(aws: FakeAws) -> None:
    create_association(aws, "gone", "gone", ownerArn=ADDON)


def used_by_another(aws: FakeAws) -> None:
    create_association(aws, "another", "gone")


def orphan_of_another_owner(aws: FakeAws) -> None:
    aws.iam.roles["gone"]["tags"] |= {OWNER_TAG: "y"}


def orphan_is_not_managed(aws: FakeAws) -> None:
    aws.iam.roles["gone"]["tags"] = {}


@pytest.mark.parametrize(
    "change",
    [
        still_listed_elsewhere,
        used_by_an_addon,
        used_by_another,
        orphan_of_another_owner,
        orphan_is_not_managed,
    ],
    ids=lambda one: one.__name__,
)
def test_does_not_report_a_role_with_a_possible_workload(change: Callable[[FakeAws], None]) -> None:
    aws = orphaned()
    change(aws)
    assert left_messages(converge(aws, *many())) == []


@pytest.mark.parametrize("change", [still_listed_elsewhere, used_by_an_addon], ids=lambda one: one.__name__)
def test_role_with_a_wide_grant_is_not_reported_if_associations_are_unknown(
    change: Callable[[FakeAws], None],
) -> None:
    aws = orphaned(trust_scope="cluster")
    change(aws)
    assert left_messages(converge(aws, *many())) == []


def test_unlistable_cluster_has_no_report_of_roles() -> None:
    aws = orphaned()
    aws.fail_on("eks:ListPodIdentityAssociations", DENIED)
    spec = desired(*many())
    assert left_messages(engine(aws, spec).run(spec, "present", check_mode=True)) == []
