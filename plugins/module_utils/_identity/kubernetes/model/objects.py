# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Objects of the Kubernetes API: JSON parsed to types, the marks of their ownership, times. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple, TypeAlias

from ...._findings.finding import WorkloadKey

Object: TypeAlias = Mapping[str, object]


class ObjectName(NamedTuple):
    """What identifies an object among those of its kind. ``namespace`` is "" for a Namespace or a Node."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A v1 ServiceAccount. ``is_terminating`` says that it is deleted, but still has finalizers."""

    key: WorkloadKey
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_terminating: bool = False


def mapping_of(value: object) -> Object:
    """A member of an object, or an empty mapping when it is missing."""
    return value if isinstance(value, Mapping) else {}


def member(item: Object, *path: str) -> Object:
    """The mapping at the end of a path; empty when any part of it is missing."""
    for name in path:
        item = mapping_of(item.get(name))
    return item


def objects_of(value: object) -> Sequence[Object]:
    """The mappings of a list; empty when it is missing."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return ()
    return [entry for entry in value if isinstance(entry, Mapping)]


def text_of(value: object) -> str:
    """Text as it is; "" when it is missing."""
    return "" if value is None else str(value)


def number_of(value: object) -> int:
    return value if isinstance(value, int) else 0


def texts_of(value: object) -> dict[str, str]:
    """A mapping of text to text, like labels."""
    return {str(name): text_of(text) for name, text in mapping_of(value).items()}


def name_of(item: Object) -> ObjectName:
    metadata = member(item, "metadata")
    return ObjectName(text_of(metadata.get("namespace")), text_of(metadata.get("name")))


def parse_service_account(item: Object, cluster: str) -> ServiceAccount:
    metadata = member(item, "metadata")
    return ServiceAccount(
        WorkloadKey(cluster, *name_of(item)),
        texts_of(metadata.get("labels")),
        texts_of(metadata.get("annotations")),
        is_terminating(item),
    )


def is_terminating(item: Object) -> bool:
    """Whether an object is being deleted."""
    return bool(member(item, "metadata").get("deletionTimestamp"))


# The field manager of this collection. Under another name its own fields would belong to someone else.
FIELD_MANAGER = "workload-identity"
# Parts of a cluster that write to service accounts by themselves, such as the controller of token secrets.
_CLUSTER_MANAGERS = ("kube-apiserver", "kube-controller-manager")
# On the Jobs and Pods of the runtime proof.
PROOF_LABEL = "workload-identity/proof"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY_LABEL_VALUE = "workload_identity.aws"
MANAGED_BY_LABELS = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
OWNER_LABEL = "workload-identity/owner"


def is_managed(labels: Mapping[str, str]) -> bool:
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY_LABEL_VALUE


def other_owner(labels: Mapping[str, str], owner: str | None) -> str:
    """Who else of those who use this collection has an object; "" when nobody has, or ``owner`` does."""
    label = labels.get(OWNER_LABEL, "")
    return label if is_managed(labels) and label != (owner or "") else ""


def fields_by_manager(item: Object) -> dict[str, list[str]]:
    """Return the fields that each field manager owns, such as "label team" or "imagePullSecrets"."""
    fields: dict[str, list[str]] = {}
    for entry in objects_of(member(item, "metadata").get("managedFields")):
        names = fields.setdefault(text_of(entry.get("manager")), [])
        names += [name for name in _field_names(mapping_of(entry.get("fieldsV1"))) if name not in names]
    return {manager: names for manager, names in fields.items() if names}


def other_managers(item: Object) -> dict[str, list[str]]:
    """Return the fields of every other field manager, except the cluster itself."""
    return {
        manager: names
        for manager, names in fields_by_manager(item).items()
        if manager != FIELD_MANAGER and manager not in _CLUSTER_MANAGERS
    }


def release_of(item: Object) -> Object | None:
    """Return the manifest whose server-side apply gives up our labels and annotations; None without any.

    The marks stay on a service account of ours, so that the next teardown still knows it. The UID prevents the apply
    from creating a service account that was deleted in the meantime.
    """
    metadata = member(item, "metadata")
    labels = texts_of(metadata.get("labels"))
    marks = {name: labels[name] for name in (MANAGED_BY_LABEL, OWNER_LABEL) if name in labels}
    if not is_managed(labels):
        marks = {}
    owned = fields_by_manager(item).get(FIELD_MANAGER, [])
    if set(owned) <= {f"label {name}" for name in marks}:
        return None
    identity = {name: text_of(metadata.get(name)) for name in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**identity, **({"labels": marks} if marks else {})},
    }


def _field_names(tree: Object) -> Iterator[str]:
    """Read FieldsV1 notation: "f:" begins the name of a field, and "." stands for the map itself."""
    metadata = member(tree, "f:metadata")
    for kind in ("label", "annotation"):
        yield from (f"{kind} {name}" for name in _steps(member(metadata, f"f:{kind}s")))
    yield from (name for name in _steps(metadata) if name not in ("labels", "annotations"))
    yield from (name for name in _steps(tree) if name != "metadata")


def _steps(tree: Object) -> list[str]:
    return [step[2:] for step in tree if step.startswith("f:")]


def parse_time(text: object) -> datetime | None:
    """RFC 3339 as Kubernetes writes it, or ISO 8601 with an offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(str(text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


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
