# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the initial status of new objects, and the labels that the API server adds to Jobs."""

from __future__ import annotations

from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType

_INITIAL: dict[str, Json] = {
    "CronJob": {},
    "DaemonSet": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    "Deployment": {},
    "Job": {},
    "Namespace": {"phase": "Active"},
    "ReplicaSet": {"replicas": 0},
    "StatefulSet": {"availableReplicas": 0, "replicas": 0},
}


def initial_status(rtype: ResourceType, obj: Json) -> None:
    """Set the initial status of a new object. A Node keeps a status that the request sets."""
    if rtype.kind == "Pod":
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    elif rtype.kind in _INITIAL:
        obj["status"] = dict(_INITIAL[rtype.kind])
    elif rtype.kind == "Node":
        obj.setdefault("spec", {})
        obj.setdefault("status", {})
    if rtype.kind == "Job" and not obj["spec"].get("manualSelector"):
        _label_job(obj)


def _label_job(job: Json) -> None:
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    template = job["spec"]["template"].setdefault("metadata", {})
    labels = template.setdefault("labels", {})
    labels |= {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
