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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import (
    Done,
    Journal,
    Refusal,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    key,
)

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


def failed(name: str, action: Action, key: WorkloadKey = KEY) -> Failure:
    return Failure((key,), role_target(name), action, "CODE", "No.", "Ask.")


def begin(journal: Journal, *changes: Change, failures: tuple[Failure, ...] = ()) -> None:
    journal.begin(Observed(HERE), Plan(changes, failures))


def attempt(result: Done | Refusal, *retryable: Target, journal: Journal | None = None) -> Journal:
    """Carry out one round with one change."""
    journal = journal or Journal()
    begin(journal, result.change)
    journal.end(result)
    journal.give_up(retryable)
    return journal


def codes(journal: Journal) -> list[str]:
    return [failure.error_code for failure in journal.failures()]


def names(journal: Journal) -> list[str]:
    return [done.change.target.name for done in journal.done]


def test_permanent_failure_is_reported_once() -> None:
    denied = refusal(change())
    journal = attempt(denied)
    assert journal.permanent == {ROLE: denied.failure}
    attempt(Refusal(change(), replace(denied.failure, cause=None)), journal=journal)
    assert codes(journal) == ["AccessDenied"]


def test_retryable_failure_is_not_permanent() -> None:
    assert attempt(refusal(change(), "EntityAlreadyExists"), ROLE).permanent == {}


@pytest.mark.parametrize(
    ("outcome_unknown", "partly", "found"),
    [(False, False, []), (True, False, ["r"]), (False, True, ["r"])],
    ids=["known outcome", "unknown outcome", "partly done"],
)
def test_uncertain_creation_counts_as_done_once_found(
    outcome_unknown: bool, partly: bool, found: list[str]
) -> None:
    journal = attempt(refusal(change(), "EntityAlreadyExists", outcome_unknown, partly), ROLE)
    begin(journal)
    assert names(journal) == found
    assert journal.failures() == ()


def test_failed_read_proves_no_change() -> None:
    journal = attempt(refusal(change(), "Lost", outcome_unknown=True), ROLE)
    begin(journal, failures=(failed("r", "read"),))
    assert journal.done == ()
    assert codes(journal) == ["CODE", "Lost"]


def test_failure_of_other_workloads_hides_no_change() -> None:
    journal = attempt(refusal(change(), "Lost", outcome_unknown=True), ROLE)
    begin(journal, failures=(failed("x", "read", OTHER),))
    assert names(journal) == ["r"]


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
    journal = attempt(earlier, ROLE)
    begin(journal, failures=(failed("r", "update"),))
    assert codes(journal) == expected


def test_two_parts_of_an_update_are_one_change() -> None:
    first = change("r", "update", {"tags": 1, "description": "a"}, {"tags": 2, "description": "b"})
    rest = change("r", "update", {"tags": 1}, {"tags": 3})
    journal = attempt(refusal(first, "Half", partly=True), ROLE)
    attempt(Done(rest), journal=journal)
    (applied,) = journal.done
    assert applied.change.before == {"tags": 1, "description": "a"}
    assert applied.change.after == {"tags": 3, "description": "b"}
    assert journal.refusals == []


def test_refused_update_without_effect_is_no_part_of_the_later_one() -> None:
    rest = change("r", "update", {"tags": 1}, {"tags": 3})
    journal = attempt(refusal(change("r", "update", {"a": 1}, {"a": 2}), "EntityAlreadyExists"), ROLE)
    attempt(Done(rest), journal=journal)
    assert [done.change for done in journal.done] == [rest]


def test_creation_after_a_partial_update_is_a_change_by_itself() -> None:
    creation = change("r", "create", None, {"arn": "x"})
    journal = attempt(refusal(change("r", "update", {"a": 1}, {"a": 2}), "Half", partly=True), ROLE)
    attempt(Done(creation), journal=journal)
    assert [done.change for done in journal.done] == [creation]


@pytest.mark.parametrize("skipped", [False, True])
def test_partial_change_is_remembered_after_a_later_failure(skipped: bool) -> None:
    update = change("r", "update")
    journal = attempt(refusal(update, "Half", partly=True), ROLE)
    later = Refusal(update, failed("r", "update")) if skipped else refusal(update)
    attempt(later, journal=journal)
    (failure,) = journal.failures()
    assert (failure.error_code, failure.partly) == ("Half" if skipped else "AccessDenied", True)


def test_skipped_change_is_not_permanent() -> None:
    journal = attempt(Refusal(change(), failed("r", "create")))
    assert (journal.permanent, codes(journal)) == ({}, ["CODE"])
    begin(journal)
    assert codes(journal) == []
