# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which Pods a Deployment, DaemonSet or StatefulSet replaces when its template changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...model.messages import listed
from ..model.objects import Object, ObjectName, member, name_of, number_of, text_of, texts_of
from .pods import Owner, Pod, controller

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
