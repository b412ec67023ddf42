# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacements, whichever of their requests is disturbed. Of a full role at most one policy is off at any moment, and none at
the end; an association is there at the end, with all that it had."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.tests.faults.faults import FAULTS, Fault
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock
from ansible_collections.workload_identity.aws.tests.faults.world import (
    ACCOUNT,
    CHANGED,
    CLUSTER,
    WORKLOADS,
    desired,
    policy,
)

OLD = [policy(f"p{number}", "s3:GetObject") for number in range(10)]
NEW = [policy(name, "s3:GetObject") for name in ("a-new", "b-new")]
FULL = desired({"namespace": "default", "service_account": "full", "role": {"name": "full"}, "policies": OLD})
SWAPPED = desired(
    {
        "namespace": "default",
        "service_account": "full",
        "role": {"name": "full"},
        "policies": [*NEW, *OLD[2:]],
    }
)
LABELS = ("throttled once", "answer lost", "404 to a write", "access denied")
ONCE = [fault for fault in FAULTS if fault.label in LABELS]
# To attach, detach and attach again: for each of the two.
REQUESTS = 8


def attached(account: Account) -> list[str]:
    role = account.control.state(ACCOUNT)["roles"]["full"]
    return sorted(arn.split("/")[-1] for arn in role["AttachedPolicies"])


def missing(names: list[str]) -> int:
    return sum({f"p{number}", NEW[number]["name"]}.isdisjoint(names) for number in range(2))


def prepare(account: Account) -> None:
    """Make a full role, and its successors' policies, so that two swaps are all that is to do."""
    if account.restored("full"):
        return
    account.complete(FULL)
    account.complete(SWAPPED)
    account.complete(FULL)
    account.keep("full")


def swap(account: Account, number: int, *rules: dict[str, object]) -> tuple[list[str], list[int]]:
    """Swap with these rules from the request ``number`` about attachments on. Return the codes of the failures, and how
    many policies were off before each of these requests."""
    seen: list[int] = []

    def look(operation: str) -> None:
        if operation in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
            seen.append(missing(attached(account)))
            if len(seen) == number:
                account.control.set_faults(rules)

    account.before_request = look
    ended = account.run(SWAPPED, clock=Clock(), width=1)
    account.before_request = None
    account.control.set_faults([])
    return [failure.error_code for failure in getattr(ended, "failures", ())], seen


@pytest.mark.parametrize("number", range(1, REQUESTS + 1))
@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.label)
def test_a_swap_that_is_disturbed_once_loses_nothing(fault: Fault, number: int, account: Account) -> None:
    prepare(account)
    _codes, seen = swap(account, number, {"kind": fault.kind, "operation": "iam:*RolePolicy", "nth": 1})
    assert max(seen) <= 1
    assert missing(attached(account)) == 0
    account.complete(SWAPPED)
    assert attached(account) == ["a-new", "b-new", *(f"p{number}" for number in range(2, 10))]


def test_a_caller_who_may_detach_but_not_attach_loses_nothing(account: Account) -> None:
    prepare(account)
    codes, seen = swap(account, 1, {"kind": "access_denied", "operation": "iam:AttachRolePolicy"})
    assert (codes, seen) == (["AccessDenied", "SKIPPED"], [0])
    assert attached(account) == sorted(f"p{number}" for number in range(10))


def test_throttling_does_not_keep_a_policy_from_coming_back(account: Account) -> None:
    prepare(account)
    codes, seen = swap(
        account,
        4,
        {"kind": "access_denied", "operation": "iam:AttachRolePolicy", "nth": 1},
        {"kind": "throttle", "operation": "iam:AttachRolePolicy", "times": 5},
    )
    assert (codes, missing(attached(account))) == (["AccessDenied", "SKIPPED"], 0)
    assert seen == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]


# The same workload with and without a session policy; a target role and a tag that the list does not have.
RESTRICTED, CLEARED = desired(WORKLOADS[3]), desired(CHANGED[3])
TARGET = "arn:aws:iam::444455556666:role/by-hand"
# To look, to create as a proof, to delete, to create.
STEPS = 4


def restrict(account: Account) -> None:
    if account.restored("restricted"):
        return
    account.complete(RESTRICTED)
    eks = account.clients["eks"]
    where = {"clusterName": CLUSTER, "namespace": "batch", "serviceAccount": "sync"}
    (one,) = eks.list_pod_identity_associations(**where)["associations"]
    eks.update_pod_identity_association(
        clusterName=CLUSTER, associationId=one["associationId"], targetRoleArn=TARGET
    )
    eks.tag_resource(resourceArn=one["associationArn"], tags={"team": "by hand"})
    account.keep("restricted")


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.label)
def test_a_replacement_of_an_association_that_is_disturbed_once_loses_nothing(
    fault: Fault, step: int, account: Account
) -> None:
    restrict(account)
    operations: list[str] = []

    def count(operation: str) -> None:
        operations.append(operation)
        # The plan takes one look at the association, and the replacement another one.
        about = [name for name in operations if name.endswith("PodIdentityAssociation")][1:]
        if len(about) == step and operation.endswith("PodIdentityAssociation"):
            account.control.set_faults([fault.rule(operation, 0, 1)])

    account.before_request = count
    account.run(CLEARED, clock=Clock(), width=1)
    account.before_request = None
    left = account.facets()["association", "batch/sync"]
    assert (left["targetRoleArn"], left["tags"]["team"]) == (TARGET, "by hand")
    account.complete(CLEARED)
    left = account.facets()["association", "batch/sync"]
    assert (left["targetRoleArn"], left["tags"]["team"], "policy" in left) == (TARGET, "by hand", False)
