# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EKS's mutating webhook for Pods: what it knows of associations, and which Pods it is asked for.

EKS registers it as ``pod-identity-webhook``. Each API server of a cluster has one of its own, which
learns of an association by itself, some time after it was made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.request import ProxyHandler, build_opener

from sandbox.kube.admission import inject_irsa, inject_pod_identity
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import MUTATING_WEBHOOKS, NAMESPACES, SERVICE_ACCOUNTS
from sandbox.kube.selectors import object_selector
from sandbox.kube.store import Store, key_of

NAME = "pod-identity-webhook"
SKIP_LABEL = "eks.amazonaws.com/skip-pod-identity-webhook"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
TIMEOUT_SECONDS = 5

Pair = tuple[str, str]
"""Namespace and service account."""


def configuration() -> Json:
    """What EKS registers."""
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
    """Whether it is on, and what it knows.

    ``delays`` are the seconds after which an association is known, one for each API server of the
    cluster; they answer in turn. ``follow`` gives the associations of EKS with their age in seconds.
    """

    enabled: bool = False
    delays: Sequence[float] = (0.0,)
    follow: Callable[[], dict[Pair, float]] | None = None
    clock: Callable[[], float] = time.monotonic
    _told: dict[Pair, float] = field(default_factory=dict)
    _asked: int = 0

    @property
    def associations(self) -> set[Pair]:
        """Those that it was told, beside those of EKS."""
        return set(self._told)

    @associations.setter
    def associations(self, pairs: Iterable[Pair]) -> None:
        now = self.clock()
        self._told = {pair: self._told.get(pair, now) for pair in pairs}

    def mutate(self, store: Store, namespace: str, pod: Json) -> None:
        """EKS Pod Identity where the association is known, else IRSA where the account asks for it."""
        if not self.enabled or not _is_asked(store, namespace, pod):
            return
        name = pod["spec"]["serviceAccountName"]
        account = store.get(key_of(SERVICE_ACCOUNTS, namespace, name)) or {}
        role = lookup(account, "metadata", "annotations", ROLE_ANNOTATION)
        if self._knows((namespace, name)):
            inject_pod_identity(pod)
        elif role:
            inject_irsa(pod, str(role))

    def _knows(self, pair: Pair) -> bool:
        delay = self.delays[self._asked % len(self.delays)]
        self._asked += 1
        ages = self.follow() if self.follow is not None else {}
        if pair in self._told:
            ages[pair] = self.clock() - self._told[pair]
        return ages.get(pair, -1.0) >= delay


def associations_of(url: str) -> dict[Pair, float]:
    """From the control endpoint of the embedded AWS: the age in seconds by namespace and service account."""
    # A proxy of the environment has no way to this machine's loopback.
    with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS) as answer:
        rows = json.load(answer)
    return {(row["namespace"], row["service_account"]): float(row["age_s"]) for row in rows}


def _is_asked(store: Store, namespace: str, pod: Json) -> bool:
    """As the API server decides it, from what is registered."""
    registered = store.get(key_of(MUTATING_WEBHOOKS, "", NAME))
    space = store.get(key_of(NAMESPACES, "", namespace)) or {"metadata": {}}
    return any(
        object_selector(lookup(webhook, "namespaceSelector")).matches(space)
        and object_selector(lookup(webhook, "objectSelector")).matches(pod)
        for webhook in (registered or {}).get("webhooks") or []
    )
