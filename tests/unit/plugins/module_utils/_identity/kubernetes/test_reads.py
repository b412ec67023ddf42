# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read step by step, and what is restarted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof_job import (
    Settings,
    proofs,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.reads import (
    pods_query,
    still_to_read,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.restarts import (
    restarts,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

LIVE = ["status.phase!=Succeeded", "status.phase!=Failed"]
STALE = build.pod(created=build.BEFORE, injected=False)
LONE = build.pod("lone", created=build.BEFORE, injected=False, owner=None)
AGENTS = build.read([build.agent()])
ARN = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
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


def verified(*rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"workloads": list(rows or [build.row()]), "findings": [], "cluster_arn": ARN, **fields}


def check(name: str, status: str, *codes: str) -> dict[str, Any]:
    return {"checks": [{"name": name, "status": status, "detail": "", "codes": list(codes)}]}


@pytest.mark.parametrize(
    ("result", "query"),
    [
        (
            verified(),
            {"namespace": "shop", "field_selectors": [*LIVE, "spec.serviceAccountName=api"]},
        ),
        (verified(build.row("a"), build.row("b")), {"namespace": "shop", "field_selectors": LIVE}),
        (
            verified(build.row("a"), build.row("b", namespace="other")),
            {"namespace": "", "field_selectors": LIVE},
        ),
        ({"workloads": []}, {}),
        ({"changes": [], "workloads": [build.row()]}, {}),
        (
            {"changes": [], "workloads": [], "verification": verified()},
            {"namespace": "shop", "field_selectors": [*LIVE, "spec.serviceAccountName=api"]},
        ),
    ],
    ids=["one", "one namespace", "several namespaces", "none", "not verified", "after a converge"],
)
def test_the_narrowest_list_of_pods(result: dict[str, Any], query: dict[str, Any]) -> None:
    assert pods_query(result) == query


ADDON_MISSING = verified(findings=[{"code": "AGENT_ADDON_MISSING"}])
AUTO = verified(build.row(checks=[{"name": "agent", "status": "pass", "detail": "auto mode"}]))
OF_A_ROLLOUT = build.pod(created=build.BEFORE, injected=False, labels={})


@pytest.mark.parametrize(
    ("result", "reads", "wanted"),
    [
        (verified(), {"pods": build.read([])}, []),
        (verified(), {"pods": build.read([build.pod()])}, ["agents"]),
        (verified(), {"pods": build.read([build.pod(node="")])}, []),
        (ADDON_MISSING, {"pods": build.read([])}, ["agents"]),
        (verified(), {"pods": build.read([STALE])}, ["agents", "replica_sets"]),
        (verified(), {"pods": build.read([build.pod()]), "agents": AGENTS}, []),
        (
            verified(),
            {"pods": build.read([build.pod(node="other")]), "agents": AGENTS},
            ["nodes", "replica_sets"],
        ),
        (
            verified(),
            {"pods": build.read([build.pod()]), "agents": build.read([])},
            ["daemon_sets", "nodes"],
        ),
        (AUTO, {"pods": build.read([build.pod()]), "agents": build.read([])}, ["nodes"]),
        (
            verified(),
            {"pods": build.read([build.pod()]), "agents": build.refused("pods")},
            ["nodes"],
        ),
        (verified(), {"pods": build.read([OF_A_ROLLOUT]), "agents": AGENTS}, ["replica_sets"]),
        (verified(), {"pods": build.refused("pods")}, []),
        (verified(), {"pods": {"changed": False, "skipped": True}}, []),
    ],
    ids=[
        "no Pods",
        "Pods on nodes",
        "Pods without a node",
        "EKS knows no add-on",
        "stale Pods",
        "all is right",
        "a node without agent",
        "no agent",
        "no agent in Auto Mode",
        "agents not readable",
        "an owner that has to be looked up",
        "Pods not readable",
        "skipped",
    ],
)
def test_only_what_matters_is_read(result: dict[str, Any], reads: dict[str, Any], wanted: list[str]) -> None:
    assert still_to_read(result, reads, build.NOW) == wanted


def restarted(*pods: dict[str, Any], row: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    reads = {"pods": build.read(pods), "replica_sets": build.read([build.replica_set()])}
    return restarts(verified(row or build.row()), reads, build.NOW, **more)


def test_owners_of_stale_pods_are_restarted_once() -> None:
    found = restarted(STALE, build.pod("web-2", created=build.BEFORE, injected=False), LONE, build.pod("new"))
    assert found == {
        "definitions": [RESTART],
        "names": ["Deployment shop/web"],
        "unmanaged": ["shop/lone"],
        "wait": 0,
    }


@pytest.mark.parametrize(
    "row",
    [
        build.row(**check("trust", "fail", "TRUST_NOT_USABLE")),
        build.row(**check("association", "unknown", "NOT_READABLE")),
        build.row(association_id="", association_created_at=""),
    ],
    ids=["not right in AWS", "not known", "no association"],
)
def test_nothing_is_restarted_that_would_be_no_better(row: dict[str, Any]) -> None:
    assert restarted(STALE, row=row)["definitions"] == []


def test_an_agent_that_is_no_addon_stands_in_nobodys_way() -> None:
    row = build.row(**check("agent", "fail", "AGENT_ADDON_MISSING"))
    assert restarted(STALE, row=row)["definitions"] == [RESTART]


@pytest.mark.parametrize(
    ("created", "count"),
    [("2026-03-10T09:00:59Z", 1), ("2026-03-10T09:01:00Z", 0)],
    ids=["within a minute", "later"],
)
def test_pods_that_came_too_early_are_restarted_others_not(created: str, count: int) -> None:
    assert len(restarted(build.pod(created=created, injected=False))["definitions"]) == count


@pytest.mark.parametrize(
    ("age", "settle", "wait"),
    [(0, 15, 15), (10, 15, 5), (15, 15, 0), (99, 15, 0), (-30, 15, 15), (0, 0, 0)],
)
def test_a_young_association_is_given_time(age: int, settle: int, wait: int) -> None:
    created = (build.NOW - timedelta(seconds=age)).isoformat()
    found = restarted(STALE, row=build.row(association_created_at=created), settle=settle)
    assert found["wait"] == wait


def test_nobody_waits_when_there_is_nothing_to_restart() -> None:
    row = build.row(association_created_at=build.NOW.isoformat())
    assert restarted(build.pod(), row=row)["wait"] == 0


def test_proof_runs_for_workloads_that_are_right_and_have_their_service_account() -> None:
    result = verified(
        build.row("api"),
        build.row("gone"),
        build.row("bad", **check("trust", "fail", "TRUST_NOT_USABLE")),
        build.row("new", association_id=""),
    )
    accounts = [("shop", name) for name in ("api", "bad", "new")]
    jobs = proofs(result, accounts, Settings("r1", "image", 60))
    specs = [one["spec"]["template"]["spec"] for one in jobs]
    assert [spec["serviceAccountName"] for spec in specs] == ["api"]
    assert {"name": "AWS_REGION", "value": "us-west-2"} in specs[0]["containers"][0]["env"]
