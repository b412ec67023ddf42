# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate some controllers of Kubernetes. Garbage collection is in ``deletion``.

A Job gets a Pod, which is Pending until a test writes its status. activeDeadlineSeconds ends the Job and deletes the Pod;
ttlSecondsAfterFinished deletes the Job. For Deployments, DaemonSets, ReplicaSets and StatefulSets only
status.observedGeneration is set; no Pods are created for them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.kube.deletion import DeleteOptions, Deleter
from sandbox.kube.errors import ApiError
from sandbox.kube.jsontree import Json, clone, clone_object, lookup
from sandbox.kube.operations import Operations, WriteOptions
from sandbox.kube.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    ResourceType,
)
from sandbox.kube.store import Store, object_key, utc_now

_OWNERS = (DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)
_OPTIONS = WriteOptions(manager="kube-controller-manager")
_BACKGROUND = DeleteOptions("Background")
_FINISHED = ("Complete", "Failed")


class Controllers:
    """The controllers. Each call of ``tick`` runs every controller once."""

    def __init__(
        self, operations: Operations, deleter: Deleter, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._operations = operations
        self._deleter = deleter
        self._clock = clock

    def tick(self) -> None:
        store = self._operations.store
        for rtype in _OWNERS:
            for owner in list(store.select(rtype.qualified)):
                generation = owner["metadata"].get("generation")
                if lookup(owner, "status", "observedGeneration") != generation:
                    self._set_status(store, owner, rtype, observedGeneration=generation)
        for job in list(store.select(JOBS.qualified)):
            if not job["metadata"].get("deletionTimestamp"):
                self._advance(store, job)
        self._deleter.reconcile()

    def _advance(self, store: Store, job: Json) -> None:
        condition = _finished_condition(job)
        if condition:
            self._expire(job, condition)
            return
        pods = [pod for pod in store.select(PODS.qualified, job["metadata"]["namespace"]) if _owns(job, pod)]
        started = lookup(job, "status", "startTime")
        if started is None:
            self._set_status(store, job, JOBS, startTime=store.timestamp())
            return
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit is not None and self._clock() - _parse_time(started) >= timedelta(seconds=limit):
            for pod in pods:
                self._deleter.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], _BACKGROUND)
            self._finish(
                store, job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
            )
        elif not pods:
            self._create_pod(job)
        elif (phase := lookup(pods[0], "status", "phase")) == "Succeeded":
            self._finish(
                store, job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
            )
        elif phase == "Failed":
            self._finish(
                store, job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
            )

    def _create_pod(self, job: Json) -> None:
        meta = job["metadata"]
        template = clone(job["spec"]["template"])
        owner = {
            "apiVersion": JOBS.group_version,
            "kind": JOBS.kind,
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        metadata = {
            **(template.get("metadata") or {}),
            "generateName": f"{meta['name']}-",
            "ownerReferences": [owner],
        }
        try:
            self._operations.create(
                PODS, meta["namespace"], {"metadata": metadata, "spec": template["spec"]}, _OPTIONS
            )
        except ApiError:
            # The next tick tries again, as a real controller would.
            return

    def _expire(self, job: Json, condition: Json) -> None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        finished = _parse_time(condition["lastTransitionTime"])
        if ttl is not None and self._clock() - finished >= timedelta(seconds=ttl):
            self._deleter.delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"], _BACKGROUND)

    def _finish(self, store: Store, job: Json, kind: str, reason: str, message: str) -> None:
        condition = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": store.timestamp(),
        }
        self._set_status(store, job, JOBS, conditions=[condition])

    def _set_status(self, store: Store, obj: Json, rtype: ResourceType, **members: object) -> None:
        changed = clone_object(obj)
        changed["status"] = {**(obj.get("status") or {}), **members}
        meta = obj["metadata"]
        store.put(object_key(rtype, meta["namespace"], meta["name"]), changed)


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


def _owns(job: Json, pod: Json) -> bool:
    owners: list[Json] = pod["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in owners)


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
