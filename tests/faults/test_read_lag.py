# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads that are late: a first run, a change, a purge and a teardown, each seen by itself; twenty times as fast."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Asked, Clock, Facets
from ansible_collections.workload_identity.aws.tests.faults.world import (
    CHANGED,
    WORKLOADS,
    desired,
)

FASTER = 20
LAGS = (0.5, 2, 5, 15)
TASKS = (
    Asked(desired(*WORKLOADS)),
    Asked(desired(*CHANGED)),
    Asked(desired(*CHANGED[:3]), purge=True),
    Asked(desired(*CHANGED[:3], state="absent"), "absent"),
)


@pytest.fixture
def late(account: Account, lag: float, replicas: int) -> Iterator[Account]:
    account.control.set_read_lags([{"ms": lag * 1000 / FASTER, "replicas": replicas}])
    yield account
    account.control.set_read_lags([])


@pytest.fixture(scope="session")
def goals(shared_account: Account) -> list[tuple[Facets, int]]:
    """What each of the tasks leaves when no read is late, and how many versions of policies it and those before it make."""
    shared_account.clean()
    left = []
    for asked in TASKS:
        assert shared_account.play(asked).message == ""
        left.append((shared_account.facets(), versions_made(shared_account)))
    return left


def versions_made(account: Account) -> int:
    return int(account.control.counters()["operations"].get("iam:CreatePolicyVersion", 0))


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("lag", LAGS)
def test_late_reads_are_waited_for(
    late: Account, lag: float, replicas: int, goals: list[tuple[Facets, int]]
) -> None:
    for asked, (goal, versions) in zip(TASKS, goals, strict=True):
        if replicas > 1:
            # A task ends once one replica shows what it did; the next one may ask the other.
            time.sleep(lag / FASTER)
        played = late.play(asked, clock=Clock(1 / FASTER))
        assert isinstance(played.ended, Run)
        assert played.message == ""
        assert late.facets() == goal
        assert "NOT_YET_VISIBLE" not in {str(finding.code) for finding in played.ended.findings}
        seen = {
            (name, check, status)
            for name, checks in played.statuses.items()
            for check, status in checks.items()
            if status in ("fail", "unknown") and check != "permissions"
        }
        assert seen == set(), played.verification
        assert versions_made(late) == versions
