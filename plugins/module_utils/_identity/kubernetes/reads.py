# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What must be read of a cluster to judge its Pods, step by step, and which Pods to restart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..._findings.codes import Code
from .pod_checks import judge, key_of
from .state import KubeState, read_state

LIVE = ("status.phase!=Succeeded", "status.phase!=Failed")

Row = Mapping[str, Any]


def verification_of(result: Row) -> Row:
    """That of eks_pod_identity_info, or the one within the result of eks_pod_identity."""
    found: Row = result.get("verification", {}) if "changes" in result else result
    return found


def is_auto_mode(verification: Row) -> bool:
    """Whether AWS says that the cluster runs EKS Auto Mode; the same is said with each workload."""
    return any(
        check.get("detail") == "auto mode" or Code.AGENT_ADDON_WITH_AUTO_MODE in check.get("codes", ())
        for row in verification.get("workloads", ())[:1]
        for check in row.get("checks", ())
    )


def state_of(verification: Row, reads: Mapping[str, Row], now: datetime) -> KubeState:
    keys = [key_of(row) for row in verification.get("workloads", ())]
    return read_state(reads, keys, now, is_auto_mode(verification))


def pods_query(result: Row) -> dict[str, Any]:
    """The narrowest single list that holds the Pods of all workloads; empty when there are none.

    ``namespace`` is "" for all of them.
    """
    keys = [key_of(row) for row in verification_of(result).get("workloads", ())]
    if not keys:
        return {}
    spaces = {namespace for namespace, _name in keys}
    one = [f"spec.serviceAccountName={keys[0][1]}"] if len(keys) == 1 else []
    return {"namespace": keys[0][0] if len(spaces) == 1 else "", "field_selectors": [*LIVE, *one]}


def still_to_read(result: Row, reads: Mapping[str, Row], now: datetime) -> list[str]:
    """The names of what else matters, given what was read so far.

    The agent matters when Pods run, or when EKS knows no add-on. A ready agent shows that its node is one
    of Linux on EC2, so nodes are read only where there is none; and the DaemonSet only to tell why.
    """
    verification = verification_of(result)
    addon_missing = any(one["code"] == Code.AGENT_ADDON_MISSING for one in verification.get("findings", ()))
    if not addon_missing and "agents" not in reads and not reads.get("pods", {}).get("resources"):
        return []
    state = state_of(verification, reads, now)
    rows = verification.get("workloads", ())
    nodes = {pod.node for pods in (state.pods or {}).values() for pod in pods if pod.node}
    wanted = []
    if state.agents is None and "agents" not in state.errors:
        if nodes or addon_missing:
            wanted.append("agents")
    else:
        if not state.agents and "agents" not in state.errors and not state.auto_mode:
            wanted.append("daemon_sets")
        if any(not state.has_agent(node) for node in nodes):
            wanted.append("nodes")
    if any(one.pod.owner.kind == "ReplicaSet" for row in rows for one in judge(row, state)):
        wanted.append("replica_sets")
    return wanted
