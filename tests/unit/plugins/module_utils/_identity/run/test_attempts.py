# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test runs that need several attempts: completed changes, failures and retries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Change,
    Failure,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    merge,
    overlay,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import (
    Done,
    Journal,
    Refusal,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    desired,
    key,
    role_arn,
)

KEY = key("app")
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
    journal.start_round(Observed(HERE), Plan(changes, failures))


def attempt(result: Done | Refusal, *retryable: Target, journal: Journal | None = None) -> Journal:
    """Carry out one round with one change."""
    journal = journal or Journal()
    begin(journal, result.change)
    journal.end(result)
    journal.give_up(retryable)
    return journal


@pytest.mark.parametrize(
    "earlier", [change("r", "update", {"a": 1}, {"a": 2}), change("r", "create", None, {"arn": "x"})]
)
def test_creation_after_a_partial_attempt_is_a_change_by_itself(earlier: Change) -> None:
    creation = change("r", "create", None, {"arn": "x"})
    journal = attempt(refusal(earlier, "Half", partly=True), ROLE)
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


def test_interrupted_run_keeps_the_failures_of_its_plan() -> None:
    journal, cause = Journal(), classify("", "DEADLINE", "Late.")
    begin(journal, change(), failures=(failed("s", "create", key("web")),))
    failures = journal.cut_short(desired(), "present", HERE, cause, False).failures
    assert [(failure.target, failure.error_code) for failure in failures] == [
        (role_target("s"), "CODE"),
        (ROLE, "DEADLINE"),
    ]


def test_repeated_read_replaces_only_its_own_failures() -> None:
    def failing(*names: str, **more: Any) -> Observed:
        return Observed(HERE, failures=tuple(failed(name, "read") for name in names), **more)

    found = overlay(failing("kept", "read", roles={"other": None}), failing("new", roles={"read": None}), ())
    assert [failure.target.name for failure in found.failures] == ["kept", "new"]
    assert found.roles == {"other": None, "read": None}


def test_later_read_without_a_change_takes_the_resource_of_the_earlier_one() -> None:
    role = ObservedRole("r", role_arn("r"), "/", {})
    earlier, later = (Observed(HERE, roles={"r": found, "s": None}) for found in (role, None))
    assert merge(earlier, later, [change("r"), change("s")]).roles == {"r": role, "s": None}


@pytest.mark.parametrize("retryable", [False, True])
def test_refusal_counts_after_a_failed_read_unless_it_could_be_repeated(retryable: bool) -> None:
    refused, unread = refusal(change()), failed("s", "read")
    journal = attempt(refused, *[ROLE] * retryable)
    begin(journal, failures=(unread,))
    assert journal.failures() == ((unread,) if retryable else (unread, refused.failure))
