# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the retries of requests to the Kubernetes API, and the deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Deadline,
    Listing,
    Query,
    WriteResult,
    send_patiently,
    start_deadline,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
    KubernetesSettings,
    converge_kubernetes,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.kubernetes.run.test_converge import (
    THERE,
    after_a_change,
    holding,
    manifest,
)

ITEMS = Listing([{"metadata": {"name": "x"}}])


class Server:
    """A server that returns the answers in order, and then repeats the last one. ``requests`` has the items of each request."""

    def __init__(self, *answers: Sequence[Listing]) -> None:
        self.answers = list(answers)
        self.requests: list[Sequence[str]] = []

    def send(self, items: Sequence[str]) -> Sequence[Listing]:
        self.requests.append(items)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def send(server: Server, *items: str) -> tuple[list[Listing], list[float]]:
    """Return the answers, and the pauses between the requests."""
    clock = FakeClock()
    return send_patiently(server.send, items, clock, lambda: 1), clock.slept


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_transient_error_is_retried(status: int) -> None:
    server = Server([Listing(error=ApiError(status, "busy"))], [ITEMS])
    assert send(server, "a") == ([ITEMS], [0.75])


@pytest.mark.parametrize("status", [0, 401, 403, 404, 409, 422])
def test_permanent_error_is_not_retried(status: int) -> None:
    listing = Listing(error=ApiError(status, "no"))
    assert send(Server([listing]), "a") == ([listing], [])


TEXT = "the deadline of 60 s has passed"


@dataclass
class Late(FakeCluster):
    """A cluster whose requests fail after a deadline, except deletions of Jobs."""

    deadline: Deadline = field(default_factory=lambda: Deadline(60, 0))

    @property
    def late(self) -> ApiError | None:
        return None if self.deadline.remaining else ApiError(0, TEXT)

    def list_objects(self, query: Query) -> Listing:
        return Listing(error=self.late) if self.late else super().list_objects(query)

    def read_version(self) -> Object:
        return {} if self.late else super().read_version()

    def _write(self, verb: str, manifests: Sequence[Object]) -> WriteResult:
        if self.late and (verb != "remove" or any(item["kind"] != "Job" for item in manifests)):
            return WriteResult(refused=dict.fromkeys(range(len(manifests)), self.late), error=self.late)
        return super()._write(verb, manifests)


@dataclass
class LateClock(FakeClock):
    """A clock whose pauses end at a deadline."""

    deadline: Deadline = field(default_factory=lambda: Deadline(60, 0))

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, self.deadline.remaining))


def run(
    cluster: FakeCluster, remaining: float, preflight: Preflight = THERE, **settings: Any
) -> tuple[KubernetesRun, Late]:
    """Run the Kubernetes part of the role with a deadline of 60 seconds, of which ``remaining`` seconds remain."""
    clock = LateClock()
    begun = clock.now()
    clock.deadline = Deadline(60, remaining, lambda: (clock.now() - begun).total_seconds())
    late = Late(**{**vars(cluster), "deadline": clock.deadline})
    aws = build.parse_aws_result(after_a_change(), build.CLUSTER)
    return converge_kubernetes(late, aws, preflight, KubernetesSettings(**settings), clock), late


def test_no_deletion_after_deadline() -> None:
    kube_run, _cluster = run(holding("old"), 0, Preflight(plan=AccountPlan(removed=[manifest("old")])))
    assert [(failure["workload"], failure["message"]) for failure in kube_run.outcome.failures] == [
        ("shop/old", f"it is kept, as it could not be read again before the change: {TEXT}.")
    ]
    assert kube_run.outcome.changes == []


@pytest.mark.parametrize("seconds", [None, 0])
def test_no_deadline_without_limit(seconds: int | None) -> None:
    assert start_deadline(seconds) is None
    assert [Deadline(60, 9, partial(float, now)).remaining for now in (4, 9, 10)] == [5, 0, 0]
