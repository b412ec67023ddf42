# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test replacements of policies and associations, with a fault at each request.

A role with ten policies, the quota of IAM, can get another policy only after one is detached. At most one policy may be missing
at a time, and none at the end. A replaced association exists at the end, with all of its settings.
"""

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
# For each of two policies, the run sends four requests: two attachments, which show whether the caller may attach the policies, a
# detachment, and the attachment.
REQUESTS = 8


def attached(account: Account) -> list[str]:
    role = account.control.state(ACCOUNT)["roles"]["full"]
    return sorted(arn.split("/")[-1] for arn in role["AttachedPolicies"])


def missing(names: list[str]) -> int:
    return sum({f"p{number}", NEW[number]["name"]}.isdisjoint(names) for number in range(2))


def prepare(account: Account) -> None:
    """Create a role with ten policies, and the policies that will replace two of them."""
    if account.restored("full"):
        return
    account.complete(FULL)
    account.complete(SWAPPED)
    account.complete(FULL)
    account.save("full")


def swap(account: Account, number: int, *rules: dict[str, object]) -> tuple[list[str], list[int]]:
    """Replace two policies of the role, and set fault rules at the ``number``-th request to attach or detach a policy.

    Return the codes of the failures, and for each of these requests the number of policies that were missing before it.
    """
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
def test_swap_with_fault_keeps_policies(fault: Fault, number: int, account: Account) -> None:
    prepare(account)
    _codes, seen = swap(account, number, {"kind": fault.kind, "operation": "iam:*RolePolicy", "nth": 1})
    assert max(seen) <= 1
    assert missing(attached(account)) == 0
    account.complete(SWAPPED)
    assert attached(account) == ["a-new", "b-new", *(f"p{number}" for number in range(2, 10))]


def test_denied_attachment_keeps_policies(account: Account) -> None:
    prepare(account)
    codes, seen = swap(account, 1, {"kind": "access_denied", "operation": "iam:AttachRolePolicy"})
    assert (codes, seen) == (["AccessDenied", "SKIPPED"], [0])
    assert attached(account) == sorted(f"p{number}" for number in range(10))


def test_throttled_rollback_restores_policy(account: Account) -> None:
    prepare(account)
    codes, seen = swap(
        account,
        4,
        {"kind": "access_denied", "operation": "iam:AttachRolePolicy", "nth": 1},
        {"kind": "throttle", "operation": "iam:AttachRolePolicy", "times": 5},
    )
    assert (codes, missing(attached(account))) == (["AccessDenied", "SKIPPED"], 0)
    assert seen == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]


# A workload with a session policy, and the same workload without it. TARGET is set by hand and is not in the list of workloads.
RESTRICTED, CLEARED = desired(WORKLOADS[3]), desired(CHANGED[3])
TARGET = "arn:aws:iam::444455556666:role/by-hand"
# The requests of a replacement: describe, create (which shows whether the caller may create), delete, create.
STEPS = 4


def restrict(account: Account) -> None:
    if account.restored("restricted"):
        return
    account.complete(RESTRICTED)
    eks = account.clients["eks"]
    key = {"clusterName": CLUSTER, "namespace": "batch", "serviceAccount": "sync"}
    (association,) = eks.list_pod_identity_associations(**key)["associations"]
    eks.update_pod_identity_association(
        clusterName=CLUSTER, associationId=association["associationId"], targetRoleArn=TARGET
    )
    eks.tag_resource(resourceArn=association["associationArn"], tags={"team": "by hand"})
    account.save("restricted")


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.label)
def test_association_replacement_with_fault_keeps_settings(fault: Fault, step: int, account: Account) -> None:
    restrict(account)
    operations: list[str] = []

    def count(operation: str) -> None:
        operations.append(operation)
        # The first of these requests belongs to the plan, the others to the replacement.
        about = [name for name in operations if name.endswith("PodIdentityAssociation")][1:]
        if len(about) == step and operation.endswith("PodIdentityAssociation"):
            account.control.set_faults([fault.rule(operation, 0, 1)])

    account.before_request = count
    account.run(CLEARED, clock=Clock(), width=1)
    account.before_request = None
    remaining = account.facets()["association", "batch/sync"]
    assert (remaining["targetRoleArn"], remaining["tags"]["team"]) == (TARGET, "by hand")
    account.complete(CLEARED)
    remaining = account.facets()["association", "batch/sync"]
    assert (remaining["targetRoleArn"], remaining["tags"]["team"], "policy" in remaining) == (
        TARGET,
        "by hand",
        False,
    )
