# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What controllers of a cluster do beside garbage collection, as far as it shows without nodes.

A Job gets its Pod, which stays Pending unless a test writes its status; its deadline takes the Pod
away; it goes itself some time after its end. Owners of Pods say which generation was seen. They make
no Pods, as nothing would run them.
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
from sandbox.kube.store import Store, key_of, utc_now

_OWNERS = (DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)
_OPTIONS = WriteOptions(manager="kube-controller-manager")
_GONE = DeleteOptions("Background")
_FINISHED = ("Complete", "Failed")


class Controllers:
    """``tick`` brings everything one step further; it is called again and again."""

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
                self._step(store, job)
        self._deleter.settle()

    def _step(self, store: Store, job: Json) -> None:
        ended = _condition(job)
        if ended:
            self._expire(job, ended)
            return
        pods = [pod for pod in store.select(PODS.qualified, job["metadata"]["namespace"]) if _owns(job, pod)]
        started = lookup(job, "status", "startTime")
        if started is None:
            self._set_status(store, job, JOBS, startTime=store.timestamp())
            return
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit is not None and self._clock() - _moment(started) >= timedelta(seconds=limit):
            for pod in pods:
                self._deleter.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], _GONE)
            self._end(
                store, job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
            )
        elif not pods:
            self._make_pod(job)
        elif (phase := lookup(pods[0], "status", "phase")) == "Succeeded":
            self._end(
                store, job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
            )
        elif phase == "Failed":
            self._end(
                store, job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
            )

    def _make_pod(self, job: Json) -> None:
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
        about = {
            **(template.get("metadata") or {}),
            "generateName": f"{meta['name']}-",
            "ownerReferences": [owner],
        }
        try:
            self._operations.create(
                PODS, meta["namespace"], {"metadata": about, "spec": template["spec"]}, _OPTIONS
            )
        except ApiError:
            # A real controller makes an event of it, and tries again, as this one does with the next tick.
            return

    def _expire(self, job: Json, ended: Json) -> None:
        after = job["spec"].get("ttlSecondsAfterFinished")
        moment = _moment(ended["lastTransitionTime"])
        if after is not None and self._clock() - moment >= timedelta(seconds=after):
            self._deleter.delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"], _GONE)

    def _end(self, store: Store, job: Json, kind: str, reason: str, message: str) -> None:
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
        store.put(key_of(rtype, meta["namespace"], meta["name"]), changed)


def _condition(job: Json) -> Json | None:
    conditions: list[Json] = lookup(job, "status", "conditions") or []
    return next(
        (one for one in conditions if one.get("type") in _FINISHED and one.get("status") == "True"), None
    )


def _owns(job: Json, pod: Json) -> bool:
    owners: list[Json] = pod["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in owners)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
