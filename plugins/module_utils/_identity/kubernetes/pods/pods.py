# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Pods, their owners and rollouts as far as EKS Pod Identity depends on them, indexed by workload and node. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from ...._findings.finding import WorkloadKey
from ...model.errors import listed
from ..api.api_errors import ApiError
from ..api.cluster import Listing, Reads
from ..model.objects import (
    Object,
    ObjectName,
    member,
    name_of,
    number_of,
    objects_of,
    parse_time,
    text_of,
    texts_of,
)

# Written by the VPC resource controller for a Pod with security groups of its own.
OWN_INTERFACE = "vpc.amazonaws.com/pod-eni"
SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
# The webhook leaves Pods with this label alone.
SKIP_WEBHOOK = "eks.amazonaws.com/skip-pod-identity-webhook"
TOKEN_VOLUME = "eks-pod-identity-token"


@dataclass(frozen=True, slots=True)
class Owner:
    """What makes a Pod anew. ``kind`` and ``name`` are "" for a Pod that nothing owns."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class EnvFrom:
    """A Secret or ConfigMap whose keys become variables, like "Secret keys"; ``prefix`` begins their names."""

    name: str
    prefix: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume in a container. ``sub_path`` is None where it depends on a variable."""

    volume: str
    path: str
    sub_path: str | None = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume with the audiences of its service account tokens, by their paths.

    ``has_only_tokens``: the paths of all its files are known.
    """

    audiences: Mapping[str, str] = field(default_factory=dict)
    has_only_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """``env`` holds what the manifest says; None is a value that comes from elsewhere (valueFrom).

    ``host_ports`` are the ports of the node that it takes; with hostNetwork Kubernetes writes them as well. ``optional``
    are variables that are not set if their Secret or ConfigMap does not exist.
    """

    name: str
    env: Mapping[str, str | None]
    host_ports: frozenset[int] = frozenset()
    optional: frozenset[str] = frozenset()
    env_from: tuple[EnvFrom, ...] = ()
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod that runs or will run. ``node`` is "" before it is scheduled; ``created`` is in UTC.

    ``owner`` is its direct owner, for a Pod of a Deployment the ReplicaSet. ``has_own_interface``: the VPC CNI gave it
    a network interface of its own, for security groups for Pods. ``selected`` holds the labels that its node must have.
    """

    workload: WorkloadKey
    name: str
    node: str
    created: datetime | None
    owner: Owner
    labels: Mapping[str, str]
    containers: tuple[Container, ...]
    skipped: frozenset[str]
    volumes: Mapping[str, Volume]
    operating_system: str
    has_own_interface: bool = False
    selected: Mapping[str, str] = field(default_factory=dict)
    scheduler: str = ""

    @property
    def namespace(self) -> str:
        return self.workload.namespace

    @property
    def has_token(self) -> bool:
        return TOKEN_VOLUME in self.volumes


def has_ended(item: Object) -> bool:
    """Return whether all containers of a Pod have ended for good."""
    return member(item, "status").get("phase") in ("Succeeded", "Failed")


def is_live(item: Object) -> bool:
    """Neither finished nor about to go: its containers still need credentials."""
    return not has_ended(item) and not member(item, "metadata").get("deletionTimestamp")


def is_ready(item: Object) -> bool:
    conditions = objects_of(member(item, "status").get("conditions"))
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def service_account_of(item: Object, cluster: str) -> WorkloadKey:
    """Whose identity a v1 Pod has; without a name it is "default"."""
    account = text_of(member(item, "spec").get("serviceAccountName")) or "default"
    return WorkloadKey(cluster, name_of(item).namespace, account)


def parse_pod(item: Object, cluster: str) -> Pod:
    """A v1 Pod as the API gives it. Ephemeral containers are left out: nothing is injected into them."""
    metadata, spec = member(item, "metadata"), member(item, "spec")
    skip = text_of(member(metadata, "annotations").get(SKIP_CONTAINERS))
    containers = [*objects_of(spec.get("initContainers")), *objects_of(spec.get("containers"))]
    selected = _selected_labels(spec)
    return Pod(
        workload=service_account_of(item, cluster),
        name=name_of(item).name,
        node=text_of(spec.get("nodeName")),
        created=parse_time(metadata.get("creationTimestamp")),
        owner=controller(metadata),
        labels=texts_of(metadata.get("labels")),
        containers=tuple(_container(container) for container in containers),
        skipped=frozenset(name.strip() for name in skip.split(",") if name.strip()),
        volumes={text_of(volume.get("name")): _volume(volume) for volume in objects_of(spec.get("volumes"))},
        operating_system=text_of(member(spec, "os").get("name")) or selected.get("kubernetes.io/os", ""),
        has_own_interface=bool(text_of(member(metadata, "annotations").get(OWN_INTERFACE))),
        selected=selected,
        scheduler=text_of(spec.get("schedulerName")),
    )


def controller(metadata: Object) -> Owner:
    """The owner that manages the object, from its ownerReferences."""
    for owner in objects_of(metadata.get("ownerReferences")):
        if owner.get("controller"):
            return Owner(
                text_of(owner.get("apiVersion")),
                text_of(owner.get("kind")),
                text_of(metadata.get("namespace")),
                text_of(owner.get("name")),
            )
    return Owner()


def _selected_labels(spec: Object) -> dict[str, str]:
    """Return the labels of its node selector, and those of a required affinity that leaves one value.

    Node selector terms are alternatives, so several of them require nothing in particular.
    """
    affinity = member(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = objects_of(affinity.get("nodeSelectorTerms"))
    expressions = objects_of(terms[0].get("matchExpressions")) if len(terms) == 1 else ()
    required = {}
    for expression in expressions:
        values = expression.get("values")
        if expression.get("operator") == "In" and isinstance(values, list) and len(values) == 1:
            required[text_of(expression.get("key"))] = text_of(values[0])
    return {**required, **texts_of(spec.get("nodeSelector"))}


def _volume(item: Object) -> Volume:
    sources = objects_of(member(item, "projected").get("sources"))
    tokens = [source for entry in sources if (source := member(entry, "serviceAccountToken"))]
    return Volume(
        {text_of(token.get("path")): text_of(token.get("audience")) for token in tokens},
        bool(tokens) and len(tokens) == len(sources),
    )


def _container(item: Object) -> Container:
    entries = objects_of(item.get("env"))
    env = {
        text_of(entry.get("name")): None if entry.get("valueFrom") else text_of(entry.get("value"))
        for entry in entries
    }
    ports = frozenset(number_of(port.get("hostPort")) for port in objects_of(item.get("ports"))) - {0}
    return Container(
        text_of(item.get("name")),
        env,
        ports,
        frozenset(text_of(entry.get("name")) for entry in entries if _is_optional(entry)),
        tuple(_env_from(entry) for entry in objects_of(item.get("envFrom"))),
        tuple(_mount(mount) for mount in objects_of(item.get("volumeMounts"))),
    )


def _is_optional(entry: Object) -> bool:
    references = (member(entry, "valueFrom", kind) for kind in ("secretKeyRef", "configMapKeyRef"))
    return any(reference.get("optional") is True for reference in references)


def _env_from(entry: Object) -> EnvFrom:
    kind = "Secret" if member(entry, "secretRef") else "ConfigMap"
    reference = member(entry, "secretRef") or member(entry, "configMapRef")
    return EnvFrom(f"{kind} {text_of(reference.get('name'))}", text_of(entry.get("prefix")))


def _mount(mount: Object) -> Mount:
    sub_path = None if mount.get("subPathExpr") else text_of(mount.get("subPath"))
    return Mount(text_of(mount.get("name")), text_of(mount.get("mountPath")).rstrip("/"), sub_path)


RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_RESTARTABLE = ("Deployment", "DaemonSet", "StatefulSet")


def can_restart(owner: Owner) -> bool:
    """Return whether `kubectl rollout restart` supports the kind of the owner."""
    return owner.kind in _RESTARTABLE and owner.api_version.partition("/")[0] == "apps"


def recreate(owner: Owner, pod: Pod, held: str = "", stale: bool = False) -> str:
    """Return the sentence on how to get new Pods.

    :arg held: the reason why the owner would not replace this Pod.
    :arg stale: the Pod is older than its association, so that a run of the role can restart the owner.
    """
    namespace = f"-n {pod.namespace}"
    if held:
        return f"{owner} {held}"
    if can_restart(owner):
        by_run = ", or let a run do it (pod_identity_restart_stale: true)" if stale else ""
        return f"Recreate its Pods{by_run}: kubectl rollout restart {owner.kind.lower()}/{owner.name} {namespace}"
    if owner.kind == "Job":
        return f"Delete its Job and create it anew, as a CronJob does: kubectl delete job {owner.name} {namespace}"
    if owner.kind == "ReplicaSet":
        return f"Delete the Pods, so that {owner} makes new ones: kubectl delete pod {pod.name} {namespace}"
    if owner.kind:
        return f"Let {owner} make new Pods, by its own means or so: kubectl delete pod {pod.name} {namespace}"
    return f"Nothing owns it, so create it anew from its manifest. Before that: kubectl delete pod {pod.name} {namespace}"


def restart(owner: Owner, moment: str) -> Object:
    """The patch that `kubectl rollout restart` makes."""
    annotations = {"annotations": {RESTARTED_AT: moment}}
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "metadata": {"namespace": owner.namespace, "name": owner.name},
        "spec": {"template": {"metadata": annotations}},
    }


# Why a rollout does not replace a Pod; "" when it does.
Hold = Literal["", "paused", "on delete", "partition", "rolling"]

_REVISION = "deployment.kubernetes.io/revision"
_GENERATION = "deprecated.daemonset.template.generation"
# The hashes of the templates of Deployments, by name and revision.
Hashes = Mapping[tuple[ObjectName, str], str]


@dataclass(frozen=True, slots=True)
class Rollout:
    """The update strategy of an owner, and how far its last rollout is.

    A StatefulSet replaces Pods from the ordinal ``first`` on. ``current`` is the label that Pods of the present template
    have; empty when it is not known.
    """

    paused: bool = False
    on_delete: bool = False
    partition: int = 0
    first: int = 0
    selector: Mapping[str, str] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)

    def selects(self, pod: Pod) -> bool:
        return self.selector.items() <= pod.labels.items()

    def hold_of(self, pod: Pod) -> Hold:
        if self.paused:
            return "paused"
        if self.on_delete:
            return "on delete"
        if self.partition and _ordinal(pod) < self.first:
            return "partition"
        # A Pod of an earlier template is being replaced already; another change of the template only begins anew.
        if any(pod.labels.get(name, value) != value for name, value in self.current.items()):
            return "rolling"
        return ""


def parse_rollout(kind: str, item: Object, hashes: Hashes) -> Rollout:
    """``hashes`` are those of the ReplicaSets, which a Deployment's own manifest does not name."""
    spec = member(item, "spec")
    strategy = member(spec, "updateStrategy")
    partition = number_of(member(strategy, "rollingUpdate").get("partition"))
    return Rollout(
        paused=kind == "Deployment" and spec.get("paused") is True,
        on_delete=strategy.get("type") == "OnDelete",
        partition=partition,
        # StatefulSets count the partition from the first ordinal.
        first=number_of(member(spec, "ordinals").get("start")) + partition,
        selector=texts_of(member(spec, "selector").get("matchLabels")),
        current={name: value for name, value in _current(kind, item, hashes).items() if value},
    )


def hashes_of(replica_sets: Iterable[Object]) -> Hashes:
    hashes = {}
    for item in replica_sets:
        metadata = member(item, "metadata")
        name = ObjectName(name_of(item).namespace, controller(metadata).name)
        revision = text_of(member(metadata, "annotations").get(_REVISION))
        hashes[name, revision] = text_of(member(metadata, "labels").get("pod-template-hash"))
    return hashes


def why_held(hold: Hold, owner: Owner, pods: Sequence[str], rollout: Rollout) -> str:
    """The rest of a sentence about an owner, and what to do with its ``pods``."""
    place = f"-n {owner.namespace}"
    delete = f"Delete {listed(pods)} one by one: kubectl delete pod {pods[0]} {place}"
    if hold == "paused":
        return (
            f"is paused. Resume it, then restart it: kubectl rollout resume deployment/{owner.name} {place}"
        )
    if hold == "on delete":
        return f"replaces Pods only when they are deleted (updateStrategy OnDelete). {delete}"
    if hold == "partition":
        return (
            f"replaces no Pod with an ordinal below {rollout.first} (partition {rollout.partition}). {delete}"
        )
    return (
        "is already rolling out a newer template, which replaces these Pods. To see what it waits for: kubectl rollout "
        f"status {owner.kind.lower()}/{owner.name} {place}"
    )


def _current(kind: str, item: Object, hashes: Hashes) -> Mapping[str, str]:
    metadata, status = member(item, "metadata"), member(item, "status")
    if number_of(status.get("observedGeneration")) < number_of(metadata.get("generation")):
        # Its controller has not seen the present template.
        return {}
    annotations = member(metadata, "annotations")
    if kind == "Deployment":
        return {
            "pod-template-hash": hashes.get((name_of(item), text_of(annotations.get(_REVISION))), ""),
        }
    if kind == "StatefulSet":
        return {"controller-revision-hash": text_of(status.get("updateRevision"))}
    return {"pod-template-generation": text_of(annotations.get(_GENERATION))}


def _ordinal(pod: Pod) -> int:
    text = pod.name.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0


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
        """Return whether a ready agent serves the Pods of a node; in Auto Mode the node includes it."""
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
        """Return whether an owner was read, or its read failed."""
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
