# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies that others attached take up the quota of a role: what has no room stops before any change."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    desired,
    engine,
    policy,
    policy_arn,
    run,
    workload,
)

SUMMARY = "iam:GetAccountSummary"
ROLE_ARN = "arn:aws:iam::111122223333:role/my-role"


def attached_by_others(count: int) -> FakeAws:
    """An account with my-role, made here for default/app, to which others have attached more."""
    aws = FakeAws()
    run(aws, desired(workload()))
    for arn in foreign(count):
        aws.iam.policies[arn] = aws.iam.policies[policy_arn("my-policy")]
        aws.iam.roles["my-role"]["attached"].append(arn)
    aws.requests.clear()
    return aws


def foreign(count: int) -> list[str]:
    return [f"arn:aws:iam::aws:policy/Foreign{number}" for number in range(count)]


def wanting(*names: str, **options: Any) -> Any:
    return desired(workload(policies=[policy(), *map(policy, names)]), **options)


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_policy_without_room_stops_its_workload_before_any_change(check_mode: bool) -> None:
    aws = attached_by_others(8)
    wanted = wanting("new", "newer")
    made = engine(aws, wanted).run(wanted, "present", check_mode)
    assert (made.done, aws.writes) == ((), [])
    (failure,) = made.failures
    assert (failure.error_code, failure.target.label, list(map(str, failure.workloads))) == (
        "ROLE_POLICIES_OVER_QUOTA",
        "role my-role",
        ["default/app"],
    )
    assert failure.message == (
        f"role {ROLE_ARN} would have 11 policies, 8 of them attached but not listed ({', '.join(foreign(8))}); 10 are allowed."
    )
    assert failure.remedy == (
        "Detach the unneeded ones (⟨purge_policies⟩: true does, unless the trust policy of the role names "
        "workloads outside the run), merge some of the listed policies, or request an increase of the quota 'Managed policies "
        "per role'."
    )
    assert policy_arn("new") not in aws.iam.policies


def test_what_fits_costs_no_request_for_the_quota() -> None:
    aws = attached_by_others(8)
    assert run(aws, wanting("new")).failures == ()
    assert len(aws.iam.roles["my-role"]["attached"]) == 10
    assert aws.parameters(SUMMARY) == []


@pytest.mark.parametrize(
    ("names", "options"),
    [((), {}), (("new", "newer"), {"purge_policies": True})],
    ids=["nothing joins", "others leave"],
)
def test_a_full_role_is_no_obstacle_where_nothing_needs_room(
    names: tuple[str, ...], options: dict[str, Any]
) -> None:
    aws = attached_by_others(9)
    assert run(aws, wanting(*names, **options)).failures == ()
    assert aws.parameters(SUMMARY) == []


def test_a_raised_quota_of_the_account_counts() -> None:
    aws = attached_by_others(9)
    aws.replace(SUMMARY, lambda _asked: {"SummaryMap": {"AttachedPoliciesPerRoleQuota": 11}})
    planned = engine(aws, wanting("new")).run(wanting("new"), "present", check_mode=True)
    assert (planned.failures, [change.action for change in planned.plan.changes]) == (
        (),
        ["create", "attach"],
    )
    (failure,) = run(aws, wanting("new", "newer")).failures
    assert failure.message.endswith("; 11 are allowed.")
    assert aws.writes == []


@pytest.mark.parametrize(("others", "limit"), [(10, 11), (9, 10)])
def test_a_quota_that_the_caller_is_not_told_may_have_been_raised(others: int, limit: int) -> None:
    """What a role has shows how many are allowed at least."""
    aws = attached_by_others(others)
    aws.fail_on(SUMMARY, classify(SUMMARY, "AccessDenied", "not authorized"))
    (failure,) = run(aws, wanting("new")).failures
    assert failure.message.endswith(
        f"; {limit} are allowed by default (iam:GetAccountSummary returns the quota of the account)."
    )
    assert aws.writes == []


def test_who_shares_the_role_and_asks_for_nothing_new_goes_on() -> None:
    aws = attached_by_others(9)
    other = workload("web")
    joining = workload(policies=[policy(), policy("new")])
    made = run(aws, desired(joining, other))
    assert [(failure.error_code, list(map(str, failure.workloads))) for failure in made.failures] == [
        ("ROLE_POLICIES_OVER_QUOTA", ["default/app"]),
        ("SKIPPED", ["default/app"]),
    ]
    assert [done.change.target.label for done in made.done] == [
        "trust_policy my-role",
        "association default/web",
    ]
    extra = [finding.message for finding in made.findings if finding.code == "POLICY_ATTACHED_EXTRA"]
    assert len(extra) == len(set(extra)) == 9


def test_a_role_that_is_given_has_its_quota_too() -> None:
    """It is never purged, so the remedy does not say so."""
    aws = attached_by_others(9)
    given = workload("web", role={"arn": ROLE_ARN, "extend_trust": True}, policies=[policy("new")])
    (failure,) = run(aws, desired(given)).failures
    assert (failure.error_code, "purge_policies" in failure.remedy) == ("ROLE_POLICIES_OVER_QUOTA", False)
    assert failure.message.startswith(
        f"role {ROLE_ARN} would have 11 policies, 10 of them attached but not listed"
    )
    assert aws.writes == []
