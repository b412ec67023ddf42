# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test stale reads: a run waits until reads show its changes. Time passes twenty times as fast as in reality."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock, Facets, TaskSpec
from ansible_collections.workload_identity.aws.tests.faults.world import CHANGED, WORKLOADS, desired

FASTER = 20
LAGS = (0.5, 2, 5, 15)
TASKS = (
    TaskSpec(desired(*WORKLOADS)),
    TaskSpec(desired(*CHANGED)),
    TaskSpec(desired(*CHANGED[:3]), purge=True),
    TaskSpec(desired(*CHANGED[:3], state="absent"), "absent"),
)


@pytest.fixture
def lagging(account: Account, lag: float, replicas: int) -> Iterator[Account]:
    account.control.set_read_lags([{"ms": lag * 1000 / FASTER, "replicas": replicas}])
    yield account
    account.control.set_read_lags([])


@pytest.fixture(scope="session")
def goals(shared_account: Account) -> list[tuple[Facets, int]]:
    """Run the tasks without stale reads. Return the state after each task, and the number of created policy versions."""
    shared_account.clean()
    found = []
    for spec in TASKS:
        assert shared_account.play(spec).message == ""
        found.append((shared_account.facets(), versions_made(shared_account)))
    return found


def versions_made(account: Account) -> int:
    return int(account.control.counters()["operations"].get("iam:CreatePolicyVersion", 0))


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("lag", LAGS)
def test_run_waits_for_stale_reads(
    lagging: Account, lag: float, replicas: int, goals: list[tuple[Facets, int]]
) -> None:
    for spec, (goal, versions) in zip(TASKS, goals, strict=True):
        if replicas > 1:
            # A run ends when one replica shows its changes. Wait until the other replica shows them, which the next run may read.
            time.sleep(lag / FASTER)
        outcome = lagging.play(spec, clock=Clock(1 / FASTER))
        assert isinstance(outcome.ended, Run)
        assert outcome.message == ""
        assert lagging.facets() == goal
        assert "NOT_YET_VISIBLE" not in {str(finding.code) for finding in outcome.ended.findings}
        seen = {
            (name, check, status)
            for name, checks in outcome.statuses.items()
            for check, status in checks.items()
            if status in ("fail", "unknown") and check != "permissions"
        }
        assert seen == set(), outcome.verification
        assert versions_made(lagging) == versions
