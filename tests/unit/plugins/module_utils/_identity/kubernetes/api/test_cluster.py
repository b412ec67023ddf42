# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the retries of requests to the Kubernetes API, and the deadline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Deadline,
    DeadlineClock,
    DeadlineCluster,
    Listing,
    Query,
    RetryingCluster,
    WriteResult,
    start_deadline,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    object_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
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
    PLAN,
    STALE,
    THERE,
    after_a_change,
    holding,
    manifest,
)

QUERY = Query("v1", "Pod")
BUSY = ApiError(503, "busy")
ITEMS = Listing([{"metadata": {"name": "x"}}])


class ScriptedCluster(FakeCluster):
    """A cluster that returns ``results`` in order, and then repeats the last one."""

    def __init__(self, *results: Listing | WriteResult) -> None:
        super().__init__()
        self.results = list(results)
        self.requests: list[list[str]] = []

    def _next(self) -> Listing | WriteResult:
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    def list_objects(self, query: Query) -> Listing:
        self.requests.append([query.kind])
        result = self._next()
        assert isinstance(result, Listing)
        return result

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        self.requests.append([object_name(manifest).name for manifest in manifests])
        result = self._next()
        assert isinstance(result, WriteResult)
        return result


def retrying(*results: Listing | WriteResult) -> tuple[RetryingCluster, ScriptedCluster, FakeClock]:
    cluster, clock = ScriptedCluster(*results), FakeClock()
    return RetryingCluster(cluster, clock, lambda: 0), cluster, clock


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_list_retries_transient_errors(status: int) -> None:
    cluster, scripted, clock = retrying(Listing(error=ApiError(status, "busy")), ITEMS)
    assert cluster.list_objects(QUERY) == ITEMS
    assert (len(scripted.requests), clock.slept) == (2, [0.5])


@pytest.mark.parametrize("status", [0, 401, 403, 404, 409, 422])
def test_list_does_not_retry_permanent_errors(status: int) -> None:
    listing = Listing(error=ApiError(status, "no"))
    cluster, scripted, clock = retrying(listing)
    assert cluster.list_objects(QUERY) == listing
    assert (len(scripted.requests), clock.slept) == (1, [])


def test_list_fails_after_six_attempts() -> None:
    cluster, scripted, clock = retrying(Listing(error=BUSY))
    assert cluster.list_objects(QUERY) == Listing(error=BUSY)
    assert (len(scripted.requests), clock.slept) == (6, [0.5, 1, 2, 4, 8])


def test_retry_after_is_respected() -> None:
    cluster, _scripted, clock = retrying(Listing(error=ApiError(429, "busy", 20)), ITEMS)
    assert cluster.list_objects(QUERY) == ITEMS
    assert clock.slept == [20]


@pytest.mark.parametrize("seconds", [46, 3600])
def test_no_retry_if_retry_after_is_too_long(seconds: int) -> None:
    cluster, _scripted, clock = retrying(Listing(error=ApiError(429, "busy", seconds)), ITEMS)
    assert cluster.list_objects(QUERY).error is not None
    assert clock.slept == []


def test_no_retry_after_two_minutes() -> None:
    cluster, scripted, clock = retrying(Listing(error=ApiError(429, "busy", 30)))
    assert cluster.list_objects(QUERY).error is not None
    assert (len(scripted.requests), sum(clock.slept)) == (5, 120)


def manifests(*names: str) -> list[Object]:
    return [{"metadata": {"name": name}} for name in names]


def test_write_retries_only_transient_rejections() -> None:
    no = ApiError(403, "no")
    first = WriteResult(True, {0: BUSY, 1: no, 2: BUSY}, diffs=[{"after": "d"}])
    cluster, scripted, _clock = retrying(
        first, WriteResult(True, {1: BUSY}, diffs=[{"after": "a"}]), WriteResult(True)
    )
    written = cluster.apply(manifests("a", "b", "c", "d"))
    assert scripted.requests == [["a", "b", "c", "d"], ["a", "c"], ["c"]]
    assert written == WriteResult(True, {1: no}, diffs=[{"after": "d"}, {"after": "a"}])


def test_write_retries_objects_of_a_retried_namespace() -> None:
    objects: list[Object] = [
        {"kind": "Namespace", "metadata": {"name": "shop"}},
        {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "api"}},
        {"kind": "ServiceAccount", "metadata": {"namespace": "other", "name": "api2"}},
    ]
    missing = ApiError(404, "not found")
    cluster, scripted, _clock = retrying(
        WriteResult(True, {0: BUSY, 1: missing, 2: missing}), WriteResult(True)
    )
    written = cluster.apply(objects)
    assert (written.refused, written.error) == ({2: missing}, None)
    assert scripted.requests == [["shop", "api", "api2"], ["shop", "api"]]


def test_failed_write_is_retried_completely() -> None:
    first, second = WriteResult(True, error=BUSY, diffs=[{"after": "a"}]), WriteResult(diffs=[{"after": "b"}])
    cluster, scripted, _clock = retrying(first, second)
    assert cluster.apply(manifests("a", "b")) == WriteResult(True, diffs=[{"after": "a"}, {"after": "b"}])
    assert scripted.requests == [["a", "b"]] * 2


def test_error_of_a_retried_write_is_returned() -> None:
    lost = ApiError(0, "connection lost")
    cluster, _scripted, _clock = retrying(WriteResult(True, {0: BUSY}), WriteResult(error=lost))
    assert cluster.apply(manifests("a", "b")) == WriteResult(True, {0: BUSY}, lost)


@pytest.mark.parametrize(
    "text",
    [
        '{"message":"busy","details":{"retryAfterSeconds": 3},"code":429}',
        "429\nHTTP response headers: HTTPHeaderDict({'Retry-After': '3'})",
    ],
)
def test_retry_after_is_parsed_from_module_text(text: str) -> None:
    assert parse_api_error(text).retry_after == 3


TEXT = "the deadline of 60 s has passed"


def run(
    cluster: FakeCluster, remaining: float, preflight: Preflight = THERE, **settings: Any
) -> KubernetesRun:
    """Run the Kubernetes part of the role with a deadline of 60 seconds, of which ``remaining`` seconds remain."""
    clock = FakeClock()
    begun = clock.now()
    deadline = Deadline(60, remaining, lambda: (clock.now() - begun).total_seconds())
    aws = build.parse_aws_result(after_a_change(), build.CLUSTER)
    timed = DeadlineCluster(cluster, deadline)
    return converge_kubernetes(
        timed, aws, preflight, KubernetesSettings(**settings), DeadlineClock(clock, deadline)
    )


def test_no_request_after_deadline() -> None:
    cluster = holding("old")
    kube_run = run(cluster, 0, Preflight(plan=PLAN))
    assert cluster.log == []
    assert (kube_run.changed, kube_run.outcome.changes, kube_run.outcome.error) == (False, [], TEXT)
    # After the deadline no request is sent, so no check can pass.
    checks = {check.name: check.status for check in kube_run.outcome.checks[build.KEY]}
    assert set(checks.values()) == {"unknown"}
    assert any(TEXT in finding.message for finding in kube_run.outcome.findings)


def test_no_deletion_after_deadline() -> None:
    kube_run = run(holding("old"), 0, Preflight(plan=AccountPlan(unlisted=[manifest("old")])))
    assert [(failure["workload"], failure["message"]) for failure in kube_run.outcome.failures] == [
        ("shop/old", f"it is kept, as it could not be read again before the change: {TEXT}.")
    ]
    assert kube_run.outcome.changes == []


def test_wait_for_pods_ends_at_deadline() -> None:
    lists = {
        "Pod shop": build.read([STALE]),
        "Pod kube-system": build.read([build.agent()]),
        "Deployment": build.read([build.owner()]),
    }
    cluster = FakeCluster(lists)
    kube_run = run(cluster, 10, restart=300)
    patched = [request for request in cluster.log if request.startswith("patch")]
    assert len(patched) == 1
    assert len(cluster.log) < 20
    assert any("could not be read" in finding.message for finding in kube_run.outcome.findings)
    assert any("stale Pods may still exist" in warning for warning in kube_run.warnings)


def test_own_jobs_are_deleted_after_deadline() -> None:
    cluster = FakeCluster()
    run(cluster, 10, proof=ProofSettings("r1", "image", 120), proof_skip_reason="")
    verbs = [request.split()[0] for request in cluster.log if request.split()[0] in ("apply", "remove")]
    assert verbs == ["apply", "remove"]


def test_other_objects_are_not_deleted_after_deadline() -> None:
    cluster = holding("old")
    timed = DeadlineCluster(cluster, Deadline(60, 0, lambda: 1))
    written = timed.remove([manifest("old")])
    assert (written.error and written.error.text, cluster.log) == (TEXT, [])
    assert (timed.read_version(), timed.read_server().url) == ({}, "")
    refused = timed.list_objects(Query("v1", "Pod")).error
    assert refused is not None
    assert (refused.status, refused.text) == (0, TEXT)


def test_requests_before_deadline_are_unchanged() -> None:
    timed, plain = holding("old"), holding("old")
    early = run(timed, 1000, Preflight(plan=PLAN))
    aws = build.parse_aws_result(after_a_change(), build.CLUSTER)
    assert early == converge_kubernetes(plain, aws, Preflight(plan=PLAN), KubernetesSettings(), FakeClock())
    assert timed.log == plain.log


@pytest.mark.parametrize("seconds", [None, 0])
def test_no_deadline_without_limit(seconds: int | None) -> None:
    assert start_deadline(seconds) is None
