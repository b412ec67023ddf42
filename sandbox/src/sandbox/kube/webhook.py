# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EKS's mutating webhook for Pods, which EKS registers as ``pod-identity-webhook``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.request import ProxyHandler, build_opener

from sandbox.kube.admission import inject_irsa, inject_pod_identity
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import MUTATING_WEBHOOKS, NAMESPACES, SERVICE_ACCOUNTS
from sandbox.kube.selectors import object_selector
from sandbox.kube.store import Store, object_key

NAME = "pod-identity-webhook"
SKIP_LABEL = "eks.amazonaws.com/skip-pod-identity-webhook"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
TIMEOUT_SECONDS = 5

Pair = tuple[str, str]
"""Namespace and service account."""


def webhook_configuration() -> Json:
    """Return the MutatingWebhookConfiguration of EKS."""
    skip = {"matchExpressions": [{"key": SKIP_LABEL, "operator": "DoesNotExist"}]}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "iam-for-pods.amazonaws.com",
        "admissionReviewVersions": ["v1beta1"],
        "clientConfig": {"url": "https://127.0.0.1:23443/mutate"},
        "failurePolicy": "Ignore",
        "namespaceSelector": {},
        "objectSelector": skip,
        "rules": [rule],
        "sideEffects": "None",
    }
    return {"metadata": {"name": NAME}, "webhooks": [webhook]}


@dataclass(slots=True)
class Webhook:
    """The webhook and its associations. ``follow`` returns the associations of EKS."""

    enabled: bool = False
    follow: Callable[[], set[Pair]] | None = None
    associations: set[Pair] = field(default_factory=set)

    def mutate(self, store: Store, namespace: str, pod: Json) -> None:
        """Inject EKS Pod Identity if there is an association, else IRSA if the service account has its annotation."""
        if not self.enabled or not _is_selected(store, namespace, pod):
            return
        name = pod["spec"]["serviceAccountName"]
        account = store.get(object_key(SERVICE_ACCOUNTS, namespace, name)) or {}
        role = lookup(account, "metadata", "annotations", ROLE_ANNOTATION)
        if self._is_associated((namespace, name)):
            inject_pod_identity(pod)
        elif role:
            inject_irsa(pod, str(role))

    def _is_associated(self, pair: Pair) -> bool:
        return pair in self.associations or (self.follow is not None and pair in self.follow())


def fetch_associations(url: str) -> set[Pair]:
    """Fetch the associations of a cluster from the embedded AWS."""
    # Proxies cannot reach the loopback address.
    with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS) as response:
        rows = json.load(response)
    return {(row["namespace"], row["service_account"]) for row in rows}


def _is_selected(store: Store, namespace: str, pod: Json) -> bool:
    """Return whether the registered selectors match the Pod."""
    configuration = store.get(object_key(MUTATING_WEBHOOKS, "", NAME))
    namespace_object = store.get(object_key(NAMESPACES, "", namespace)) or {"metadata": {}}
    return any(
        object_selector(lookup(webhook, "namespaceSelector")).matches(namespace_object)
        and object_selector(lookup(webhook, "objectSelector")).matches(pod)
        for webhook in (configuration or {}).get("webhooks") or []
    )
