# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists: selectors, pages and the shape of list items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.kube.errors import bad_request
from sandbox.kube.history import continue_token, moment_of, objects_at
from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType
from sandbox.kube.selectors import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)
from sandbox.kube.store import Store, key_of


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list, watch or collection delete is about; ``namespace`` None means all."""

    rtype: ResourceType
    namespace: str | None
    labels: LabelSelector
    fields: FieldSelector

    def matches(self, obj: Json) -> bool:
        if self.namespace is not None and obj["metadata"].get("namespace", "") != self.namespace:
            return False
        return self.labels.matches(obj) and self.fields.matches(obj)

    def objects(self, store: Store) -> Iterator[Json]:
        """Matching objects in order; a selected name in one namespace needs no scan."""
        name = self.fields.exact("metadata", "name")
        namespace = self.namespace
        if namespace is None and not self.rtype.namespaced:
            namespace = ""
        if name is not None and namespace is not None:
            found = store.get(key_of(self.rtype, namespace, name))
            return iter([found] if found is not None and self.matches(found) else [])
        listed = store.select(self.rtype.qualified, namespace)
        return (obj for obj in listed if self.matches(obj))


def parse_selection(rtype: ResourceType, namespace: str | None, query: Mapping[str, str]) -> Selection:
    """From ``labelSelector`` and ``fieldSelector``; ApiError 400 for bad ones."""
    return Selection(
        rtype,
        namespace,
        parse_label_selector(query.get("labelSelector", "")),
        parse_field_selector(query.get("fieldSelector", ""), rtype),
    )


def list_objects(store: Store, selection: Selection, query: Mapping[str, str]) -> Json:
    """The list body. Items carry neither kind nor apiVersion; ``limit`` and ``continue`` page through one moment."""
    limit = _limit(query.get("limit", ""))
    resource = selection.rtype.qualified
    moment = moment_of(store, resource, query)
    if moment.version == store.version:
        found = list(selection.objects(store))
    else:
        found = [obj for obj in objects_at(store, resource, moment.version) if selection.matches(obj)]
    if moment.after is not None:
        found = [obj for obj in found if _position(obj) > moment.after]
    meta: Json = {"resourceVersion": str(moment.version)}
    if limit and len(found) > limit:
        meta["continue"] = continue_token(moment.version, _position(found[limit - 1]))
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    return as_list(selection.rtype, found, meta)


def as_list(rtype: ResourceType, objects: list[Json], meta: Json) -> Json:
    return {
        "kind": f"{rtype.kind}List",
        "apiVersion": rtype.group_version,
        "metadata": meta,
        "items": [
            {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in objects
        ],
    }


def _position(obj: Json) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _limit(text: str) -> int:
    if not text:
        return 0
    if not text.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)
