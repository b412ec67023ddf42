# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test runs that need several attempts: completed changes, failures and retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Change,
    Failure,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import (
    Attempts,
    Done,
    Outcome,
    Refusal,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import key

KEY = key("app")
OTHER = key("other")
ROLE = role_target("r")


def change(
    name: str = "r",
    action: Action = "create",
    initial: Mapping[str, object] | None = None,
    updated: Mapping[str, object] | None = None,
) -> Change:
    return Change(1, role_target(name), action, (KEY,), initial, updated, ())


def refusal(
    planned: Change, code: str = "AccessDenied", outcome_unknown: bool = False, partly: bool = False
) -> Refusal:
    cause = classify("iam:CreateRole", code, "No.", outcome_unknown=outcome_unknown)
    return Refusal(
        planned,
        Failure(planned.workloads, planned.target, planned.action, code, "No.", "Ask.", partly, cause),
    )


def refused(*refusals: Refusal) -> Outcome:
    return Outcome((), refusals)


def failed(name: str, action: Action, key: WorkloadKey = KEY) -> Failure:
    return Failure((key,), role_target(name), action, "CODE", "No.", "Ask.")


def codes(rounds: Attempts, plan: Plan, outcome: Outcome) -> list[str]:
    return [failure.error_code for failure in rounds.failures(plan, outcome)]


def test_permanent_failure_is_reported_once() -> None:
    rounds, denied = Attempts(), refusal(change())
    rounds.add(refused(denied), retryable=())
    assert rounds.permanent == {ROLE: denied.failure}
    plan = Plan((change(),))
    rounds.drop_unplanned(plan)
    again = refused(Refusal(change(), replace(denied.failure, cause=None)))
    rounds.add(again, retryable=())
    assert codes(rounds, plan, again) == ["AccessDenied"]


def test_retryable_failure_is_not_permanent() -> None:
    rounds = Attempts()
    rounds.add(refused(refusal(change(), "EntityAlreadyExists")), retryable=(ROLE,))
    assert rounds.permanent == {}


@pytest.mark.parametrize(
    ("outcome_unknown", "partly", "names"),
    [(False, False, []), (True, False, ["r"]), (False, True, ["r"])],
    ids=["known outcome", "unknown outcome", "partly done"],
)
def test_uncertain_creation_counts_as_done_once_found(
    outcome_unknown: bool, partly: bool, names: list[str]
) -> None:
    rounds = Attempts()
    rounds.add(refused(refusal(change(), "EntityAlreadyExists", outcome_unknown, partly)), retryable=(ROLE,))
    rounds.drop_unplanned(Plan())
    assert [done.change.target.name for done in rounds.done] == names
    assert rounds.failures(Plan(), Outcome((), ())) == ()


def test_failed_read_proves_no_change() -> None:
    rounds = Attempts()
    rounds.add(refused(refusal(change(), "Lost", outcome_unknown=True)), retryable=(ROLE,))
    plan = Plan((), (failed("r", "read"),))
    rounds.drop_unplanned(plan)
    assert rounds.done == []
    assert codes(rounds, plan, Outcome((), ())) == ["CODE", "Lost"]


def test_failure_of_other_workloads_hides_no_change() -> None:
    rounds = Attempts()
    rounds.add(refused(refusal(change(), "Lost", outcome_unknown=True)), retryable=(ROLE,))
    rounds.drop_unplanned(Plan((), (failed("x", "read", OTHER),)))
    assert [done.change.target.name for done in rounds.done] == ["r"]


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        pytest.param(refusal(change(), "EntityAlreadyExists"), ["CODE"], id="a conflict"),
        pytest.param(
            refusal(change(), "EntityAlreadyExists", outcome_unknown=True),
            ["CODE"],
            id="conflict that the run may have caused",
        ),
        pytest.param(refusal(change(), "Half", partly=True), ["CODE", "Half"], id="partly done"),
    ],
)
def test_failure_in_the_later_plan_replaces_the_conflict(earlier: Refusal, expected: list[str]) -> None:
    rounds = Attempts()
    rounds.add(refused(earlier), retryable=(ROLE,))
    plan = Plan((), (failed("r", "update"),))
    rounds.drop_unplanned(plan)
    assert codes(rounds, plan, Outcome((), ())) == expected


def test_two_parts_of_an_update_are_one_change() -> None:
    rounds = Attempts()
    first = change("r", "update", {"tags": 1, "description": "a"}, {"tags": 2, "description": "b"})
    rest = change("r", "update", {"tags": 1}, {"tags": 3})
    rounds.add(refused(refusal(first, "Half", partly=True)), retryable=(ROLE,))
    rounds.drop_unplanned(Plan((rest,)))
    rounds.add(Outcome((Done(rest),), ()), retryable=())
    (applied,) = rounds.done
    assert applied.change.before == {"tags": 1, "description": "a"}
    assert applied.change.after == {"tags": 3, "description": "b"}
    assert rounds.pending == {}


def test_creation_after_a_partial_update_is_a_change_by_itself() -> None:
    rounds, creation = Attempts(), change("r", "create", None, {"arn": "x"})
    rounds.add(refused(refusal(change("r", "update", {"a": 1}, {"a": 2}), "Half", partly=True)), (ROLE,))
    rounds.add(Outcome((Done(creation),), ()), retryable=())
    assert [done.change for done in rounds.done] == [creation]


def test_partial_change_is_remembered_after_a_later_failure() -> None:
    rounds = Attempts()
    rounds.add(refused(refusal(change("r", "update"), "Half", partly=True)), retryable=(ROLE,))
    plan = Plan((change("r", "update"),))
    rounds.drop_unplanned(plan)
    last = refused(refusal(change("r", "update")))
    rounds.add(last, retryable=())
    (failure,) = rounds.failures(plan, last)
    assert (failure.error_code, failure.partly) == ("AccessDenied", True)


def test_skipped_change_is_neither_permanent_nor_pending() -> None:
    rounds = Attempts()
    skipped = Refusal(change(), failed("r", "create"))
    rounds.add(refused(skipped), retryable=())
    assert (rounds.permanent, rounds.pending) == ({}, {})
