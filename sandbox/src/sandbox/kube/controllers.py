# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate some controllers of Kubernetes. Garbage collection is in ``deletion``.

A Job gets a Pod, which is Pending until a test writes its status. activeDeadlineSeconds ends the Job and deletes the Pod;
ttlSecondsAfterFinished deletes the Job. Deployments, DaemonSets, ReplicaSets and StatefulSets get running Pods
(``rollouts``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.kube.children import change, create_pod, dependents
from sandbox.kube.deletion import Deleter
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.operations import Operations
from sandbox.kube.resources import JOBS, PODS
from sandbox.kube.rollouts import BACKGROUND, Rollouts
from sandbox.kube.store import Store, utc_now

_FINISHED = ("Complete", "Failed")


class Controllers:
    """The controllers. Each call of ``tick`` runs every controller once."""

    def __init__(
        self, operations: Operations, deleter: Deleter, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._operations = operations
        self._deleter = deleter
        self._rollouts = Rollouts(operations, deleter)
        self._clock = clock

    def tick(self) -> None:
        store = self._operations.store
        self._rollouts.tick()
        for job in list(store.select(JOBS.qualified)):
            if not job["metadata"].get("deletionTimestamp"):
                self._advance(store, job)
        self._deleter.reconcile()

    def _advance(self, store: Store, job: Json) -> None:
        condition = _finished_condition(job)
        if condition:
            self._expire(job, condition)
            return
        pods = dependents(store, job, PODS)
        started = lookup(job, "status", "startTime")
        if started is None:
            change(store, JOBS, job, "status", startTime=store.timestamp())
            return
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit is not None and self._clock() - _parse_time(started) >= timedelta(seconds=limit):
            for pod in pods:
                self._deleter.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], BACKGROUND)
            self._finish(
                store, job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
            )
        elif not pods:
            name = {"generateName": f"{job['metadata']['name']}-"}
            create_pod(self._operations, job, JOBS, name, {}, {})
        elif (phase := lookup(pods[0], "status", "phase")) == "Succeeded":
            self._finish(
                store, job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
            )
        elif phase == "Failed":
            self._finish(
                store, job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
            )

    def _expire(self, job: Json, condition: Json) -> None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        finished = _parse_time(condition["lastTransitionTime"])
        if ttl is not None and self._clock() - finished >= timedelta(seconds=ttl):
            self._deleter.delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"], BACKGROUND)

    def _finish(self, store: Store, job: Json, kind: str, reason: str, message: str) -> None:
        condition = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": store.timestamp(),
        }
        change(store, JOBS, job, "status", conditions=[condition])


def _finished_condition(job: Json) -> Json | None:
    conditions: list[Json] = lookup(job, "status", "conditions") or []
    return next(
        (
            condition
            for condition in conditions
            if condition.get("type") in _FINISHED and condition.get("status") == "True"
        ),
        None,
    )


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
