# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What was read of a cluster, indexed by what is asked of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...._findings.key import WorkloadKey
from ..api.api_errors import ApiError
from ..api.cluster import Listing, Reads
from ..model.objects import Object, ObjectName, member, name_of, number_of, text_of, texts_of
from .pods import Owner, Pod, controller, is_live, is_ready, parse_pod, service_account_of

AGENT = "eks-pod-identity-agent"
AGENT_NAMESPACE = "kube-system"
# What the add-on labels its Pods with (app.kubernetes.io/name): on EC2, on hybrid nodes, and on those with Bottlerocket.
AGENTS = (AGENT, f"{AGENT}-hybrid", f"{AGENT}-hybrid-bottlerocket")
# By the names of what is read: what a caller must be allowed to list.
RESOURCES = {
    "pods": "pods",
    "agents": f"pods in namespace {AGENT_NAMESPACE}",
    "daemon_sets": f"daemonsets.apps in namespace {AGENT_NAMESPACE}",
    "nodes": "nodes",
    "replica_sets": "replicasets.apps",
}


@dataclass(frozen=True, slots=True)
class KubeState:
    """The cluster, as far as it was read.

    ``pods`` holds live Pods by workload, ``nodes`` the labels by node name, ``agents`` by node whether a
    ready agent runs there, ``daemon_sets`` how many Pods each of the agent's is to have (None: not read),
    ``owners`` what owns a ReplicaSet. ``errors`` says why something could not be read, by the names of RESOURCES.
    """

    now: datetime
    pods: Mapping[WorkloadKey, Sequence[Pod]] | None = None
    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    agents: Mapping[str, bool] | None = None
    daemon_sets: Sequence[int] | None = None
    owners: Mapping[ObjectName, Owner] = field(default_factory=dict)
    errors: Mapping[str, ApiError] = field(default_factory=dict)
    auto_mode: bool = False

    @property
    def has_auto_nodes(self) -> bool:
        return self.auto_mode or any(map(self.is_auto, self.nodes))

    def has_agent(self, node: str) -> bool:
        """Whether a ready agent serves the Pods of a node; Auto Mode has it in the node itself."""
        return bool(self.agents and self.agents.get(node)) or self.is_auto(node)

    def is_auto(self, node: str) -> bool:
        return self.nodes.get(node, {}).get("eks.amazonaws.com/compute-type") == "auto"

    def owner_of(self, pod: Pod) -> Owner:
        """What recreates a Pod: for one of a ReplicaSet, the Deployment above that.

        Without the ReplicaSet, its Deployment is told from the label pod-template-hash, which the
        Deployment controller appends to the ReplicaSet's name.
        """
        owner = pod.owner
        if owner.kind != "ReplicaSet":
            return owner
        above = self.owners.get(ObjectName(pod.namespace, owner.name))
        if above is not None:
            return above if above.kind else owner
        suffix = f"-{pod.labels.get('pod-template-hash', '')}"
        if len(suffix) > 1 and owner.name.endswith(suffix):
            return Owner("apps/v1", "Deployment", pod.namespace, owner.name.removesuffix(suffix))
        return owner


def read_state(
    reads: Reads, workloads: Iterable[WorkloadKey], cluster: str, now: datetime, auto_mode: bool = False
) -> KubeState:
    """The lists by the names of RESOURCES, for the workloads that matter."""
    answered = {name: listing.items for name, listing in reads.items() if listing.error is None}
    return KubeState(
        now=now,
        pods=_by_workload(answered["pods"], frozenset(workloads), cluster) if "pods" in answered else None,
        nodes={
            name_of(item).name: texts_of(member(item, "metadata").get("labels"))
            for item in answered.get("nodes", ())
        },
        agents=_agents(answered["agents"]) if "agents" in answered else None,
        daemon_sets=_desired_agents(answered["daemon_sets"]) if "daemon_sets" in answered else None,
        owners={
            name_of(item): controller(member(item, "metadata")) for item in answered.get("replica_sets", ())
        },
        errors=_errors(reads),
        auto_mode=auto_mode,
    )


def _errors(reads: Reads) -> dict[str, ApiError]:
    """In the order of RESOURCES, whatever was read first."""
    listings = {name: reads.get(name, Listing()) for name in RESOURCES}
    return {name: listing.error for name, listing in listings.items() if listing.error is not None}


def _agents(items: Iterable[Object]) -> dict[str, bool]:
    nodes: dict[str, bool] = {}
    for item in items:
        node = text_of(member(item, "spec").get("nodeName"))
        if node:
            nodes[node] = nodes.get(node, False) or (is_live(item) and is_ready(item))
    return nodes


def _by_workload(
    items: Iterable[Object], wanted: frozenset[WorkloadKey], cluster: str
) -> Mapping[WorkloadKey, Sequence[Pod]]:
    pods: dict[WorkloadKey, list[Pod]] = {}
    for item in items:
        key = service_account_of(item, cluster)
        if key in wanted and is_live(item):
            pods.setdefault(key, []).append(parse_pod(item, cluster))
    return pods


def _desired_agents(items: Iterable[Object]) -> list[int]:
    """Of the add-on's own DaemonSet, and of the one for hybrid nodes that its chart can make."""
    return [
        number_of(member(item, "status").get("desiredNumberScheduled"))
        for item in items
        if name_of(item).name.startswith(AGENT)
    ]
