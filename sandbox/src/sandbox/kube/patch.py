# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply patches in two formats: JSON merge patch (RFC 7386) and strategic merge patch."""

from __future__ import annotations

from typing import Any

from sandbox.kube.errors import ApiError, unsupported_media_type
from sandbox.kube.jsontree import Json, clone
from sandbox.kube.schema import Path, list_rule

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PATCHES = (MERGE, STRATEGIC, APPLY)


def patched(kind: str, current: Json, content_type: str, patch: Any) -> Any:
    """Apply a patch to an object of a kind, and return the result. Raise ApiError 415 for an unsupported format."""
    if content_type == MERGE:
        return merge_patch(current, patch)
    if content_type == STRATEGIC:
        return strategic_merge(kind, current, patch)
    raise unsupported_media_type(PATCHES)


def merge_patch(current: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386), and return the result."""
    if not isinstance(patch, dict):
        return clone(patch)
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge(kind: str, current: Any, patch: Any, path: Path = ()) -> Any:
    """Apply a strategic merge patch.

    It supports the directives $patch, $retainKeys, $deleteFromPrimitiveList and $setElementOrder.
    """
    if isinstance(patch, dict):
        return _strategic_map(kind, current, patch, path)
    if isinstance(patch, list):
        return _strategic_list(kind, current, patch, path)
    return patch


def _strategic_map(kind: str, current: Any, patch: Json, path: Path) -> Json:
    directive = patch.get("$patch")
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "replace":
        return {key: clone(value) for key, value in plain.items()}
    if directive == "delete":
        return {}
    merged = dict(current) if isinstance(current, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
    for key, value in plain.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge(kind, merged.get(key), value, (*path, key))
    for key, order in patch.items():
        if key.startswith("$setElementOrder/"):
            field = key.partition("/")[2]
            if isinstance(merged.get(field), list):
                rule = list_rule(kind, (*path, field))
                merged[field] = _ordered(merged[field], order, rule.patch_key)
    return merged


def _strategic_list(kind: str, current: Any, patch: list[Any], path: Path) -> list[Any]:
    rule = list_rule(kind, path)
    existing = list(current) if isinstance(current, list) else []
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [clone(i) for i in patch if not (isinstance(i, dict) and i.get("$patch"))]
    if rule.is_set:
        return existing + [item for item in patch if item not in existing]
    key = rule.patch_key
    if not key:
        return [clone(item) for item in patch]
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise ApiError(
                500,
                "InternalError",
                f"map: {item} does not contain declared merge key: {key}",
            )
        index = next((i for i, old in enumerate(existing) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            existing = [old for old in existing if old.get(key) != item[key]]
        elif index is None:
            existing.append(_strategic_map(kind, {}, item, path))
        else:
            existing[index] = _strategic_map(kind, existing[index], item, path)
    return existing


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Sort items in the order of ``order``. Items that ``order`` does not contain follow in their present order."""
    values = [entry.get(key) if isinstance(entry, dict) else entry for entry in order]

    def rank(item: Any) -> int:
        value = item.get(key) if isinstance(item, dict) else item
        return values.index(value) if value in values else len(values)

    return sorted(items, key=rank)
