# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Faults that keep a Pod from its role: one small predicate each. Pure.

A predicate returns the fault of one Pod, or None. ``POD_CAUSES`` lists them, causes before symptoms: where a Pod cannot
work at all, its other faults do not matter. Each container is judged separately, except containers that the annotation
skip-containers excludes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...._findings.codes import Code
from ...model.errors import listed
from ..model.objects import shown_time
from .environment import (
    IPV4_ADDRESS,
    IPV6_ADDRESS,
    CredentialSource,
    earlier_provider,
    find_source,
    is_injected,
    proxies_to_agent,
)
from .pods import AGENT_NAMESPACE, AGENTS, SKIP_CONTAINERS, SKIP_WEBHOOK, KubeState, Pod

# EKS calls associations eventually consistent; a Pod admitted within this time may just have been too early.
SETTLED_AFTER = timedelta(seconds=60)
# The agent renews credentials after three hours, and hands out what is left of them until then; they last six hours.
LONGEST_SESSION = timedelta(hours=6)
AGENT_PORT = 80
COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
SHOW_AGENTS = (
    f"kubectl -n {AGENT_NAMESPACE} get pods -l 'app.kubernetes.io/name in ({','.join(AGENTS)})' -o wide"
)


@dataclass(frozen=True, slots=True)
class Association:
    """The association that Pods are compared with. An unknown moment is None; one that a plan makes has no ID yet."""

    association_id: str
    created: datetime | None
    modified: datetime | None = None
    role_created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a Pod.

    ``what`` is the rest of a sentence about it, the same for all Pods with the same cause; ``detail``
    (a node) may differ between them. ``check`` is the check that it fails. With ``recreates`` the remedy takes a new
    Pod, which depends on the owner. ``template`` is a change of the Pod template, which the remedy begins with.
    """

    code: Code
    what: str
    remedy: str
    detail: str = ""
    check: str = "pods"
    recreates: bool = False
    template: str = ""


def on_fargate(pod: Pod, state: KubeState, _association: Association) -> Fault | None:
    """EKS User Guide, "EKS Pod Identity restrictions": not on Fargate."""
    label = state.nodes.get(pod.node, {}).get(COMPUTE_TYPE, pod.selected.get(COMPUTE_TYPE, ""))
    by_name = not label and (pod.node.startswith("fargate-") or pod.scheduler == "fargate-scheduler")
    if label != "fargate" and not by_name and "eks.amazonaws.com/fargate-profile" not in pod.labels:
        return None
    return Fault(
        Code.POD_ON_FARGATE,
        "on AWS Fargate, where EKS Pod Identity does not work",
        "Let it run on Linux EC2 nodes (change the Fargate profile's selectors), or use IAM roles for "
        "service accounts for this workload.",
        _node(pod),
    )


def on_windows(pod: Pod, state: KubeState, _association: Association) -> Fault | None:
    """EKS User Guide, "EKS Pod Identity restrictions": not on Windows."""
    if state.nodes.get(pod.node, {}).get("kubernetes.io/os", pod.operating_system) != "windows":
        return None
    return Fault(
        Code.POD_ON_WINDOWS,
        "on Windows, where EKS Pod Identity does not work",
        "Use IAM roles for service accounts for this workload, or move it to Linux nodes.",
        _node(pod),
    )


def on_virtual_node(pod: Pod, state: KubeState, _association: Association) -> Fault | None:
    """A node of a virtual kubelet has no place for the agent."""
    labels = state.nodes.get(pod.node)
    by_name = labels is None and pod.node.startswith(("virtual-kubelet", "virtual-node"))
    kind = (pod.selected if labels is None else labels).get("type")
    if not by_name and kind != "virtual-kubelet":
        return None
    return Fault(
        Code.POD_ON_VIRTUAL_NODE,
        "on a virtual node, where no EKS Pod Identity Agent can run",
        "Let it run on Linux EC2 nodes (its nodeSelector and tolerations decide).",
        _node(pod),
    )


def skips_webhook(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """EKS's webhook leaves Pods with its label alone, however often they are recreated."""
    if SKIP_WEBHOOK not in pod.labels or is_served(pod):
        return None
    return Fault(
        Code.POD_SKIPS_WEBHOOK,
        f"with the label {SKIP_WEBHOOK}, so nothing is injected{_instead(pod)}",
        "If it needs the role, remove the label from the Pod template.",
        recreates=True,
    )


def admitted_before_association(pod: Pod, _state: KubeState, association: Association) -> Fault | None:
    """The webhook injects at admission only; Pods that were there before have to be recreated."""
    created = association.created
    if is_served(pod) or created is None or pod.created is None or pod.created > created:
        return None
    made = f"association {association.association_id} was made ({shown_time(created)})"
    if not association.association_id:
        made = "the association that this plan makes"
    return Fault(
        Code.POD_BEFORE_ASSOCIATION,
        f"admitted before {made}, so EKS Pod Identity was not injected{_instead(pod)}",
        "",
        recreates=True,
    )


def not_injected(pod: Pod, state: KubeState, association: Association) -> Fault | None:
    """Admitted after the association, and yet nothing was injected into any container."""
    if is_served(pod) or admitted_before_association(pod, state, association):
        return None
    return Fault(
        Code.POD_NOT_INJECTED,
        "without the environment and token of EKS Pod Identity, although admitted after the association"
        f"{_instead(pod)}",
        "Look at the cluster's mutating webhooks only if new Pods are no better.",
        recreates=True,
    )


def containers_skipped(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """The annotation eks.amazonaws.com/skip-containers names containers that are not to get credentials."""
    left_out = [
        container.name
        for container in pod.containers
        if container.name in pod.skipped and not is_injected(container.env)
    ]
    if not left_out:
        return None
    return Fault(
        Code.POD_CONTAINERS_SKIPPED,
        f"container {listed(left_out)} left out by the annotation {SKIP_CONTAINERS}",
        "If it needs the role, remove the annotation from the Pod template.",
        recreates=True,
    )


def no_agent_on_node(pod: Pod, state: KubeState, _association: Association) -> Fault | None:
    """The agent answers on a link-local address, so it has to be on the Pod's own node."""
    if not pod.node or state.agents is None or state.has_agent(pod.node):
        return None
    if not any(state.agents.values()) and not (state.has_auto_nodes and pod.node in state.nodes):
        return None
    how = "is not ready" if pod.node in state.agents else "does not run"
    return Fault(
        Code.AGENT_NOT_ON_NODE,
        f"on a node where the EKS Pod Identity Agent {how}",
        "Taints and node selectors keep it away; with IPv6 off on the node its log says 'listen tcp [fd00:ec2::23]:80: "
        f"bind: cannot assign requested address'. To see where it runs: {SHOW_AGENTS}",
        _node(pod),
        "agent",
    )


def proxied(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """EKS User Guide: with a proxy, the agent's addresses belong into no_proxy."""
    for container in pod.containers:
        if container.name in pod.skipped:
            continue
        names = proxies_to_agent(container.env)
        if names:
            return Fault(
                Code.POD_PROXY,
                f"container {container.name} has {' and '.join(names)} without a NO_PROXY for the agent, so "
                "its SDK may ask the proxy for credentials",
                f"Add {IPV4_ADDRESS} and [{IPV6_ADDRESS}] to NO_PROXY and no_proxy in the Pod template.",
                recreates=True,
            )
    return None


def takes_agent_port(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """The agent listens on port 80 of its link-local address, in the network of the node."""
    for container in pod.containers:
        if AGENT_PORT in container.host_ports:
            return Fault(
                Code.POD_HOST_PORT,
                f"container {container.name} takes port {AGENT_PORT} of its node, where the EKS Pod Identity Agent "
                "listens, so one of them may not start, or the agent may not be reached",
                "Give it another hostPort.",
                _node(pod),
                recreates=True,
            )
    return None


def has_own_interface(pod: Pod, _state: KubeState, _association: Association) -> Fault | None:
    """Security groups for Pods: in strict mode all traffic of a Pod goes by its own interface, and the agent's address is
    one of its node. The mode is a setting of the DaemonSet aws-node, which would be one more request."""
    if not pod.has_own_interface:
        return None
    return Fault(
        Code.POD_OWN_INTERFACE,
        "it has security groups of its own, and cannot reach the EKS Pod Identity Agent if the VPC CNI enforces them in "
        "strict mode, which is not known here",
        "If the mode is strict, set it to standard, or take the Pod out of its SecurityGroupPolicy; then have it recreated. "
        "To see the mode: kubectl -n kube-system set env daemonset/aws-node --list | grep "
        "POD_SECURITY_GROUP_ENFORCING_MODE",
    )


Sources = Sequence[tuple[str, CredentialSource]]


def other_credentials(sources: Sources) -> Fault | None:
    """SDKs in a container use credentials of its own, so another Pod from the same template is no better."""
    own = [(name, source) for name, source in sources if source.kind == "other"]
    if not own:
        return None
    return Fault(
        Code.POD_OTHER_CREDENTIALS,
        _in_words(own),
        f"To leave a container out on purpose, name it in the annotation {SKIP_CONTAINERS} of the Pod template.",
        template=_removals(own),
    )


def partly_injected(sources: Sources) -> Fault | None:
    """The webhook of EKS injects into all containers; another one ran after it."""
    names = [name for name, source in sources if source.kind in ("none", "irsa")]
    if not names:
        return None
    return Fault(
        Code.POD_NOT_INJECTED,
        f"container {listed(names)} without the environment of EKS Pod Identity, which other containers have",
        f"If it needs no role, name it in the annotation {SKIP_CONTAINERS} of the Pod template. Else find the webhook that "
        "adds or changes it after the webhook of EKS: kubectl get mutatingwebhookconfigurations",
    )


def unknown_credentials(sources: Sources) -> Fault | None:
    """The manifest does not show which credentials SDKs in a container use."""
    unknown = [(name, source) for name, source in sources if source.kind == "unknown"]
    if not unknown:
        return None
    return Fault(
        Code.POD_CREDENTIALS_UNKNOWN,
        f"{_in_words(unknown)}: it is not known whether SDKs use the role of the association",
        f"If the role of the association is used all the same, pod_identity_ignore: [{Code.POD_CREDENTIALS_UNKNOWN}] accepts "
        f"it. To leave a container out on purpose, name it in the annotation {SKIP_CONTAINERS} of the Pod template.",
        template=_removals(unknown),
    )


def _in_words(sources: Sources) -> str:
    return "; ".join(
        f"container {listed(names)} with {source.what}" for source, names in _by_source(sources).items()
    )


def _removals(sources: Sources) -> str:
    return ", and ".join(
        f"remove {source.removal} from container {listed(names)}"
        for source, names in _by_source(sources).items()
    )


def _by_source(sources: Sources) -> dict[CredentialSource, list[str]]:
    groups: dict[CredentialSource, list[str]] = {}
    for name, source in sources:
        groups.setdefault(source, []).append(name)
    return groups


def admitted_before_change(pod: Pod, state: KubeState, association: Association) -> Fault | None:
    """Credentials that were handed out stay in use: a new association, role or target role reaches a Pod with its next
    ones. A new policy of the role takes effect at once."""
    moments = [moment for moment in (association.modified, association.role_created) if moment is not None]
    if not moments or pod.created is None or not is_served(pod):
        return None
    # Kubernetes writes whole seconds.
    changed = max(moments).replace(microsecond=0)
    end = changed + LONGEST_SESSION
    if pod.created >= changed or state.now >= end:
        return None
    if max(moments) == association.modified:
        change = f"association {association.association_id} was last changed ({shown_time(changed)})"
        former = "the former role or settings"
    else:
        change = f"its role was created ({shown_time(changed)})"
        former = "credentials of the deleted role, which AWS refuses,"
    return Fault(
        Code.POD_BEFORE_CHANGE,
        f"admitted before {change}. Its SDKs may use {former} until {shown_time(end)}",
        "Wait until then, or have the new ones at once.",
        recreates=True,
    )


Predicate = Callable[[Pod, KubeState, Association], "Fault | None"]
# The first of these that holds is the cause, and hides the rest.
POD_CAUSES: tuple[Predicate, ...] = (on_fargate, on_windows, on_virtual_node, skips_webhook)
# A new Pod is needed, and may have none of the other faults.
ADMISSION: tuple[Predicate, ...] = (admitted_before_association, not_injected)
# Each of these stands for itself.
FLAWS: tuple[Predicate, ...] = (
    no_agent_on_node,
    proxied,
    containers_skipped,
    admitted_before_change,
    takes_agent_port,
    has_own_interface,
)


def faults_of(pod: Pod, state: KubeState, association: Association) -> list[Fault]:
    if fault := _first(POD_CAUSES, pod, state, association):
        return [fault]
    sources = sources_of(pod) if association.association_id or association.created else ()
    faults = [other_credentials(sources)]
    if any(source.kind in ("none", "irsa") for _name, source in sources):
        if fault := _first(ADMISSION, pod, state, association):
            return [*filter(None, faults), fault]
        faults.append(partly_injected(sources))
    faults.append(unknown_credentials(sources))
    faults += [predicate(pod, state, association) for predicate in FLAWS]
    return [fault for fault in faults if fault is not None]


def sources_of(pod: Pod) -> Sources:
    """Return the source of credentials of each container that is not left out, by name."""
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


def is_served(pod: Pod) -> bool:
    """Whether the webhook's environment and token are in the Pod, in one container at least."""
    return pod.has_token and any(is_injected(container.env) for container in pod.containers)


def needs_admission(fault: Fault) -> bool:
    """Whether a new Pod from the same template is all that is needed."""
    return fault.recreates and fault.code in (Code.POD_BEFORE_ASSOCIATION, Code.POD_NOT_INJECTED)


def may_be_repaired(pod: Pod, fault: Fault, association: Association) -> bool:
    """Whether recreating the Pod can be expected to help, so that doing it again and again is no danger."""
    if fault.code == Code.POD_BEFORE_ASSOCIATION:
        return True
    if not needs_admission(fault) or pod.created is None or association.created is None:
        return False
    return pod.created - association.created < SETTLED_AFTER


def _node(pod: Pod) -> str:
    return f"node {pod.node}" if pod.node else ""


def _instead(pod: Pod) -> str:
    """What the Pod uses for want of it, when its environment says so."""
    for container in pod.containers:
        if earlier_provider(container.env) and container.env.get("AWS_ROLE_ARN"):
            return f"; it still uses role {container.env['AWS_ROLE_ARN']} by IRSA"
    return ""
