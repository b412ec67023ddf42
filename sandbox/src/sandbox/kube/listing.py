# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""List objects, with selectors and pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.kube.errors import bad_request
from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType
from sandbox.kube.selectors import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)
from sandbox.kube.store import Store, object_key


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects that a request selects. ``namespace`` is None for all namespaces."""

    rtype: ResourceType
    namespace: str | None
    labels: LabelSelector
    fields: FieldSelector

    def matches(self, obj: Json) -> bool:
        if self.namespace is not None and obj["metadata"].get("namespace", "") != self.namespace:
            return False
        return self.labels.matches(obj) and self.fields.matches(obj)

    def objects(self, store: Store) -> Iterator[Json]:
        """Return the matching objects, sorted by namespace and name."""
        name = self.fields.exact("metadata", "name")
        namespace = self.namespace
        if namespace is None and not self.rtype.namespaced:
            namespace = ""
        if name is not None and namespace is not None:
            obj_by_name = store.get(object_key(self.rtype, namespace, name))
            return iter([obj_by_name] if obj_by_name is not None and self.matches(obj_by_name) else [])
        candidates = store.select(self.rtype.qualified, namespace)
        return (obj for obj in candidates if self.matches(obj))


def parse_selection(rtype: ResourceType, namespace: str | None, query: Mapping[str, str]) -> Selection:
    """Parse the query parameters ``labelSelector`` and ``fieldSelector``. Raise ApiError 400 if either is invalid."""
    return Selection(
        rtype,
        namespace,
        parse_label_selector(query.get("labelSelector", "")),
        parse_field_selector(query.get("fieldSelector", ""), rtype),
    )


def list_objects(store: Store, selection: Selection, query: Mapping[str, str]) -> Json:
    """Return a page of a list, as the body of a response. A page begins after the last object of the previous page.

    As in Kubernetes, items do not have kind and apiVersion.
    """
    limit = _limit(query.get("limit", ""))
    objects = list(selection.objects(store))
    if token := query.get("continue"):
        last = _decoded(token)
        objects = [obj for obj in objects if _position(obj) > last]
    meta: Json = {"resourceVersion": str(store.version)}
    if limit and len(objects) > limit:
        position = json.dumps(_position(objects[limit - 1]))
        meta["continue"] = base64.urlsafe_b64encode(position.encode()).decode()
        objects = objects[:limit]
    return as_list(selection.rtype, objects, meta)


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


def _decoded(token: str) -> tuple[str, str]:
    try:
        namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        raise bad_request("continue key is not valid") from None
    return str(namespace), str(name)
