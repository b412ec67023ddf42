# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every request to AWS of a task, disturbed in every way: nothing is lost, and the next run completes it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from unittest import mock

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws import client
from ansible_collections.workload_identity.aws.tests.faults.faults import FAULTS, Fault
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    Asked,
    Clock,
    Played,
    Usual,
    check_outcome,
    differences,
)
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH, chosen, some
from ansible_collections.workload_identity.aws.tests.faults.scenarios import SCENARIOS, undisturbed

# The answer of a stalled request begins after so many seconds, and an attempt may take so many.
STALL_SECONDS = 0.6
ATTEMPT_SECONDS = 0.3
# Ten seconds of throttling, a hundred times as fast.
SCALE = 0.01
# A list without end is given up after so many pages, instead of a thousand.
MOST_PAGES = 50
# Each fault is as many tests, so that workers share it.
PARTS = 8 if THOROUGH else 2
# The short form takes one of so many operations for a fault that is like another one.
ALIKE = 16


# What a fault that passes may leave to the next run: where the request is the second of a change whose first was done, or
# the first whose failure the second meets. It is told.
LEFT_OPEN = {
    ("404 to a write", "eks:CreatePodIdentityAssociation"),
    ("404 to a write", "iam:DeletePolicyVersion"),
}

Cell = tuple[str, int]


@pytest.fixture(scope="session")
def usual(shared_account: Account) -> Mapping[str, Usual]:
    """Each task without faults."""
    return {name: undisturbed(shared_account, name) for name in SCENARIOS}


def disturb(account: Account, asked: Asked, fault: Fault, number: int) -> Played:
    """The task with a fault at its ``number``-th request."""
    lock = threading.Lock()
    sent = 0

    def count(operation: str) -> None:
        nonlocal sent
        with lock:
            sent += 1
            if sent == number:
                account.control.set_faults([fault.rule(operation, STALL_SECONDS, SCALE)])

    account.before_request = count
    # A fault of all requests meets those of other threads as well.
    width, clock = (4, Clock(SCALE)) if fault.seconds else (1, Clock())
    attempt_seconds = ATTEMPT_SECONDS if fault.kind == "stall" else 60
    with mock.patch.object(client, "MOST_PAGES", MOST_PAGES):
        played = account.play(asked, width=width, clock=clock, attempt_seconds=attempt_seconds)
    account.before_request = None
    account.control.set_faults([])
    return played


def cells(fault: Fault, usual: Mapping[str, Usual]) -> list[Cell]:
    """The scenarios and requests to disturb. The short form takes each operation once, in one of the scenarios;
    of the faults that are like others, it meets some, at least one."""
    by_operation: dict[str, list[Cell]] = {}
    for name, normal in usual.items():
        for number, operation in enumerate(normal.operations, 1):
            if fault.strikes(operation):
                by_operation.setdefault(operation, []).append((name, number))
    if THOROUGH:
        return [
            cell for operation, found in by_operation.items() for cell in _thorough(fault, operation, found)
        ]
    operations = some(by_operation, fault.label, ALIKE if fault.alike else 1)
    return [
        by_operation[operation][chosen(fault.label, operation, among=len(by_operation[operation]))]
        for operation in operations
    ]


def _thorough(fault: Fault, operation: str, found: list[Cell]) -> list[Cell]:
    """All requests; those that a lasting fault begins at, once for each scenario."""
    if not fault.lasts:
        return found
    by_scenario: dict[str, list[Cell]] = {}
    for cell in found:
        by_scenario.setdefault(cell[0], []).append(cell)
    return [some[chosen(fault.label, operation, name, among=len(some))] for name, some in by_scenario.items()]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.label)
def test_a_disturbed_run_loses_nothing(
    fault: Fault,
    part: int,
    account: Account,
    usual: Mapping[str, Usual],
    record_property: Callable[[str, object], None],
) -> None:
    counts: Counter[str] = Counter()
    problems = []
    for name, number in cells(fault, usual)[part::PARTS]:
        scenario, normal = SCENARIOS[name], usual[name]
        scenario.prepare(account)
        played = disturb(account, scenario.asked, fault, number)
        counts["runs"] += 1
        try:
            how = check_outcome(played, normal, account.facets())
            counts[how] += 1
            # What passes is got over within one run; a refusal is final, and so is what lasts.
            left_open = (fault.label, normal.operations[number - 1]) in LEFT_OPEN
            assert how == "well" or not fault.passes or left_open, played.message
            again = account.play(scenario.asked)
            assert again.message == "", again.message
            wrong = differences(account.facets(), normal.goal)
            assert not wrong, wrong
            counts["converged"] += 1
        except AssertionError as error:
            counts["lost"] += 1
            problems.append(f"{name}, request {number} ({normal.operations[number - 1]}): {error}")
    record_property("faults", {"kind": fault.label, **counts})
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
