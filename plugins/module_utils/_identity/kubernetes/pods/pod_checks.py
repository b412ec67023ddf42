# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the faults that prevent, or may prevent, a Pod from getting its role, and check the EKS Pod Identity Agent. Pure.

If a Pod cannot use EKS Pod Identity at all, its other faults do not matter. Credentials are examined container by container,
except in containers that the webhook skipped because of the annotation eks.amazonaws.com/skip-containers.

The agent runs on each node as a Pod of a DaemonSet, and gives the Pods of the node their credentials. With EKS Auto Mode the
agent is part of the nodes.

Sources: EKS User Guide, "Set up the Amazon EKS Pod Identity Agent", "EKS Pod Identity restrictions" (Fargate, Windows) and
"Configure Pods to access AWS services with service accounts" (proxies).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...._findings.codes import CheckName, Code, Severity
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import FAIL, PASS, UNKNOWN, WARNING, Check, Status, conclude, worst
from ...model.errors import listed
from ..api.api_errors import FORBIDDEN, ApiError, remedy_for
from ..model.aws_result import VerifiedWorkload
from ..model.objects import format_age, format_time
from .environment import (
    IPV4_ADDRESS,
    IPV6_ADDRESS,
    CredentialSource,
    find_source,
    is_injected,
    proxies_to_agent,
    uses_irsa,
)
from .pods import (
    AGENT,
    AGENT_NAMESPACE,
    AGENTS,
    RESOURCES,
    SKIP_CONTAINERS,
    SKIP_WEBHOOK,
    Hold,
    KubeState,
    Owner,
    Pod,
    can_restart,
    describe_hold,
    describe_recreation,
)

# Associations are eventually consistent. If a Pod was created within this time after its association, the delay alone may explain
# why no credentials were injected.
SETTLED_AFTER = timedelta(seconds=60)
# Credentials are valid for six hours. The agent caches the credentials, and renews them after three hours.
LONGEST_SESSION = timedelta(hours=6)
AGENT_PORT = 80
COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
SHOW_AGENTS = (
    f"kubectl -n {AGENT_NAMESPACE} get pods -l 'app.kubernetes.io/name in ({','.join(AGENTS)})' -o wide"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A reason why a Pod does not, or may not, get its role.

    ``description`` continues the sentence "Pod my-pod: …", and is equal for all Pods with the same cause. ``detail``, such as
    the node, may differ between these Pods. ``recreates`` is true if the finding adds to ``remedy`` how to recreate the Pod,
    which depends on its owner. ``template`` is a change of the Pod template that the finding names before ``remedy``, or "".
    """

    code: Code
    description: str
    remedy: str
    detail: str = ""
    recreates: bool = False
    template: str = ""


def on_unsupported_node(pod: Pod, state: KubeState) -> Fault | None:
    """Return the fault of a Pod on Fargate or Windows; otherwise None."""
    labels = state.nodes.get(pod.node)
    compute = (labels or {}).get(COMPUTE_TYPE, pod.selected.get(COMPUTE_TYPE, ""))
    on_fargate = not compute and (pod.node.startswith("fargate-") or pod.scheduler == "fargate-scheduler")
    if compute == "fargate" or on_fargate or "eks.amazonaws.com/fargate-profile" in pod.labels:
        place = "on AWS Fargate, where EKS Pod Identity does not work"
        remedy = (
            "Let the workload run on Linux EC2 nodes (change the Fargate profile's selectors), or use IAM roles for "
            "service accounts for this workload."
        )
    elif (labels or {}).get("kubernetes.io/os", pod.operating_system) == "windows":
        place = "on Windows, where EKS Pod Identity does not work"
        remedy = "Use IAM roles for service accounts for this workload, or move it to Linux nodes."
    else:
        return None
    return Fault(Code.POD_ON_UNSUPPORTED_NODE, place, remedy, _node(pod))


def find_pod_faults(pod: Pod, state: KubeState, workload: VerifiedWorkload) -> Iterator[Fault]:
    """Yield the faults of a Pod, without those that the remedy of another fault may resolve as well."""
    if unsupported := on_unsupported_node(pod, state):
        yield unsupported
        return
    injected, created = has_injection(pod), workload.association_created
    if SKIP_WEBHOOK in pod.labels and not injected:
        yield Fault(
            Code.POD_SKIPPED,
            f"skipped by the webhook because of the label {SKIP_WEBHOOK}{_irsa_suffix(pod)}",
            "If the workload needs the role, remove the label from the Pod template.",
            recreates=True,
        )
        return
    # The containers by their source of credentials, without those that the webhook skips.
    sources: dict[CredentialSource, list[str]] = {}
    for container in pod.containers if workload.association_id or created else ():
        if container.name not in pod.skipped or is_injected(container.env):
            sources.setdefault(find_source(container, pod.tokens), []).append(container.name)
    # A new Pod from the same template would use the same credentials, so the remedy is a change of the template.
    if foreign := {source: names for source, names in sources.items() if source.kind == "other"}:
        yield Fault(
            Code.POD_OTHER_CREDENTIALS,
            _describe_sources(foreign),
            f"To leave a container out on purpose, name it in the annotation {SKIP_CONTAINERS} of the Pod template.",
            template=_removals(foreign),
        )
    kinds = ("none", "irsa")
    missing = [name for source, names in sources.items() if source.kind in kinds for name in names]
    if missing and not injected:
        # The webhook injects credentials only when a Pod is created.
        if created is not None and pod.created is not None and pod.created <= created:
            event = "the association that this plan creates"
            if workload.association_id:
                event = f"association {workload.association_id} was created ({format_time(created)})"
            yield Fault(
                Code.POD_BEFORE_ASSOCIATION,
                f"admitted before {event}, so EKS Pod Identity was not injected{_irsa_suffix(pod)}",
                "",
                recreates=True,
            )
        else:
            yield Fault(
                Code.POD_NOT_INJECTED,
                "without the environment and token of EKS Pod Identity, although admitted after the association"
                f"{_irsa_suffix(pod)}",
                "Check the cluster's mutating webhooks if new Pods have the same fault.",
                recreates=True,
            )
        return
    if missing:
        yield Fault(
            Code.POD_NOT_INJECTED,
            f"{_containers(missing)} without the environment of EKS Pod Identity, which other containers have",
            f"If a container needs no role, name it in the annotation {SKIP_CONTAINERS} of the Pod template. "
            "Otherwise find the webhook that adds or changes the container after the EKS webhook: "
            "kubectl get mutatingwebhookconfigurations",
        )
    if unknown := {source: names for source, names in sources.items() if source.kind == "unknown"}:
        yield Fault(
            Code.POD_CREDENTIALS_UNKNOWN,
            f"{_describe_sources(unknown)}: it is not known whether SDKs use the role of the association",
            f"If the SDKs do use the role of the association, set pod_identity_ignore: [{Code.POD_CREDENTIALS_UNKNOWN}]. "
            f"To leave a container out on purpose, name it in the annotation {SKIP_CONTAINERS} of the Pod template.",
            template=_removals(unknown),
        )
    yield from _find_node_faults(pod, state)
    yield from _find_change(pod, state, workload)


def _find_node_faults(pod: Pod, state: KubeState) -> Iterator[Fault]:
    """Yield the faults because of which a Pod may not reach the agent, or is skipped on purpose."""
    # A Pod can only reach the agent of its node, by a link-local address.
    if pod.node and state.agents is not None and not state.has_agent(pod.node):
        status = "is not ready" if pod.node in state.agents else "does not run"
        if any(state.agents.values()) or (state.has_auto_nodes and pod.node in state.nodes):
            yield Fault(
                Code.AGENT_MISSING,
                f"on a node where the EKS Pod Identity Agent {status}",
                "Check whether taints or node selectors exclude the node. If IPv6 is off on the node, the agent logs 'listen tcp "
                f"[fd00:ec2::23]:80: bind: cannot assign requested address'. To see the nodes of the agent: {SHOW_AGENTS}",
                _node(pod),
            )
    for container in pod.containers:
        if container.name not in pod.skipped and (names := proxies_to_agent(container.env)):
            yield Fault(
                Code.POD_PROXY,
                f"container {container.name} has {' and '.join(names)} without a NO_PROXY for the agent, so "
                "its SDK may request credentials from the proxy",
                f"Add {IPV4_ADDRESS} and [{IPV6_ADDRESS}] to NO_PROXY and no_proxy in the Pod template.",
                recreates=True,
            )
            break
    skipped = [
        container.name
        for container in pod.containers
        if container.name in pod.skipped and not is_injected(container.env)
    ]
    if skipped:
        yield Fault(
            Code.POD_SKIPPED,
            f"{_containers(skipped)} excluded by the annotation {SKIP_CONTAINERS}",
            "If a container needs the role, remove its name from the annotation in the Pod template.",
            recreates=True,
        )
    for container in pod.containers:
        if AGENT_PORT in container.host_ports:
            yield Fault(
                Code.POD_HOST_PORT,
                f"container {container.name} uses port {AGENT_PORT} of its node, where the EKS Pod Identity Agent "
                "listens, so the container or the agent may not start, or Pods may not reach the agent",
                "Give the container another hostPort.",
                _node(pod),
                recreates=True,
            )
            break
    # In strict mode, all traffic of the Pod uses its own network interface. The mode is a setting of the DaemonSet aws-node,
    # which is not read, to save a request.
    if pod.has_own_interface:
        yield Fault(
            Code.POD_OWN_INTERFACE,
            "with security groups for Pods. If the VPC CNI enforces them in strict mode, which was not checked, the EKS Pod "
            "Identity Agent cannot be reached",
            "If the mode is strict, set it to standard, or exclude the Pod from its SecurityGroupPolicy; then recreate the Pod. "
            "To see the mode: kubectl -n kube-system set env daemonset/aws-node --list | grep POD_SECURITY_GROUP_ENFORCING_MODE",
        )


def _find_change(pod: Pod, state: KubeState, workload: VerifiedWorkload) -> Iterator[Fault]:
    """Yield the fault of a Pod that is older than the last change of its association, or than its role.

    SDKs use their credentials until these expire, so a changed association or a recreated role takes effect in a Pod only with
    the next credentials. If the association itself is wrong, the check "association" reports that, and its last change does not
    matter.
    """
    moments = [moment for moment in (workload.association_modified, workload.role_created) if moment]
    is_wrong = any(check.name == "association" and check.status == FAIL for check in workload.checks)
    if is_wrong or not moments or pod.created is None or not has_injection(pod):
        return
    # Times of Kubernetes have whole seconds.
    changed = max(moments).replace(microsecond=0)
    end = changed + LONGEST_SESSION
    if max(moments) == workload.association_modified:
        change = f"association {workload.association_id} was last changed ({format_time(changed)})"
        former = "the former role or settings"
    else:
        change = f"the role was created ({format_time(changed)})"
        former = "credentials of the deleted role, which AWS rejects"
    if pod.created < changed and state.now < end:
        yield Fault(
            Code.POD_BEFORE_CHANGE,
            f"admitted before {change}. Until {format_time(end)}, SDKs may use {former}",
            "Wait until then, or apply the change at once as follows.",
            recreates=True,
        )


def _describe_sources(sources: Mapping[CredentialSource, Sequence[str]]) -> str:
    return "; ".join(f"{_containers(names)} with {source.description}" for source, names in sources.items())


def _removals(sources: Mapping[CredentialSource, Sequence[str]]) -> str:
    return ", and ".join(
        f"remove {source.removal} from {_containers(names)}" for source, names in sources.items()
    )


def _containers(names: Sequence[str]) -> str:
    return f"container{'' if len(names) == 1 else 's'} {listed(names)}"


def has_injection(pod: Pod) -> bool:
    """Return whether EKS injected credentials into a Pod: it has the token volume, and a container has the variables."""
    return pod.has_token and any(is_injected(container.env) for container in pod.containers)


def needs_admission(fault: Fault) -> bool:
    """Return whether credentials were not injected, but may be injected into a new Pod from the same template."""
    return fault.recreates and fault.code in (Code.POD_BEFORE_ASSOCIATION, Code.POD_NOT_INJECTED)


def is_repairable(pod: Pod, fault: Fault, created: datetime | None) -> bool:
    """Return whether credentials were not injected, and a restart of the owner probably changes that.

    If the Pod was created SETTLED_AFTER or more after its association, a new Pod would probably have the same fault, and every
    run would restart the owner again.

    :arg created: the time at which the association was created, or None if it is unknown.
    """
    if fault.code == Code.POD_BEFORE_ASSOCIATION:
        return True
    if not needs_admission(fault) or pod.created is None or created is None:
        return False
    return pod.created - created < SETTLED_AFTER


def _node(pod: Pod) -> str:
    return f"node {pod.node}" if pod.node else ""


def _irsa_suffix(pod: Pod) -> str:
    """Return the end of a sentence, with the role that the Pod uses by IRSA; "" without IRSA, or if the role is unknown."""
    roles = [container.env["AWS_ROLE_ARN"] for container in pod.containers if uses_irsa(container.env)]
    role = next(filter(None, roles), "")
    return f"; the role in use is still {role} (IRSA)" if role else ""


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
        return None
    waiting = sorted(node for node, ready in agents.items() if not ready)
    desired = sum(daemon_sets or ())
    code, remedy = Code.AGENT_NOT_READY, _INSPECTION
    severity: Severity | None = None
    if agents and not waiting:
        return Check("agent", PASS)
    if agents and len(waiting) == len(agents):
        message = f"no Pod of the EKS Pod Identity Agent is ready, so no Pod gets credentials. Nodes: {listed(waiting)}."
    elif agents:
        severity, message = (
            WARNING,
            f"the EKS Pod Identity Agent is not ready on {len(waiting)} of its {len(agents)} nodes ({listed(waiting)}), so Pods "
            "there get no credentials.",
        )
    elif desired:
        message, remedy = (
            f"the EKS Pod Identity Agent has 0 of {desired} desired Pods; no Pod gets credentials.",
            f"See the events: kubectl -n {AGENT_NAMESPACE} get events --field-selector involvedObject.kind=DaemonSet",
        )
    elif daemon_sets:
        severity, message, remedy = (
            WARNING,
            f"DaemonSet {AGENT} has no Pods, as it selects no node of the cluster.",
            "If the cluster has nodes, check the DaemonSet's node selector and affinity.",
        )
    else:
        code, message, remedy = (
            Code.AGENT_MISSING,
            f"cluster {cluster_name} has no EKS Pod Identity Agent (no DaemonSet {AGENT} in namespace "
            f"{AGENT_NAMESPACE}), so no Pod gets credentials.",
            "EKS has the add-on, so the Kubernetes API may belong to another cluster, or the DaemonSet was deleted. "
            "Compare the endpoint in the kubeconfig, if you use one, with: "
            f"aws eks describe-cluster --name {cluster_name} --query cluster.endpoint"
            if has_addon
            else "Install the add-on: apply the workloads with pod_identity_agent: present.",
        )
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
    verdict.judges_agent = agent is not None
    unreadable = {name: _unread_list(name, error) for name, error in state.errors.items()}
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
            # If the list of the kind failed, the owner may exist.
            may_exist = state.find_rollout(faulty.owner) or state.owner_errors.get(faulty.owner.kind)
            if can_restart(faulty.owner) and may_exist:
                owners.setdefault(faulty.owner, []).append(faulty.pod)
            else:
                remaining.append(faulty.pod)
    return owners, remaining


_Groups = Mapping[CheckName, Sequence[Finding]]


def _agent_check(agent: Check | None, findings: _Groups, unreadable: Mapping[str, Finding]) -> Check | None:
    if findings["agent"]:
        return Check("agent", FAIL, findings=tuple(findings["agent"]))
    unread = tuple(unreadable[name] for name in ("agents", "daemon_sets", "nodes") if name in unreadable)
    if unread and agent is None:
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
    status = worst(pods)
    detail = f"{len(pods[status])}/{count}" if pods else str(count)
    return Check("pods", status, detail, tuple(findings["pods"]))


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
            Finding(fault.code, _fault_message(group, state), _remedy(group, hold, state), key)
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


def _fault_message(group: Sequence[FaultyPod], state: KubeState) -> str:
    pods = sorted({entry.pod.name for entry in group})
    details = sorted({entry.fault.detail for entry in group if entry.fault.detail})
    created = [entry.pod.created for entry in group if entry.pod.created]
    owner_text = f" of {group[0].owner}" if group[0].owner.kind else ""
    detail_text = f" ({listed(details)})" if details else ""
    age = f"{'up to ' if len(group) > 1 else ''}{format_age(min(created), state.now)} old" if created else ""
    subject = f"Pod{'' if len(pods) == 1 else 's'} {listed(pods)}{owner_text}{f' ({age})' if age else ''}"
    return f"{subject}: {group[0].fault.description}{detail_text}."


def _unread_list(name: str, error: ApiError) -> Finding:
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
