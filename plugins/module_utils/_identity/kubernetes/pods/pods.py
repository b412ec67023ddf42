# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Pods as far as EKS Pod Identity turns on them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ...._findings.key import WorkloadKey
from ..model.objects import Object, member, name_of, number_of, objects_of, text_of, texts_of
from ..model.times import parse_time

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
