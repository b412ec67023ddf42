# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task that is ended at any moment: SIGKILL leaves a state that the next run completes; of SIGTERM, SIGINT and the end of
who waits for its answer the task tells what it did and what it did not."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from ansible_collections.workload_identity.aws.tests.faults.access import taken
from ansible_collections.workload_identity.aws.tests.faults.driver import (
    MOMENTS,
    Kill,
    Result,
    Task,
    run_all,
)
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    Facets,
    Usual,
    differences,
    unowned,
)
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH
from ansible_collections.workload_identity.aws.tests.faults.scenarios import SCENARIOS, undisturbed

SEED = 20260101
KILLS = 25 if THOROUGH else 2
# Without a signal nobody reads what the task prints any more.
ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None)
# EKS takes a session policy away only with the whole association: killed in between, the workload has none until the
# next run.
REPLACED = {"change": {"batch/sync"}}


@pytest.fixture(scope="session")
def usual(shared_account: Account) -> Mapping[str, Usual]:
    """Each task without a signal."""
    return {name: undisturbed(shared_account, name) for name in SCENARIOS}


def name_of(how: signal.Signals | None) -> str:
    return how.name if how else "unheard"


def kills(number: int, requests: int, how: signal.Signals | None) -> list[Kill]:
    """The same for each run of the suite, another list for each test."""
    chance = random.Random(SEED + number)
    return [
        Kill(chance.randint(1, requests), chance.choice(MOMENTS), chance.uniform(0, 0.02), how)
        for _ in range(KILLS)
    ]


@pytest.mark.parametrize("how", ENDINGS, ids=name_of)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_killed_run_is_completed_by_the_next(
    name: str,
    how: signal.Signals | None,
    account: Account,
    usual: Mapping[str, Usual],
    record_property: Callable[[str, object], None],
) -> None:
    scenario, normal = SCENARIOS[name], usual[name]
    number = len(ENDINGS) * list(SCENARIOS).index(name) + ENDINGS.index(how)
    counts: Counter[str] = Counter()
    problems = []
    for kill in kills(number, len(normal.operations), how):
        scenario.prepare(account)
        (result,) = run_all([Task(account.url, scenario.asked, kill, normal)])
        counts["runs"] += 1
        left = account.facets()
        again = account.play(scenario.asked)
        wrong = _wrong(name, kill, result, normal, left)
        wrong += again.message + differences(account.facets(), normal.goal)
        if wrong:
            counts["lost"] += 1
            problems.append(f"{kill}: {wrong}")
        else:
            counts["converged"] += 1
            counts[result.verdict] += 1
    record_property("faults", {"kind": name_of(how), **counts})
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def _wrong(name: str, kill: Kill, result: Result, usual: Usual, left: Facets) -> str:
    if kill.signal != signal.SIGKILL:
        # Before it has anything to tell, a signal ends the process as it ends any.
        return (
            result.problem
            if result.verdict or left == usual.before
            else f"ended with {result.code}, told nothing"
        )
    less = {
        workload: lost
        for workload, lost in taken(usual.before, usual.goal, left).items()
        if workload not in REPLACED.get(name, ())
    }
    surplus = left.keys() - usual.goal.keys() - usual.before.keys()
    gone = {
        key
        for key in (usual.before.keys() & usual.goal.keys()) - left.keys()
        if key[1] not in REPLACED.get(name, ())
    }
    assert result.code == -signal.SIGKILL
    wrong = [what for what in (less, surplus, gone, unowned(left, usual.before)) if what]
    return f"{wrong}" if wrong else ""
