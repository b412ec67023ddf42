# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for JSON values. Stored objects must not be modified: clone an object to change it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def clone(value: Any) -> Any:
    """Return a deep copy of a JSON value. This is faster than ``copy.deepcopy``, which tracks identities."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def without_nulls(value: Any) -> Any:
    """Return a deep copy of a JSON value without members that are null. The API server ignores such members."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def clone_object(value: Json) -> Json:
    copied: Json = clone(value)
    return copied


def lookup(value: Any, *path: str) -> Any:
    """Return the value at a path of member names, or None if the path does not exist."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value
