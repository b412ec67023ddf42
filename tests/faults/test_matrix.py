# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every request of a run, disturbed in every way: nothing is lost, and the next run completes it."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    Clock,
    Facets,
    check_outcome,
    differences,
)
from ansible_collections.workload_identity.aws.tests.faults.world import (
    CHANGED,
    WORKLOADS,
    desired,
    wear_out,
)

# Ten seconds of throttling, a hundred times as fast.
SCALE = 0.01
LONG = "throttled for 10 s"
KINDS: dict[str, str] = {
    "throttled once": "throttle",
    LONG: "throttle",
    "500": "error500",
    "503": "error503",
    "reset before it took effect": "reset_before",
    "reset after it took effect": "reset_after",
    "malformed answer": "malformed",
    "access denied": "access_denied",
}
# One test takes every third request, so that a short run can take one of three tests.
PARTS = 3
THOROUGH = os.environ.get("FAULTS") == "all"


def nothing(account: Account) -> None:
    account.clean()


def made(account: Account) -> None:
    account.clean()
    account.complete(desired(*WORKLOADS))


def made_and_worn(account: Account) -> None:
    made(account)
    wear_out(account.clients["iam"])


@dataclass(frozen=True)
class Scenario:
    """``prepare`` brings the account to where the disturbed run starts."""

    prepare: Callable[[Account], None]
    wanted: Desired
    state: str = "present"


SCENARIOS = {
    "converge": Scenario(nothing, desired(*WORKLOADS)),
    "change": Scenario(made_and_worn, desired(*CHANGED)),
    "teardown": Scenario(made_and_worn, desired(*WORKLOADS, state="absent"), "absent"),
}


@dataclass(frozen=True)
class Undisturbed:
    requests: int
    before: Facets
    goal: Facets


@pytest.fixture(scope="session")
def undisturbed(shared_account: Account) -> Callable[[str], Undisturbed]:
    """The same run without faults, made once for each scenario."""
    known: dict[str, Undisturbed] = {}

    def find(name: str) -> Undisturbed:
        if name not in known:
            scenario = SCENARIOS[name]
            scenario.prepare(shared_account)
            before = shared_account.facets()
            shared_account.control.reset_counters()
            shared_account.complete(scenario.wanted, scenario.state)
            requests = shared_account.control.counters()["total"]
            known[name] = Undisturbed(requests, before, shared_account.facets())
        return known[name]

    return find


def cases() -> list[Any]:
    found = []
    for row, scenario in enumerate(SCENARIOS):
        for column, kind in enumerate(KINDS):
            parts = range(PARTS) if THOROUGH else [(row + column) % PARTS]
            found += [pytest.param(scenario, kind, part, id=f"{scenario}-{kind}-{part}") for part in parts]
    return found


def disturb(account: Account, kind: str, number: int) -> tuple[int, Clock]:
    """Arm a fault for one request of the next run; gives the width and the clock for that run."""
    if kind != LONG:
        account.control.set_faults([{"kind": KINDS[kind], "nth": number}])
        return 1, Clock()
    lock = threading.Lock()
    sent = 0

    def count() -> None:
        nonlocal sent
        with lock:
            sent += 1
            if sent == number:
                account.control.set_faults([{"kind": "throttle", "duration_ms": 10_000 * SCALE}])

    account.before_request = count
    return 4, Clock(SCALE)


@pytest.mark.parametrize(("name", "kind", "part"), cases())
def test_a_disturbed_run_loses_nothing(
    name: str,
    kind: str,
    part: int,
    account: Account,
    undisturbed: Callable[[str], Undisturbed],
    record_property: Callable[[str, object], None],
) -> None:
    scenario, usual = SCENARIOS[name], undisturbed(name)
    counts: Counter[str] = Counter()
    problems = []
    for number in range(1 + part, usual.requests + 1, PARTS):
        scenario.prepare(account)
        width, clock = disturb(account, kind, number)
        ended = account.run(scenario.wanted, scenario.state, width=width, clock=clock)
        account.before_request = None
        counts["runs"] += 1
        try:
            how = check_outcome(ended, scenario.wanted, usual.before, account.facets(), usual.goal)
            counts[how] += 1
            # Only a refusal is final; everything else passes within the retries of one run.
            assert how == "well" or kind == "access denied", ended
            account.complete(scenario.wanted, scenario.state)
            assert account.facets() == usual.goal, differences(account.facets(), usual.goal)
            counts["converged"] += 1
        except AssertionError as error:
            counts["lost"] += 1
            problems.append(f"request {number}: {error}")
    record_property("faults", {"kind": kind, **counts})
    assert problems == []
