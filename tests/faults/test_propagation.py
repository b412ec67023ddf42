# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the propagation of roles to EKS: a run waits until EKS sees new roles, even if an earlier run created them."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock, differences
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH
from ansible_collections.workload_identity.aws.tests.faults.world import CHANGED, WORKLOADS, desired

# A second of the propagation delay, and of the timeout of the run, takes this number of real seconds.
SCALE = 0.02
NEVER_MS = 3_600_000
ALL = desired(*WORKLOADS)
# The role of old/app existed before the run, but it is as new as the account, so EKS does not see it either.
ALL_NAMES = {"default/api", "default/worker", "batch/report", "batch/sync", "old/app"}


@pytest.mark.parametrize("seconds", [0, 1, 2, 4, 8, 15] if THOROUGH else [0, 2, 15])
@pytest.mark.parametrize("changing", [False, True], ids=["new roles", "changed roles"])
def test_run_waits_for_propagation(seconds: float, changing: bool, account: Account) -> None:
    state = desired(*CHANGED) if changing else ALL
    if changing:
        account.complete(ALL)
    account.control.set_propagation(seconds * 1000 * SCALE)
    clock = Clock(SCALE)
    ended = account.run(state, clock=clock)
    assert isinstance(ended, Run)
    assert ended.failures == ()
    account.control.set_propagation(0)
    found = account.facets()
    account.complete(state)
    assert account.facets() == found


@pytest.mark.parametrize("timeout", [0, 2])
def test_timeout_is_named_and_next_run_completes(timeout: float, account: Account) -> None:
    account.complete(ALL)
    goal = account.facets()
    account.clean()
    account.control.set_propagation(NEVER_MS)
    ended = account.run(ALL, timeout=timeout)
    assert isinstance(ended, Run)
    assert {str(key) for failure in ended.failures for key in failure.workloads} == ALL_NAMES
    for failure in ended.failures:
        assert (failure.target.resource, failure.action) == ("association", "create")
        assert failure.message == (
            "eks:CreatePodIdentityAssociation: Role provided in the request does not exist "
            f"(still refused after {timeout} s)"
        )
        assert failure.remedy == (
            "Check the role's ARN and account. A new role may take some seconds to become visible to EKS: run again."
        )
    account.control.set_propagation(0)
    account.complete(ALL)
    assert account.facets() == goal, differences(account.facets(), goal)
