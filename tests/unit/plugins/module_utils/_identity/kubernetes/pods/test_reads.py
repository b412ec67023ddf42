# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads, each of which depends on the results of the earlier reads, and the planned restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Query,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    Verification,
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.reads import (
    next_reads,
    pods_query,
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

LIVE = ("status.phase!=Succeeded", "status.phase!=Failed")
STALE = build.pod(created=build.BEFORE, injected=False)
LONE = build.pod("lone", created=build.BEFORE, injected=False, owner=None)
AGENTS = build.read([build.agent()])
RESTART = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "shop", "name": "web"},
    "spec": {
        "template": {
            "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-10T12:00:00Z"}}
        }
    },
}


def check(name: str, status: str, *codes: str) -> dict[str, Any]:
    return {"checks": [{"name": name, "status": status, "detail": "", "codes": list(codes)}]}


@pytest.mark.parametrize(
    ("rows", "query"),
    [
        ([build.row()], Query("v1", "Pod", "shop", (), (*LIVE, "spec.serviceAccountName=api"))),
        ([build.row("a"), build.row("b")], Query("v1", "Pod", "shop", (), LIVE)),
        ([build.row("a"), build.row("b", namespace="other")], Query("v1", "Pod", "", (), LIVE)),
        ([], None),
    ],
    ids=["one workload", "one namespace", "several namespaces", "no workload"],
)
def test_narrowest_query_for_pods(rows: list[dict[str, Any]], query: Query | None) -> None:
    assert pods_query(build.verification(*rows)) == query


@pytest.mark.parametrize(
    ("result", "keys"),
    [
        ({"changes": [], "workloads": [build.row()]}, []),
        ({"changes": [], "workloads": [], "verification": build.result(build.row())}, [build.KEY]),
    ],
    ids=["not verified", "after a converge"],
)
def test_workloads_come_from_the_verification(result: dict[str, Any], keys: list[WorkloadKey]) -> None:
    workloads = parse_aws_result(result, build.CLUSTER).verification.workloads
    assert [workload.key for workload in workloads] == keys


PASSING = build.verification(build.row())
ADDON_MISSING = build.verification(
    build.row(), findings=[{"code": "AGENT_MISSING", "severity": "error", "workload": ""}]
)
AUTO = build.verification(
    build.row(checks=[{"name": "agent", "status": "pass", "detail": "auto mode", "codes": []}])
)
ROLLOUT_POD = build.pod(created=build.BEFORE, injected=False, labels={})


@pytest.mark.parametrize(
    ("verification", "reads", "names"),
    [
        (PASSING, {"pods": build.read([])}, []),
        (PASSING, {"pods": build.read([build.pod()])}, ["agents"]),
        (PASSING, {"pods": build.read([build.pod(node="")])}, []),
        (ADDON_MISSING, {"pods": build.read([])}, ["agents"]),
        (PASSING, {"pods": build.read([STALE])}, ["agents", "replica_sets"]),
        (PASSING, {"pods": build.read([build.pod()]), "agents": AGENTS}, []),
        (
            PASSING,
            {"pods": build.read([build.pod(node="other")]), "agents": AGENTS},
            ["nodes", "replica_sets"],
        ),
        (
            PASSING,
            {"pods": build.read([build.pod()]), "agents": build.read([])},
            ["daemon_sets", "nodes"],
        ),
        (AUTO, {"pods": build.read([build.pod()]), "agents": build.read([])}, ["nodes"]),
        (
            PASSING,
            {"pods": build.read([build.pod()]), "agents": build.refused("pods")},
            ["nodes"],
        ),
        (PASSING, {"pods": build.read([ROLLOUT_POD]), "agents": AGENTS}, ["replica_sets"]),
        (PASSING, {"pods": build.refused("pods")}, []),
        (PASSING, {}, []),
    ],
    ids=[
        "no Pods",
        "Pods on nodes",
        "Pods without a node",
        "EKS does not have the add-on",
        "stale Pods",
        "all checks pass",
        "a node without agent",
        "no agent",
        "no agent in Auto Mode",
        "agents cannot be read",
        "owner has to be read",
        "Pods cannot be read",
        "nothing read",
    ],
)
def test_reads_only_needed_resources(
    verification: Verification, reads: dict[str, Listing], names: list[str]
) -> None:
    assert next_reads(verification, reads, build.NOW) == names


def restarted(*pods: dict[str, Any], row: dict[str, Any] | None = None) -> Restarts:
    reads = {
        "pods": build.read(pods),
        "replica_sets": build.read([build.replica_set()]),
        "deployments": build.read([build.owner()]),
    }
    return plan_restarts(build.verification(row or build.row()), reads, build.NOW)


def test_owner_of_stale_pods_is_restarted_once() -> None:
    restarts = restarted(
        STALE, build.pod("web-2", created=build.BEFORE, injected=False), LONE, build.pod("new")
    )
    assert [pod.name for pod in restarts.replaced] == ["web-6d5f7c9b8-x2x4z", "web-2"]
    assert replace(restarts, replaced=()) == Restarts(
        [RESTART],
        ["Deployment shop/web"],
        ["shop/lone"],
        rolling=[],
        blocked=[],
        withheld=[],
        workloads=[build.KEY],
    )


@pytest.mark.parametrize(
    "row",
    [
        build.row(**check("trust", "fail", "TRUST_NOT_USABLE")),
        build.row(**check("association", "unknown", "NOT_READABLE")),
        build.row(association_id="", association_created_at=""),
    ],
    ids=["failed in AWS", "unknown in AWS", "no association"],
)
def test_no_restart_after_failed_aws_checks(row: dict[str, Any]) -> None:
    assert restarted(STALE, row=row).manifests == []


def test_missing_addon_does_not_prevent_restart() -> None:
    row = build.row(**check("agent", "fail", "AGENT_MISSING"))
    assert restarted(STALE, row=row).manifests == [RESTART]


@pytest.mark.parametrize(
    ("created", "count"),
    [("2026-03-10T09:00:59Z", 1), ("2026-03-10T09:01:00Z", 0)],
    ids=["within a minute", "after a minute"],
)
def test_only_pods_admitted_early_are_restarted(created: str, count: int) -> None:
    assert len(restarted(build.pod(created=created, injected=False)).manifests) == count


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, 15), (10, 5), (15, 0), (99, 0), (-30, 15)],
)
def test_restart_waits_for_young_association(age: int, wait: int) -> None:
    created = (build.NOW - timedelta(seconds=age)).isoformat()
    row = build.row(association_created_at=created)
    assert restarted(STALE, row=row).wait == wait


def test_no_wait_without_restart() -> None:
    row = build.row(association_created_at=build.NOW.isoformat())
    assert restarted(build.pod(), row=row).wait == 0


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
