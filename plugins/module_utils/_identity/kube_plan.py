# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What must be read of a cluster to judge its Pods, step by step, and which Pods to restart. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kube_owner import restart
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kube_pod import (
    parse_time,
    shown_time,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kube_proof_job import (
    Settings,
    job,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kube_state import (
    Key,
    KubeState,
    read_state,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kube_verify import (
    judge,
    key_of,
    stale,
)

LIVE = ("status.phase!=Succeeded", "status.phase!=Failed")

Row = Mapping[str, Any]


def verification_of(result: Row) -> Row:
    """That of eks_pod_identity_info, or the one within the result of eks_pod_identity."""
    found: Row = result.get("verification", {}) if "changes" in result else result
    return found


def is_auto_mode(verification: Row) -> bool:
    """Whether AWS says that the cluster runs EKS Auto Mode; the same is said with each workload."""
    return any(
        check.get("detail") == "auto mode" or "AGENT_ADDON_WITH_AUTO_MODE" in check.get("codes", ())
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
    addon_missing = any(one["code"] == "AGENT_ADDON_MISSING" for one in verification.get("findings", ()))
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


def restarts(result: Row, reads: Mapping[str, Row], now: datetime, settle: int = 15) -> dict[str, Any]:
    """What a restart of stale Pods takes.

    Keys: ``definitions`` (patches for kubernetes.core.k8s), ``names`` of the owners, ``unmanaged`` (Pods
    that no restart reaches), ``wait`` (seconds until the youngest association is ``settle`` seconds old:
    the webhook learns of it with a delay, and a Pod admitted earlier would be stale again).

    A workload that is not right in AWS is left alone: new Pods would not get the role either.
    """
    verification = verification_of(result)
    rows = _right_in_aws(verification)
    owners, others = stale(rows, state_of(verification, reads, now))
    youngest = max(
        (
            created
            for row in rows
            if owners and (created := parse_time(row["association_created_at"])) is not None
        ),
        default=None,
    )
    wait = settle - (now - youngest).total_seconds() if youngest else 0
    return {
        "definitions": [restart(owner, shown_time(now)) for owner in owners],
        "names": [f"{owner.kind} {owner.namespace}/{owner.name}" for owner in owners],
        "unmanaged": sorted({f"{one.pod.namespace}/{one.pod.name}" for one in others}),
        "wait": int(min(max(wait, 0), settle)),
    }


def proofs(result: Row, service_accounts: Collection[Key], settings: Settings) -> list[dict[str, Any]]:
    """The Jobs of the runtime proof, for workloads that are right in AWS and have their service account."""
    verification = verification_of(result)
    region = str(verification.get("cluster_arn", ":::")).split(":")[3]
    return [
        job(row, replace(settings, region=region))
        for row in _right_in_aws(verification)
        if key_of(row) in service_accounts
    ]


def _right_in_aws(verification: Row) -> list[Row]:
    return [
        row
        for row in verification.get("workloads", ())
        if row["association_id"] and not any(map(_stands_in_the_way, row.get("checks", ())))
    ]


def _stands_in_the_way(check: Row) -> bool:
    """An agent that is no add-on of EKS is judged by what is seen in the cluster."""
    return check["status"] in ("fail", "unknown") and list(check.get("codes", ())) != ["AGENT_ADDON_MISSING"]
