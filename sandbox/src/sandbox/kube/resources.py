# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of objects that the embedded Kubernetes API serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")

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
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    returns_deleted: bool = False
    has_generation: bool = False

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


NAMESPACES = ResourceType(
    "",
    "v1",
    "namespaces",
    "Namespace",
    namespaced=False,
    short_names=("ns",),
    subresources=("finalize", "status"),
    fields=("status.phase",),
    returns_deleted=True,
)
SERVICE_ACCOUNTS = ResourceType(
    "",
    "v1",
    "serviceaccounts",
    "ServiceAccount",
    short_names=("sa",),
    returns_deleted=True,
)
PODS = ResourceType(
    "",
    "v1",
    "pods",
    "Pod",
    short_names=("po",),
    subresources=("status",),
    categories=("all",),
    fields=(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
    ),
    returns_deleted=True,
    has_generation=True,
)
CONFIG_MAPS = ResourceType("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
SECRETS = ResourceType("", "v1", "secrets", "Secret", fields=("type",))
NODES = ResourceType(
    "",
    "v1",
    "nodes",
    "Node",
    namespaced=False,
    short_names=("no",),
    subresources=("status",),
    fields=("spec.unschedulable",),
)
EVENTS = ResourceType(
    "",
    "v1",
    "events",
    "Event",
    short_names=("ev",),
    fields=(
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
)
DAEMON_SETS = ResourceType(
    APPS,
    "v1",
    "daemonsets",
    "DaemonSet",
    short_names=("ds",),
    subresources=("status",),
    categories=("all",),
    has_generation=True,
)
DEPLOYMENTS = ResourceType(
    APPS,
    "v1",
    "deployments",
    "Deployment",
    short_names=("deploy",),
    subresources=("status",),
    categories=("all",),
    has_generation=True,
)
REPLICA_SETS = ResourceType(
    APPS,
    "v1",
    "replicasets",
    "ReplicaSet",
    short_names=("rs",),
    subresources=("status",),
    categories=("all",),
    fields=("status.replicas",),
    has_generation=True,
)
STATEFUL_SETS = ResourceType(
    APPS,
    "v1",
    "statefulsets",
    "StatefulSet",
    short_names=("sts",),
    subresources=("status",),
    categories=("all",),
    has_generation=True,
)
JOBS = ResourceType(
    BATCH,
    "v1",
    "jobs",
    "Job",
    subresources=("status",),
    categories=("all",),
    fields=("status.successful",),
    has_generation=True,
)
CRON_JOBS = ResourceType(
    BATCH,
    "v1",
    "cronjobs",
    "CronJob",
    short_names=("cj",),
    subresources=("status",),
    categories=("all",),
    has_generation=True,
)
MUTATING_WEBHOOKS = ResourceType(
    ADMISSION,
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
    categories=("api-extensions",),
    has_generation=True,
)
ADMISSION_POLICIES = ResourceType(
    ADMISSION,
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
    subresources=("status",),
    categories=("api-extensions",),
    has_generation=True,
)
ADMISSION_POLICY_BINDINGS = ResourceType(
    ADMISSION,
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
    categories=("api-extensions",),
    has_generation=True,
)
CLUSTER_ROLES = ResourceType(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = ResourceType(
    RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
ROLES = ResourceType(RBAC, "v1", "roles", "Role")
ROLE_BINDINGS = ResourceType(RBAC, "v1", "rolebindings", "RoleBinding")


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
