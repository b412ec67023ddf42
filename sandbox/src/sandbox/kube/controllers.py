# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate some controllers of Kubernetes. Garbage collection is in ``deletion``.

A Job gets a Pod, which is Pending until a test writes its status. Deployments, DaemonSets, ReplicaSets and StatefulSets get
running Pods (``rollouts``).
"""

from __future__ import annotations

from sandbox.kube.children import change, create_pod, dependents
from sandbox.kube.deletion import Deleter
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.operations import Operations
from sandbox.kube.resources import JOBS, PODS
from sandbox.kube.rollouts import Rollouts
from sandbox.kube.store import Store

_FINISHED = ("Complete", "Failed")


class Controllers:
    """The controllers. Each call of ``tick`` runs every controller once."""

    def __init__(self, operations: Operations, deleter: Deleter) -> None:
        self._operations = operations
        self._deleter = deleter
        self._rollouts = Rollouts(operations, deleter)

    def tick(self) -> None:
        store = self._operations.store
        self._rollouts.tick()
        for job in list(store.select(JOBS.qualified)):
            if not job["metadata"].get("deletionTimestamp"):
                self._advance(store, job)
        self._deleter.reconcile()

    def _advance(self, store: Store, job: Json) -> None:
        if _is_finished(job):
            return
        pods = dependents(store, job, PODS)
        if not pods:
            name = {"generateName": f"{job['metadata']['name']}-"}
            create_pod(self._operations, job, JOBS, name, {}, {})
        elif (phase := lookup(pods[0], "status", "phase")) == "Succeeded":
            self._finish(store, job, "Complete", "CompletionsReached")
        elif phase == "Failed":
            self._finish(store, job, "Failed", "BackoffLimitExceeded")

    def _finish(self, store: Store, job: Json, kind: str, reason: str) -> None:
        condition = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "lastTransitionTime": store.timestamp(),
        }
        change(store, JOBS, job, "status", conditions=[condition])


def _is_finished(job: Json) -> bool:
    conditions: list[Json] = lookup(job, "status", "conditions") or []
    return any(item.get("type") in _FINISHED and item.get("status") == "True" for item in conditions)
