# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""EKS's mutating webhook as the cluster registers it, and whether it is asked for a namespace. Pure.

Source: amazon-eks-pod-identity-webhook, and the configuration ``pod-identity-webhook`` that EKS makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.cluster import Cluster, Query
from ..model.objects import Object, member, name_of, objects_of, text_of, texts_of

NAME = "pod-identity-webhook"


@dataclass(frozen=True, slots=True)
class WebhookState:
    """``configurations`` are the mutating webhooks of the cluster, None when they could not be read; ``namespaces``
    are the labels of those that matter, without those that could not be read."""

    configurations: Sequence[Object] | None = None
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def is_missing(self) -> bool:
        return self.configurations is not None and not self._webhooks()

    def excludes(self, namespace: str) -> bool:
        """Whether the webhook is there, and is not asked for new Pods of the namespace."""
        webhooks, labels = self._webhooks(), self.namespaces.get(namespace)
        if not webhooks or labels is None:
            return False
        return not any(selects(member(webhook, "namespaceSelector"), labels) for webhook in webhooks)

    def _webhooks(self) -> list[Object]:
        items = [item for item in self.configurations or () if NAME in name_of(item).name]
        return [webhook for item in items for webhook in objects_of(item.get("webhooks"))]


def has_webhook(version: Object) -> bool:
    """Whether an API server is one of EKS's, which has the webhook. ``version`` is the answer of GET /version; without
    an answer nothing speaks against it."""
    git_version = text_of(version.get("gitVersion"))
    return not git_version or "-eks-" in git_version


def read_webhook(cluster: Cluster, namespaces: Iterable[str]) -> WebhookState:
    """Two requests, for workloads without injection only."""
    registered = cluster.list_objects(
        Query("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
    )
    if registered.error is not None:
        return WebhookState()
    listing = cluster.list_objects(Query("v1", "Namespace"))
    wanted = set(namespaces)
    labels = {
        name_of(item).name: texts_of(member(item, "metadata").get("labels"))
        for item in listing.items
        if name_of(item).name in wanted
    }
    return WebhookState(registered.items, labels)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """A label selector as Kubernetes evaluates it; an empty one selects all. An operator that is not known selects."""
    wanted = texts_of(selector.get("matchLabels"))
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_meets(requirement, labels) for requirement in objects_of(selector.get("matchExpressions")))


def _meets(expression: Object, labels: Mapping[str, str]) -> bool:
    name, given = text_of(expression.get("key")), expression.get("values")
    values = [text_of(value) for value in given] if isinstance(given, Sequence) else []
    operator = expression.get("operator")
    if operator == "In":
        return name in labels and labels[name] in values
    if operator == "NotIn":
        return name not in labels or labels[name] not in values
    if operator == "Exists":
        return name in labels
    return name not in labels if operator == "DoesNotExist" else True
