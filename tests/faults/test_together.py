# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test two concurrent runs: neither breaks the changes of the other, and one more run completes both."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import State
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
# A workload with an existing role, which shares only a policy with other workloads.
SHARING: Mapping[str, Any] = {**WORKLOADS[4], "policies": [SHARED]}
SHARING_CHANGED: Mapping[str, Any] = {**CHANGED[4], "policies": [WIDER]}
LATENCIES = (0, 1, 2) if THOROUGH else (1,)
LAGS = (0.5, 2, 5, 15) if THOROUGH else (2, 15)
MEETINGS = 30 if THOROUGH else 2
# The clocks of the runs are ten times as fast as the real clock: a lag of a second takes this number of milliseconds.
LAG_MS = 100


def result_codes(*tasks: Task) -> set[int | None]:
    return {result.code for result in run_all(tasks)}


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(
    ("first", "left", "right", "union"),
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
def test_two_concurrent_runs(
    latency: int, first: Workloads, left: Workloads, right: Workloads, union: Workloads, account: Account
) -> None:
    if first:
        account.complete(desired(*first))
    account.complete(desired(*union))
    goal = unversioned(account.facets())
    account.clean()
    initial = account.facets()
    if first:
        account.complete(desired(*first))
    account.control.set_latency(latency)
    codes = result_codes(task(account.url, *left), task(account.url, *right))
    account.control.set_latency(0)
    # A run fails if it conflicts with the other run repeatedly. The next run completes it.
    assert codes <= {0, FAILED}
    remaining = account.facets()
    assert unowned(remaining, initial) == []
    assert remaining.keys() - initial.keys() <= goal.keys()
    account.complete(desired(*union))
    found = unversioned(account.facets())
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("latency", LATENCIES)
def test_concurrent_teardown_and_converge(latency: int, account: Account) -> None:
    """Tear down a workload, and at the same time create another workload that shares a policy with it."""
    account.complete(desired(WORKLOADS[1], WORKLOADS[3]))
    goal = unversioned(account.facets())
    account.clean()
    account.complete(desired(*WORKLOADS[2:4], SHARING))
    account.control.set_latency(latency)
    removed, applied = (WORKLOADS[2], SHARING), (WORKLOADS[1], WORKLOADS[3])
    codes = result_codes(task(account.url, *removed, state="absent"), task(account.url, *applied))
    account.control.set_latency(0)
    # A run fails if it conflicts with the other run repeatedly. The next run completes it.
    assert codes <= {0, FAILED}
    account.complete(desired(*removed, state="absent"), "absent")
    account.complete(desired(*applied))
    found = unversioned(account.facets())
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("lag", LAGS)
def test_two_writers_of_one_role_with_stale_reads(lag: float, account: Account) -> None:
    """Run two lists that share a role. One may overwrite the other's statement in the trust policy; the next runs restore it."""
    account.complete(desired(*WORKLOADS[:2]))
    goal = unversioned(account.facets())
    account.clean()
    initial = account.facets()
    account.control.set_read_lags([{"ms": lag * LAG_MS}])
    codes = result_codes(task(account.url, WORKLOADS[0]), task(account.url, WORKLOADS[1]))
    assert codes <= {0, FAILED}
    account.control.set_read_lags([])
    assert unowned(account.facets(), initial) == []
    for workload in WORKLOADS[:2]:
        account.complete(desired(workload))
    found = unversioned(account.facets())
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("number", range(MEETINGS))
@pytest.mark.parametrize("state", ["present", "absent"])
def test_two_lists_meet_on_one_role(state: State, number: int, account: Account) -> None:
    """Apply or tear down a list while another list with the same role is applied. Neither loses what the other one needs."""
    first, second = WORKLOADS[:2]
    account.complete(desired(*(WORKLOADS[:2] if state == "present" else (second,))))
    goal = unversioned(account.facets())
    account.clean()
    if state == "absent":
        account.complete(desired(first))
    account.control.set_latency(number % 5)
    codes = result_codes(task(account.url, first, state=state), task(account.url, second))
    account.control.set_latency(0)
    assert codes <= {0, FAILED}
    # The teardown may remove the role or its policies before the other run uses them. The next run creates them again.
    if codes != {0} or state == "absent":
        account.complete(desired(first, state=state), state)
        account.complete(desired(second))
    # A policy of the first list may stay attached to the role.
    found = {name: value for name, value in unversioned(account.facets()).items() if name in goal}
    assert found == goal, differences(found, goal)


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_teardown_after_killed_run_with_stale_reads(share: float, lag: float, account: Account) -> None:
    """Kill a first run, then tear down twice. The second teardown removes resources that reads did not show to the first one."""
    initial = account.facets()
    account.complete(desired(*WORKLOADS[:3]))
    requests = account.control.counters()["total"]
    account.clean()
    account.control.set_read_lags([{"ms": lag * LAG_MS}])
    (killed,) = run_all(
        [replace(task(account.url, *WORKLOADS[:3]), kill=Kill(int(requests * share), BEFORE, 0))]
    )
    assert killed.code == -signal.SIGKILL
    remaining = account.facets()
    assert result_codes(task(account.url, *WORKLOADS[:3], state="absent")) <= {0, FAILED}
    assert account.facets().keys() <= remaining.keys()
    account.control.set_read_lags([])
    account.complete(desired(*WORKLOADS[:3], state="absent"), "absent")
    assert account.facets() == initial, differences(account.facets(), initial)
