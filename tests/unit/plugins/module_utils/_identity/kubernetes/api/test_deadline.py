# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deadline of a run holds for its Kubernetes half too: what has begun is brought to its end, no more is sent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Deadline,
    Query,
    TimedClock,
    TimedCluster,
    begin_deadline,
    deadline_row,
    parse_deadline,
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
