# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate the controllers of Deployments, ReplicaSets, DaemonSets and StatefulSets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sandbox.kube.children import (
    OPTIONS,
    annotate,
    change,
    controlled,
    controller_reference,
    create_pod,
)
from sandbox.kube.deletion import Deleter
from sandbox.kube.errors import ApiError
from sandbox.kube.jsontree import Json, clone, lookup
from sandbox.kube.operations import Operations
from sandbox.kube.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    ResourceType,
)
from sandbox.kube.scheduling import Scheduler

REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"
REVISION_HASH = "controller-revision-hash"
GENERATION = "deprecated.daemonset.template.generation"
# A Deployment precedes ReplicaSets, so that its new ReplicaSet gets Pods in the same tick.
_OWNERS = (DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)


class Rollouts:
    """The controllers of the owners of long-running Pods."""

    def __init__(self, operations: Operations, deleter: Deleter) -> None:
        self._operations = operations
        self._store = operations.store
        self._deleter = deleter
        self._scheduler = Scheduler(operations.store)
        self._version = 0
        self._failed = False

    def tick(self) -> None:
        """Run all controllers once, unless no object has changed and no creation has failed since the start of the last tick."""
        if self._store.version == self._version and not self._failed:
            return
        self._version, self._failed = self._store.version, False
        for rtype in _OWNERS:
            for owner in list(self._store.select(rtype.qualified)):
                generation = owner["metadata"].get("generation")
                change(self._store, rtype, owner, "status", observedGeneration=generation)
                if not owner["metadata"].get("deletionTimestamp"):
                    self._roll_out(owner, rtype)
        self._scheduler.schedule()

    def _roll_out(self, owner: Json, rtype: ResourceType) -> None:
        """Create, replace and delete the dependents of an owner, and set its status."""
        if rtype is DEPLOYMENTS:
            self._deployment(owner)
        elif rtype is REPLICA_SETS:
            self._replica_set(owner)
        elif rtype is DAEMON_SETS:
            self._daemon_set(owner)
        elif rtype is STATEFUL_SETS:
            self._stateful_set(owner)

    def _deployment(self, owner: Json) -> None:
        sets = controlled(self._store, owner, REPLICA_SETS)
        template_hash = _template_hash(owner["spec"]["template"])
        newest = next((item for item in sets if _label(item, TEMPLATE_HASH) == template_hash), None)
        old = [item for item in sets if item is not newest]
        if not owner["spec"].get("paused"):
            newest = self._scale_newest(owner, newest, old, template_hash)
            # A simple rolling update: when all new Pods are ready, delete the Pods of earlier templates.
            ready = self._pods(newest) if newest is not None else []
            if newest is not None and len(list(filter(_is_ready, ready))) >= owner["spec"]["replicas"]:
                self._scale(old, 0)
        self._set_deployment_status(owner, newest, sets)

    def _scale_newest(
        self, owner: Json, newest: Json | None, old: Sequence[Json], template_hash: str
    ) -> Json | None:
        """Create or scale the ReplicaSet of the current template, and return it. Return None if the API rejects it."""
        replicas = owner["spec"]["replicas"]
        number = max(map(_revision, old), default=0) + 1
        if newest is None:
            newest = self._create_replica_set(owner, template_hash, number)
            if newest is None:
                return None
        number = max(number, _revision(newest))
        annotate(self._store, REPLICA_SETS, newest, REVISION, str(number))
        annotate(self._store, DEPLOYMENTS, owner, REVISION, str(number))
        self._scale([newest], replicas)
        return newest

    def _create_replica_set(self, owner: Json, template_hash: str, number: int) -> Json | None:
        meta, spec = owner["metadata"], owner["spec"]
        template = clone(spec["template"])
        template_meta = template.get("metadata") or {}
        extra = {TEMPLATE_HASH: template_hash}
        labels = {**(template_meta.get("labels") or {}), **extra}
        template["metadata"] = {**template_meta, "labels": labels}
        selector = clone(spec["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **extra}
        metadata = {
            "name": f"{meta['name']}-{template_hash}",
            "labels": labels,
            "annotations": {REVISION: str(number)},
            "ownerReferences": [controller_reference(owner, DEPLOYMENTS)],
        }
        body = {"replicas": spec["replicas"], "selector": selector, "template": template}
        try:
            return self._operations.create(
                REPLICA_SETS, meta["namespace"], {"metadata": metadata, "spec": body}, OPTIONS
            ).obj
        except ApiError:
            self._failed = True
            return None

    def _scale(self, sets: Sequence[Json], replicas: int) -> None:
        for item in sets:
            if item["spec"].get("replicas") != replicas:
                generation = item["metadata"].get("generation", 0) + 1
                change(self._store, REPLICA_SETS, item, "metadata", generation=generation)
                change(self._store, REPLICA_SETS, item, "spec", replicas=replicas)

    def _set_deployment_status(self, owner: Json, newest: Json | None, sets: Sequence[Json]) -> None:
        updated = self._pods(newest) if newest is not None else []
        pods = [pod for item in sets if item is not newest for pod in self._pods(item)] + updated
        status = {"replicas": len(pods), "updatedReplicas": len(updated), **_ready(pods)}
        change(self._store, DEPLOYMENTS, owner, "status", **status)

    def _replica_set(self, owner: Json) -> None:
        """Create missing Pods, and delete surplus Pods. As in Kubernetes, a change of the template affects only new Pods."""
        replicas = owner["spec"]["replicas"]
        pods = [pod for pod in self._pods(owner) if not _has_ended(pod)]
        for _missing in range(replicas - len(pods)):
            self._create(owner, REPLICA_SETS, _generated_name(owner), {})
        # Delete Pods that are not ready first, then the youngest Pods.
        pods.sort(key=lambda pod: (not _is_ready(pod), pod["metadata"]["creationTimestamp"]))
        for pod in pods[replicas:]:
            self._delete(PODS, pod)
        pods = [pod for pod in self._pods(owner) if not _has_ended(pod)]
        change(self._store, REPLICA_SETS, owner, "status", replicas=len(pods), **_ready(pods))

    def _daemon_set(self, owner: Json) -> None:
        """Run one Pod on each matching node. If the cluster has no Nodes, run a single Pod without a node."""
        revision = _template_hash(owner["spec"]["template"])
        # Kubernetes uses a number here. A hash is sufficient, because the value is only compared with labels of Pods.
        annotate(self._store, DAEMON_SETS, owner, GENERATION, revision)
        replaces = lookup(owner, "spec", "updateStrategy", "type") != "OnDelete"
        nodes = self._scheduler.nodes(owner["spec"]["template"]["spec"], cordoned=True)
        without_nodes = not self._scheduler.has_nodes()
        if without_nodes:
            nodes = [""]
        running: dict[str, Json] = {}
        for pod in self._pods(owner):
            node = "" if without_nodes else pod["spec"].get("nodeName") or ""
            outdated = replaces and _label(pod, REVISION_HASH) != revision
            if node not in nodes or node in running or outdated or _has_ended(pod):
                self._delete(PODS, pod)
            else:
                running[node] = pod
        labels = {REVISION_HASH: revision, "pod-template-generation": revision}
        for node in nodes:
            if node not in running:
                self._create(owner, DAEMON_SETS, _generated_name(owner), labels, node)
        pods = self._pods(owner)
        ready = _ready(pods)["readyReplicas"]
        numbers = {"desiredNumberScheduled": len(nodes), "currentNumberScheduled": len(pods)}
        change(self._store, DAEMON_SETS, owner, "status", **numbers, numberReady=ready, numberAvailable=ready)

    def _stateful_set(self, owner: Json) -> None:
        """Run the Pods with the ordinals of a StatefulSet. A new Pod always has the present template."""
        spec, name = owner["spec"], owner["metadata"]["name"]
        revision = f"{name}-{_template_hash(spec['template'])}"
        strategy = spec.get("updateStrategy") or {}
        partition = lookup(strategy, "rollingUpdate", "partition") or 0
        start = lookup(spec, "ordinals", "start") or 0
        ordinals = {f"{name}-{ordinal}": ordinal for ordinal in range(start, start + spec["replicas"])}
        existing = set()
        for pod in self._pods(owner):
            pod_name = pod["metadata"]["name"]
            replaced = strategy.get("type") != "OnDelete" and ordinals.get(pod_name, 0) >= partition
            outdated = replaced and _label(pod, REVISION_HASH) != revision
            if pod_name not in ordinals or outdated or _has_ended(pod):
                self._delete(PODS, pod)
            else:
                existing.add(pod_name)
        for pod_name, ordinal in ordinals.items():
            if pod_name in existing:
                continue
            labels = {
                REVISION_HASH: revision,
                "apps.kubernetes.io/pod-index": str(ordinal),
                "statefulset.kubernetes.io/pod-name": pod_name,
            }
            if self._create(owner, STATEFUL_SETS, {"name": pod_name}, labels) is None:
                # The Pods are created in the order of their ordinals.
                break
        pods = self._pods(owner)
        status = {"replicas": len(pods), "updateRevision": revision, **_ready(pods)}
        change(self._store, STATEFUL_SETS, owner, "status", **status)

    def _pods(self, owner: Json) -> list[Json]:
        return controlled(self._store, owner, PODS)

    def _create(
        self, owner: Json, rtype: ResourceType, name: Json, labels: Json, node: str = ""
    ) -> Json | None:
        """Create a Pod on ``node``, or else on the node of the template or the first suitable node, and set its status."""
        spec = owner["spec"]["template"]["spec"]
        node = node or spec.get("nodeName") or next(iter(self._scheduler.nodes(spec)), "")
        pod = create_pod(self._operations, owner, rtype, name, labels, {"nodeName": node} if node else {})
        if pod is None:
            self._failed = True
        else:
            self._scheduler.run(pod, node)
        return pod

    def _delete(self, rtype: ResourceType, obj: Json) -> None:
        self._deleter.delete(rtype, obj["metadata"]["namespace"], obj["metadata"]["name"])


def _generated_name(owner: Json) -> Json:
    return {"generateName": f"{owner['metadata']['name']}-"}


def _template_hash(template: Json) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _revision(replica_set: Json) -> int:
    text = str((replica_set["metadata"].get("annotations") or {}).get(REVISION, ""))
    return int(text) if text.isdecimal() else 0


def _label(obj: Json, name: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(name, ""))


def _has_ended(pod: Json) -> bool:
    return lookup(pod, "status", "phase") in ("Succeeded", "Failed")


def _ready(pods: Sequence[Json]) -> dict[str, int]:
    """Return the members of a status that count the Pods that are ready."""
    number = len(list(filter(_is_ready, pods)))
    return {"readyReplicas": number, "availableReplicas": number}


def _is_ready(pod: Json) -> bool:
    conditions: list[Json] = lookup(pod, "status", "conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
