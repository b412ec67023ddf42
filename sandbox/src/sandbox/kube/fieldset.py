# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that field managers own, and the notation FieldsV1 for them in ``metadata.managedFields``.

A field is a tuple of steps from the root of the object: ``f:name`` is a member, ``k:{...}`` a list item with certain
keys, and ``v:...`` an item of a list that is a set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sandbox.kube.jsontree import Json
from sandbox.kube.schema import ListRule, Path, is_atomic_map, list_rule

Field = tuple[str, ...]

_UNOWNED: frozenset[Field] = frozenset(
    {("f:apiVersion",), ("f:kind",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "generation",
            "managedFields",
            "name",
            "namespace",
            "resourceVersion",
            "selfLink",
            "uid",
        )
    }
)
# If an update adds one of these maps, the writer owns the map itself in addition to the entries.
_OWNED_MAPS = frozenset({"annotations", "data", "labels", "limits", "matchLabels", "requests"})


def flatten(kind: str, obj: Json, *, maps: bool = True) -> dict[Field, Any]:
    """Return the fields of an object that can be owned, with their values.

    The value of a list item or a map is None, because the members of the item or map are separate fields. ``maps`` must be
    false for an applied configuration, which owns the entries of a map but not the map itself.
    """
    collected: dict[Field, Any] = {}
    _flatten(kind, obj, (), (), collected)
    return {
        field: value
        for field, value in collected.items()
        if field[:1] not in _UNOWNED
        and field[:2] not in _UNOWNED
        and (maps or value is not None or not field[-1].startswith("f:"))
    }


def _flatten(kind: str, value: Any, path: Path, field: Field, collected: dict[Field, Any]) -> None:
    if isinstance(value, dict) and value and not is_atomic_map(path):
        if path and path[-1] in _OWNED_MAPS:
            collected[field] = None
        for key, item in value.items():
            _flatten(kind, item, (*path, key), (*field, f"f:{key}"), collected)
    elif isinstance(value, list) and value:
        rule = list_rule(kind, path)
        if rule.apply_keys and all(isinstance(item, dict) for item in value):
            for item in value:
                item_field = (*field, item_step(rule, item))
                collected[item_field] = None
                for key, inner in item.items():
                    _flatten(kind, inner, (*path, key), (*item_field, f"f:{key}"), collected)
        elif rule.is_set:
            for item in value:
                collected[(*field, f"v:{json.dumps(item)}")] = item
        else:
            collected[field] = value
    else:
        collected[field] = value


def item_step(rule: ListRule, item: Json) -> str:
    """Return the step ``k:{...}`` for a list item. The default of the key protocol is TCP."""
    keys = {key: item.get(key, "TCP" if key == "protocol" else None) for key in rule.apply_keys}
    present = {key: value for key, value in keys.items() if value is not None}
    return "k:" + json.dumps(present, separators=(",", ":"), sort_keys=True)


def encode(fields: Iterable[Field]) -> Json:
    """Encode fields as FieldsV1: a tree of steps. An owned field that has children is marked with the entry ``.``."""
    tree: Json = {}
    members = set(fields)
    for field in sorted(members):
        node = tree
        for depth, step in enumerate(field, start=1):
            node = node.setdefault(step, {})
            if depth < len(field) and field[:depth] in members:
                node.setdefault(".", {})
    return tree


def decode(tree: Json) -> set[Field]:
    collected: set[Field] = set()
    _decode(tree, (), collected)
    return collected


def _decode(tree: Json, field: Field, collected: set[Field]) -> None:
    if field and (not tree or "." in tree):
        collected.add(field)
    for step, below in tree.items():
        if step != ".":
            _decode(below, (*field, step), collected)


def printed(field: Field) -> str:
    """Return a field as messages about conflicts show it, such as ``.spec.containers[name="app"].image``."""
    text = ""
    for step in field:
        marker, _, rest = step.partition(":")
        if marker == "f":
            text += f".{rest}"
        elif marker == "k":
            keys = json.loads(rest)
            pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(keys.items()))
            text += f"[{pairs}]"
        else:
            text += f"[={rest}]"
    return text


def drop(obj: Any, field: Field, kind: str) -> None:
    """Remove a field from an object, if it exists. The object is modified."""
    _drop(obj, field, kind, ())


def _drop(node: Any, field: Field, kind: str, path: Path) -> None:
    step, rest = field[0], field[1:]
    marker, _, name = step.partition(":")
    if marker == "f":
        if not isinstance(node, dict) or name not in node:
            return
        if not rest:
            del node[name]
            return
        _drop(node[name], rest, kind, (*path, name))
        return
    if not isinstance(node, list):
        return
    rule = list_rule(kind, path)
    for index, item in enumerate(node):
        current = f"v:{json.dumps(item)}" if marker == "v" else item_step(rule, item)
        if current == step:
            if rest:
                _drop(item, rest, kind, path)
            else:
                del node[index]
            return
