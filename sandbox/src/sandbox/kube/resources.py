# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of objects that the embedded Kubernetes API serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

ALL_VERBS = ("create", "delete", "get", "list", "patch")
SUBRESOURCE_VERBS = ("get", "patch")

ADMISSION = "admissionregistration.k8s.io"
APPS = "apps"
BATCH = "batch"
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind of object.

    ``fields`` are the supported field selectors in addition to ``metadata.name`` and ``metadata.namespace``. If
    ``returns_deleted``, a DELETE request returns the object instead of a Status. If ``has_generation``,
    ``metadata.generation`` counts the changes of ``spec``.
    """

    group: str
    plural: str
    kind: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    returns_deleted: bool = False
    has_generation: bool = False
    version: str = "v1"

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Return the name of the resource in error messages, such as ``deployments.apps`` or ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        return self.kind.lower()


def _core(plural: str, kind: str, **more: Any) -> ResourceType:
    return ResourceType("", plural, kind, **more)


def _workload(group: str, plural: str, kind: str, *fields: str) -> ResourceType:
    return ResourceType(group, plural, kind, subresources=("status",), fields=fields, has_generation=True)


def _global(group: str, plural: str, kind: str, **more: Any) -> ResourceType:
    return ResourceType(group, plural, kind, namespaced=False, **more)


_STATUS = ("status",)
_POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName")
_EVENT_FIELDS = tuple(f"involvedObject.{name}" for name in ("kind", "name", "namespace", "uid"))

NAMESPACES = _global(
    "",
    "namespaces",
    "Namespace",
    subresources=_STATUS,
    fields=("status.phase",),
    returns_deleted=True,
)
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", returns_deleted=True)
PODS = _core(
    "pods",
    "Pod",
    subresources=_STATUS,
    fields=(*_POD_FIELDS, "spec.hostNetwork", "status.phase", "status.podIP"),
    returns_deleted=True,
    has_generation=True,
)
CONFIG_MAPS = _core("configmaps", "ConfigMap")
SECRETS = _core("secrets", "Secret", fields=("type",))
NODES = _global("", "nodes", "Node", subresources=_STATUS, fields=("spec.unschedulable",))
EVENTS = _core("events", "Event", fields=(*_EVENT_FIELDS, "reason", "reportingComponent", "source", "type"))
DAEMON_SETS = _workload(APPS, "daemonsets", "DaemonSet")
DEPLOYMENTS = _workload(APPS, "deployments", "Deployment")
REPLICA_SETS = _workload(APPS, "replicasets", "ReplicaSet", "status.replicas")
STATEFUL_SETS = _workload(APPS, "statefulsets", "StatefulSet")
JOBS = _workload(BATCH, "jobs", "Job", "status.successful")
CRON_JOBS = _workload(BATCH, "cronjobs", "CronJob")
MUTATING_WEBHOOKS = _global(
    ADMISSION, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", has_generation=True
)
ADMISSION_POLICIES = _global(
    ADMISSION,
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    subresources=_STATUS,
    has_generation=True,
)
ADMISSION_POLICY_BINDINGS = _global(
    ADMISSION, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", has_generation=True
)
CLUSTER_ROLES = _global(RBAC, "clusterroles", "ClusterRole")
CLUSTER_ROLE_BINDINGS = _global(RBAC, "clusterrolebindings", "ClusterRoleBinding")
ROLES = ResourceType(RBAC, "roles", "Role")
ROLE_BINDINGS = ResourceType(RBAC, "rolebindings", "RoleBinding")


class ResourceTable:
    """A table of kinds, with lookups by the parts of a URL path."""

    def __init__(self, types: Iterable[ResourceType]) -> None:
        self._types = tuple(types)
        self._by_path = {(t.group, t.version, t.plural): t for t in self._types}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._types)

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        return self._by_path.get((group, version, plural))

    def group_versions(self) -> dict[str, tuple[str, ...]]:
        """Return the API versions of each group, in the order of the table. The name of the core group is ""."""
        groups: dict[str, tuple[str, ...]] = {}
        for rtype in self._types:
            versions = groups.get(rtype.group, ())
            if rtype.version not in versions:
                groups[rtype.group] = (*versions, rtype.version)
        return groups

    def in_version(self, group: str, version: str) -> tuple[ResourceType, ...]:
        return tuple(t for t in self._types if (t.group, t.version) == (group, version))


def resource_table() -> ResourceTable:
    return ResourceTable(
        (
            CONFIG_MAPS,
            EVENTS,
            NAMESPACES,
            NODES,
            PODS,
            SECRETS,
            SERVICE_ACCOUNTS,
            DAEMON_SETS,
            DEPLOYMENTS,
            REPLICA_SETS,
            STATEFUL_SETS,
            MUTATING_WEBHOOKS,
            ADMISSION_POLICIES,
            ADMISSION_POLICY_BINDINGS,
            CRON_JOBS,
            JOBS,
            CLUSTER_ROLES,
            CLUSTER_ROLE_BINDINGS,
            ROLES,
            ROLE_BINDINGS,
        )
    )
