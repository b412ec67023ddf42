# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries of the Kubernetes API, and the deadline."""

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
    Listing,
    PatientCluster,
    Query,
    TimedClock,
    TimedCluster,
    Written,
    begin_deadline,
    deadline_row,
    parse_deadline,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    name_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.restarts import (
    RestartSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.half import (
    HalfRun,
    HalfSettings,
    run_half,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.kubernetes.run.test_half import (
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


class Answers(FakeCluster):
    """Answers in turn, the last again and again."""

    def __init__(self, *answers: Listing | Written) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def _next(self) -> Listing | Written:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def list_objects(self, query: Query) -> Listing:
        self.asked.append([query.kind])
        answer = self._next()
        assert isinstance(answer, Listing)
        return answer

    def apply(self, manifests: Sequence[Object]) -> Written:
        self.asked.append([name_of(manifest).name for manifest in manifests])
        answer = self._next()
        assert isinstance(answer, Written)
        return answer


def patient(*answers: Listing | Written) -> tuple[PatientCluster, Answers, FakeClock]:
    cluster, clock = Answers(*answers), FakeClock()
    return PatientCluster(cluster, clock, lambda: 0), cluster, clock


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_list_is_asked_again(status: int) -> None:
    cluster, asked, clock = patient(Listing(error=ApiError(status, "busy")), ITEMS)
    assert cluster.list_objects(QUERY) == ITEMS
    assert (len(asked.asked), clock.slept) == (2, [0.5])


@pytest.mark.parametrize("status", [0, 401, 403, 404, 409, 422])
def test_what_will_not_change_is_not_asked_again(status: int) -> None:
    listing = Listing(error=ApiError(status, "no"))
    cluster, asked, clock = patient(listing)
    assert cluster.list_objects(QUERY) == listing
    assert (len(asked.asked), clock.slept) == (1, [])


def test_a_list_that_stays_busy_is_a_failure() -> None:
    cluster, asked, clock = patient(Listing(error=BUSY))
    assert cluster.list_objects(QUERY) == Listing(error=BUSY)
    assert (len(asked.asked), clock.slept) == (6, [0.5, 1, 2, 4, 8])


def test_the_api_says_how_long_to_wait() -> None:
    cluster, _asked, clock = patient(Listing(error=ApiError(429, "busy", 20)), ITEMS)
    assert cluster.list_objects(QUERY) == ITEMS
    assert clock.slept == [20]


@pytest.mark.parametrize("seconds", [46, 3600])
def test_a_wait_that_is_too_long_is_not_begun(seconds: int) -> None:
    cluster, _asked, clock = patient(Listing(error=ApiError(429, "busy", seconds)), ITEMS)
    assert cluster.list_objects(QUERY).error is not None
    assert clock.slept == []


def test_nothing_is_asked_again_after_two_minutes() -> None:
    cluster, asked, clock = patient(Listing(error=ApiError(429, "busy", 30)))
    assert cluster.list_objects(QUERY).error is not None
    assert (len(asked.asked), sum(clock.slept)) == (5, 120)


def manifests(*names: str) -> list[Object]:
    return [{"metadata": {"name": name}} for name in names]


def test_only_what_was_refused_for_now_is_written_again() -> None:
    no = ApiError(403, "no")
    first = Written(True, {0: BUSY, 1: no, 2: BUSY}, diffs=[{"after": "d"}])
    cluster, asked, _clock = patient(first, Written(True, {1: BUSY}, diffs=[{"after": "a"}]), Written(True))
    written = cluster.apply(manifests("a", "b", "c", "d"))
    assert asked.asked == [["a", "b", "c", "d"], ["a", "c"], ["c"]]
    assert written == Written(True, {1: no}, diffs=[{"after": "d"}, {"after": "a"}])


def test_what_misses_its_namespace_is_written_after_it() -> None:
    made: list[Object] = [
        {"kind": "Namespace", "metadata": {"name": "shop"}},
        {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "api"}},
        {"kind": "ServiceAccount", "metadata": {"namespace": "other", "name": "api2"}},
    ]
    missing = ApiError(404, "not found")
    cluster, asked, _clock = patient(Written(True, {0: BUSY, 1: missing, 2: missing}), Written(True))
    written = cluster.apply(made)
    assert (written.refused, written.error) == ({2: missing}, None)
    assert asked.asked == [["shop", "api", "api2"], ["shop", "api"]]


def test_a_write_that_ended_for_now_is_made_again() -> None:
    cluster, asked, _clock = patient(Written(error=BUSY), Written(True))
    assert cluster.apply(manifests("a", "b")) == Written(True)
    assert asked.asked == [["a", "b"]] * 2


def test_an_end_of_the_second_attempt_is_told() -> None:
    gone = ApiError(0, "gone")
    cluster, _asked, _clock = patient(Written(True, {0: BUSY}), Written(error=gone))
    assert cluster.apply(manifests("a", "b")) == Written(True, {0: BUSY}, gone)


@pytest.mark.parametrize(
    "text",
    [
        '{"message":"busy","details":{"retryAfterSeconds": 3},"code":429}',
        "429\nHTTP response headers: HTTPHeaderDict({'Retry-After': '3'})",
    ],
)
def test_the_pause_is_read_from_the_words_of_the_modules(text: str) -> None:
    assert parse_api_error(text).retry_after == 3


TEXT = "the deadline of 60 s has passed"


def run(cluster: FakeCluster, left: float, preflight: Preflight = THERE, **settings: Any) -> HalfRun:
    """A half that has so many seconds left of the run's sixty."""
    clock = FakeClock()
    begun = clock.now()
    deadline = Deadline(60, left, lambda: (clock.now() - begun).total_seconds())
    aws = build.parse_aws_result(after_a_change(), build.CLUSTER)
    timed = TimedCluster(cluster, deadline)
    return run_half(timed, aws, preflight, HalfSettings(**settings), TimedClock(clock, deadline))


def test_nothing_is_sent_after_it() -> None:
    cluster = holding("old")
    half = run(cluster, 0, Preflight(plan=PLAN))
    assert cluster.log == []
    assert (half.changed, half.outcome.changes, half.outcome.error) == (False, [], TEXT)
    # What was not looked at is not known.
    checks = {check.name: check.status for check in half.outcome.checks[build.KEY]}
    assert set(checks.values()) == {"unknown"}
    assert any(TEXT in finding.message for finding in half.outcome.findings)


def test_a_removal_waits_for_another_run() -> None:
    half = run(holding("old"), 0, Preflight(plan=AccountPlan(unlisted=[manifest("old")])))
    assert [(failure["workload"], failure["message"]) for failure in half.outcome.failures] == [
        ("shop/old", f"it stays, as it could not be read immediately before: {TEXT}.")
    ]
    assert half.outcome.changes == []


def test_a_wait_for_new_pods_ends_with_it() -> None:
    lists = {
        "Pod shop": build.read([STALE]),
        "Pod kube-system": build.read([build.agent()]),
        "Deployment": build.read([build.owner()]),
    }
    cluster = FakeCluster(lists)
    half = run(cluster, 10, restart=RestartSettings(timeout=300, settle=0))
    patched = [request for request in cluster.log if request.startswith("patch")]
    assert len(patched) == 1
    assert len(cluster.log) < 20
    assert any("could not be read" in finding.message for finding in half.outcome.findings)
    assert any("stale Pods are still there" in warning for warning in half.warnings)


def test_its_jobs_are_removed_after_it() -> None:
    cluster = FakeCluster()
    run(cluster, 10, proof=ProofSettings("r1", "image", 120, {}, {}), why_no_proof="")
    verbs = [request.split()[0] for request in cluster.log if request.split()[0] in ("apply", "remove")]
    assert verbs == ["apply", "remove"]


def test_other_things_are_not_removed_after_it() -> None:
    cluster = holding("old")
    timed = TimedCluster(cluster, Deadline(60, 0, lambda: 1))
    written = timed.remove([manifest("old")])
    assert (written.error and written.error.text, cluster.log) == (TEXT, [])
    assert (timed.read_version(), timed.read_server().url) == ({}, "")
    refused = timed.list_objects(Query("v1", "Pod")).error
    assert refused is not None
    assert (refused.status, refused.text) == (0, TEXT)


def test_within_it_nothing_is_different() -> None:
    timed, plain = holding("old"), holding("old")
    early = run(timed, 1000, Preflight(plan=PLAN))
    aws = build.parse_aws_result(after_a_change(), build.CLUSTER)
    assert early == run_half(plain, aws, Preflight(plan=PLAN), HalfSettings(), FakeClock())
    assert timed.log == plain.log


@pytest.mark.parametrize("seconds", [None, 0])
def test_without_one_there_is_none(seconds: int | None) -> None:
    assert begin_deadline(seconds) is None
    assert deadline_row(None) is None
    assert parse_deadline(None) is None


def test_one_task_hands_it_to_another() -> None:
    deadline = begin_deadline(60)
    row = deadline_row(deadline)
    assert row is not None
    assert (row["left"], parse_deadline(row)) == (60, deadline)
    # A module would take 0 for no limit.
    late = deadline_row(Deadline(60, 0, lambda: 1))
    assert late is not None
    assert late["left"] == 1
