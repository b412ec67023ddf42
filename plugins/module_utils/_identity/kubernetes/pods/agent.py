# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the EKS Pod Identity Agent there? Pure.

Sources: EKS User Guide, "Set up the Amazon EKS Pod Identity Agent"; in Auto Mode the nodes have it built in.
"""

from __future__ import annotations

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...model.checks import FAIL, PASS, UNKNOWN, WARNING, Check
from ...model.messages import listed
from .pod_faults import SHOW_AGENTS
from .state import AGENT, AGENT_NAMESPACE, KubeState

_NAME = "agent"


def check_agent(state: KubeState, cluster_name: str, has_addon: bool) -> Check | None:
    """The check of the whole cluster; None when nothing was read that could tell.

    ``has_addon`` says that EKS knows the add-on and finds it well.
    """
    if state.agents is None:
        return Check(_NAME, UNKNOWN) if "agents" in state.errors else None
    if any(state.agents.values()):
        return _some_ready(state)
    if state.agents:
        return _none_ready(state)
    if state.has_auto_nodes:
        return Check(_NAME, PASS, "auto")
    if state.daemon_sets is None:
        return Check(_NAME, UNKNOWN) if "daemon_sets" in state.errors else None
    if not state.daemon_sets:
        return _missing(cluster_name, has_addon)
    return _no_pods(state)


def _some_ready(state: KubeState) -> Check:
    waiting = sorted(node for node, ready in (state.agents or {}).items() if not ready)
    if not waiting:
        return Check(_NAME, PASS)
    message = (
        f"{len(waiting)} of {len(state.agents or {})} Pods of the EKS Pod Identity Agent not ready, on node "
        f"{listed(waiting)}; Pods there get no credentials."
    )
    finding = Finding(Code.AGENT_NOT_READY, message, _inspection(), raised_as="warning")
    return Check(_NAME, WARNING, findings=(finding,))


def _none_ready(state: KubeState) -> Check:
    nodes = sorted(state.agents or {})
    message = (
        f"no Pod of the EKS Pod Identity Agent is ready (node {listed(nodes)}); no Pod gets credentials."
    )
    return Check(_NAME, FAIL, findings=(Finding(Code.AGENT_NOT_READY, message, _inspection()),))


def _missing(cluster_name: str, has_addon: bool) -> Check:
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
    return Check(_NAME, FAIL, findings=(Finding(Code.AGENT_MISSING, message, remedy),))


def _no_pods(state: KubeState) -> Check:
    """The DaemonSet has no Pods: it selects no node yet, or its Pods cannot be made."""
    desired = sum(state.daemon_sets or ())
    if desired:
        message = f"DaemonSet {AGENT} wants {desired} Pods and has none; no Pod gets credentials."
        remedy = f"See why: kubectl -n {AGENT_NAMESPACE} describe daemonset {AGENT}"
        return Check(_NAME, FAIL, findings=(Finding(Code.AGENT_NOT_READY, message, remedy),))
    message = f"DaemonSet {AGENT} has no Pods, as it selects no node of the cluster."
    remedy = "Nothing to do while there are no nodes; else see the DaemonSet's node selector and affinity."
    finding = Finding(Code.AGENT_NOT_READY, message, remedy, raised_as="warning")
    return Check(_NAME, WARNING, findings=(finding,))


def _inspection() -> str:
    return (
        "Describe its Pods and read their logs ('listen tcp [fd00:ec2::23]:80: bind: cannot assign requested address' "
        f"means that IPv6 is off on the node). To see them: {SHOW_AGENTS}"
    )
