# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply JSON merge patches (RFC 7386)."""

from __future__ import annotations

from typing import Any

from sandbox.kube.jsontree import clone

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
PATCHES = (MERGE, APPLY)


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
