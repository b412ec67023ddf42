# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Checks and findings of Pods and agent for each workload. Pure, and linear in Pods and workloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._findings.codes import Code
from ..model.messages import listed
from .agent import AgentVerdict, judge_agent
from .owners import can_restart
from .pod_faults import Association, Fault, faults_of, may_be_repaired
from .pods import Owner, Pod, age, parse_time
from .state import RESOURCES, Key, KubeState

Row = Mapping[str, Any]
Check = dict[str, Any]
Finding = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A Pod with what is wrong with it, and what would recreate it."""

    pod: Pod
    fault: Fault
    owner: Owner


@dataclass(slots=True)
class KubeVerdict:
    """``checks`` by workload; ``findings`` of workloads in their order, then those of the cluster."""

    checks: dict[Key, list[Check]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def verify_pods(rows: Sequence[Row], state: KubeState, cluster_name: str = "") -> KubeVerdict:
    """``rows`` are the workloads of a verification, with their associations."""
    verdict = KubeVerdict()
    agent = judge_agent(state, cluster_name, _has_addon(rows))
    for row in rows:
        key = key_of(row)
        judged = judge(row, state)
        checks = [_agent_check(agent, judged, state), _pods_check(key, judged, state)]
        verdict.checks[key] = [check for check in checks if check["status"]]
        verdict.findings += _findings(key, judged, state)
    if agent.finding and not any(one["code"] == Code.AGENT_NOT_ON_NODE for one in verdict.findings):
        verdict.findings.append(agent.finding)
    verdict.findings += [_unreadable(name, why) for name, why in state.errors.items()]
    return verdict


def judge(row: Row, state: KubeState) -> list[Judged]:
    """The faults of a workload's Pods."""
    association = Association(
        str(row.get("association_id") or ""), parse_time(row.get("association_created_at"))
    )
    pods = (state.pods or {}).get(key_of(row), ())
    return [
        Judged(pod, fault, state.owner_of(pod))
        for pod in pods
        for fault in faults_of(pod, state, association)
    ]


def stale(rows: Iterable[Row], state: KubeState) -> tuple[list[Owner], list[Judged]]:
    """The owners whose restart gives their Pods the role, and the stale Pods that no restart reaches."""
    owners: dict[Owner, None] = {}
    others = []
    for row in rows:
        association = Association(str(row["association_id"]), parse_time(row["association_created_at"]))
        for one in judge(row, state):
            if not may_be_repaired(one.pod, one.fault, association):
                continue
            if can_restart(one.owner):
                owners[one.owner] = None
            else:
                others.append(one)
    return list(owners), others


def key_of(row: Row) -> Key:
    return str(row["namespace"]), str(row["service_account"])


def _has_addon(rows: Sequence[Row]) -> bool:
    """What EKS says of the add-on; the same is said with each workload."""
    return any(
        check["name"] == "agent" and check["status"] == "pass"
        for row in rows[:1]
        for check in row.get("checks", ())
    )


def _agent_check(agent: AgentVerdict, judged: Sequence[Judged], state: KubeState) -> Check:
    codes = _codes(judged, "agent")
    if codes:
        return _check("agent", "fail", "", codes)
    unread = any(name in state.errors for name in ("agents", "daemon_sets", "nodes"))
    if unread and agent.status in ("", "unknown"):
        return _check("agent", "unknown", "", [Code.KUBERNETES_NOT_READABLE])
    return _check("agent", agent.status, agent.detail, [agent.finding["code"]] if agent.finding else [])


def _pods_check(key: Key, judged: Sequence[Judged], state: KubeState) -> Check:
    if state.pods is None:
        status = "unknown" if "pods" in state.errors else ""
        return _check("pods", status, "", [Code.KUBERNETES_NOT_READABLE] if status else [])
    count = len(state.pods.get(key, ()))
    own = [one for one in judged if one.fault.check == "pods"]
    errors = {one.pod.name for one in own if one.fault.severity == "error"}
    bad = errors or {one.pod.name for one in own}
    status = "fail" if errors else "warning" if bad else "pass"
    detail = f"{len(bad)}/{count}" if bad else str(count)
    return _check("pods", status, detail, _codes(judged, "pods"))


def _check(name: str, status: str, detail: str, codes: Iterable[str]) -> Check:
    return {"name": name, "status": status, "detail": detail, "codes": sorted(set(codes))}


def _codes(judged: Iterable[Judged], check: str) -> list[str]:
    return [one.fault.code for one in judged if one.fault.check == check]


def _findings(key: Key, judged: Iterable[Judged], state: KubeState) -> list[Finding]:
    """One for all Pods of an owner with the same cause: a Deployment of a thousand Pods is one line."""
    groups: dict[tuple[str, str, Owner], list[Judged]] = {}
    for one in judged:
        owner = one.owner if one.owner.kind else Owner(name=one.pod.name)
        groups.setdefault((one.fault.code, one.fault.what, owner), []).append(one)
    return [
        {
            "code": group[0].fault.code,
            "severity": group[0].fault.severity,
            "workload": "/".join(key),
            "message": _message(group, state),
            "remedy": group[0].fault.remedy,
        }
        for group in groups.values()
    ]


def _message(group: Sequence[Judged], state: KubeState) -> str:
    pods = sorted({one.pod.name for one in group})
    details = sorted({one.fault.detail for one in group if one.fault.detail})
    owner = group[0].owner
    of = f" of {owner}" if owner.kind else ""
    where = f" ({listed(details)})" if details else ""
    subject = f"Pod{'' if len(pods) == 1 else 's'} {listed(pods)}{of}{_ages(group, state)}"
    return f"{subject}: {group[0].fault.what}{where}."


def _ages(group: Sequence[Judged], state: KubeState) -> str:
    known = [one.pod.created for one in group if one.pod.created]
    if not known:
        return ""
    oldest = f"{age(min(known), state.now)} old"
    return f" ({oldest})" if len(group) == 1 else f" (up to {oldest})"


def _unreadable(name: str, why: str) -> Finding:
    return {
        "code": Code.KUBERNETES_NOT_READABLE,
        "severity": "note",
        "workload": "",
        "message": f"{RESOURCES[name]} could not be read, so what depends on them is unknown: {why}",
        "remedy": f"Allow the caller of the Kubernetes API to list {RESOURCES[name]}.",
    }
