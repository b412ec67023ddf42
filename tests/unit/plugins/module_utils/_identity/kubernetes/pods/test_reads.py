# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads, each of which depends on the results of the earlier reads, and the planned restarts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    Verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.reads import (
    read_pod_state,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.restarts import (
    Restarts,
    plan_restarts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
    plan_proofs,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeCluster,
)

STALE = build.pod(created=build.BEFORE, injected=False)
AGENTS = build.read([build.agent()])


def check(name: str, status: str, *codes: str) -> dict[str, Any]:
    return {"checks": [{"name": name, "status": status, "detail": "", "codes": list(codes)}]}


def test_nothing_is_read_without_workloads() -> None:
    cluster = FakeCluster()
    assert (read_pod_state(cluster, build.verification(), build.NOW), cluster.log) == ({}, [])


PASSING = build.verification(build.row())
ADDON_MISSING = build.verification(
    build.row(), findings=[{"code": "AGENT_MISSING", "severity": "error", "workload": ""}]
)
AUTO = build.verification(
    build.row(checks=[{"name": "agent", "status": "pass", "detail": "auto mode", "codes": []}])
)
ROLLOUT_POD = build.pod(created=build.BEFORE, injected=False, labels={})


@pytest.mark.parametrize(
    ("verification", "pods", "agents", "log"),
    [
        (PASSING, build.read([]), AGENTS, []),
        (PASSING, build.read([build.pod()]), AGENTS, ["Pod kube-system"]),
        (PASSING, build.read([build.pod(node="")]), AGENTS, []),
        (ADDON_MISSING, build.read([]), AGENTS, ["Pod kube-system"]),
        (PASSING, build.read([STALE]), AGENTS, ["Pod kube-system", "ReplicaSet shop", "Deployment shop"]),
        (
            PASSING,
            build.read([build.pod(node="other")]),
            AGENTS,
            ["Pod kube-system", "Node", "ReplicaSet shop"],
        ),
        (
            PASSING,
            build.read([build.pod()]),
            build.read([]),
            ["Pod kube-system", "DaemonSet kube-system", "Node"],
        ),
        (AUTO, build.read([build.pod()]), build.read([]), ["Pod kube-system", "Node"]),
        (PASSING, build.read([build.pod()]), build.refused("pods"), ["Pod kube-system", "Node"]),
        (PASSING, build.read([ROLLOUT_POD]), AGENTS, ["Pod kube-system", "ReplicaSet shop"]),
        (PASSING, build.refused("pods"), AGENTS, []),
    ],
    ids=[
        "no Pods",
        "Pods on nodes",
        "Pods without a node",
        "EKS does not have the add-on",
        "stale Pods",
        "a node without agent",
        "no agent",
        "no agent in Auto Mode",
        "agents cannot be read",
        "owner is unknown",
        "Pods cannot be read",
    ],
)
def test_reads_only_needed_resources(
    verification: Verification, pods: Listing, agents: Listing, log: list[str]
) -> None:
    cluster = FakeCluster({"Pod shop": pods, "Pod kube-system": agents})
    read_pod_state(cluster, verification, build.NOW)
    assert cluster.log == ["list Pod shop", *(f"list {scope}" for scope in log)]


def restarted(*pods: dict[str, Any], row: dict[str, Any] | None = None) -> Restarts:
    reads = {
        "pods": build.read(pods),
        "replica_sets": build.read([build.replica_set()]),
        "deployments": build.read([build.owner()]),
    }
    return plan_restarts(build.verification(row or build.row()), reads, build.NOW)


@pytest.mark.parametrize(
    ("row", "count"),
    [
        (build.row(**check("trust", "fail", "TRUST_NOT_USABLE")), 0),
        (build.row(**check("association", "unknown", "NOT_READABLE")), 0),
        (build.row(association_id="", association_created_at=""), 0),
        (build.row(**check("agent", "fail", "AGENT_MISSING")), 1),
        (build.row(**check("attachment", "pass")), 1),
        (build.row(association_id=""), 1),
    ],
    ids=["failed in AWS", "unknown in AWS", "no association", "no add-on", "passed", "planned association"],
)
def test_no_restart_after_failed_aws_checks(row: dict[str, Any], count: int) -> None:
    assert len(restarted(STALE, row=row).owners) == count


@pytest.mark.parametrize(
    ("created", "count"),
    [("2026-03-10T09:00:59Z", 1), ("2026-03-10T09:01:00Z", 0)],
    ids=["within a minute", "after a minute"],
)
def test_only_pods_admitted_early_are_restarted(created: str, count: int) -> None:
    assert len(restarted(build.pod(created=created, injected=False)).owners) == count


@pytest.mark.parametrize(
    ("created", "wait"),
    [(build.ASSOCIATED, 0), ("2026-03-10T11:59:55.500000Z", 10), ("2026-03-10T12:01:00Z", 15)],
    ids=["old association", "new association", "clock of AWS is ahead"],
)
def test_restart_waits_for_the_webhook(created: str, wait: int) -> None:
    plan = restarted(STALE, row=build.row(association_created_at=created))
    assert (plan.workloads, plan.wait) == ([build.KEY], wait)


def test_proof_needs_passed_checks_and_service_account() -> None:
    verification = build.verification(
        build.row("api"),
        build.row("gone"),
        build.row("bad", **check("trust", "fail", "TRUST_NOT_USABLE")),
        build.row("new", association_id=""),
    )
    accounts = [WorkloadKey(build.CLUSTER, "shop", name) for name in ("api", "bad", "new")]
    jobs = plan_proofs(verification, accounts, ProofSettings("r1", "image", 60))
    assert list(jobs) == [build.KEY]
    job: Any = jobs[build.KEY]
    spec = job["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "api"
    assert {"name": "AWS_REGION", "value": "us-west-2"} in spec["containers"][0]["env"]
