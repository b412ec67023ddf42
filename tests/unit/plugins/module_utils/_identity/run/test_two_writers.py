# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that concurrent runs which change the trust policy of one role keep all of its statements.

The time is simulated: a request takes 0.05 to 0.2 s. Each test repeats the runs with other start times and durations.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    merge_trust,
    read_grants,
    trust_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    CLUSTER_ARN,
    OTHER_CLUSTER_ARN,
    REGION,
    TRUST_EC2,
    Clock,
    FakeAws,
    cluster_name,
    create_association,
    create_role,
    desired,
    role_arn,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    ACCOUNT,
    ASSOCIATED,
    OTHER_CLUSTER,
)

SHARED = {"arn": role_arn("shared"), "extend_trust": True}


class Conductor:
    """A scheduler of simulated runs. It resumes the run with the earliest time, until the next request or pause of this run."""

    def __init__(self, starts: list[float]) -> None:
        self._times = dict(enumerate(starts))
        self._turn = threading.Condition()

    def now(self, number: int) -> float:
        return self._times[number]

    def pass_time(self, number: int, seconds: float) -> None:
        with self._turn:
            self._times[number] += seconds
            self._turn.notify_all()
            self._turn.wait_for(lambda: min(self._times, key=self._order) == number)

    def leave(self, number: int) -> None:
        with self._turn:
            del self._times[number]
            self._turn.notify_all()

    def _order(self, number: int) -> tuple[float, int]:
        return self._times[number], number


class TimedAws:
    """The account as one of the simulated runs uses it.

    ``slow`` maps operations to the delays of their first requests in seconds. The request is delayed, or the response if the
    value is negative.
    """

    def __init__(
        self,
        aws: FakeAws,
        conductor: Conductor,
        number: int,
        chance: random.Random,
        slow: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._aws, self._conductor, self._number, self._chance = aws, conductor, number, chance
        self._slow = {operation: list(seconds) for operation, seconds in (slow or {}).items()}

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        delays = self._slow.get(operation)
        delay = delays.pop(0) if delays else 0
        self._conductor.pass_time(self._number, self._chance.uniform(0.05, 0.2) + max(delay, 0))
        answer = self._aws.call(service, operation, parameters)
        moment = ASSOCIATED + timedelta(seconds=self._conductor.now(self._number))
        if operation in ("CreatePodIdentityAssociation", "UpdatePodIdentityAssociation"):
            stored = self._aws.eks.associations[answer["association"]["associationId"]]
            stored |= {"modifiedAt": moment}
            stored |= {"createdAt": moment} if operation.startswith("Create") else {}
        if delay < 0:
            self._conductor.pass_time(self._number, -delay)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(moment, usegmt=True)}}}

    def pages(self, service: str, operation: str, parameters: Mapping[str, Any], *results: str) -> list[Any]:
        self._conductor.pass_time(self._number, self._chance.uniform(0.05, 0.2))
        return self._aws.pages(service, operation, parameters, *results)


def simulate(
    aws: FakeAws,
    desired_states: list[tuple[Desired, str]],
    starts: list[float],
    seed: int,
    slow: Sequence[Mapping[str, Sequence[float]]] = (),
) -> list[Run]:
    conductor = Conductor(starts)
    runs: dict[int, Run] = {}

    def work(number: int) -> None:
        chance = random.Random(seed * 10 + number)
        try:
            api = TimedAws(aws, conductor, number, chance, slow[number] if slow else None)
            spec, state = desired_states[number]
            cluster = find_cluster(api, cluster_name(spec), REGION, state)
            policy = WaitPolicy(
                60,
                lambda: conductor.now(number),
                lambda seconds: conductor.pass_time(number, seconds),
                chance=chance.random,
            )
            runs[number] = Engine(api, cluster, 1, policy).run(spec, state, check_mode=False)
        finally:
            conductor.leave(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(desired_states))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [runs[number] for number in sorted(runs)]


def converging(name: str, cluster: str = CLUSTER) -> Desired:
    return desired(workload(name, role=SHARED, policies=None), cluster=cluster)


def granted(aws: FakeAws) -> set[str]:
    grants, _others = read_grants(aws.state()["roles"]["shared"]["trust"])
    return {grant.service_account for grant in grants}


def shared_account() -> FakeAws:
    aws = FakeAws()
    create_role(aws, "shared", TRUST_EC2)
    return aws


@pytest.mark.parametrize(
    "clusters", [(CLUSTER, CLUSTER), (CLUSTER, OTHER_CLUSTER), (CLUSTER, OTHER_CLUSTER, CLUSTER)], ids=str
)
def test_concurrent_runs_keep_all_grants(clusters: tuple[str, ...]) -> None:
    lost, names = [], "abc"[: len(clusters)]
    for seed in range(60):
        aws = shared_account()
        starts = [0.0, seed / 30, seed % 8 / 8][: len(clusters)]
        runs = simulate(
            aws, [(converging(*run), "present") for run in zip(names, clusters, strict=True)], starts, seed
        )
        assert {run.failures for run in runs} == {()}
        if granted(aws) != set(names):
            lost.append(seed)
        assert TRUST_EC2["Statement"][0] in aws.state()["roles"]["shared"]["trust"]["Statement"]
    assert lost == []


def test_concurrent_teardown_removes_only_its_own_grant() -> None:
    wrong = []
    for seed in range(60):
        aws = shared_account()
        run(aws, converging("old"))
        starts = [0.0, seed / 60 * 2.0]
        runs = simulate(aws, [(converging("old"), "absent"), (converging("new"), "present")], starts, seed)
        assert [run.failures for run in runs] == [(), ()]
        if granted(aws) != {"new"}:
            wrong.append((seed, granted(aws)))
    assert wrong == []


def test_slow_writer_restores_the_overwritten_grant() -> None:
    # The first GetRole belongs to the plan. The response to the second is late.
    delays = {"GetRole": [0.0, -8.0]}
    lost = []
    for seed in range(40):
        aws = shared_account()
        starts = [0.0, seed / 40 * 3.0]
        desired_states = [(converging("slow"), "present"), (converging("quick"), "present")]
        runs = simulate(aws, desired_states, starts, seed, [delays, {}])
        assert [run.failures for run in runs] == [(), ()]
        if granted(aws) != {"slow", "quick"}:
            lost.append(seed)
    assert lost == []


def test_slow_writer_does_not_restore_earlier_removals() -> None:
    """Check that a statement which was removed before the run is not restored, even if the workload has an association."""
    aws = shared_account()
    create_association(aws, "quarantined", "shared")
    simulate(aws, [(converging("slow"), "present")], [1000.0], 1, [{"UpdateAssumeRolePolicy": [8.0]}])
    assert granted(aws) == {"slow"}


HERE = TrustGrant(ACCOUNT, CLUSTER_ARN, "default", "a")
THERE = TrustGrant(ACCOUNT, OTHER_CLUSTER_ARN, "default", "b")
LATER = TrustGrant(ACCOUNT, CLUSTER_ARN, "default", "c")


@pytest.mark.parametrize(
    ("old", "new", "present", "merged"),
    [
        pytest.param({HERE}, {HERE, LATER}, {HERE}, {HERE, LATER}, id="no other change"),
        pytest.param(
            {LATER}, {LATER, HERE}, {LATER, THERE}, {LATER, HERE, THERE}, id="another statement was added"
        ),
        pytest.param({HERE, THERE}, {THERE}, {HERE}, {HERE}, id="the last statement is kept"),
        pytest.param(
            {HERE, THERE}, {THERE}, {HERE, THERE, LATER}, {THERE, LATER}, id="one statement is removed"
        ),
        pytest.param({HERE, THERE}, {THERE, LATER}, {HERE}, {LATER}, id="another statement was removed"),
        pytest.param({HERE}, {HERE, LATER}, {HERE, LATER, THERE}, {HERE, LATER, THERE}, id="already done"),
    ],
)
def test_merge_applies_the_change_to_the_present_policy(
    old: set[TrustGrant], new: set[TrustGrant], present: set[TrustGrant], merged: set[TrustGrant]
) -> None:
    result = merge_trust(trust_policy(old), trust_policy(new), trust_policy(present))
    assert read_grants(result) == (merged, [])


def test_merge_keeps_foreign_statements() -> None:
    foreign = TRUST_EC2["Statement"][0]
    old, new = trust_policy({HERE}), trust_policy({HERE, LATER})
    statements = trust_policy({HERE})["Statement"]
    assert isinstance(statements, list)
    result = merge_trust(old, new, {**old, "Statement": [*statements, foreign]})
    assert read_grants(result) == ({HERE, LATER}, [foreign])


def test_trust_policy_is_read_again_after_a_pause() -> None:
    """In the meantime, a concurrent run that has read the former trust policy has written its own."""
    aws, clock = FakeAws(), Clock()
    run(aws, desired(workload()))
    run(aws, desired(workload(), workload("web")), clock=clock)
    (pause,) = clock.pauses
    assert 1 <= pause <= 2
