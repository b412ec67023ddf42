# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Pods as far as EKS Pod Identity turns on them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
TOKEN_VOLUME = "eks-pod-identity-token"

Object = Mapping[str, Any]


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
class Container:
    """``env`` holds what the manifest says; None is a value that comes from elsewhere (valueFrom)."""

    name: str
    env: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod that runs or will run. ``node`` is "" before it is scheduled; ``created`` is in UTC.

    ``owner`` is its direct owner, for a Pod of a Deployment the ReplicaSet.
    """

    namespace: str
    name: str
    service_account: str
    node: str
    created: datetime | None
    owner: Owner
    labels: Mapping[str, str]
    containers: tuple[Container, ...]
    skipped: frozenset[str]
    has_token: bool
    operating_system: str


def is_live(item: Object) -> bool:
    """Neither finished nor about to go: its containers still need credentials."""
    phase = (item.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and not item["metadata"].get("deletionTimestamp")


def is_ready(item: Object) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def parse_pod(item: Object) -> Pod:
    """A v1 Pod as the API gives it. Ephemeral containers are left out: nothing is injected into them."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    skip = str((metadata.get("annotations") or {}).get(SKIP_CONTAINERS) or "")
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    selected = (spec.get("nodeSelector") or {}).get("kubernetes.io/os", "")
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        service_account=spec.get("serviceAccountName") or "default",
        node=spec.get("nodeName") or "",
        created=parse_time(metadata.get("creationTimestamp")),
        owner=controller(metadata),
        labels=metadata.get("labels") or {},
        containers=tuple(_container(one) for one in containers),
        skipped=frozenset(name.strip() for name in skip.split(",") if name.strip()),
        has_token=any(volume.get("name") == TOKEN_VOLUME for volume in spec.get("volumes") or ()),
        operating_system=str((spec.get("os") or {}).get("name") or selected or ""),
    )


def controller(metadata: Object) -> Owner:
    """The owner that manages the object, from its ownerReferences."""
    for one in metadata.get("ownerReferences") or ():
        if one.get("controller"):
            return Owner(one["apiVersion"], one["kind"], metadata.get("namespace") or "", one["name"])
    return Owner()


def parse_time(text: object) -> datetime | None:
    """RFC 3339 as Kubernetes writes it, or ISO 8601 with an offset; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def shown_time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(moment: datetime, now: datetime) -> str:
    """Like "3 hours"; a clock that is ahead gives "0 seconds"."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _container(item: Object) -> Container:
    env = {
        str(one["name"]): None if one.get("valueFrom") else str(one.get("value") or "")
        for one in item.get("env") or ()
    }
    return Container(str(item["name"]), env)
