# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse Pods, their owners and the rollouts of the owners, and index them by workload and node. Pure."""

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
    as_number,
    as_objects,
    as_text,
    as_texts,
    member,
    object_name,
    parse_time,
)

SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
# The webhook of EKS skips Pods with this label.
SKIP_WEBHOOK = "eks.amazonaws.com/skip-pod-identity-webhook"
TOKEN_VOLUME = "eks-pod-identity-token"
# The audience of the token that the agent accepts.
AUDIENCE = "pods.eks.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that creates and recreates a Pod, such as a Deployment. All fields are "" for a Pod without an owner."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume mount. ``sub_path`` is None if it contains a variable (subPathExpr), so that it is unknown."""

    volume: str
    path: str
    sub_path: str | None = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a Pod or Pod template.

    ``env`` has the variables, with None for a value that is not in the manifest (valueFrom). ``host_ports`` are the ports of the
    node that the container uses, including those that Kubernetes sets for hostNetwork. ``optional`` are the variables that are
    not set if their Secret or ConfigMap does not exist. ``env_from`` has each Secret or ConfigMap in envFrom, like "Secret
    my-secret", with the prefix that Kubernetes adds to the names of its variables.
    """

    name: str
    env: Mapping[str, str | None]
    host_ports: frozenset[int] = frozenset()
    optional: frozenset[str] = frozenset()
    env_from: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod, or the Pod that a template describes.

    ``node`` is "" before the Pod is scheduled. ``created`` is None for a template. ``owner`` is the direct owner: for a Pod of a
    Deployment it is the ReplicaSet. ``skipped`` are the containers that the annotation eks.amazonaws.com/skip-containers
    names. ``has_own_interface`` is true if the VPC CNI created a network interface for the Pod, because the Pod has its own
    security groups. ``selected`` are the labels in its nodeSelector. ``tokens`` has the volumes, with the paths of
    the tokens for the agent in each.
    """

    workload: WorkloadKey
    name: str
    node: str
    created: datetime | None
    owner: Owner
    labels: Mapping[str, str]
    containers: tuple[Container, ...]
    skipped: frozenset[str]
    tokens: Mapping[str, frozenset[str]]
    operating_system: str
    has_own_interface: bool = False
    selected: Mapping[str, str] = field(default_factory=dict)
    scheduler: str = ""
    on_host_network: bool = False

    @property
    def has_token(self) -> bool:
        return TOKEN_VOLUME in self.tokens


def has_ended(item: Object) -> bool:
    """Return whether a Pod has finished: its containers have terminated and will not be restarted."""
    return member(item, "status").get("phase") in ("Succeeded", "Failed")


def is_live(item: Object) -> bool:
    """Return whether a Pod still needs credentials: it is not finished and not terminating."""
    return not has_ended(item) and not member(item, "metadata").get("deletionTimestamp")


def pod_service_account(item: Object, cluster: str) -> WorkloadKey:
    """Return the key of the workload to which a Pod belongs. The service account is "default" if the Pod does not set one."""
    account = as_text(member(item, "spec").get("serviceAccountName")) or "default"
    return WorkloadKey(cluster, object_name(item).namespace, account)


def parse_pod(item: Object, cluster: str) -> Pod:
    """Parse a v1 Pod. Leave out ephemeral containers, because the webhook does not inject credentials into them."""
    metadata, spec = member(item, "metadata"), member(item, "spec")
    skip = as_text(member(metadata, "annotations").get(SKIP_CONTAINERS))
    containers = [*as_objects(spec.get("initContainers")), *as_objects(spec.get("containers"))]
    selected = as_texts(spec.get("nodeSelector"))
    return Pod(
        workload=pod_service_account(item, cluster),
        name=object_name(item).name,
        node=as_text(spec.get("nodeName")),
        created=parse_time(metadata.get("creationTimestamp")),
        owner=controller(metadata),
        labels=as_texts(metadata.get("labels")),
        containers=tuple(_container(container) for container in containers),
        skipped=frozenset(name.strip() for name in skip.split(",") if name.strip()),
        tokens={
            as_text(volume.get("name")): frozenset(
                as_text(token.get("path"))
                for source in as_objects(member(volume, "projected").get("sources"))
                if (token := member(source, "serviceAccountToken")).get("audience") == AUDIENCE
            )
            for volume in as_objects(spec.get("volumes"))
        },
        operating_system=as_text(member(spec, "os").get("name")) or selected.get("kubernetes.io/os", ""),
        # The VPC resource controller sets this annotation on a Pod with its own security groups.
        has_own_interface=bool(as_text(member(metadata, "annotations").get("vpc.amazonaws.com/pod-eni"))),
        selected=selected,
        scheduler=as_text(spec.get("schedulerName")),
        on_host_network=spec.get("hostNetwork") is True,
    )


def controller(metadata: Object) -> Owner:
    """Return the controller in the ownerReferences of an object with this metadata, or an empty Owner without one."""
    for owner in as_objects(metadata.get("ownerReferences")):
        if owner.get("controller"):
            version, kind, name = (as_text(owner.get(field)) for field in ("apiVersion", "kind", "name"))
            return Owner(version, kind, as_text(metadata.get("namespace")), name)
    return Owner()


def _container(item: Object) -> Container:
    entries = as_objects(item.get("env"))
    env = {
        as_text(entry.get("name")): None if entry.get("valueFrom") else as_text(entry.get("value"))
        for entry in entries
    }
    return Container(
        as_text(item.get("name")),
        env,
        frozenset(as_number(port.get("hostPort")) for port in as_objects(item.get("ports"))),
        frozenset(
            as_text(entry.get("name"))
            for entry in entries
            for kind in ("secretKeyRef", "configMapKeyRef")
            if member(entry, "valueFrom", kind).get("optional") is True
        ),
        tuple(
            (f"{kind} {as_text(reference.get('name'))}", as_text(entry.get("prefix")))
            for entry in as_objects(item.get("envFrom"))
            for kind, field_name in (("Secret", "secretRef"), ("ConfigMap", "configMapRef"))
            if (reference := member(entry, field_name))
        ),
        tuple(
            Mount(
                as_text(mount.get("name")),
                as_text(mount.get("mountPath")).rstrip("/"),
                None if mount.get("subPathExpr") else as_text(mount.get("subPath")),
            )
            for mount in as_objects(item.get("volumeMounts"))
        ),
    )


_RESTARTABLE = ("Deployment", "DaemonSet", "StatefulSet")


def can_restart(owner: Owner) -> bool:
    """Return whether `kubectl rollout restart` supports the kind of the owner."""
    return owner.kind in _RESTARTABLE and owner.api_version.partition("/")[0] == "apps"


def describe_recreation(owner: Owner, pod: Pod, hold_text: str = "", stale: bool = False) -> str:
    """Return a sentence about how to recreate a Pod.

    :arg hold_text: the result of ``describe_hold`` if a restart of the owner would not replace this Pod, or "".
    :arg stale: whether the Pod is older than its association. Then the role can restart the owner
        (``pod_identity_restart_stale``).
    """
    namespace = f"-n {pod.workload.namespace}"
    if hold_text:
        return f"{owner} {hold_text}"
    if can_restart(owner):
        step = (
            "Run with pod_identity_restart_stale: true, or recreate the Pods by hand"
            if stale
            else "Recreate the Pods"
        )
        return f"{step}: kubectl rollout restart {owner.kind.lower()}/{owner.name} {namespace}"
    if owner.kind == "Job":
        return (
            f"Recreate {owner} from its manifest, unless a CronJob creates the next Job. First: kubectl delete job {owner.name} "
            f"{namespace}"
        )
    if owner.kind:
        return f"Delete each Pod with this fault, so that {owner} creates a new one: kubectl delete pod {pod.name} {namespace}"
    return f"The Pod has no owner, so recreate it from its manifest. First: kubectl delete pod {pod.name} {namespace}"


def restart_patch(owner: Owner, moment: str) -> Object:
    """Return the patch that restarts an owner, like `kubectl rollout restart`.

    :arg moment: the time of the restart, as ``format_time`` formats it.
    """
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "metadata": {"namespace": owner.namespace, "name": owner.name},
        "spec": {
            "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": moment}}},
        },
    }


# The reason why a restart of the owner would not replace a Pod, or "" if it would. "rolling" means that a rollout is already
# replacing the Pod.
Hold = Literal["", "paused", "on delete", "partition", "rolling"]

_REVISION = "deployment.kubernetes.io/revision"
# The value of the label pod-template-hash, by the name and the revision of a Deployment.
Hashes = Mapping[tuple[ObjectName, str], str]


@dataclass(frozen=True, slots=True)
class Rollout:
    """The update strategy of an owner, and the state of its last rollout.

    With a ``partition`` a StatefulSet replaces only Pods whose ordinal is at least ``first``. ``current`` has the name and the
    value of the label by which Pods of the current template are recognised, and is empty if that label is unknown.
    """

    paused: bool = False
    on_delete: bool = False
    partition: int = 0
    first: int = 0
    current: Mapping[str, str] = field(default_factory=dict)

    def find_hold(self, pod: Pod) -> Hold:
        if self.paused:
            return "paused"
        if self.on_delete:
            return "on delete"
        ordinal = pod.name.rpartition("-")[2]
        if self.partition and (int(ordinal) if ordinal.isdecimal() else 0) < self.first:
            return "partition"
        # The Pod was created from an earlier template, so a rollout is already replacing it, and a restart is not needed.
        if any(pod.labels.get(name, value) != value for name, value in self.current.items()):
            return "rolling"
        return ""


def parse_rollout(kind: str, item: Object, hashes: Hashes) -> Rollout:
    """Parse the rollout of a Deployment, DaemonSet or StatefulSet.

    :arg hashes: the result of ``template_hashes``, for Deployments.
    """
    spec = member(item, "spec")
    strategy = member(spec, "updateStrategy")
    partition = as_number(member(strategy, "rollingUpdate").get("partition"))
    return Rollout(
        paused=kind == "Deployment" and spec.get("paused") is True,
        on_delete=strategy.get("type") == "OnDelete",
        partition=partition,
        # The ordinals of a StatefulSet may start with a number other than 0, and the partition counts from that number.
        first=as_number(member(spec, "ordinals").get("start")) + partition,
        current={name: value for name, value in _current(kind, item, hashes).items() if value},
    )


def template_hashes(replica_sets: Iterable[Object]) -> Hashes:
    """Return the value of the label pod-template-hash for each revision of each Deployment.

    A Deployment does not have this label, but its ReplicaSets do, one for each revision.
    """
    return {
        (
            ObjectName(object_name(item).namespace, controller(metadata).name),
            as_text(member(metadata, "annotations").get(_REVISION)),
        ): as_text(member(metadata, "labels").get("pod-template-hash"))
        for item in replica_sets
        if (metadata := member(item, "metadata"))
    }


def describe_hold(hold: Hold, owner: Owner, pods: Sequence[str], rollout: Rollout) -> str:
    """Return the end of the sentence "Deployment my-app …": why a restart would not replace the Pods, and the remedy.

    :arg hold: the reason, which must not be "".
    :arg pods: the names of the Pods.
    """
    place = f"-n {owner.namespace}"
    one_by_one = " one by one" if len(pods) > 1 else ""
    delete = f"Delete {listed(pods)}{one_by_one}: kubectl delete pod {pods[0]} {place}"
    return {
        "paused": "is paused. Resume it before you restart it: kubectl rollout resume "
        f"deployment/{owner.name} {place}",
        "on delete": f"replaces Pods only when they are deleted (updateStrategy OnDelete). {delete}",
        "partition": f"replaces no Pod with an ordinal below {rollout.first} (partition {rollout.partition}). {delete}",
        "rolling": "is already rolling out a newer template, which replaces these Pods. To see its progress: "
        f"kubectl rollout status {owner.kind.lower()}/{owner.name} {place}",
    }[hold]


def _current(kind: str, item: Object, hashes: Hashes) -> Mapping[str, str]:
    metadata, status = member(item, "metadata"), member(item, "status")
    if as_number(status.get("observedGeneration")) < as_number(metadata.get("generation")):
        # The controller has not yet processed the last change of the object.
        return {}
    annotations = member(metadata, "annotations")
    if kind == "Deployment":
        return {
            "pod-template-hash": hashes.get((object_name(item), as_text(annotations.get(_REVISION))), ""),
        }
    if kind == "StatefulSet":
        return {"controller-revision-hash": as_text(status.get("updateRevision"))}
    return {"pod-template-generation": as_text(annotations.get("deprecated.daemonset.template.generation"))}


APPS = "apps/v1"
AGENT = "eks-pod-identity-agent"
AGENT_NAMESPACE = "kube-system"
# The labels app.kubernetes.io/name of the add-on's Pods: on EC2, on hybrid nodes, and on hybrid nodes with Bottlerocket.
AGENTS = (AGENT, f"{AGENT}-hybrid", f"{AGENT}-hybrid-bottlerocket")
# The lists that the verification may read, each with the RBAC permission that it needs, as text.
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
# The kinds of owners among RESOURCES. Owners that cannot be read are not restarted.
OWNER_KINDS = {
    "deployments": "Deployment",
    "owning_daemon_sets": "DaemonSet",
    "stateful_sets": "StatefulSet",
}


@dataclass(frozen=True, slots=True)
class KubeState:
    """The part of the cluster that was read.

    ``pods``: the live Pods by workload; None if they were not read.
    ``nodes``: the labels of each node, by name.
    ``agents``: by the name of each node with a Pod of the agent, whether the Pod is ready; None if they were not read.
    ``daemon_sets``: the desired number of Pods of each DaemonSet of the agent; None if they were not read.
    ``owners``: the controllers of ReplicaSets, by the name of the ReplicaSet.
    ``errors``: the errors of failed lists, by their names in RESOURCES.
    ``auto_mode``: EKS reports that the cluster uses EKS Auto Mode.
    ``rollouts``: the rollouts of owners that were read.
    ``owner_errors``: for each kind of owner that was listed, the error of the list or None.
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
        """Return whether a node has a ready agent. A node of EKS Auto Mode always has a ready agent."""
        return bool(self.agents and self.agents.get(node)) or self.is_auto(node)

    def is_auto(self, node: str) -> bool:
        return self.nodes.get(node, {}).get("eks.amazonaws.com/compute-type") == "auto"

    def find_owner(self, pod: Pod) -> Owner:
        """Return the owner of a Pod or, if that is a ReplicaSet, the owner of the ReplicaSet.

        Return the ReplicaSet itself if its owner is missing or was deleted. If the
        ReplicaSet was not read, its name and the label pod-template-hash show the name of its Deployment.
        """
        owner = pod.owner
        if owner.kind != "ReplicaSet":
            return owner
        above = self.owners.get(ObjectName(pod.workload.namespace, owner.name))
        if above is None:
            suffix = f"-{pod.labels.get('pod-template-hash', '')}"
            if not owner.name.endswith(suffix):
                return owner
            above = Owner(APPS, "Deployment", pod.workload.namespace, owner.name.removesuffix(suffix))
        was_listed = self.owner_errors.get(above.kind, "not read") is None
        is_deleted = was_listed and self.find_rollout(above) is None
        return above if above.kind and not is_deleted else owner

    def find_hold(self, pod: Pod) -> Hold:
        """Return the reason why a restart of the owner of a Pod would not replace the Pod.

        Return "" if it would, or if the owner was not read.
        """
        rollout = self.find_rollout(self.find_owner(pod))
        return rollout.find_hold(pod) if rollout else ""

    def find_rollout(self, owner: Owner) -> Rollout | None:
        """Return the rollout of an owner, or None if it was not read or does not exist."""
        return self.rollouts.get(replace(owner, api_version=APPS))


def parse_state(
    reads: Reads, workloads: Iterable[WorkloadKey], cluster: str, now: datetime, auto_mode: bool = False
) -> KubeState:
    """Parse the lists that were read.

    :arg reads: the lists, by their names in RESOURCES.
    :arg workloads: the workloads whose Pods are part of the result.
    :arg auto_mode: whether EKS reports that the cluster uses EKS Auto Mode.
    """
    items = {name: listing.items for name, listing in reads.items() if listing.error is None}
    replica_sets = items.get("replica_sets", ())
    hashes = template_hashes(replica_sets)
    return KubeState(
        now=now,
        pods=pods_by_workload(items["pods"], frozenset(workloads), cluster) if "pods" in items else None,
        nodes={
            object_name(item).name: as_texts(member(item, "metadata").get("labels"))
            for item in items.get("nodes", ())
        },
        agents=_agents(items["agents"]) if "agents" in items else None,
        # The add-on has further DaemonSets for hybrid nodes, whose names begin with the name of the first one.
        daemon_sets=[
            as_number(member(item, "status").get("desiredNumberScheduled"))
            for item in items["daemon_sets"]
            if object_name(item).name.startswith(AGENT)
        ]
        if "daemon_sets" in items
        else None,
        owners={object_name(item): controller(member(item, "metadata")) for item in replica_sets},
        # The order of RESOURCES is the order of the findings.
        errors={name: error for name in RESOURCES if (error := reads.get(name, Listing()).error) is not None},
        auto_mode=auto_mode,
        rollouts={
            Owner(APPS, kind, *object_name(item)): parse_rollout(kind, item, hashes)
            for name, kind in OWNER_KINDS.items()
            for item in items.get(name, ())
        },
        owner_errors={OWNER_KINDS[name]: reads[name].error for name in OWNER_KINDS if name in reads},
    )


def _agents(items: Iterable[Object]) -> dict[str, bool]:
    """Return, by the name of each node with a Pod of the agent, whether such a Pod is ready."""
    nodes: dict[str, bool] = {}
    for item in items:
        conditions = as_objects(member(item, "status").get("conditions"))
        ready = any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
        if node := as_text(member(item, "spec").get("nodeName")):
            nodes[node] = nodes.get(node, False) or (is_live(item) and ready)
    return nodes


def pods_by_workload(
    items: Iterable[Object], keys: frozenset[WorkloadKey], cluster: str
) -> Mapping[WorkloadKey, Sequence[Pod]]:
    """Parse the live Pods of workloads.

    :arg cluster: the value of ``cluster`` in ``keys``.
    """
    pods: dict[WorkloadKey, list[Pod]] = {}
    for item in items:
        key = pod_service_account(item, cluster)
        if key in keys and is_live(item):
            pods.setdefault(key, []).append(parse_pod(item, cluster))
    return pods
