# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test rollouts of Deployments, DaemonSets and StatefulSets: the Pods that they replace, and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Query,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pods import (
    parse_pod,
    parse_rollout,
    template_hashes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.reads import (
    build_state,
    owner_queries,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.restarts import (
    Restarts,
    plan_restarts,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

DEPLOYED = {"deployment.kubernetes.io/revision": "2"}
SETS = [build.replica_set("web-old", revision="1"), build.replica_set("web-new", revision="2")]
BEHIND = {"observedGeneration": 0}
LABELLED = {"pod-template-hash": "new", "controller-revision-hash": "db-2", "pod-template-generation": "2"}
EARLIER = {"pod-template-hash": "old", "controller-revision-hash": "db-1", "pod-template-generation": "1"}
GENERATION = {"deprecated.daemonset.template.generation": "2"}


def partition(number: int, start: int = 0) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}
    }
    return {**spec, "ordinals": {"start": start}} if start else spec


@pytest.mark.parametrize(
    ("kind", "item", "name", "labels", "hold"),
    [
        ("Deployment", build.owner(), "web-a", EARLIER, ""),
        ("Deployment", build.owner(paused=True), "web-a", EARLIER, "paused"),
        ("Deployment", build.owner(annotations=DEPLOYED), "web-a", EARLIER, "rolling"),
        ("Deployment", build.owner(annotations=DEPLOYED), "web-a", LABELLED, ""),
        ("Deployment", build.owner(annotations=DEPLOYED), "web-a", {}, ""),
        ("Deployment", build.owner(annotations=DEPLOYED, status=BEHIND), "web-a", EARLIER, ""),
        ("StatefulSet", build.owner(status={"updateRevision": "db-2"}), "db-0", EARLIER, "rolling"),
        ("StatefulSet", build.owner(status={"updateRevision": "db-2"}), "db-0", LABELLED, ""),
        ("StatefulSet", build.owner(**partition(2)), "db-1", {}, "partition"),
        ("StatefulSet", build.owner(**partition(2)), "db-2", {}, ""),
        ("StatefulSet", build.owner(**partition(2)), "db-10", {}, ""),
        ("StatefulSet", build.owner(**partition(2, start=5)), "db-6", {}, "partition"),
        ("StatefulSet", build.owner(**partition(2, start=5)), "db-7", {}, ""),
        ("StatefulSet", build.owner(**partition(0, start=5)), "db-5", {}, ""),
        ("StatefulSet", build.owner(updateStrategy={"type": "OnDelete"}), "db-0", {}, "on delete"),
        ("DaemonSet", build.owner(updateStrategy={"type": "OnDelete"}), "logs-x", {}, "on delete"),
        ("DaemonSet", build.owner(annotations=GENERATION), "logs-x", EARLIER, "rolling"),
        ("DaemonSet", build.owner(annotations=GENERATION), "logs-x", LABELLED, ""),
    ],
)
def test_rollout_may_hold_a_pod(
    kind: str, item: dict[str, Any], name: str, labels: dict[str, str], hold: str
) -> None:
    pod = parse_pod(build.pod(name, labels=labels), build.CLUSTER)
    assert parse_rollout(kind, item, template_hashes(SETS)).find_hold(pod) == hold


def restarts(pods: Sequence[dict[str, Any]], **reads: Sequence[dict[str, Any]]) -> Restarts:
    lists = {"replica_sets": [build.replica_set()], **reads}
    listings = {name: build.read(items) for name, items in lists.items()}
    return plan_restarts(build.verification(build.row()), {"pods": build.read(pods), **listings}, build.NOW)


STALE = build.pod(created=build.BEFORE, injected=False)


@pytest.mark.parametrize("is_deleted", [True, False])
def test_deployment_of_unread_replica_set_is_restarted_unless_it_was_deleted(is_deleted: bool) -> None:
    """Without its ReplicaSet, a Pod belongs to a Deployment by its name."""
    plan = restarts([STALE], replica_sets=[], deployments=[] if is_deleted else [build.owner()])
    pods, owners = (["shop/web-6d5f7c9b8-x2x4z"], []) if is_deleted else ([], ["Deployment shop/web"])
    assert (plan.shown_owners, plan.unmanaged) == (owners, pods)


def test_restart_names_remaining_pods() -> None:
    pods = [stale(f"db-{number}", "StatefulSet", "db") for number in (2, 1, 0)]
    plan = restarts(pods, stateful_sets=[build.owner("StatefulSet", "db", **partition(2))])
    assert (plan.shown_owners, [pod.name for pod in plan.replaced]) == (["StatefulSet shop/db"], ["db-2"])
    assert plan.blocked == [
        "Pods db-0, db-1 of StatefulSet shop/db not restarted: it replaces no Pod with an ordinal below 2 (partition 2). "
        "Delete db-0, db-1 one by one: kubectl delete pod db-0 -n shop"
    ]


def stale(name: str, kind: str, owner: str, namespace: str = "shop") -> dict[str, Any]:
    return build.pod(name, created=build.BEFORE, injected=False, owner=(kind, owner), namespace=namespace)


@pytest.mark.parametrize(
    ("pods", "queries"),
    [
        ([build.pod()], {}),
        ([build.pod(containers=[build.container(env={**build.INJECTED, "HTTP_PROXY": "p"})])], {}),
        ([stale("x", "Job", "import")], {}),
        (
            [stale("db-0", "StatefulSet", "db"), stale("db-1", "StatefulSet", "db")],
            {"stateful_sets": Query("apps/v1", "StatefulSet", "shop", (), ("metadata.name=db",))},
        ),
        (
            [
                stale("a-0", "StatefulSet", "a"),
                stale("b-0", "StatefulSet", "b"),
                stale("l-x", "DaemonSet", "l"),
            ],
            {
                "owning_daemon_sets": Query("apps/v1", "DaemonSet", "shop", (), ("metadata.name=l",)),
                "stateful_sets": Query("apps/v1", "StatefulSet", "shop"),
            },
        ),
        (
            [stale("a-0", "StatefulSet", "a"), stale("a-0", "StatefulSet", "a", "batch")],
            {"stateful_sets": Query("apps/v1", "StatefulSet", "")},
        ),
    ],
    ids=[
        "Pods without fault",
        "Pods with a wrong template",
        "owner is a Job",
        "one owner",
        "several owners",
        "several namespaces",
    ],
)
def test_queries_for_owners_of_stale_pods(pods: list[dict[str, Any]], queries: dict[str, Query]) -> None:
    verification = build.verification(build.row(), build.row(namespace="batch"))
    state = build_state(verification, {"pods": build.read(pods)}, build.NOW)
    assert owner_queries(verification, state) == queries
