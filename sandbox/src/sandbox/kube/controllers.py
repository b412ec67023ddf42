# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate some controllers of Kubernetes. Garbage collection is in ``deletion``.

A Job gets a Pod, which is Pending until a test writes its status. activeDeadlineSeconds ends the Job and deletes the Pod;
ttlSecondsAfterFinished deletes the Job. Deployments, DaemonSets, ReplicaSets and StatefulSets get running Pods at once, a
DaemonSet a single one. After a change of the template, the Pods of the new template are created, and then the others deleted.
"""

from __future__ import annotations

import hashlib
import json
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
    NODES,
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
_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"


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
                if not owner["metadata"].get("deletionTimestamp"):
                    self._roll_out(store, owner, rtype)
        for job in list(store.select(JOBS.qualified)):
            if not job["metadata"].get("deletionTimestamp"):
                self._advance(store, job)
        self._deleter.reconcile()

    def _roll_out(self, store: Store, owner: Json, rtype: ResourceType) -> None:
        """Create the Pods of the present template, and delete those of an earlier template."""
        spec = owner["spec"]
        replicas = 1 if rtype is DAEMON_SETS else spec.get("replicas", 1)
        if rtype is DEPLOYMENTS:
            if not spec.get("paused"):
                self._roll_out_deployment(store, owner, replicas)
            return
        revision = _template_hash(spec["template"])
        label = {STATEFUL_SETS: "controller-revision-hash", DAEMON_SETS: "pod-template-generation"}.get(rtype)
        if rtype is STATEFUL_SETS and lookup(owner, "status", "updateRevision") != revision:
            self._set_status(store, owner, rtype, updateRevision=revision)
        if rtype is DAEMON_SETS:
            self._annotate(store, owner, rtype, "deprecated.daemonset.template.generation", revision)
        pods = [
            pod
            for pod in store.select(PODS.qualified, owner["metadata"]["namespace"])
            if _owns(owner, pod) and not pod["metadata"].get("deletionTimestamp")
        ]
        current = [
            pod for pod in pods if not label or pod["metadata"].get("labels", {}).get(label) == revision
        ]
        for _missing in range(replicas - len(current)):
            self._create_pod(owner, rtype, {label: revision} if label else {})
        surplus = [pod for pod in pods if pod not in current] + current[replicas:]
        if lookup(spec, "updateStrategy", "type") == "OnDelete":
            surplus = current[replicas:]
        for pod in surplus:
            self._deleter.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], _BACKGROUND)

    def _roll_out_deployment(self, store: Store, owner: Json, replicas: int) -> None:
        meta, spec = owner["metadata"], owner["spec"]
        revision = _template_hash(spec["template"])
        sets = [
            item for item in store.select(REPLICA_SETS.qualified, meta["namespace"]) if _owns(owner, item)
        ]
        self._annotate(store, owner, DEPLOYMENTS, "deployment.kubernetes.io/revision", revision)
        name = f"{meta['name']}-{revision}"
        if not any(item["metadata"]["name"] == name for item in sets):
            template = clone(spec["template"])
            labels = {**((template.get("metadata") or {}).get("labels") or {}), "pod-template-hash": revision}
            template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
            metadata = {
                "name": name,
                "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [_reference(owner, DEPLOYMENTS)],
            }
            body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
            self._operations.create(
                REPLICA_SETS, meta["namespace"], {"metadata": metadata, "spec": body}, _OPTIONS
            )
        for item in sets:
            desired = replicas if item["metadata"]["name"] == name else 0
            if item["spec"].get("replicas") != desired:
                changed = clone_object(item)
                changed["spec"] = {**item["spec"], "replicas": desired}
                store.put(object_key(REPLICA_SETS, meta["namespace"], item["metadata"]["name"]), changed)

    def _annotate(self, store: Store, owner: Json, rtype: ResourceType, name: str, value: str) -> None:
        meta = owner["metadata"]
        if (meta.get("annotations") or {}).get(name) == value:
            return
        current = store.get(object_key(rtype, meta["namespace"], meta["name"])) or owner
        changed = clone_object(current)
        changed["metadata"] = {
            **current["metadata"],
            "annotations": {**(current["metadata"].get("annotations") or {}), name: value},
        }
        store.put(object_key(rtype, meta["namespace"], meta["name"]), changed)

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
            self._create_pod(job, JOBS)
        elif (phase := lookup(pods[0], "status", "phase")) == "Succeeded":
            self._finish(
                store, job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
            )
        elif phase == "Failed":
            self._finish(
                store, job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
            )

    def _create_pod(self, owner: Json, rtype: ResourceType, labels: Json | None = None) -> None:
        meta = owner["metadata"]
        template = clone(owner["spec"]["template"])
        template_meta = template.get("metadata") or {}
        metadata = {
            **template_meta,
            "labels": {**(template_meta.get("labels") or {}), **(labels or {})},
            "generateName": f"{meta['name']}-",
            "ownerReferences": [_reference(owner, rtype)],
        }
        spec = template["spec"]
        store = self._operations.store
        if rtype is not JOBS:
            node = spec.get("nodeName") or _node(store, spec)
            spec |= {"nodeName": node} if node else {}
        try:
            created = self._operations.create(
                PODS, meta["namespace"], {"metadata": metadata, "spec": spec}, _OPTIONS
            )
        except ApiError:
            # The next tick tries again, as a real controller would.
            return
        if rtype is not JOBS:
            ready = [{"type": "Ready", "status": "True"}]
            self._set_status(store, created.obj, PODS, phase="Running", conditions=ready)

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


def _owns(owner: Json, item: Json) -> bool:
    references: list[Json] = item["metadata"].get("ownerReferences") or []
    return any(reference.get("uid") == owner["metadata"]["uid"] for reference in references)


def _reference(owner: Json, rtype: ResourceType) -> Json:
    return {
        "apiVersion": rtype.group_version,
        "kind": rtype.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _template_hash(template: Json) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _node(store: Store, spec: Json) -> str:
    """Return the first node with the labels of the nodeSelector, or "". A Pod runs on Fargate only if it selects Fargate."""
    selector = {_COMPUTE_TYPE: "", **(spec.get("nodeSelector") or {})}
    nodes = {
        node["metadata"]["name"]: node["metadata"].get("labels") or {}
        for node in store.select(NODES.qualified)
    }
    names = [
        name
        for name, labels in nodes.items()
        if all(labels.get(key, "") == value for key, value in selector.items())
    ]
    return min(names, default="")


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
