# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The initial objects in the cluster of the fault tests, and the runs that get faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.workload_identity.aws.tests.faults.harness import TaskSpec
from ansible_collections.workload_identity.aws.tests.faults.world import WORKLOADS, desired
from ansible_collections.workload_identity.aws.tests.findings.cluster import NODE, READY, Kube

IRSA = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/irsa"}
API, _WORKER, REPORT, _SYNC, APP = WORKLOADS
WEB = {**API, "namespace": "old", "service_account": "web"}
# The second workload creates its namespace. The last two use existing service accounts, and the last of these has a Pod.
ACCOUNTS: tuple[Mapping[str, Any], ...] = (
    {**API, "service_account_labels": {"team": "shop"}},
    {**REPORT, "target_role_arn": "", "create_namespace": True},
    {**APP, "service_account_annotations": {"team": "old"}},
    WEB,
)
CHANGED: tuple[Mapping[str, Any], ...] = (
    {**ACCOUNTS[0], "service_account_labels": {"team": "market"}},
    {**API, "service_account": "worker"},
    ACCOUNTS[1],
    {**ACCOUNTS[2], "service_account_annotations": {"team": "older"}},
    WEB,
)


@dataclass(frozen=True)
class KubeScenario:
    """A run that gets faults. ``first`` has the workloads of an earlier run, which creates the initial state."""

    first: tuple[Mapping[str, Any], ...]
    workloads: tuple[Mapping[str, Any], ...]
    state: Any = "present"
    purge: bool = False

    @property
    def spec(self) -> TaskSpec:
        earlier = desired(*self.first).workloads if self.purge else ()
        keys = frozenset(workload.key for workload in earlier)
        return TaskSpec(desired(*self.workloads, state=self.state), self.state, self.purge, keys)


SCENARIOS = {
    "first run": KubeScenario((), ACCOUNTS),
    "change": KubeScenario(ACCOUNTS, CHANGED),
    "teardown": KubeScenario(ACCOUNTS, ACCOUNTS, "absent"),
    "purge": KubeScenario(ACCOUNTS, (CHANGED[0], WEB), purge=True),
}


def furnish(kube: Kube) -> None:
    """Create a node with the agent, and objects that no run manages, such as a Pod of the service account ``old/web``."""
    for namespace in ("old", "theirs"):
        kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    kube.account("old", "app", labels={"of": "others"}, annotations=IRSA)
    kube.account("old", "web", labels={"of": "others"})
    kube.account("theirs", "app", labels={"of": "others"})
    kube.account("default", "theirs", labels={"of": "others"})
    kube.node()
    kube.agent()
    # The webhook needs the association of "web" to inject credentials into its Pod.
    kube.control.set_associations(
        [(workload["namespace"], workload["service_account"]) for workload in CHANGED]
    )
    spec = {"serviceAccountName": "web", "nodeName": NODE, "containers": [{"name": "a", "image": "a"}]}
    kube.create("/api/v1/namespaces/old/pods", {"metadata": {"name": "web-1"}, "spec": spec}, READY)
    # This Deployment has no Pods, but uses the service account, so a teardown must keep the service account.
    labels = {"app": "api"}
    pod = {"serviceAccountName": API["service_account"], "containers": [{"name": "a", "image": "a"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    kube.create(
        f"/apis/apps/v1/namespaces/{API['namespace']}/deployments",
        {
            "metadata": {"name": "api"},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        },
    )


def cluster_objects(kube: Kube) -> dict[tuple[str, str], Any]:
    """Return the labels and annotations of all service accounts and namespaces."""
    objects = kube.control.state()["objects"]
    found: dict[tuple[str, str], Any] = {}
    for kind in ("serviceaccounts", "namespaces"):
        for item in objects[kind]:
            metadata = item["metadata"]
            name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
            found[kind, name] = {part: metadata.get(part, {}) for part in ("labels", "annotations")}
    return found
