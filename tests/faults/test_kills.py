# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is killed at any moment leaves a state that the next run completes."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable

import pytest
from ansible_collections.workload_identity.aws.tests.faults.driver import (
    MOMENTS,
    Kill,
    Task,
    run_all,
)
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    differences,
    unowned,
    unversioned,
)
from ansible_collections.workload_identity.aws.tests.faults.world import CHANGED, WORKLOADS, desired

SEED = 20260101
KILLS = 100 if os.environ.get("FAULTS") == "all" else 40
# Kills are dealt out to so many tests.
TESTS = 10


def kills(number: int, requests: int) -> list[Kill]:
    """The same for each run of the suite, another list for each test."""
    chance = random.Random(SEED + number)
    return [
        Kill(chance.randint(1, requests), chance.choice(MOMENTS), chance.uniform(0, 0.02))
        for _ in range(KILLS // TESTS)
    ]


@pytest.mark.parametrize("number", range(TESTS))
def test_a_killed_run_is_completed_by_the_next(
    number: int, account: Account, record_property: Callable[[str, object], None]
) -> None:
    """Even numbers kill a run that makes everything, odd ones a run that changes everything."""
    first, then = ((), WORKLOADS) if number % 2 == 0 else (WORKLOADS, CHANGED)

    def prepare() -> None:
        account.clean()
        if first:
            account.complete(desired(*first))
            account.control.reset_counters()

    prepare()
    account.complete(desired(*then))
    requests = account.control.counters()["total"]
    goal = account.facets()
    counts: Counter[str] = Counter()
    problems = []
    for kill in kills(number, requests):
        prepare()
        before = account.facets()
        codes = run_all([Task(account.url, then, kill=kill)])
        assert codes == [-signal.SIGKILL], kill
        counts["runs"] += 1
        left = account.facets()
        account.complete(desired(*then))
        found = account.facets()
        if unowned(left, before) or found != goal:
            counts["lost"] += 1
            problems.append(f"{kill}: {unowned(left, before)} {differences(found, goal)}")
        else:
            counts["converged"] += 1
    record_property("faults", {"kind": "SIGKILL", **counts})
    assert problems == []


def test_a_killed_teardown_is_completed_by_the_next(account: Account) -> None:
    before = account.facets()
    account.complete(desired(*WORKLOADS))
    account.control.reset_counters()
    account.complete(desired(*WORKLOADS, state="absent"), "absent")
    requests = account.control.counters()["total"]
    goal = account.facets()
    # The role of scope "account" may be another cluster's as well, so it stays, with its policy.
    stays = {key for key in goal if key not in before}
    assert {kind for kind, _name in stays} == {"role", "trust_policy", "policy", "attachment"}
    assert all("sync" in name for _kind, name in stays)
    assert {key: goal[key] for key in before} == before
    for kill in kills(TESTS, requests):
        account.clean()
        account.complete(desired(*WORKLOADS))
        made = account.facets()
        codes = run_all([Task(account.url, WORKLOADS, "absent", kill)])
        assert codes == [-signal.SIGKILL], kill
        assert account.facets().keys() <= made.keys()
        account.complete(desired(*WORKLOADS, state="absent"), "absent")
        assert unversioned(account.facets()) == unversioned(goal), kill
