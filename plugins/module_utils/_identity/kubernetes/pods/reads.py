# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What must be read of a cluster to judge its Pods, each list only when it matters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.key import WorkloadKey
from ..api.cluster import ClusterReader, Listing, Query, Reads
from ..model.aws_result import Verification, VerifiedWorkload
from .owners import can_restart
from .pod_checks import find_faults
from .pod_faults import needs_admission
from .pods import Owner
from .state import AGENT_NAMESPACE, AGENTS, APPS, OWNER_KINDS, KubeState, read_state
from .templates import common_namespace

LIVE = ("status.phase!=Succeeded", "status.phase!=Failed")


def read_cluster(
    reader: ClusterReader, verification: Verification, now: datetime, *, ended: bool = False
) -> dict[str, Listing]:
    """The Pods of the workloads, then step by step what else matters. By the names of RESOURCES.

    Without workloads that is the agent, where EKS does not know its add-on. With ``ended`` the list of Pods also has those
    that have ended.
    """
    query = pods_query(verification)
    if query is not None and ended:
        query = replace(query, field_selectors=tuple(one for one in query.field_selectors if one not in LIVE))
    reads = {"pods": reader.list_objects(query)} if query is not None else {}
    while missing := [name for name in still_to_read(verification, reads, now) if name not in reads]:
        reads |= {name: reader.list_objects(query_for(name, query)) for name in missing}
    # Last, as what was read before decides which owners have Pods to replace.
    queries = owner_queries(verification, state_of(verification, reads, now))
    return reads | {name: reader.list_objects(owners) for name, owners in queries.items()}


def is_auto_mode(verification: Verification) -> bool:
    """Whether AWS says that the cluster runs EKS Auto Mode; the same is said with each workload."""
    return any(
        check.detail == "auto mode"
        or any(finding.code == Code.AGENT_ADDON_WITH_AUTO_MODE for finding in check.findings)
        for workload in verification.workloads[:1]
        for check in workload.checks
    )


def state_of(verification: Verification, reads: Reads, now: datetime) -> KubeState:
    keys = [workload.key for workload in verification.workloads]
    return read_state(reads, keys, verification.cluster, now, is_auto_mode(verification))


def pods_query(verification: Verification) -> Query | None:
    """The narrowest single list that holds the Pods of all workloads; None when there are no workloads."""
    keys = [workload.key for workload in verification.workloads]
    return live_pods_query(keys) if keys else None


def live_pods_query(keys: Sequence[WorkloadKey]) -> Query:
    """Return the narrowest single list that holds the Pods of these workloads that have not ended."""
    account = (f"spec.serviceAccountName={keys[0].service_account}",) if len(keys) == 1 else ()
    return Query("v1", "Pod", common_namespace(keys), field_selectors=(*LIVE, *account))


def query_for(name: str, pods: Query | None) -> Query:
    """The list of the objects of RESOURCES, given the one of the Pods."""
    if name == "agents":
        return Query("v1", "Pod", AGENT_NAMESPACE, (f"app.kubernetes.io/name in ({','.join(AGENTS)})",))
    if name == "daemon_sets":
        return Query("apps/v1", "DaemonSet", AGENT_NAMESPACE)
    if name == "nodes":
        return Query("v1", "Node")
    return Query("apps/v1", "ReplicaSet", pods.namespace if pods is not None else "")


def still_to_read(verification: Verification, reads: Reads, now: datetime) -> list[str]:
    """The names of what else matters, given what was read so far.

    The agent matters when Pods run, or when EKS knows no add-on. A ready agent shows that its node is one
    of Linux on EC2, so nodes are read only where there is none; and the DaemonSet only to tell why.
    """
    addon_missing = any(finding.code == Code.AGENT_ADDON_MISSING for finding in verification.findings)
    if not addon_missing and "agents" not in reads and not reads.get("pods", Listing()).items:
        return []
    state = state_of(verification, reads, now)
    nodes = {pod.node for pods in (state.pods or {}).values() for pod in pods if pod.node}
    names = []
    if state.agents is None and "agents" not in state.errors:
        if nodes or addon_missing:
            names.append("agents")
    else:
        if not state.agents and "agents" not in state.errors and not state.auto_mode:
            names.append("daemon_sets")
        if any(not state.has_agent(node) for node in nodes):
            names.append("nodes")
    if any(_has_unknown_owner(workload, state) for workload in verification.workloads):
        names.append("replica_sets")
    return names


def owner_queries(verification: Verification, state: KubeState) -> dict[str, Query]:
    """The lists of the owners of Pods that need another admission, by the names of OWNER_KINDS."""
    owners = {
        faulty.owner
        for workload in verification.workloads
        for faulty in find_faults(workload, state)
        if needs_admission(faulty.fault) and can_restart(faulty.owner)
    }
    queries = {}
    for name, kind in OWNER_KINDS.items():
        if of_kind := [owner for owner in owners if owner.kind == kind]:
            queries[name] = _owners_query(kind, of_kind)
    return queries


def _owners_query(kind: str, owners: Sequence[Owner]) -> Query:
    """The narrowest single list that holds them."""
    namespaces = {owner.namespace for owner in owners}
    names = (f"metadata.name={owners[0].name}",) if len(owners) == 1 else ()
    return Query(APPS, kind, owners[0].namespace if len(namespaces) == 1 else "", field_selectors=names)


def _has_unknown_owner(workload: VerifiedWorkload, state: KubeState) -> bool:
    return any(faulty.pod.owner.kind == "ReplicaSet" for faulty in find_faults(workload, state))
