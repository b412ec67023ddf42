# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Artifacts of a job, as Ansible's set_stats hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def job_artifacts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The member of an action's result; empty where there is nothing to hand over."""
    return {"ansible_stats": {"data": dict(data), "per_host": False, "aggregate": True}} if data else {}
