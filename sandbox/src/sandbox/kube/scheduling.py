# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate the scheduler and the kubelet for the Pods of long-running workloads.

A Pod runs and is ready as soon as it has a node. If the cluster has Nodes and the Pod's nodeSelector selects no Node, the Pod
remains Pending until a matching Node exists. If the cluster has no Nodes, Pods run without a node. Affinity, taints and
resources are ignored.
"""

from __future__ import annotations

from sandbox.kube.children import change
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import NODES, PODS
from sandbox.kube.store import Store

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
FARGATE = "fargate"


class Scheduler:
    """The scheduler of the Pods in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def schedule(self) -> None:
        """Run the unscheduled Pods for which a node is available now."""
        for pod in list(self._store.select(PODS.qualified)):
            if pod["metadata"].get("deletionTimestamp") or not _is_unschedulable(pod):
                continue
            if nodes := self.nodes(pod["spec"]):
                change(self._store, PODS, pod, "spec", nodeName=nodes[0])
                self.run(pod, nodes[0])

    def run(self, pod: Json, node: str) -> None:
        """Set the status of a Pod: running, or Pending if the cluster has Nodes but the Pod has no node."""
        now = self._store.timestamp()
        scheduled = bool(node) or not self.has_nodes()
        condition = {"type": "PodScheduled", "status": str(scheduled), "lastTransitionTime": now}
        if not scheduled:
            condition |= {"reason": "Unschedulable", "message": "no node matches the Pod's node selector"}
            change(self._store, PODS, pod, "status", conditions=[condition])
            return
        statuses = [
            {
                "name": container["name"],
                "image": container.get("image", ""),
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod["spec"]["containers"]
        ]
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        change(
            self._store,
            PODS,
            pod,
            "status",
            phase="Running",
            conditions=[condition, ready],
            containerStatuses=statuses,
            startTime=now,
        )

    def nodes(self, spec: Json, *, cordoned: bool = False) -> list[str]:
        """Return the sorted names of the nodes that have the labels of a Pod's nodeSelector.

        A Pod runs on Fargate only if it selects Fargate. Cordoned nodes are included only if ``cordoned`` is true.
        """
        selector = spec.get("nodeSelector") or {}
        names = []
        for node in self._store.select(NODES.qualified):
            labels = node["metadata"].get("labels") or {}
            fargate = labels.get(COMPUTE_TYPE) == FARGATE and selector.get(COMPUTE_TYPE) != FARGATE
            unschedulable = lookup(node, "spec", "unschedulable") and not cordoned
            if selector.items() <= labels.items() and not fargate and not unschedulable:
                names.append(node["metadata"]["name"])
        return names

    def has_nodes(self) -> bool:
        return any(True for _ in self._store.select(NODES.qualified))


def _is_unschedulable(pod: Json) -> bool:
    conditions: list[Json] = lookup(pod, "status", "conditions") or []
    return any(item.get("reason") == "Unschedulable" for item in conditions)
