# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the quota of attached policies. Unmanaged policies count. A run that would exceed the quota fails before any change."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Failure,
    role_target,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    desired,
    engine,
    key,
    policy,
    policy_arn,
    run,
    workload,
)

SUMMARY = "iam:GetAccountSummary"
ROLE_ARN = "arn:aws:iam::111122223333:role/my-role"


def with_foreign_policies(count: int) -> FakeAws:
    """Return an account with a managed role, to which other tools have attached ``count`` policies."""
    aws = FakeAws()
    run(aws, desired(workload()))
    for arn in foreign(count):
        aws.iam.policies[arn] = aws.iam.policies[policy_arn("my-policy")]
        aws.iam.roles["my-role"]["attached"].append(arn)
    aws.requests.clear()
    return aws


REMEDY = (
    "Detach unneeded policies, merge some of the listed policies, or request an increase of the quota "
    "'Managed policies per role'."
)


def foreign(count: int) -> list[str]:
    return [f"arn:aws:iam::aws:policy/Foreign{number}" for number in range(count)]


def with_policies(*names: str, **options: Any) -> Any:
    return desired(workload(policies=[policy(), *map(policy, names)]), **options)


@pytest.mark.parametrize("check_mode", [True, False])
def test_policy_over_quota_fails_before_any_change(check_mode: bool) -> None:
    aws = with_foreign_policies(8)
    spec = with_policies("new", "newer")
    outcome = engine(aws, spec).run(spec, "present", check_mode)
    assert (outcome.done, aws.writes) == ((), [])
    failure = Failure(
        (key("app"),),
        role_target("my-role"),
        "update",
        "ROLE_POLICIES_OVER_QUOTA",
        f"role {ROLE_ARN} would have 11 policies; 10 are allowed. Attached but not listed: {', '.join(foreign(8))}.",
        f"{REMEDY} ⟨purge_policies⟩: true detaches the unlisted policies.",
    )
    assert outcome.failures == (failure,)
    assert policy_arn("new") not in aws.iam.policies


def test_does_not_read_the_quota_below_the_default() -> None:
    aws = with_foreign_policies(8)
    assert run(aws, with_policies("new")).failures == ()
    assert len(aws.iam.roles["my-role"]["attached"]) == 10
    assert aws.parameters(SUMMARY) == []


@pytest.mark.parametrize(
    ("names", "options"),
    [((), {}), (("new", "newer"), {"purge_policies": True})],
    ids=["no new policy", "other policies are detached"],
)
def test_full_role_without_new_attachments_succeeds(names: tuple[str, ...], options: dict[str, Any]) -> None:
    aws = with_foreign_policies(9)
    assert run(aws, with_policies(*names, **options)).failures == ()
    assert aws.parameters(SUMMARY) == []


def test_uses_the_raised_quota_of_the_account() -> None:
    aws = with_foreign_policies(9)
    aws.replace(SUMMARY, lambda _asked: {"SummaryMap": {"AttachedPoliciesPerRoleQuota": 11}})
    planned = engine(aws, with_policies("new")).run(with_policies("new"), "present", check_mode=True)
    assert (planned.failures, [change.action for change in planned.plan.changes]) == (
        (),
        ["create", "attach"],
    )
    (failure,) = run(aws, with_policies("new", "newer")).failures
    assert "; 11 are allowed. " in failure.message
    assert aws.writes == []


def test_listed_policies_over_quota_fail() -> None:
    spec = with_policies(*map(str, range(10)))
    (failure,) = run(with_foreign_policies(0), spec).failures
    assert failure.message == f"role {ROLE_ARN} would have 11 policies; 10 are allowed."
    assert failure.remedy == REMEDY


@pytest.mark.parametrize(("attached", "limit"), [(10, 11), (9, 10)])
def test_unreadable_quota_may_have_been_raised(attached: int, limit: int) -> None:
    """Deny the read of the quota. If a role already has more policies than the default, the quota has been raised."""
    aws = with_foreign_policies(attached)
    aws.fail_on(SUMMARY, classify(SUMMARY, "AccessDenied", "not authorized"))
    (failure,) = run(aws, with_policies("new")).failures
    assert (
        f"; {limit} are assumed to be allowed, because iam:GetAccountSummary did not return the quota of the account. "
    ) in failure.message
    assert aws.writes == []


def test_workload_without_new_policies_succeeds_on_a_full_role() -> None:
    aws = with_foreign_policies(9)
    other = workload("web")
    joining = workload(policies=[policy(), policy("new")])
    outcome = run(aws, desired(joining, other))
    assert [(failure.error_code, list(map(str, failure.workloads))) for failure in outcome.failures] == [
        ("ROLE_POLICIES_OVER_QUOTA", ["default/app"])
    ]
    assert [done.change.target.label for done in outcome.done] == [
        "trust_policy my-role",
        "association default/web",
    ]
    extra = [finding.message for finding in outcome.findings if finding.code == "POLICY_ATTACHED_EXTRA"]
    assert len(extra) == len(set(extra)) == 9
