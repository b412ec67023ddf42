# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What was read of a cluster, indexed by what is asked of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...._findings.key import WorkloadKey
from ..api.api_errors import ApiError
from ..api.cluster import Listing, Reads
from ..model.objects import Object, ObjectName, member, name_of, number_of, text_of, texts_of
from .pods import Owner, Pod, controller, is_live, is_ready, parse_pod, service_account_of
from .rollouts import Hold, Rollout, hashes_of, parse_rollout

APPS = "apps/v1"
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
    "deployments": "deployments.apps",
    "owning_daemon_sets": "daemonsets.apps",
    "stateful_sets": "statefulsets.apps",
}
# Those of RESOURCES that hold owners of Pods. What cannot be read is not restarted.
OWNER_KINDS = {
    "deployments": "Deployment",
    "owning_daemon_sets": "DaemonSet",
    "stateful_sets": "StatefulSet",
}


@dataclass(frozen=True, slots=True)
class KubeState:
    """The cluster, as far as it was read.

    ``pods`` holds live Pods by workload, ``nodes`` the labels by node name, ``agents`` by node whether a
    ready agent runs there, ``daemon_sets`` how many Pods each of the agent's is to have (None: not read),
    ``owners`` what owns a ReplicaSet. ``errors`` says why something could not be read, by the names of RESOURCES.
    ``rollouts`` holds the owners of Pods that were read, ``owner_errors`` by kind why others were not (None: read).
    """

    now: datetime
    pods: Mapping[WorkloadKey, Sequence[Pod]] | None = None
    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    agents: Mapping[str, bool] | None = None
    daemon_sets: Sequence[int] | None = None
    owners: Mapping[ObjectName, Owner] = field(default_factory=dict)
    errors: Mapping[str, ApiError] = field(default_factory=dict)
    auto_mode: bool = False
    rollouts: Mapping[Owner, Rollout] = field(default_factory=dict)
    owner_errors: Mapping[str, ApiError | None] = field(default_factory=dict)

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
        if above is None:
            suffix = f"-{pod.labels.get('pod-template-hash', '')}"
            if len(suffix) == 1 or not owner.name.endswith(suffix):
                return owner
            above = Owner(APPS, "Deployment", pod.namespace, owner.name.removesuffix(suffix))
        return above if above.kind and self._may_own(above, pod) else owner

    def hold_of(self, pod: Pod) -> Hold:
        """Why a rollout of its owner would not replace a Pod; "" also where the owner was not read."""
        rollout = self.rollout_of(self.owner_of(pod))
        return rollout.hold_of(pod) if rollout else ""

    def rollout_of(self, owner: Owner) -> Rollout | None:
        """None where the owner was not read, or does not exist."""
        return self.rollouts.get(replace(owner, api_version=APPS))

    def may_exist(self, owner: Owner) -> bool:
        """Whether an owner was read, or could not be."""
        return self.rollout_of(owner) is not None or self.owner_errors.get(owner.kind) is not None

    def _may_own(self, owner: Owner, pod: Pod) -> bool:
        """False for a Deployment that is deleted, or was created anew under the name with another selector."""
        rollout = self.rollout_of(owner)
        if rollout is None:
            return owner.kind not in self.owner_errors or self.may_exist(owner)
        return rollout.selects(pod)


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
        rollouts=_rollouts(reads, answered.get("replica_sets", ())),
        owner_errors={OWNER_KINDS[name]: reads[name].error for name in OWNER_KINDS if name in reads},
    )


def _rollouts(reads: Reads, replica_sets: Iterable[Object]) -> dict[Owner, Rollout]:
    hashes = hashes_of(replica_sets)
    return {
        Owner(APPS, kind, *name_of(item)): parse_rollout(kind, item, hashes)
        for name, kind in OWNER_KINDS.items()
        for item in reads.get(name, Listing()).items
    }


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
