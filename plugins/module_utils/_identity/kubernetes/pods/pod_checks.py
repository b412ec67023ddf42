# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Check the Pods of each workload and the EKS Pod Identity Agent. Pure.

The agent runs on each node as a Pod of a DaemonSet, and gives the Pods of the node their credentials. With EKS Auto Mode the
agent is part of the nodes. Source: EKS User Guide, "Set up the Amazon EKS Pod Identity Agent".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...._findings.codes import CheckName, Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import FAIL, PASS, UNKNOWN, WARNING, Check, Status
from ...model.errors import listed
from ..api.api_errors import FORBIDDEN, ApiError, remedy_for
from ..model.aws_result import VerifiedWorkload
from ..model.objects import format_age
from .pod_faults import SHOW_AGENTS, Association, Fault, is_repairable, judge_pod, needs_admission
from .pods import (
    AGENT,
    AGENT_NAMESPACE,
    RESOURCES,
    Hold,
    KubeState,
    Owner,
    Pod,
    can_restart,
    describe_hold,
    describe_recreation,
)


def _check_agent_pods(state: KubeState, cluster_name: str, has_addon: bool) -> Check | None:
    """Return the check of the agent for the whole cluster, or None if the lists that it needs were not read.

    :arg has_addon: whether EKS reports a working agent.
    """
    if state.agents is None:
        return Check("agent", UNKNOWN) if "agents" in state.errors else None
    if any(state.agents.values()):
        return _some_ready(state)
    if state.agents:
        return _none_ready(state)
    if state.has_auto_nodes:
        return Check("agent", PASS, "auto")
    if state.daemon_sets is None:
        return Check("agent", UNKNOWN) if "daemon_sets" in state.errors else None
    if not state.daemon_sets:
        return _missing(cluster_name, has_addon)
    return _no_pods(state)


def _some_ready(state: KubeState) -> Check:
    waiting = sorted(node for node, ready in (state.agents or {}).items() if not ready)
    if not waiting:
        return Check("agent", PASS)
    message = (
        f"the EKS Pod Identity Agent is not ready on {len(waiting)} of its {len(state.agents or {})} nodes ({listed(waiting)}), "
        "so Pods there get no credentials."
    )
    finding = Finding(Code.AGENT_NOT_READY, message, _inspection(), raised_as="warning")
    return Check("agent", WARNING, findings=(finding,))


def _none_ready(state: KubeState) -> Check:
    nodes = sorted(state.agents or {})
    message = (
        f"no Pod of the EKS Pod Identity Agent is ready, so no Pod gets credentials. Nodes: {listed(nodes)}."
    )
    return Check("agent", FAIL, findings=(Finding(Code.AGENT_NOT_READY, message, _inspection()),))


def _missing(cluster_name: str, has_addon: bool) -> Check:
    message = (
        f"cluster {cluster_name} has no EKS Pod Identity Agent (no DaemonSet {AGENT} in namespace "
        f"{AGENT_NAMESPACE}), so no Pod gets credentials."
    )
    remedy = "Install the add-on: apply the workloads with pod_identity_agent: present."
    if has_addon:
        remedy = (
            "EKS has the add-on, so the Kubernetes API may belong to another cluster, or the DaemonSet was deleted. "
            "Compare the endpoint in the kubeconfig, if you use one, with: "
            f"aws eks describe-cluster --name {cluster_name} --query cluster.endpoint"
        )
    return Check("agent", FAIL, findings=(Finding(Code.AGENT_MISSING, message, remedy),))


def _no_pods(state: KubeState) -> Check:
    desired = sum(state.daemon_sets or ())
    if desired:
        message = f"the EKS Pod Identity Agent has 0 of {desired} desired Pods; no Pod gets credentials."
        remedy = f"See the events: kubectl -n {AGENT_NAMESPACE} get events --field-selector involvedObject.kind=DaemonSet"
        return Check("agent", FAIL, findings=(Finding(Code.AGENT_NOT_READY, message, remedy),))
    message = f"DaemonSet {AGENT} has no Pods, as it selects no node of the cluster."
    remedy = "If the cluster has nodes, check the DaemonSet's node selector and affinity."
    finding = Finding(Code.AGENT_NOT_READY, message, remedy, raised_as="warning")
    return Check("agent", WARNING, findings=(finding,))


def _inspection() -> str:
    return (
        "Describe the Pods of the agent and read their logs ('listen tcp [fd00:ec2::23]:80: "
        f"bind: cannot assign requested address' means that IPv6 is off on the node). To see the Pods of the agent: {SHOW_AGENTS}"
    )


_WORST_FIRST: tuple[Status, ...] = (FAIL, UNKNOWN, WARNING)


@dataclass(frozen=True, slots=True)
class FaultyPod:
    """A Pod with one of its faults, and the owner that recreates it; an empty ``Owner`` if there is none."""

    pod: Pod
    fault: Fault
    owner: Owner


@dataclass(slots=True)
class PodVerdict:
    """The checks of each workload, and all findings. Findings about workloads precede findings about the cluster.

    ``judges_agent`` is true if a workload has a check of the agent or, without workloads, the agent could be checked.
    """

    checks: dict[WorkloadKey, list[Check]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    judges_agent: bool = False


def verify_pods(workloads: Sequence[VerifiedWorkload], state: KubeState, cluster_name: str) -> PodVerdict:
    """Check the Pods of the workloads, and the agent. ``state`` is the part of the cluster that was read."""
    verdict = PodVerdict()
    agent = _check_agent_pods(state, cluster_name, _has_addon(workloads))
    verdict.judges_agent = agent is not None and agent.status != UNKNOWN
    unreadable = {name: _unreadable(name, error) for name, error in state.errors.items()}
    for workload in workloads:
        faulty = find_faults(workload, state)
        findings = _findings(workload.key, faulty, state)
        checks = (
            _agent_check(agent, findings, unreadable),
            _pods_check(workload.key, faulty, findings, state, unreadable),
        )
        verdict.checks[workload.key] = [check for check in checks if check is not None]
        verdict.findings += [finding for group in findings.values() for finding in group]
        verdict.judges_agent |= checks[0] is not None
    checked = [check for checks in verdict.checks.values() for check in checks]
    if agent and (not checked or any(check is agent for check in checked)):
        verdict.findings += agent.findings
    verdict.findings += unreadable.values()
    return verdict


def find_faults(workload: VerifiedWorkload, state: KubeState) -> list[FaultyPod]:
    """Return the faults of all Pods of a workload."""
    association = _expected_association(workload)
    pods = (state.pods or {}).get(workload.key, ())
    return [
        FaultyPod(pod, fault, state.find_owner(pod))
        for pod in pods
        for fault in judge_pod(pod, state, association)
    ]


def find_stale(
    workloads: Iterable[VerifiedWorkload], state: KubeState
) -> tuple[dict[Owner, list[Pod]], list[FaultyPod]]:
    """Find the Pods with a fault that a new Pod would probably not have.

    Return those whose owner can be restarted, by owner (Deployment, DaemonSet or StatefulSet), and a list of those without such
    an owner.
    """
    owners: dict[Owner, list[Pod]] = {}
    remaining = []
    for workload in workloads:
        association = _expected_association(workload)
        for faulty in find_faults(workload, state):
            if not is_repairable(faulty.pod, faulty.fault, association):
                continue
            if can_restart(faulty.owner) and state.may_exist(faulty.owner):
                owners.setdefault(faulty.owner, []).append(faulty.pod)
            else:
                remaining.append(faulty)
    return owners, remaining


def _expected_association(workload: VerifiedWorkload) -> Association:
    """Return the association with which the Pods of a workload are compared."""
    # If the association itself is wrong, the check "association" reports that, and a Pod that is older than the last change does
    # not matter. Without the time of that change, such a Pod has no fault.
    association = Association(workload.association_id, workload.association_created)
    if any(check.name == "association" and check.status == FAIL for check in workload.checks):
        return association
    return replace(association, modified=workload.association_modified, role_created=workload.role_created)


def _has_addon(workloads: Sequence[VerifiedWorkload]) -> bool:
    """Return whether the check of the agent in AWS passed, which is the same for all workloads."""
    return any(
        check.name == "agent" and check.status == PASS
        for workload in workloads[:1]
        for check in workload.checks
    )


_Groups = Mapping[CheckName, Sequence[Finding]]


def _agent_check(agent: Check | None, findings: _Groups, unreadable: Mapping[str, Finding]) -> Check | None:
    if findings["agent"]:
        return Check("agent", FAIL, findings=tuple(findings["agent"]))
    unread = tuple(unreadable[name] for name in ("agents", "daemon_sets", "nodes") if name in unreadable)
    if unread and (agent is None or agent.status == UNKNOWN):
        return Check("agent", UNKNOWN, findings=unread)
    return agent


def _pods_check(
    key: WorkloadKey,
    faulty: Sequence[FaultyPod],
    findings: _Groups,
    state: KubeState,
    unreadable: Mapping[str, Finding],
) -> Check | None:
    if state.pods is None:
        return Check("pods", UNKNOWN, findings=(unreadable["pods"],)) if "pods" in unreadable else None
    count = len(state.pods.get(key, ()))
    pods: dict[Status, set[str]] = {}
    for entry in faulty:
        if entry.fault.code.check == "pods":
            pods.setdefault(_status(entry.fault), set()).add(entry.pod.name)
    worst: Status = next((status for status in _WORST_FIRST if status in pods), PASS)
    detail = f"{len(pods[worst])}/{count}" if worst in pods else str(count)
    return Check("pods", worst, detail, tuple(findings["pods"]))


def _status(fault: Fault) -> Status:
    if fault.code == Code.POD_CREDENTIALS_UNKNOWN:
        return UNKNOWN
    return FAIL if fault.code.severity == "error" else WARNING


def _findings(key: WorkloadKey, faulty: Iterable[FaultyPod], state: KubeState) -> _Groups:
    """Return the findings of a workload by check. Pods of one owner with the same cause and remedy have one finding."""
    groups: dict[tuple[str, str, Owner, Hold], list[FaultyPod]] = {}
    for entry in faulty:
        owner = entry.owner if entry.owner.kind else Owner(name=entry.pod.name)
        hold = state.find_hold(entry.pod) if needs_admission(entry.fault) else ""
        groups.setdefault((entry.fault.code, entry.fault.description, owner, hold), []).append(entry)
    findings: dict[CheckName, list[Finding]] = {"agent": [], "pods": []}
    for (_code, _description, _owner, hold), group in groups.items():
        fault = group[0].fault
        findings[fault.code.check].append(
            Finding(fault.code, _message(group, state), _remedy(group, hold, state), key)
        )
    return findings


def _remedy(group: Sequence[FaultyPod], hold: Hold, state: KubeState) -> str:
    first = group[0]
    if first.fault.template:
        return _template_remedy(first)
    if not first.fault.recreates:
        return first.fault.remedy
    rollout = state.find_rollout(first.owner)
    names = sorted(entry.pod.name for entry in group)
    hold_text = describe_hold(hold, first.owner, names, rollout) if hold and rollout else ""
    stale = first.fault.code == Code.POD_BEFORE_ASSOCIATION
    return f"{first.fault.remedy} {describe_recreation(first.owner, first.pod, hold_text, stale)}".lstrip()


def _template_remedy(faulty: FaultyPod) -> str:
    # A Deployment, DaemonSet or StatefulSet replaces its Pods when its template changes. For other owners, the remedy includes
    # how to recreate the Pods.
    owner, fault = faulty.owner, faulty.fault
    place = f"the Pod template of {owner}" if owner.kind else f"the manifest of Pod {faulty.pod.name}"
    text = f"In {place}, or in the webhook that changes it, {fault.template}. {fault.remedy}"
    return text if can_restart(owner) else f"{text} {describe_recreation(owner, faulty.pod)}"


def _message(group: Sequence[FaultyPod], state: KubeState) -> str:
    pods = sorted({entry.pod.name for entry in group})
    details = sorted({entry.fault.detail for entry in group if entry.fault.detail})
    owner = group[0].owner
    owner_text = f" of {owner}" if owner.kind else ""
    detail_text = f" ({listed(details)})" if details else ""
    subject = f"Pod{'' if len(pods) == 1 else 's'} {listed(pods)}{owner_text}{_ages(group, state)}"
    return f"{subject}: {group[0].fault.description}{detail_text}."


def _ages(group: Sequence[FaultyPod], state: KubeState) -> str:
    created = [entry.pod.created for entry in group if entry.pod.created]
    if not created:
        return ""
    oldest = f"{format_age(min(created), state.now)} old"
    return f" ({oldest})" if len(group) == 1 else f" (up to {oldest})"


def _unreadable(name: str, error: ApiError) -> Finding:
    allow = (
        f"Allow the caller of the Kubernetes API to list {RESOURCES[name]}. To leave Pods out of the verification, set "
        "pod_identity_verify_pods: false."
    )
    return Finding(
        Code.KUBERNETES_NOT_READABLE,
        f"{RESOURCES[name]} could not be read, so checks that need them are unknown or incomplete: {error.text}",
        allow if error.status == FORBIDDEN else remedy_for(error),
        # Without the list of Pods, the check "pods" is unknown. AWS also reports about the agent, and other lists add detail.
        raised_as=None if name == "pods" else "warning",
    )
