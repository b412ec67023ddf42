# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply, and the ownership of fields (``metadata.managedFields``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox.kube import fieldset
from sandbox.kube.errors import apply_conflict
from sandbox.kube.fieldset import Field
from sandbox.kube.jsontree import Json, clone
from sandbox.kube.resources import ResourceType
from sandbox.kube.schema import Path, list_rule


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of managedFields: the fields that a field manager owns.

    ``operation`` is Apply or Update. ``time`` is a timestamp in the format of Kubernetes.
    """

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: frozenset[Field]

    def same_writer(self, other: Entry) -> bool:
        return (self.manager, self.operation, self.api_version, self.subresource) == (
            other.manager,
            other.operation,
            other.api_version,
            other.subresource,
        )

    def printed(self) -> str:
        """Return the field manager as messages about conflicts show it."""
        text = json.dumps(self.manager)
        if self.subresource:
            text += f" with subresource {json.dumps(self.subresource)}"
        if self.operation == "Update":
            text += f" using {self.api_version} at {self.time}"
        return text


def read_entries(obj: Json) -> list[Entry]:
    return [
        Entry(
            item.get("manager", ""),
            item.get("operation", ""),
            item.get("apiVersion", ""),
            item.get("subresource", ""),
            item.get("time", ""),
            frozenset(fieldset.decode(item.get("fieldsV1") or {})),
        )
        for item in obj["metadata"].get("managedFields") or []
        if item
    ]


def write_entries(obj: Json, entries: Sequence[Entry]) -> None:
    """Write the entries to an object, in the order of Kubernetes. Entries without fields are left out."""
    nonempty = sorted(
        (entry for entry in entries if entry.fields),
        key=lambda e: (e.operation, e.time, e.manager, e.api_version, e.subresource),
    )
    if not nonempty:
        obj["metadata"].pop("managedFields", None)
        return
    obj["metadata"]["managedFields"] = [
        {
            "apiVersion": entry.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldset.encode(entry.fields),
            "manager": entry.manager,
            "operation": entry.operation,
            **({"subresource": entry.subresource} if entry.subresource else {}),
            "time": entry.time,
        }
        for entry in nonempty
    ]


def record_update(
    rtype: ResourceType, old: Json | None, new: Json, entries: Sequence[Entry], writer: Entry
) -> list[Entry]:
    """Return the entries of managedFields after a create or update.

    The writer owns every field that the writer has changed.
    """
    previous = fieldset.flatten(rtype.kind, old) if old is not None else {}
    current = fieldset.flatten(rtype.kind, new)
    changed = frozenset(
        field for field, value in current.items() if field not in previous or previous[field] != value
    )
    removed = frozenset(previous.keys() - current.keys())
    if not changed and not removed:
        return list(entries)
    result = []
    fields = changed
    for entry in entries:
        if entry.same_writer(writer):
            fields = (entry.fields - removed) | changed
        else:
            result.append(replace(entry, fields=entry.fields - changed - removed))
    return [*result, replace(writer, fields=fields)]


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of a server-side apply, before defaults are set and the object is validated."""

    obj: Json
    entries: tuple[Entry, ...]


def server_side_apply(
    rtype: ResourceType, live: Json, config: Json, writer: Entry, *, force: bool
) -> Applied:
    """Merge an applied configuration into the existing object.

    If another manager owns a field and its value differs, raise ApiError 409, or with ``force`` let the writer own the field.
    """
    entries = read_entries(live)
    applied = fieldset.flatten(rtype.kind, config, maps=False)
    current = fieldset.flatten(rtype.kind, live)
    foreign_entries = [entry for entry in entries if not entry.same_writer(writer)]
    conflicts = [
        (entry, field)
        for entry in foreign_entries
        for field in sorted(entry.fields)
        if field in applied and current.get(field) != applied[field]
    ]
    if conflicts and not force:
        raise apply_conflict([(entry.printed(), fieldset.printed(field)) for entry, field in conflicts])
    forced = {field for _, field in conflicts}
    foreign_entries = [replace(entry, fields=entry.fields - forced) for entry in foreign_entries]
    merged: Json = _merge(rtype.kind, live, config, ())
    previous = next((entry for entry in entries if entry.same_writer(writer)), None)
    if previous is not None:
        owned = set(applied).union(*(entry.fields for entry in foreign_entries))
        for field in sorted(previous.fields - owned, key=len):
            if not any(owned_field[: len(field)] == field for owned_field in owned):
                fieldset.drop(merged, field, rtype.kind)
    fields = frozenset(applied)
    own_entry = replace(writer, fields=fields)
    # If the owned fields are the same as before, keep the previous entry with its time.
    if previous is not None and previous.fields == fields:
        own_entry = previous
    return Applied(merged, (*foreign_entries, own_entry))


def _merge(kind: str, live: Any, config: Any, path: Path) -> Any:
    if isinstance(config, dict):
        merged = {key: clone(value) for key, value in live.items()} if isinstance(live, dict) else {}
        for key, value in config.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merge(kind, merged.get(key), value, (*path, key))
        return merged
    if not isinstance(config, list):
        return config
    rule = list_rule(kind, path)
    items = list(live) if isinstance(live, list) else []
    if rule.is_set:
        return items + [item for item in config if item not in items]
    if not rule.apply_keys:
        return clone(config)
    indexes = {fieldset.item_step(rule, item): index for index, item in enumerate(items)}
    for item in config:
        index = indexes.get(fieldset.item_step(rule, item))
        if index is None:
            items.append(clone(item))
        else:
            items[index] = _merge(kind, items[index], item, path)
    return items
