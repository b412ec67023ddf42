# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Found clusters as plain data for a cache, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..model.assume_role import AssumeRole
from ..model.found_clusters import AgentAddon, FoundCluster

# Raised with every change of the classes, so that what another version of the collection wrote is not read.
FORMAT = 2


def to_cache(clusters: tuple[FoundCluster, ...]) -> dict[str, Any]:
    return {"format": FORMAT, "clusters": [asdict(cluster) for cluster in clusters]}


def from_cache(cached: object) -> tuple[FoundCluster, ...] | None:
    """The clusters, or None when it is not what ``to_cache`` of this version made."""
    if not isinstance(cached, Mapping) or cached.get("format") != FORMAT:
        return None
    return tuple(_cluster(row) for row in cached["clusters"])


def _cluster(row: Mapping[str, Any]) -> FoundCluster:
    role = row["role"]
    return FoundCluster(
        **{
            **row,
            "tags": dict(row["tags"]),
            "agent": AgentAddon(**row["agent"]),
            "role": AssumeRole(**role) if role else None,
        }
    )
