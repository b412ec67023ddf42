# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads that are late: a converge, a change and a teardown, each seen by its own run; twenty times as fast."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.retry import Retries
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.visible import (
    not_yet_visible,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.waiting import WaitPolicy
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock
from ansible_collections.workload_identity.aws.tests.faults.world import (
    CHANGED,
    CLUSTER,
    REGION,
    WORKLOADS,
    desired,
)

FASTER = 20
AGENT = VerificationReads(Agent("ACTIVE", "v1.3.8-eksbuild.2"))


@pytest.fixture
def late(account: Account, request: pytest.FixtureRequest) -> Iterator[Account]:
    lag, replicas = request.param
    account.control.set_read_lags([{"ms": lag * 1000 / FASTER, "replicas": replicas}])
    yield account
    account.control.set_read_lags([])


def verified(account: Account, wanted: Desired, state: str) -> tuple[Run, set[str]]:
    """A run, and the codes of what it finds in what it made. Nothing tells the agent and permissions here."""
    clock = Clock(1 / FASTER)
    api = BotoApi(account.clients.__getitem__, Retries(now=clock.now, sleep=clock.sleep))
    policy = WaitPolicy(60, clock.now, clock.sleep)
    engine = Engine(api, find_cluster(api, CLUSTER, REGION, state), 4, policy)
    made = engine.run(wanted, state, check_mode=False)
    observed = engine.observe_after(made)
    if state == "absent":
        gone = {done.change.target.name.lower() for done in made.done if done.change.action == "delete"}
        left = [name for name, role in observed.roles.items() if role is not None and name in gone]
        left += [
            arn for arn, policy in observed.policies.items() if policy is not None and arn.lower() in gone
        ]
        late = not_yet_visible(observed, (done.change for done in made.done))
        return made, {*left, *(str(finding.code) for finding in late)}
    codes = {
        str(finding.code)
        for one in verify(wanted, observed, AGENT)
        for check in one.checks
        if check.status in ("fail", "unknown") and check.name != "permissions"
        for finding in check.findings
    }
    return made, codes


@pytest.mark.parametrize("late", [(lag, n) for lag in (0.5, 2, 5, 15) for n in (1, 2)], indirect=True)
def test_late_reads_are_waited_for(late: Account) -> None:
    for wanted, state in (
        (desired(*WORKLOADS), "present"),
        (desired(*CHANGED), "present"),
        (desired(*CHANGED), "absent"),
    ):
        made, codes = verified(late, wanted, state)
        assert (made.failures, codes) == ((), set())
        operations = late.control.counters()["operations"]
        assert operations.get("iam:CreatePolicyVersion", 0) <= 2
