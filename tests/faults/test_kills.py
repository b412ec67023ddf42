# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""End runs at random moments or at each request, and check that the next run completes the goal state.

After SIGTERM, SIGINT or the loss of the process that reads its output, the ended run must also report its changes and failures.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from ansible_collections.workload_identity.aws.tests.faults.access import lost_access
from ansible_collections.workload_identity.aws.tests.faults.driver import (
    BEFORE,
    MOMENTS,
    Kill,
    Result,
    Task,
    run_all,
)
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    Baseline,
    Facets,
    differences,
    unowned,
)
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH
from ansible_collections.workload_identity.aws.tests.faults.scenarios import SCENARIOS, undisturbed

SEED = 20260101
KILLS = 25 if THOROUGH else 2
# None does not send a signal, but closes the pipe that reads the run's output.
ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None)


@pytest.fixture(scope="session")
def baseline(shared_account: Account) -> Mapping[str, Baseline]:
    return {name: undisturbed(shared_account, name) for name in SCENARIOS}


def ending_name(how: signal.Signals | None) -> str:
    return how.name if how else "unheard"


def kills(number: int, requests: int, how: signal.Signals | None) -> list[Kill]:
    """Return random kills. ``number`` selects the random sequence, which is the same in every run of the tests.

    With TIER=release, SIGKILL ends a run at each of its requests.
    """
    if THOROUGH and how == signal.SIGKILL:
        return [Kill(request, BEFORE, 0, how) for request in range(1, requests + 1)]
    chance = random.Random(SEED + number)
    return [
        Kill(chance.randint(1, requests), chance.choice(MOMENTS), chance.uniform(0, 0.02), how)
        for _ in range(KILLS)
    ]


@pytest.mark.parametrize("how", ENDINGS, ids=ending_name)
@pytest.mark.parametrize("name", SCENARIOS)
def test_next_run_completes_killed_run(
    name: str,
    how: signal.Signals | None,
    account: Account,
    baseline: Mapping[str, Baseline],
    record_property: Callable[[str, object], None],
) -> None:
    scenario, normal = SCENARIOS[name], baseline[name]
    number = len(ENDINGS) * list(SCENARIOS).index(name) + ENDINGS.index(how)
    counts: Counter[str] = Counter()
    problems = []
    for kill in kills(number, len(normal.operations), how):
        scenario.prepare(account)
        (result,) = run_all([Task(account.url, scenario.spec, kill, normal)])
        counts["runs"] += 1
        remaining = account.facets()
        again = account.play(scenario.spec)
        wrong = _wrong(kill, result, normal, remaining)
        wrong += again.message + differences(account.facets(), normal.goal)
        if wrong:
            counts["lost"] += 1
            problems.append(f"{kill}: {wrong}")
        else:
            counts["converged"] += 1
            counts[result.verdict] += 1
    record_property("faults", {"kind": ending_name(how), **counts})
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def _wrong(kill: Kill, result: Result, baseline: Baseline, remaining: Facets) -> str:
    if kill.signal != signal.SIGKILL:
        # A run that has not made changes may end without a report.
        return (
            result.problem
            if result.verdict or remaining == baseline.initial
            else f"ended with {result.code}, without a report"
        )
    less = lost_access(baseline.initial, baseline.goal, remaining)
    surplus = remaining.keys() - baseline.goal.keys() - baseline.initial.keys()
    missing = (baseline.initial.keys() & baseline.goal.keys()) - remaining.keys()
    assert result.code == -signal.SIGKILL
    wrong = [problem for problem in (less, surplus, missing, unowned(remaining, baseline.initial)) if problem]
    return f"{wrong}" if wrong else ""
