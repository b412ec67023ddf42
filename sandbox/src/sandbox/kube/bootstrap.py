# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the initial objects of a cluster: four namespaces, and the default cluster roles with their bindings."""

from __future__ import annotations

from sandbox.kube import webhook
from sandbox.kube.jsontree import Json
from sandbox.kube.operations import Operations, WriteOptions
from sandbox.kube.resources import (
    APPS,
    BATCH,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    RBAC,
)

SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_READ = ["get", "list", "watch"]
_CORE = ["configmaps", "events", "pods", "pods/log", "pods/status", "serviceaccounts"]
_APPS = ["daemonsets", "deployments", "replicasets", "statefulsets"]


def _rule(verbs: list[str], group: str, *resources: str) -> Json:
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs}


def _paths(*paths: str) -> Json:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


def _cluster_roles() -> dict[str, list[Json]]:
    """Return the rules of the default cluster roles, by name."""
    view = [
        _rule(_READ, "", *_CORE, "namespaces"),
        _rule(_READ, APPS, *_APPS),
        _rule(_READ, BATCH, "cronjobs", "jobs"),
    ]
    discovery = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]
    return {
        "cluster-admin": [
            _rule(["*"], "*", "*"),
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ],
        "system:discovery": [_paths(*discovery, "/version", "/version/")],
        "view": view,
    }


_BINDINGS = {
    "cluster-admin": "system:masters",
    "system:discovery": "system:authenticated",
}


def register_webhook(operations: Operations) -> None:
    """Create the MutatingWebhookConfiguration of the EKS Pod Identity webhook."""
    operations.create(MUTATING_WEBHOOKS, "", webhook.webhook_configuration(), WriteOptions(manager="eks"))


def bootstrap(operations: Operations) -> None:
    """Create the initial objects of a cluster."""
    options = WriteOptions(manager="kube-apiserver")
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name in SYSTEM_NAMESPACES:
        operations.create(NAMESPACES, "", {"metadata": {"name": name}}, options)
    for name, rules in _cluster_roles().items():
        role = {"metadata": {"name": name, "labels": labels}, "rules": rules}
        operations.create(CLUSTER_ROLES, "", role, options)
    for name, group in _BINDINGS.items():
        binding = {
            "metadata": {"name": name, "labels": labels},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
        }
        operations.create(CLUSTER_ROLE_BINDINGS, "", binding, options)
