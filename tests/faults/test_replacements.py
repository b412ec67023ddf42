# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test replacements of policies, with a fault at each request.

A role with ten policies, the quota of IAM, can get another policy only after one is detached. At most one policy may be missing
at a time, and none at the end.
"""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.faults.faults import FAULTS, Fault
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, desired, policy

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
# For each of two policies, the run sends two requests: a detachment, and the attachment.
REQUESTS = 4


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


def test_denied_attachment_of_both_policies_names_the_missing_one(account: Account) -> None:
    """Deny all attachments, so that the policy that made room cannot be attached again. Only one policy is lost, and named."""
    prepare(account)
    account.control.set_faults([{"kind": "access_denied", "operation": "iam:AttachRolePolicy"}])
    ended = account.run(SWAPPED, clock=Clock(), width=1)
    assert isinstance(ended, Run)
    assert [failure.error_code for failure in ended.failures] == ["AccessDenied", "SKIPPED"]
    (lost,) = {f"p{number}" for number in range(10)} - set(attached(account))
    assert any(
        f"policy/{lost} was detached to make room for the new policy, and could not be attached again"
        in failure.message
        for failure in ended.failures
    )
    account.complete(SWAPPED)
    assert missing(attached(account)) == 0


def test_throttled_rollback_restores_policy(account: Account) -> None:
    prepare(account)
    codes, seen = swap(
        account,
        2,
        {"kind": "access_denied", "operation": "iam:AttachRolePolicy", "nth": 1},
        {"kind": "throttle", "operation": "iam:AttachRolePolicy", "times": 5},
    )
    assert (codes, missing(attached(account))) == (["AccessDenied", "SKIPPED"], 0)
    assert seen == [0, 1, 1, 1, 1, 1, 1, 1]
