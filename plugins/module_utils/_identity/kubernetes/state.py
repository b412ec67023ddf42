# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What kubernetes.core.k8s_info read of a cluster, indexed by what is asked of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .pods import Object, Owner, Pod, controller, is_live, is_ready, parse_pod

AGENT = "eks-pod-identity-agent"
AGENT_NAMESPACE = "kube-system"
# By the role's names for what it reads: what a caller must be allowed to list.
RESOURCES = {
    "pods": "pods",
    "agents": f"pods in namespace {AGENT_NAMESPACE}",
    "daemon_sets": f"daemonsets.apps in namespace {AGENT_NAMESPACE}",
    "nodes": "nodes",
    "replica_sets": "replicasets.apps",
}

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """One list. ``done`` is false when it was not asked for, or refused; then ``error`` says why."""

    items: Sequence[Object] = ()
    done: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class KubeState:
    """The cluster, as far as it was read.

    ``pods`` holds live Pods by (namespace, service account), ``nodes`` the labels by node name,
    ``agents`` by node whether a ready agent runs there, ``daemon_sets`` those of the agent (None: not
    read), ``owners`` what owns a ReplicaSet by its (namespace, name). ``errors`` says what could not be
    read, by the names of RESOURCES.
    """

    now: datetime
    pods: Mapping[Key, Sequence[Pod]] | None = None
    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    agents: Mapping[str, bool] | None = None
    daemon_sets: Sequence[Object] | None = None
    owners: Mapping[Key, Owner] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
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
        above = self.owners.get((pod.namespace, owner.name))
        if above is not None:
            return above if above.kind else owner
        suffix = f"-{pod.labels.get('pod-template-hash', '')}"
        if len(suffix) > 1 and owner.name.endswith(suffix):
            return Owner("apps/v1", "Deployment", pod.namespace, owner.name.removesuffix(suffix))
        return owner


def read_state(
    reads: Mapping[str, Mapping[str, Any]],
    wanted: Iterable[Key],
    now: datetime,
    auto_mode: bool = False,
) -> KubeState:
    """The results of k8s_info tasks by the names of RESOURCES, for the service accounts that matter."""
    done = {name: _read(reads.get(name) or {}) for name in RESOURCES}
    agents = {
        item["spec"]["nodeName"]: False for item in done["agents"].items if item["spec"].get("nodeName")
    }
    for item in done["agents"].items:
        if is_live(item) and is_ready(item):
            agents[item["spec"]["nodeName"]] = True
    return KubeState(
        now=now,
        pods=_by_account(done["pods"].items, frozenset(wanted)) if done["pods"].done else None,
        nodes={
            item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in done["nodes"].items
        },
        agents=agents if done["agents"].done else None,
        daemon_sets=_agents_of(done["daemon_sets"].items) if done["daemon_sets"].done else None,
        owners={
            (item["metadata"]["namespace"], item["metadata"]["name"]): controller(item["metadata"])
            for item in done["replica_sets"].items
        },
        errors={name: read.error for name, read in done.items() if read.error},
        auto_mode=auto_mode,
    )


def _read(result: Mapping[str, Any]) -> Read:
    if "resources" in result:
        if result.get("api_found", True):
            return Read(result["resources"], True)
        return Read(error=str(result.get("msg") or "the API does not know this kind"))
    if result.get("skipped") or not result:
        return Read()
    return Read(error=_reason(str(result.get("msg") or "no reason was given")))


def _reason(message: str) -> str:
    """The sentence of the API server within what kubernetes.core makes of it."""
    _separator, found, rest = message.partition('"message":"')
    if not found:
        return " ".join(message.split())
    return rest.split('","reason"')[0].replace('\\"', '"').replace("\\\\", "")


def _by_account(items: Iterable[Object], wanted: frozenset[Key]) -> Mapping[Key, Sequence[Pod]]:
    found: dict[Key, list[Pod]] = {}
    for item in items:
        key = (item["metadata"]["namespace"], (item.get("spec") or {}).get("serviceAccountName") or "default")
        if key in wanted and is_live(item):
            found.setdefault(key, []).append(parse_pod(item))
    return found


def _agents_of(items: Iterable[Object]) -> list[Object]:
    """The add-on's own, and the one for hybrid nodes that its chart can make."""
    return [item for item in items if item["metadata"]["name"].startswith(AGENT)]
