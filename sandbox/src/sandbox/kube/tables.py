# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``as=Table`` answers: what ``kubectl get`` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import ResourceType

Cell = Callable[[Json], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """``wide`` columns are shown by ``-o wide`` alone."""

    name: str
    cell: Cell
    kind: str = "string"
    wide: bool = False


def wants_table(accept: str) -> bool:
    """Whether the first choice of an Accept header is a table of meta.k8s.io/v1."""
    first = accept.partition(",")[0].replace(" ", "").split(";")
    return "as=Table" in first and "g=meta.k8s.io" in first and "v=v1" in first


def as_table(rtype: ResourceType, body: Json, include: str, now: datetime) -> Json:
    """A list or one object as a table; ``include`` is None, Metadata or Object."""
    columns = [_NAME, *_columns(rtype.kind), _age_column(now)]
    objects = body["items"] if body["kind"] == f"{rtype.kind}List" else [body]
    meta = body["metadata"] if objects is body.get("items") else {}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta or {"resourceVersion": body["metadata"]["resourceVersion"]},
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": [
            {
                "cells": [column.cell(obj) for column in columns],
                **_row_object(rtype, obj, include or "Metadata"),
            }
            for obj in objects
        ],
    }


def _definition(column: Column) -> Json:
    return {
        "name": column.name,
        "type": column.kind,
        "format": "name" if column.name == "Name" else "",
        "description": "",
        "priority": 1 if column.wide else 0,
    }


def _row_object(rtype: ResourceType, obj: Json, include: str) -> Json:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": {"kind": rtype.kind, "apiVersion": rtype.group_version, **obj}}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {"object": {**partial, "metadata": obj["metadata"]}}


def human_duration(seconds: int) -> str:
    """As kubectl shortens ages: 59s, 5m3s, 10m, 3h20m, 23h, 2d4h, 9d."""
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


def _seconds_since(stamp: str, now: datetime) -> int:
    then = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return int((now - then).total_seconds())


def _age_column(now: datetime) -> Column:
    return Column(
        "Age", lambda obj: human_duration(_seconds_since(obj["metadata"]["creationTimestamp"], now))
    )


def _at(*path: str, default: Any = "") -> Cell:
    def cell(obj: Json) -> Any:
        found = lookup(obj, *path)
        return default if found is None else found

    return cell


def _count(*path: str) -> Cell:
    return lambda obj: len(lookup(obj, *path) or ())


def _of(path: tuple[str, ...], total: tuple[str, ...]) -> Cell:
    return lambda obj: f"{lookup(obj, *path) or 0}/{lookup(obj, *total) or 0}"


def _number(name: str, *path: str) -> Column:
    return Column(name, _at(*path, default=0), "integer")


def _ready_containers(pod: Json) -> str:
    ready = [status for status in lookup(pod, "status", "containerStatuses") or [] if status.get("ready")]
    return f"{len(ready)}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Json) -> str:
    if lookup(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    for status in lookup(pod, "status", "containerStatuses") or []:
        waiting = lookup(status, "state", "waiting", "reason")
        if waiting:
            return str(waiting)
    return str(lookup(pod, "status", "reason") or lookup(pod, "status", "phase") or "Unknown")


def _restarts(pod: Json) -> str:
    statuses = lookup(pod, "status", "containerStatuses") or []
    return str(sum(int(status.get("restartCount") or 0) for status in statuses))


def _node_status(node: Json) -> str:
    conditions = lookup(node, "status", "conditions") or []
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), None)
    return {"True": "Ready", "False": "NotReady"}.get(str(ready), "Unknown")


def _job_status(job: Json) -> str:
    for condition in lookup(job, "status", "conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            return str(condition["type"])
    return "Running"


def _role(binding: Json) -> str:
    return f"{binding['roleRef'].get('kind')}/{binding['roleRef'].get('name')}"


_NAME = Column("Name", _at("metadata", "name"))
_NODE = Column("Node", _at("spec", "nodeName", default="<none>"), wide=True)
_SET_STATUS = ("status", "readyReplicas")


def _columns(kind: str) -> tuple[Column, ...]:
    columns: Mapping[str, tuple[Column, ...]] = {
        "ConfigMap": (Column("Data", _count("data"), "integer"),),
        "ClusterRoleBinding": (Column("Role", _role),),
        "DaemonSet": (
            _number("Desired", "status", "desiredNumberScheduled"),
            _number("Current", "status", "currentNumberScheduled"),
            _number("Ready", "status", "numberReady"),
            _number("Up-to-date", "status", "updatedNumberScheduled"),
            _number("Available", "status", "numberAvailable"),
        ),
        "Deployment": (
            Column("Ready", _of(_SET_STATUS, ("spec", "replicas"))),
            _number("Up-to-date", "status", "updatedReplicas"),
            _number("Available", "status", "availableReplicas"),
        ),
        "Event": (
            Column("Type", _at("type")),
            Column("Reason", _at("reason")),
            Column("Message", _at("message")),
        ),
        "Job": (
            Column("Status", _job_status),
            Column("Completions", _of(("status", "succeeded"), ("spec", "completions"))),
        ),
        "Namespace": (Column("Status", _at("status", "phase")),),
        "Node": (
            Column("Status", _node_status),
            Column("Version", _at("status", "nodeInfo", "kubeletVersion")),
        ),
        "Pod": (
            Column("Ready", _ready_containers),
            Column("Status", _pod_status),
            Column("Restarts", _restarts),
            _NODE,
        ),
        "ReplicaSet": (
            _number("Desired", "spec", "replicas"),
            _number("Current", "status", "replicas"),
            _number("Ready", *_SET_STATUS),
        ),
        "RoleBinding": (Column("Role", _role),),
        "Secret": (Column("Type", _at("type")), Column("Data", _count("data"), "integer")),
        "StatefulSet": (Column("Ready", _of(_SET_STATUS, ("spec", "replicas"))),),
    }
    return columns.get(kind, ())
