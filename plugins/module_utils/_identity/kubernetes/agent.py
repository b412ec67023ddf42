# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the EKS Pod Identity Agent there? Pure.

Sources: EKS User Guide, "Set up the Amazon EKS Pod Identity Agent"; in Auto Mode the nodes have it built in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._findings.codes import Code
from ..model.messages import listed
from .pod_faults import SHOW_AGENTS
from .state import AGENT, AGENT_NAMESPACE, KubeState

Finding = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentVerdict:
    """Of the whole cluster. ``status`` is "" when nothing was read that could tell."""

    status: str
    detail: str = ""
    finding: Finding | None = None


def judge_agent(state: KubeState, cluster_name: str, has_addon: bool) -> AgentVerdict:
    """``has_addon`` says that EKS knows the add-on and finds it well."""
    if state.agents is None:
        return AgentVerdict("unknown" if "agents" in state.errors else "")
    if any(state.agents.values()):
        return _some_ready(state)
    if state.agents:
        return _none_ready(state)
    if state.has_auto_nodes:
        return AgentVerdict("pass", "auto")
    if state.daemon_sets is None:
        return AgentVerdict("unknown" if "daemon_sets" in state.errors else "")
    if not state.daemon_sets:
        return _missing(cluster_name, has_addon)
    return _no_pods(state)


def _some_ready(state: KubeState) -> AgentVerdict:
    waiting = sorted(node for node, ready in (state.agents or {}).items() if not ready)
    if not waiting:
        return AgentVerdict("pass")
    message = (
        f"{len(waiting)} of {len(state.agents or {})} Pods of the EKS Pod Identity Agent not ready, on node "
        f"{listed(waiting)}; Pods there get no credentials."
    )
    return AgentVerdict("warning", "", _finding(Code.AGENT_NOT_READY, "warning", message, _look()))


def _none_ready(state: KubeState) -> AgentVerdict:
    nodes = sorted(state.agents or {})
    message = (
        f"no Pod of the EKS Pod Identity Agent is ready (node {listed(nodes)}); no Pod gets credentials."
    )
    return AgentVerdict("fail", "", _finding(Code.AGENT_NOT_READY, "error", message, _look()))


def _missing(cluster_name: str, has_addon: bool) -> AgentVerdict:
    message = (
        f"cluster {cluster_name} has no EKS Pod Identity Agent (no DaemonSet {AGENT} in namespace "
        f"{AGENT_NAMESPACE}), so no Pod gets credentials."
    )
    remedy = f"Install the add-on: aws eks create-addon --cluster-name {cluster_name} --addon-name {AGENT}"
    if has_addon:
        remedy = (
            "EKS has the add-on, so the kubeconfig may be that of another cluster, or the DaemonSet was "
            "deleted. Compare "
            f"the endpoints: aws eks describe-cluster --name {cluster_name} --query cluster.endpoint"
        )
    return AgentVerdict("fail", "", _finding(Code.AGENT_MISSING, "error", message, remedy))


def _no_pods(state: KubeState) -> AgentVerdict:
    """The DaemonSet is there and has no Pods: no node is for it yet, or its Pods cannot be made."""
    found = [item.get("status") or {} for item in state.daemon_sets or ()]
    wanted = sum(int(status.get("desiredNumberScheduled") or 0) for status in found)
    if wanted:
        message = f"DaemonSet {AGENT} wants {wanted} Pods and has none; no Pod gets credentials."
        remedy = f"See why: kubectl -n {AGENT_NAMESPACE} describe daemonset {AGENT}"
        return AgentVerdict("fail", "", _finding(Code.AGENT_NOT_READY, "error", message, remedy))
    message = f"DaemonSet {AGENT} has no Pods, as it selects no node of the cluster."
    remedy = "Nothing to do while there are no nodes; else see the DaemonSet's node selector and affinity."
    return AgentVerdict("warning", "", _finding(Code.AGENT_NOT_READY, "warning", message, remedy))


def _look() -> str:
    return (
        f"See why: {SHOW_AGENTS}, then describe those Pods and read their logs ('listen tcp "
        "[fd00:ec2::23]:80: bind: cannot assign requested address' means that IPv6 is off on the node)."
    )


def _finding(code: str, severity: str, message: str, remedy: str) -> Finding:
    return {"code": code, "severity": severity, "workload": "", "message": message, "remedy": remedy}
