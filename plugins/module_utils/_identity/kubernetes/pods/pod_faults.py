# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the faults that prevent, or may prevent, a Pod from getting its role. Pure.

There is one function for each fault, which returns the fault of a Pod or None. The functions are ordered: if a Pod cannot use
EKS Pod Identity at all (``POD_CAUSES``), its other faults do not matter. Credentials are examined container by container,
except in containers that the webhook skipped because of the annotation eks.amazonaws.com/skip-containers.

Sources: EKS User Guide, "EKS Pod Identity restrictions" (Fargate, Windows) and "Configure Pods to access AWS services with
service accounts" (proxies).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...._findings.codes import Code
from ...model.errors import listed
from ..model.objects import format_time
from .environment import (
    IPV4_ADDRESS,
    IPV6_ADDRESS,
    CredentialSource,
    find_source,
    is_injected,
    proxies_to_agent,
    uses_irsa,
)
from .pods import AGENT_NAMESPACE, AGENTS, SKIP_CONTAINERS, SKIP_WEBHOOK, KubeState, Pod

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
class Association:
    """The association with which Pods are compared.

    A time is None if it is unknown. The ID is "" for an association that does not exist, even if check mode predicts it.
    """

    association_id: str
    created: datetime | None
    modified: datetime | None = None
    role_created: datetime | None = None


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


def on_unsupported_node(pod: Pod, state: KubeState, _association: Association) -> Fault | None:
    """Report a Pod on Fargate, on Windows, or on a virtual node (Virtual Kubelet)."""
    labels = state.nodes.get(pod.node)
    compute = (labels or {}).get(COMPUTE_TYPE, pod.selected.get(COMPUTE_TYPE, ""))
    on_fargate = not compute and (pod.node.startswith("fargate-") or pod.scheduler == "fargate-scheduler")
    virtual = labels is None and pod.node.startswith(("virtual-kubelet", "virtual-node"))
    if compute == "fargate" or on_fargate or "eks.amazonaws.com/fargate-profile" in pod.labels:
        place = "on AWS Fargate, where EKS Pod Identity does not work"
        remedy = (
            "Let the workload run on Linux EC2 nodes (change the Fargate profile's selectors), or use IAM roles for "
            "service accounts for this workload."
        )
    elif (labels or {}).get("kubernetes.io/os", pod.operating_system) == "windows":
        place = "on Windows, where EKS Pod Identity does not work"
        remedy = "Use IAM roles for service accounts for this workload, or move it to Linux nodes."
    elif virtual or (pod.selected if labels is None else labels).get("type") == "virtual-kubelet":
        place = "on a virtual node, where no EKS Pod Identity Agent can run"
        remedy = "Let the Pod run on Linux EC2 nodes: change its nodeSelector or tolerations."
    else:
        return None
    return Fault(Code.POD_ON_UNSUPPORTED_NODE, place, remedy, _node(pod))


def skips_webhook(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """Report a Pod that the webhook of EKS skips because of a label."""
    if SKIP_WEBHOOK not in pod.labels or has_injection(pod):
        return None
    return Fault(
        Code.POD_SKIPPED,
        f"skipped by the webhook because of the label {SKIP_WEBHOOK}{_irsa_suffix(pod)}",
        "If the workload needs the role, remove the label from the Pod template.",
        recreates=True,
    )


def admitted_before_association(pod: Pod, _state: KubeState, association: Association) -> Fault | None:
    """Report a Pod without injected credentials that is not newer than its association.

    The webhook injects credentials only when a Pod is created.
    """
    created = association.created
    if has_injection(pod) or created is None or pod.created is None or pod.created > created:
        return None
    event = f"association {association.association_id} was created ({format_time(created)})"
    if not association.association_id:
        event = "the association that this plan creates"
    return Fault(
        Code.POD_BEFORE_ASSOCIATION,
        f"admitted before {event}, so EKS Pod Identity was not injected{_irsa_suffix(pod)}",
        "",
        recreates=True,
    )


def not_injected(pod: Pod, state: KubeState, association: Association) -> Fault | None:
    """Report a Pod without injected credentials, unless it is older than its association."""
    if has_injection(pod) or admitted_before_association(pod, state, association):
        return None
    return Fault(
        Code.POD_NOT_INJECTED,
        f"without the environment and token of EKS Pod Identity, although admitted after the association{_irsa_suffix(pod)}",
        "Check the cluster's mutating webhooks if new Pods have the same fault.",
        recreates=True,
    )


def containers_skipped(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """Report containers that the annotation eks.amazonaws.com/skip-containers excludes."""
    skipped = [
        container.name
        for container in pod.containers
        if container.name in pod.skipped and not is_injected(container.env)
    ]
    if not skipped:
        return None
    return Fault(
        Code.POD_SKIPPED,
        f"{_containers(skipped)} excluded by the annotation {SKIP_CONTAINERS}",
        "If a container needs the role, remove its name from the annotation in the Pod template.",
        recreates=True,
    )


def no_agent_on_node(pod: Pod, state: KubeState, _association: Association) -> Fault | None:
    """Report a Pod on a node without a ready agent. A Pod can only reach the agent of its node, by a link-local address."""
    if not pod.node or state.agents is None or state.has_agent(pod.node):
        return None
    if not any(state.agents.values()) and not (state.has_auto_nodes and pod.node in state.nodes):
        return None
    status = "is not ready" if pod.node in state.agents else "does not run"
    return Fault(
        Code.AGENT_MISSING,
        f"on a node where the EKS Pod Identity Agent {status}",
        "Check whether taints or node selectors exclude the node. If IPv6 is off on the node, the agent logs 'listen tcp "
        f"[fd00:ec2::23]:80: bind: cannot assign requested address'. To see the nodes of the agent: {SHOW_AGENTS}",
        _node(pod),
    )


def proxied(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """Report the first container with proxy variables, but without a NO_PROXY for the agent."""
    for container in pod.containers:
        if container.name in pod.skipped:
            continue
        names = proxies_to_agent(container.env)
        if names:
            return Fault(
                Code.POD_PROXY,
                f"container {container.name} has {' and '.join(names)} without a NO_PROXY for the agent, so "
                "its SDK may request credentials from the proxy",
                f"Add {IPV4_ADDRESS} and [{IPV6_ADDRESS}] to NO_PROXY and no_proxy in the Pod template.",
                recreates=True,
            )
    return None


def uses_agent_port(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """Report the first container that uses port 80 of its node, on which the agent listens."""
    for container in pod.containers:
        if AGENT_PORT in container.host_ports:
            return Fault(
                Code.POD_HOST_PORT,
                f"container {container.name} uses port {AGENT_PORT} of its node, where the EKS Pod Identity Agent "
                "listens, so the container or the agent may not start, or Pods may not reach the agent",
                "Give the container another hostPort.",
                _node(pod),
                recreates=True,
            )
    return None


def has_own_interface(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """Report a Pod with its own security groups ("security groups for Pods" of the VPC CNI).

    In strict mode, all traffic of the Pod uses its own network interface and cannot reach the agent on the node. The mode is
    a setting of the DaemonSet aws-node, which is not read, to save a request.
    """
    if not pod.has_own_interface:
        return None
    return Fault(
        Code.POD_OWN_INTERFACE,
        "with security groups for Pods. If the VPC CNI enforces them in strict mode, which was not checked, the EKS Pod "
        "Identity Agent cannot be reached",
        "If the mode is strict, set it to standard, or exclude the Pod from its SecurityGroupPolicy; then recreate the Pod. "
        "To see the mode: kubectl -n kube-system set env daemonset/aws-node --list | grep POD_SECURITY_GROUP_ENFORCING_MODE",
    )


# The name of each container, with the source of its credentials.
Sources = Sequence[tuple[str, CredentialSource]]


def other_credentials(sources: Sources) -> Fault | None:
    """Report containers whose SDKs do not use the credentials of the association.

    A new Pod from the same template would have the same fault, so the remedy is a change of the template.
    """
    foreign = [(name, source) for name, source in sources if source.kind == "other"]
    if not foreign:
        return None
    return Fault(
        Code.POD_OTHER_CREDENTIALS,
        _describe_sources(foreign),
        f"To leave a container out on purpose, name it in the annotation {SKIP_CONTAINERS} of the Pod template.",
        template=_removals(foreign),
    )


def partly_injected(sources: Sources) -> Fault | None:
    """Report containers without the injected environment variables, which other containers of the Pod have."""
    names = [name for name, source in sources if source.kind in ("none", "irsa")]
    if not names:
        return None
    return Fault(
        Code.POD_NOT_INJECTED,
        f"{_containers(names)} without the environment of EKS Pod Identity, which other containers have",
        f"If a container needs no role, name it in the annotation {SKIP_CONTAINERS} of the Pod template. "
        "Otherwise find the webhook that adds or changes the container after the EKS webhook: "
        "kubectl get mutatingwebhookconfigurations",
    )


def unknown_credentials(sources: Sources) -> Fault | None:
    """Report containers whose manifest does not show which credentials their SDKs use."""
    unknown = [(name, source) for name, source in sources if source.kind == "unknown"]
    if not unknown:
        return None
    return Fault(
        Code.POD_CREDENTIALS_UNKNOWN,
        f"{_describe_sources(unknown)}: it is not known whether SDKs use the role of the association",
        f"If the SDKs do use the role of the association, set pod_identity_ignore: [{Code.POD_CREDENTIALS_UNKNOWN}]. "
        f"To leave a container out on purpose, name it in the annotation {SKIP_CONTAINERS} of the Pod template.",
        template=_removals(unknown),
    )


def _describe_sources(sources: Sources) -> str:
    return "; ".join(
        f"{_containers(names)} with {source.description}" for source, names in _by_source(sources).items()
    )


def _removals(sources: Sources) -> str:
    return ", and ".join(
        f"remove {source.removal} from {_containers(names)}" for source, names in _by_source(sources).items()
    )


def _containers(names: Sequence[str]) -> str:
    return f"container{'' if len(names) == 1 else 's'} {listed(names)}"


def _by_source(sources: Sources) -> dict[CredentialSource, list[str]]:
    groups: dict[CredentialSource, list[str]] = {}
    for name, source in sources:
        groups.setdefault(source, []).append(name)
    return groups


def admitted_before_change(pod: Pod, state: KubeState, association: Association) -> Fault | None:
    """Report a Pod that is older than the last change of its association, or than its role.

    SDKs use their credentials until these expire, so a changed association or a recreated role takes effect in a Pod only with
    the next credentials.
    """
    moments = [moment for moment in (association.modified, association.role_created) if moment is not None]
    if not moments or pod.created is None or not has_injection(pod):
        return None
    # Times of Kubernetes have whole seconds.
    changed = max(moments).replace(microsecond=0)
    end = changed + LONGEST_SESSION
    if pod.created >= changed or state.now >= end:
        return None
    if max(moments) == association.modified:
        change = f"association {association.association_id} was last changed ({format_time(changed)})"
        former = "the former role or settings"
    else:
        change = f"the role was created ({format_time(changed)})"
        former = "credentials of the deleted role, which AWS rejects"
    return Fault(
        Code.POD_BEFORE_CHANGE,
        f"admitted before {change}. Until {format_time(end)}, SDKs may use {former}",
        "Wait until then, or apply the change at once as follows.",
        recreates=True,
    )


Predicate = Callable[[Pod, KubeState, Association], "Fault | None"]
# With one of these faults a Pod cannot use EKS Pod Identity, so only the first one is reported.
POD_CAUSES: tuple[Predicate, ...] = (on_unsupported_node, skips_webhook)
# With one of these faults the Pod must be recreated. The new Pod may be without the faults in FLAWS, so these are not reported.
ADMISSION: tuple[Predicate, ...] = (admitted_before_association, not_injected)
# These faults are independent of each other, so all of them are reported.
FLAWS: tuple[Predicate, ...] = (
    no_agent_on_node,
    proxied,
    containers_skipped,
    admitted_before_change,
    uses_agent_port,
    has_own_interface,
)


def judge_pod(pod: Pod, state: KubeState, association: Association) -> list[Fault]:
    """Return the faults of a Pod, without those that the remedy of a returned fault may resolve as well."""
    if fault := _first(POD_CAUSES, pod, state, association):
        return [fault]
    sources = credential_sources(pod) if association.association_id or association.created else ()
    faults = [other_credentials(sources)]
    if any(source.kind in ("none", "irsa") for _name, source in sources):
        if fault := _first(ADMISSION, pod, state, association):
            return [*filter(None, faults), fault]
        faults.append(partly_injected(sources))
    faults.append(unknown_credentials(sources))
    faults += [predicate(pod, state, association) for predicate in FLAWS]
    return [fault for fault in faults if fault is not None]


def credential_sources(pod: Pod) -> Sources:
    """Return the name and the source of credentials of each container, without containers that the webhook skips."""
    return [
        (container.name, find_source(container, pod.volumes))
        for container in pod.containers
        if container.name not in pod.skipped or is_injected(container.env)
    ]


def _first(
    predicates: Sequence[Predicate], pod: Pod, state: KubeState, association: Association
) -> Fault | None:
    faults = (predicate(pod, state, association) for predicate in predicates)
    return next((fault for fault in faults if fault is not None), None)


def has_injection(pod: Pod) -> bool:
    """Return whether EKS injected credentials into a Pod: it has the token volume, and a container has the variables."""
    return pod.has_token and any(is_injected(container.env) for container in pod.containers)


def needs_admission(fault: Fault) -> bool:
    """Return whether credentials were not injected, but may be injected into a new Pod from the same template."""
    return fault.recreates and fault.code in (Code.POD_BEFORE_ASSOCIATION, Code.POD_NOT_INJECTED)


def is_repairable(pod: Pod, fault: Fault, association: Association) -> bool:
    """Return whether credentials were not injected, and a restart of the owner probably changes that.

    If the Pod was created SETTLED_AFTER or more after its association, a new Pod would probably have the same fault, and every
    run would restart the owner again.
    """
    if fault.code == Code.POD_BEFORE_ASSOCIATION:
        return True
    if not needs_admission(fault) or pod.created is None or association.created is None:
        return False
    return pod.created - association.created < SETTLED_AFTER


def _node(pod: Pod) -> str:
    return f"node {pod.node}" if pod.node else ""


def _irsa_suffix(pod: Pod) -> str:
    """Return the end of a sentence, with the role that the Pod uses by IRSA; "" without IRSA, or if the role is unknown."""
    for container in pod.containers:
        if uses_irsa(container.env) and container.env["AWS_ROLE_ARN"]:
            return f"; the role in use is still {container.env['AWS_ROLE_ARN']} (IRSA)"
    return ""
