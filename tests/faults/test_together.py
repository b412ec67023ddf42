# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs at the same time: neither breaks what the other makes, and one more run completes both."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.faults.driver import (
    BEFORE,
    FAILED,
    Kill,
    Task,
    run_all,
    task,
)
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    differences,
    unowned,
    unversioned,
)
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH
from ansible_collections.workload_identity.aws.tests.faults.world import (
    CHANGED,
    SHARED,
    WIDER,
    WORKLOADS,
    desired,
)

Workloads = tuple[Mapping[str, Any], ...]
# Workloads that share a policy with others, but no role: one that was given by its ARN, and one of its own.
SHARING: Mapping[str, Any] = {**WORKLOADS[4], "policies": [SHARED]}
SHARING_CHANGED: Mapping[str, Any] = {**CHANGED[4], "policies": [WIDER]}
LATENCIES = (0, 1, 2) if THOROUGH else (1,)
LAGS = (0.5, 2, 5, 15) if THOROUGH else (2, 15)
# The clocks of the processes run ten times as fast.
LAG_MS = 100


def codes_of(*tasks: Task) -> set[int | None]:
    return {result.code for result in run_all(tasks)}


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(
    ("first", "one", "other", "union"),
    [
        pytest.param((), WORKLOADS, WORKLOADS, WORKLOADS, id="the same from nothing"),
        pytest.param(WORKLOADS, CHANGED, CHANGED, CHANGED, id="the same change"),
        pytest.param((), WORKLOADS[:3], WORKLOADS[1:], WORKLOADS, id="some in common"),
        pytest.param(
            WORKLOADS,
            CHANGED[:2],
            WORKLOADS[2:4],
            (*CHANGED[:2], *WORKLOADS[2:4]),
            id="different content for roles of their own",
        ),
        pytest.param(
            WORKLOADS,
            CHANGED[:3],
            (*CHANGED[2:4], SHARING_CHANGED),
            (*CHANGED[:4], SHARING_CHANGED),
            id="different workloads, one policy",
        ),
    ],
)
def test_two_runs_at_once(
    latency: int, first: Workloads, one: Workloads, other: Workloads, union: Workloads, account: Account
) -> None:
    if first:
        account.complete(desired(*first))
    account.complete(desired(*union))
    goal = unversioned(account.facets())
    account.clean()
    before = account.facets()
    if first:
        account.complete(desired(*first))
    account.control.set_latency(latency)
    codes = codes_of(task(account.url, *one), task(account.url, *other))
    account.control.set_latency(0)
    # Who is always a step behind gives up with a failure; that is for the next run.
    assert codes <= {0, FAILED}
    left = account.facets()
    assert unowned(left, before) == []
    assert left.keys() - before.keys() <= goal.keys()
    account.complete(desired(*union))
    found = unversioned(account.facets())
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("latency", LATENCIES)
def test_a_teardown_beside_a_converge_of_others(latency: int, account: Account) -> None:
    """The two share a policy, which one of them is about to let go of."""
    account.complete(desired(WORKLOADS[1], WORKLOADS[3]))
    goal = unversioned(account.facets())
    account.clean()
    account.complete(desired(*WORKLOADS[2:4], SHARING))
    account.control.set_latency(latency)
    going, staying = (WORKLOADS[2], SHARING), (WORKLOADS[1], WORKLOADS[3])
    codes = codes_of(task(account.url, *going, state="absent"), task(account.url, *staying))
    account.control.set_latency(0)
    # Who is always a step behind gives up with a failure; that is for the next run.
    assert codes <= {0, FAILED}
    account.complete(desired(*going, state="absent"), "absent")
    account.complete(desired(*staying))
    found = unversioned(account.facets())
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("lag", LAGS)
def test_two_writers_of_one_role_whose_reads_are_late(lag: float, account: Account) -> None:
    """A grant that one of them overwrote is named by its verification, and the next run of each puts it back."""
    account.complete(desired(*WORKLOADS[:2]))
    goal = unversioned(account.facets())
    account.clean()
    before = account.facets()
    account.control.set_read_lags([{"ms": lag * LAG_MS}])
    codes = codes_of(task(account.url, WORKLOADS[0]), task(account.url, WORKLOADS[1]))
    assert codes <= {0, FAILED}
    account.control.set_read_lags([])
    assert unowned(account.facets(), before) == []
    for workload in WORKLOADS[:2]:
        account.complete(desired(workload))
    found = unversioned(account.facets())
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_teardown_right_after_a_killed_run_within_the_lag(
    share: float, lag: float, account: Account
) -> None:
    """What reads do not show yet stays, for nobody can know of it; once they do, a teardown removes it."""
    before = account.facets()
    account.complete(desired(*WORKLOADS[:3]))
    requests = account.control.counters()["total"]
    account.clean()
    account.control.set_read_lags([{"ms": lag * LAG_MS}])
    (killed,) = run_all(
        [replace(task(account.url, *WORKLOADS[:3]), kill=Kill(int(requests * share), BEFORE, 0))]
    )
    assert killed.code == -signal.SIGKILL
    left = account.facets()
    assert codes_of(task(account.url, *WORKLOADS[:3], state="absent")) <= {0, FAILED}
    assert account.facets().keys() <= left.keys()
    account.control.set_read_lags([])
    account.complete(desired(*WORKLOADS[:3], state="absent"), "absent")
    assert account.facets() == before, differences(account.facets(), before)
