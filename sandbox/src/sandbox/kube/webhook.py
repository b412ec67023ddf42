# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS Pod Identity webhook: the mutating webhook ``pod-identity-webhook``, which EKS registers for new Pods."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.request import ProxyHandler, build_opener

from sandbox.kube.admission import STS_AUDIENCE, inject_irsa, inject_pod_identity
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import MUTATING_WEBHOOKS, NAMESPACES, SERVICE_ACCOUNTS
from sandbox.kube.selectors import object_selector
from sandbox.kube.store import Store, object_key

NAME = "pod-identity-webhook"
SKIP_LABEL = "eks.amazonaws.com/skip-pod-identity-webhook"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
TIMEOUT_SECONDS = 5

Pair = tuple[str, str]
"""The namespace and the name of a service account."""


def webhook_configuration() -> Json:
    """Return the MutatingWebhookConfiguration that EKS creates."""
    skip = {"matchExpressions": [{"key": SKIP_LABEL, "operator": "DoesNotExist"}]}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "iam-for-pods.amazonaws.com",
        "admissionReviewVersions": ["v1beta1"],
        "clientConfig": {"url": "https://127.0.0.1:23443/mutate"},
        "failurePolicy": "Ignore",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": skip,
        "reinvocationPolicy": "IfNeeded",
        "rules": [rule],
        "sideEffects": "None",
        "timeoutSeconds": 10,
    }
    return {"metadata": {"name": NAME}, "webhooks": [webhook]}


@dataclass(slots=True)
class Webhook:
    """The webhook, with the service accounts that have an association.

    Tests set ``associations``. If ``follow`` is not None, it returns the service accounts that have an association in the
    embedded AWS. If ``known`` is not None, the webhook knows only these associations, like a webhook that learns of changes late.
    """

    enabled: bool = False
    follow: Callable[[], set[Pair]] | None = None
    associations: set[Pair] = field(default_factory=set)
    known: set[Pair] | None = None

    def mutate(self, store: Store, namespace: str, pod: Json) -> None:
        """Change a new Pod: inject EKS Pod Identity if its service account has an association.

        Otherwise inject IRSA (IAM roles for service accounts) if the service account has the annotation for IRSA.
        """
        if not self.enabled or not _is_selected(store, namespace, pod):
            return
        name = pod["spec"]["serviceAccountName"]
        account = store.get(object_key(SERVICE_ACCOUNTS, namespace, name)) or {}
        annotations = lookup(account, "metadata", "annotations") or {}
        role = annotations.get(ROLE_ANNOTATION)
        if self._is_associated((namespace, name)):
            inject_pod_identity(pod)
        elif role:
            inject_irsa(pod, str(role), str(annotations.get(AUDIENCE_ANNOTATION) or STS_AUDIENCE))

    def _is_associated(self, pair: Pair) -> bool:
        if self.known is not None:
            return pair in self.known
        return pair in self.associations or (self.follow is not None and pair in self.follow())


def fetch_associations(url: str) -> set[Pair]:
    """Fetch the service accounts with an association from the embedded AWS.

    ``url`` is the control request ``associations`` for the EKS cluster.
    """
    # Do not use a proxy, because a proxy could not reach the loopback address of this machine.
    with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS) as response:
        rows = json.load(response)
    return {(row["namespace"], row["service_account"]) for row in rows}


def _is_selected(store: Store, namespace: str, pod: Json) -> bool:
    """Return whether the selectors in the webhook's configuration match the Pod and its namespace."""
    configuration = store.get(object_key(MUTATING_WEBHOOKS, "", NAME))
    namespace_object = store.get(object_key(NAMESPACES, "", namespace)) or {"metadata": {}}
    return any(
        object_selector(lookup(webhook, "namespaceSelector")).matches(namespace_object)
        and object_selector(lookup(webhook, "objectSelector")).matches(pod)
        for webhook in (configuration or {}).get("webhooks") or []
    )
