# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inject faults into requests of a run to AWS. No resource may be lost, and the next run must reach the goal state."""

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
    Baseline,
    Clock,
    TaskOutcome,
    TaskSpec,
    check_outcome,
    differences,
)
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH, chosen, some
from ansible_collections.workload_identity.aws.tests.faults.scenarios import SCENARIOS, undisturbed

# A stalled response takes longer than the timeout of an attempt.
STALL_SECONDS = 0.6
ATTEMPT_SECONDS = 0.3
# A simulated second of throttling takes this number of real seconds.
SCALE = 0.01
# Reduce the maximum number of pages of a list, so that endless lists end sooner than in the modules.
MOST_PAGES = 50
# Each fault has this number of tests, so that pytest can distribute them among its processes.
PARTS = 8 if THOROUGH else 2
# Without TIER=release, tests apply faults to one in this number of operations, and sampled faults to one in the second number.
SHARE, SAMPLING = 6, 24


# Transient faults after which a run may report a failure instead of succeeding. Each operation here is the second of two changes
# that depend on each other.
REPORTED_ONLY = {
    ("404 to a write", "eks:CreatePodIdentityAssociation"),
    ("404 to a write", "iam:DeletePolicyVersion"),
}

Cell = tuple[str, int]


@pytest.fixture(scope="session")
def baseline(shared_account: Account) -> Mapping[str, Baseline]:
    return {name: undisturbed(shared_account, name) for name in SCENARIOS}


def disturb(account: Account, spec: TaskSpec, fault: Fault, number: int) -> TaskOutcome:
    """Run the engine as ``spec`` describes, with a fault at the ``number``-th request."""
    lock = threading.Lock()
    sent = 0

    def count(operation: str) -> None:
        nonlocal sent
        with lock:
            sent += 1
            if sent == number:
                account.control.set_faults([fault.rule(operation, STALL_SECONDS, SCALE)])

    account.before_request = count
    # A fault with a duration affects all requests in this time, so use several threads.
    width, clock = (4, Clock(SCALE)) if fault.seconds else (1, Clock())
    attempt_seconds = ATTEMPT_SECONDS if fault.kind == "stall" else 60
    with mock.patch.object(client, "MOST_PAGES", MOST_PAGES):
        outcome = account.play(spec, width=width, clock=clock, attempt_seconds=attempt_seconds)
    account.before_request = None
    account.control.set_faults([])
    return outcome


def cells(fault: Fault, baseline: Mapping[str, Baseline]) -> list[Cell]:
    """Return the requests that get the fault: the scenario, and the number of the request.

    With TIER=release, ``_thorough`` selects them. Otherwise, they are one request of each operation in a sample.
    """
    by_operation: dict[str, list[Cell]] = {}
    for name, normal in baseline.items():
        for number, operation in enumerate(normal.operations, 1):
            if fault.strikes(operation):
                by_operation.setdefault(operation, []).append((name, number))
    if THOROUGH:
        return [
            cell for operation, found in by_operation.items() for cell in _thorough(fault, operation, found)
        ]
    operations = some(by_operation, fault.label, SAMPLING if fault.sampled else SHARE)
    return [
        by_operation[operation][chosen(fault.label, operation, among=len(by_operation[operation]))]
        for operation in operations
    ]


def _thorough(fault: Fault, operation: str, found: list[Cell]) -> list[Cell]:
    """Return all requests of an operation, or for a lasting fault one request in each scenario."""
    if not fault.lasts:
        return found
    by_scenario: dict[str, list[Cell]] = {}
    for cell in found:
        by_scenario.setdefault(cell[0], []).append(cell)
    return [some[chosen(fault.label, operation, name, among=len(some))] for name, some in by_scenario.items()]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.label)
def test_faults_of_aws_lose_no_resource(
    fault: Fault,
    part: int,
    account: Account,
    baseline: Mapping[str, Baseline],
    record_property: Callable[[str, object], None],
) -> None:
    counts: Counter[str] = Counter()
    problems = []
    for name, number in cells(fault, baseline)[part::PARTS]:
        scenario, normal = SCENARIOS[name], baseline[name]
        scenario.prepare(account)
        outcome = disturb(account, scenario.spec, fault, number)
        counts["runs"] += 1
        try:
            how = check_outcome(outcome, normal, account.facets())
            counts[how] += 1
            # The run must succeed despite a transient fault. After a rejection or a lasting fault, it may report a failure.
            is_reported = (fault.label, normal.operations[number - 1]) in REPORTED_ONLY
            assert how == "well" or not fault.passes or is_reported, outcome.message
            again = account.play(scenario.spec)
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
