# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the probe and the restarts of a rollback, which returns Pods to IRSA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pods import (
    parse_state,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    InjectionSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.irsa import (
    ReturnRun,
    probe_irsa,
    restart_injected,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.kubernetes.run.test_irsa import (
    IRSA,
    ROLE,
    irsa_pod,
)

Json = dict[str, Any]
API = build.KEY
WEB = WorkloadKey(build.CLUSTER, "shop", "web")
OWNERS = {
    "replica_sets": build.read([build.replica_set()]),
    "deployments": build.read([build.owner()]),
    "stateful_sets": build.read([build.owner("StatefulSet", "db")]),
    "owning_daemon_sets": build.read([build.owner("DaemonSet", "log")]),
}
INJECTED = build.pod("web-1")
BARE = build.pod("bare", owner=None)
REPLACED = irsa_pod("web-2")
BROKEN = ApiError(0, "connection lost")


@dataclass
class Recorder(FakeCluster):
    """A cluster that records its queries and patches. ``rounds`` has the Pods for each read; the last list repeats."""

    rounds: list[Listing] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    patches: list[Object] = field(default_factory=list)

    def list_objects(self, query: Query) -> Listing:
        self.queries.append(query)
        listing = super().list_objects(query)
        if query.kind == "Pod" and self.rounds:
            return self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        return listing

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        self.patches += manifests
        return super().patch(manifests)


def roll_back(
    *rounds: Sequence[Json] | Listing, timeout: int = 10, owners: Any = None, **more: Any
) -> tuple[ReturnRun, Recorder, FakeClock]:
    """Restart the owners of Pods, as a rollback does. ``rounds`` has the Pods for each read."""
    lists = [pods if isinstance(pods, Listing) else build.read(pods) for pods in rounds]
    cluster, clock = Recorder(**{"rounds": lists, **more}), FakeClock()
    state = parse_state({**OWNERS, **(owners or {})}, [API], build.CLUSTER, clock.now())
    keys = [API, WEB]
    run = restart_injected(cluster, state, keys, timeout, clock)
    return replace(run, restarted=[*run.restarted]), cluster, clock


@pytest.mark.parametrize(
    ("rounds", "timeout", "remaining", "slept"),
    [
        pytest.param([[BARE]], 10, ["bare"], [], id="a Pod without an owner"),
        pytest.param(
            [[INJECTED, BARE], [INJECTED, BARE], [BARE, REPLACED]],
            10,
            ["bare"],
            [2],
            id="no restart replaces it",
        ),
        pytest.param([[INJECTED]], 10, ["web-1"], [2, 2, 2, 2], id="timeout"),
        pytest.param([[INJECTED]], 0, ["web-1"], [], id="no time"),
        pytest.param(
            [[INJECTED], Listing(error=BROKEN), [REPLACED]], 10, [], [2], id="failed read is repeated"
        ),
    ],
)
def test_remaining_pods(rounds: list[Any], timeout: int, remaining: list[str], slept: list[int]) -> None:
    run, _cluster, clock = roll_back(*rounds, timeout=timeout)
    assert run.remaining == ({API: remaining} if remaining else {})
    assert clock.slept == slept


def test_restart_without_response_is_a_failure() -> None:
    run, _cluster, _clock = roll_back([INJECTED], broken="connection lost")
    assert (run.restarted, run.refused) == ([], {API})


def test_failed_list_of_pods_restarts_nothing() -> None:
    run, cluster, _clock = roll_back(Listing(error=BROKEN))
    assert (set(run.refused), cluster.patches) == ({API, WEB}, [])
    assert [row["message"] for row in run.failures] == ["connection lost."]


# Tests of the probe

AGENT_POD = build.pod("probe")
OTHER_ROLE = irsa_pod()
OTHER_ROLE["spec"]["containers"][0]["env"][0]["value"] = "arn:aws:iam::111122223333:role/other"


@dataclass
class Webhook(FakeCluster):
    """A cluster whose dry runs have these results, one for each round; the last one repeats."""

    answers: list[DryRun] = field(default_factory=list)
    rounds: int = 0

    def dry_run_pods(self, manifests: Sequence[Object]) -> list[DryRun]:
        self.rounds += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [answer for _manifest in manifests]


def named(item: Json) -> DryRun:
    """Return the response with a Pod whose container has the name of the probe."""
    item["spec"]["containers"][0]["name"] = "proof"
    return DryRun(item)


PASSED, AGENT = named(irsa_pod()), named(AGENT_POD)
BUSY, DENIED = DryRun(error=ApiError(429, "busy")), DryRun(error=ApiError(403, "no"))


@pytest.mark.parametrize(
    ("answers", "observe", "rounds", "fault"),
    [
        pytest.param([PASSED], 0, 1, "", id="passed"),
        pytest.param([PASSED], 60, 7, "", id="observed"),
        pytest.param([AGENT, AGENT, PASSED], 60, 9, "", id="late webhook"),
        pytest.param([PASSED, PASSED, AGENT, PASSED], 60, 10, "", id="flapping webhook"),
        pytest.param([PASSED, BUSY, PASSED], 60, 7, "", id="busy API server"),
        pytest.param([AGENT], 60, 25, "gets no credentials", id="webhook that never forgets"),
        pytest.param([BUSY], 60, 25, "no dry run got a response", id="no answer"),
        pytest.param([DENIED], 60, 25, "cannot be created: no.", id="denied"),
        pytest.param(
            [named(OTHER_ROLE)], 60, 25, "gets arn:aws:iam::111122223333:role/other by IRSA", id="other role"
        ),
    ],
)
def test_probe_of_irsa(answers: list[DryRun], observe: int, rounds: int, fault: str) -> None:
    cluster = Webhook(answers=list(answers))
    found = probe_irsa(cluster, {API: ROLE}, InjectionSettings("image"), "us-west-2", observe, FakeClock())
    assert found == ({API: fault} if fault else {})
    assert cluster.rounds == rounds
    assert IRSA["AWS_ROLE_ARN"] == ROLE
