# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the faults that prevent, or may prevent, a Pod from getting its role. Pure.

If a Pod cannot use EKS Pod Identity at all, its other faults do not matter. Credentials are examined container by container,
except in containers that the webhook skipped because of the annotation eks.amazonaws.com/skip-containers.

Sources: EKS User Guide, "EKS Pod Identity restrictions" (Fargate, Windows) and "Configure Pods to access AWS services with
service accounts" (proxies).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...._findings.codes import Code
from ...model.checks import FAIL
from ...model.errors import listed
from ..model.aws_result import VerifiedWorkload
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
