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
from dataclasses import dataclass, field

from ...._findings.codes import CheckName, Code, Severity
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import FAIL, PASS, UNKNOWN, WARNING, Check, Status, conclude, worst_status
from ...model.errors import listed
from ..api.api_errors import FORBIDDEN, ApiError, remedy_for
from ..model.aws_result import VerifiedWorkload
from ..model.objects import format_age
from .pod_faults import SHOW_AGENTS, Fault, find_pod_faults, is_repairable, needs_admission
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

_INSPECTION = (
    "Describe the Pods of the agent and read their logs ('listen tcp [fd00:ec2::23]:80: bind: cannot assign requested address' "
    f"means that IPv6 is off on the node). To see the Pods of the agent: {SHOW_AGENTS}"
)


def _check_agent_pods(state: KubeState, cluster_name: str, has_addon: bool) -> Check | None:
    """Return the check of the agent for the whole cluster, or None if the lists that it needs were not read.

    :arg has_addon: whether EKS reports a working agent.
    """
    agents, daemon_sets = state.agents, state.daemon_sets
    if agents is not None and not agents and state.has_auto_nodes:
        return Check("agent", PASS, "auto")
    if agents is None or (not agents and daemon_sets is None):
        name = "agents" if agents is None else "daemon_sets"
        return Check("agent", UNKNOWN) if name in state.errors else None
    waiting = sorted(node for node, ready in agents.items() if not ready)
    desired = sum(daemon_sets or ())
    code, remedy = Code.AGENT_NOT_READY, _INSPECTION
    severity: Severity | None = None
    if agents and not waiting:
        return Check("agent", PASS)
    if len(waiting) < len(agents):
        severity = WARNING
        message = (
            f"the EKS Pod Identity Agent is not ready on {len(waiting)} of its {len(agents)} nodes ({listed(waiting)}), so Pods "
            "there get no credentials."
        )
    elif agents:
        message = f"no Pod of the EKS Pod Identity Agent is ready, so no Pod gets credentials. Nodes: {listed(waiting)}."
    elif not daemon_sets:
        code = Code.AGENT_MISSING
        message = (
            f"cluster {cluster_name} has no EKS Pod Identity Agent (no DaemonSet {AGENT} in namespace "
            f"{AGENT_NAMESPACE}), so no Pod gets credentials."
        )
        remedy = (
            "EKS has the add-on, so the Kubernetes API may belong to another cluster, or the DaemonSet was deleted. "
            "Compare the endpoint in the kubeconfig, if you use one, with: "
            f"aws eks describe-cluster --name {cluster_name} --query cluster.endpoint"
            if has_addon
            else "Install the add-on: apply the workloads with pod_identity_agent: present."
        )
    elif desired:
        message = f"the EKS Pod Identity Agent has 0 of {desired} desired Pods; no Pod gets credentials."
        remedy = f"See the events: kubectl -n {AGENT_NAMESPACE} get events --field-selector involvedObject.kind=DaemonSet"
    else:
        severity = WARNING
        message = f"DaemonSet {AGENT} has no Pods, as it selects no node of the cluster."
        remedy = "If the cluster has nodes, check the DaemonSet's node selector and affinity."
    return conclude("agent", Finding(code, message, remedy, raised_as=severity))


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
    # The check of the agent in AWS is the same for all workloads.
    in_aws = [check for workload in workloads[:1] for check in workload.checks if check.name == "agent"]
    agent = _check_agent_pods(state, cluster_name, any(check.status == PASS for check in in_aws))
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
    return [
        FaultyPod(pod, fault, state.find_owner(pod))
        for pod in (state.pods or {}).get(workload.key, ())
        for fault in find_pod_faults(pod, state, workload)
    ]


def find_stale(
    workloads: Iterable[VerifiedWorkload], state: KubeState
) -> tuple[dict[Owner, list[Pod]], list[Pod]]:
    """Find the Pods with a fault that a new Pod would probably not have.

    Return those whose owner can be restarted, by owner (Deployment, DaemonSet or StatefulSet), and a list of those without such
    an owner.
    """
    owners: dict[Owner, list[Pod]] = {}
    remaining = []
    for workload in workloads:
        for faulty in find_faults(workload, state):
            if not is_repairable(faulty.pod, faulty.fault, workload.association_created):
                continue
            if can_restart(faulty.owner) and state.may_exist(faulty.owner):
                owners.setdefault(faulty.owner, []).append(faulty.pod)
            else:
                remaining.append(faulty.pod)
    return owners, remaining


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
        code = entry.fault.code
        status: Status = FAIL if code.severity == "error" else WARNING
        if code.check == "pods":
            is_unknown = code == Code.POD_CREDENTIALS_UNKNOWN
            pods.setdefault(UNKNOWN if is_unknown else status, set()).add(entry.pod.name)
    worst = worst_status([Check("pods", status) for status in pods])
    detail = f"{len(pods[worst])}/{count}" if worst in pods else str(count)
    return Check("pods", worst, detail, tuple(findings["pods"]))


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
    pod, fault, owner = group[0].pod, group[0].fault, group[0].owner
    if fault.template:
        # A Deployment, DaemonSet or StatefulSet replaces its Pods when its template changes. For other owners, the remedy
        # includes how to recreate the Pods.
        place = f"the Pod template of {owner}" if owner.kind else f"the manifest of Pod {pod.name}"
        text = f"In {place}, or in the webhook that changes it, {fault.template}. {fault.remedy}"
        return text if can_restart(owner) else f"{text} {describe_recreation(owner, pod)}"
    if not fault.recreates:
        return fault.remedy
    rollout = state.find_rollout(owner)
    names = sorted(entry.pod.name for entry in group)
    hold_text = describe_hold(hold, owner, names, rollout) if hold and rollout else ""
    stale = fault.code == Code.POD_BEFORE_ASSOCIATION
    return f"{fault.remedy} {describe_recreation(owner, pod, hold_text, stale)}".lstrip()


def _message(group: Sequence[FaultyPod], state: KubeState) -> str:
    pods = sorted({entry.pod.name for entry in group})
    details = sorted({entry.fault.detail for entry in group if entry.fault.detail})
    created = [entry.pod.created for entry in group if entry.pod.created]
    owner_text = f" of {group[0].owner}" if group[0].owner.kind else ""
    detail_text = f" ({listed(details)})" if details else ""
    age = f"{'up to ' if len(group) > 1 else ''}{format_age(min(created), state.now)} old" if created else ""
    subject = f"Pod{'' if len(pods) == 1 else 's'} {listed(pods)}{owner_text}{f' ({age})' if age else ''}"
    return f"{subject}: {group[0].fault.description}{detail_text}."


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
