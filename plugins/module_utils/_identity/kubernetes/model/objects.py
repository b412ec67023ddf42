# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse objects of the Kubernetes API: their fields, ownership labels, field managers and times. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple, TypeAlias

from ...._findings.finding import WorkloadKey

Object: TypeAlias = Mapping[str, object]


class ObjectName(NamedTuple):
    """Namespace and name of an object. ``namespace`` is "" for kinds that are not namespaced."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A v1 ServiceAccount.

    ``is_terminating`` is true if the service account is being deleted, but still has finalizers. ``applied`` has the labels and
    annotations that this collection set by server-side apply, such as "label team".
    """

    key: WorkloadKey
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_terminating: bool = False
    applied: frozenset[str] = frozenset()


def as_mapping(value: object) -> Object:
    """Return a mapping unchanged, and an empty mapping for any other value."""
    return value if isinstance(value, Mapping) else {}


def member(item: Object, *path: str) -> Object:
    """Return the mapping at a path of keys, or an empty mapping if there is none."""
    for name in path:
        item = as_mapping(item.get(name))
    return item


def as_objects(value: object) -> Sequence[Object]:
    """Return the items of a list that are mappings; an empty sequence for any other value."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return ()
    return [entry for entry in value if isinstance(entry, Mapping)]


def as_text(value: object) -> str:
    """Return a value as text; "" for None."""
    return "" if value is None else str(value)


def as_number(value: object) -> int:
    """Return an integer unchanged, and 0 for any other value."""
    return value if isinstance(value, int) else 0


def as_texts(value: object) -> dict[str, str]:
    """Return a mapping, such as labels, with keys and values converted to text; an empty one for any other value."""
    return {str(name): as_text(text) for name, text in as_mapping(value).items()}


def object_name(item: Object) -> ObjectName:
    """Return namespace and name of an object or manifest."""
    metadata = member(item, "metadata")
    return ObjectName(as_text(metadata.get("namespace")), as_text(metadata.get("name")))


def common_namespace(namespaces: Iterable[str]) -> str:
    """Return the namespace for a list request: "" (all namespaces) unless all objects are in the same namespace."""
    names = {*namespaces}
    return names.pop() if len(names) == 1 else ""


def parse_service_account(item: Object, cluster: str) -> ServiceAccount:
    """Parse a v1 ServiceAccount. ``cluster`` is the value of ``cluster`` in the key of the service account."""
    metadata = member(item, "metadata")
    return ServiceAccount(
        WorkloadKey(cluster, *object_name(item)),
        as_texts(metadata.get("labels")),
        as_texts(metadata.get("annotations")),
        is_terminating(item),
        frozenset(
            name
            for name in fields_by_manager(item).get(FIELD_MANAGER, ())
            if name.startswith(("label ", "annotation "))
        ),
    )


def is_terminating(item: Object) -> bool:
    """Return whether an object is being deleted."""
    return bool(member(item, "metadata").get("deletionTimestamp"))


# The field manager of this collection in server-side apply. Never rename it: the API server would treat the fields of earlier
# runs as fields of another manager.
FIELD_MANAGER = "workload-identity"
# The label of the Jobs and Pods of the runtime proof.
PROOF_LABEL = "workload-identity/proof"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY_LABEL_VALUE = "workload_identity.aws"
MANAGED_BY_LABELS = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
OWNER_LABEL = "workload-identity/owner"


def is_managed(labels: Mapping[str, str]) -> bool:
    """Return whether the labels show that this collection created the object."""
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY_LABEL_VALUE


def other_owner(labels: Mapping[str, str], owner: str | None) -> str:
    """Return the owner of a managed object, for a message, if it differs from ``owner``; otherwise "".

    Objects of the default owner have no label, because they already belong to their cluster.
    """
    label = labels.get(OWNER_LABEL, "")
    name = (
        f"owner '{label}' (label {OWNER_LABEL})" if label else f"the default owner (no label {OWNER_LABEL})"
    )
    return name if is_managed(labels) and label != (owner or "") else ""


def fields_by_manager(item: Object) -> dict[str, list[str]]:
    """Return the fields of an object by their field manager, such as "label team" or "imagePullSecrets"."""
    fields: dict[str, list[str]] = {}
    for entry in as_objects(member(item, "metadata").get("managedFields")):
        names = fields.setdefault(as_text(entry.get("manager")), [])
        names += [name for name in _field_names(as_mapping(entry.get("fieldsV1"))) if name not in names]
    return {manager: names for manager, names in fields.items() if names}


def release_manifest(item: Object) -> Object | None:
    """Return the manifest that releases a service account, or None if there is no label or annotation to remove.

    A server-side apply of this manifest removes the labels and annotations that this collection applied, because the manifest
    lacks them. A managed service account keeps its ownership labels, by which the next teardown finds it. The UID in the
    manifest prevents the API server from recreating a service account that was deleted in the meantime.

    :arg item: the service account as the API server returned it, with managedFields.
    """
    metadata = member(item, "metadata")
    labels = as_texts(metadata.get("labels"))
    kept = (MANAGED_BY_LABEL, OWNER_LABEL) if is_managed(labels) else ()
    marks = {name: labels[name] for name in kept if name in labels}
    if {*fields_by_manager(item).get(FIELD_MANAGER, ())} <= {f"label {name}" for name in marks}:
        return None
    released = {name: as_text(metadata.get(name)) for name in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**released, **({"labels": marks} if marks else {})},
    }


def _field_names(tree: Object) -> Iterator[str]:
    """Yield the names of the fields in a FieldsV1 tree, such as "label team". The key of a field is "f:" and its name."""
    metadata = member(tree, "f:metadata")
    for kind in ("label", "annotation"):
        yield from (f"{kind} {name}" for name in _steps(member(metadata, f"f:{kind}s")))
    yield from (name for name in _steps(metadata) if name not in ("labels", "annotations"))
    yield from (name for name in _steps(tree) if name != "metadata")


def _steps(tree: Object) -> list[str]:
    return [step[2:] for step in tree if step.startswith("f:")]


def parse_time(text: object) -> datetime | None:
    """Parse a time in RFC 3339, the format of Kubernetes, or in ISO 8601. Return None for any other value."""
    try:
        moment = datetime.fromisoformat(str(text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def format_time(moment: datetime) -> str:
    """Format a time in UTC like "2026-01-31T12:00:00Z"."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_age(moment: datetime, now: datetime) -> str:
    """Format an age in its largest unit, like "3 hours". The age of a time in the future is "0 seconds"."""
    seconds = max(0, int((now - moment).total_seconds()))
    units = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
    count, unit = next(((seconds // size, unit) for size, unit in units if seconds >= size), (0, "second"))
    return f"{count} {unit}{'' if count == 1 else 's'}"
