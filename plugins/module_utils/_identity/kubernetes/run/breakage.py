# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which workloads would lose credentials by an association. Pure.

EKS's webhook injects either EKS Pod Identity or IRSA into a new Pod, never both (amazon-eks-pod-identity-webhook). So
an association takes IRSA away, at its next start, from a Pod that cannot reach the agent.

IRSA in use is what the webhook injected, which takes the annotation of the service account. Credentials that a
manifest sets itself stay, so service accounts without annotation are not looked at, and cost no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...model.messages import listed
from ..accounts.account_findings import IRSA_ANNOTATION
from ..accounts.account_plan import Accounts
from ..api.cluster import ClusterReader
from ..model.aws_result import Verification, VerifiedWorkload
from ..pods.environment import earlier_provider
from ..pods.pod_faults import Association, on_fargate, on_virtual_node, on_windows
from ..pods.pods import SKIP_WEBHOOK, Pod
from ..pods.reads import read_cluster, state_of
from ..pods.state import KubeState

_BEFORE = Association("", None)


def find_breakage(
    reader: ClusterReader,
    keys: Iterable[WorkloadKey],
    accounts: Accounts,
    cluster: str,
    now: datetime,
    allowed: bool = False,
) -> list[Finding]:
    """A finding for each workload that an association would break; a warning where that is ``allowed``."""
    annotated = [key for key in keys if key in accounts and accounts[key].annotations.get(IRSA_ANNOTATION)]
    if not annotated:
        return []
    workloads = tuple(VerifiedWorkload(key, (), "", "", "", None, {}) for key in annotated)
    verification = Verification(cluster, "", workloads)
    state = state_of(verification, read_cluster(reader, verification, now), now)
    findings = (_finding(key, (state.pods or {}).get(key, ()), state, allowed) for key in annotated)
    return [finding for finding in findings if finding is not None]


def why_unreachable(pod: Pod, state: KubeState) -> str:
    """Why a Pod cannot reach an agent, as far as that is known; "" when it can, or when nothing tells."""
    for predicate in (on_fargate, on_windows, on_virtual_node):
        fault = predicate(pod, state, _BEFORE)
        if fault is not None:
            return fault.what
    if not pod.node or state.agents is None or state.has_agent(pod.node):
        return ""
    if pod.node in state.agents:
        return "on a node where the EKS Pod Identity Agent is not ready"
    # Without its labels a node may be one of Auto Mode, which has the agent built in.
    return "on a node without EKS Pod Identity Agent" if pod.node in state.nodes else ""


def uses_irsa(pod: Pod) -> bool:
    return any("AWS_ROLE_ARN" in earlier_provider(container.env) for container in pod.containers)


def _finding(key: WorkloadKey, pods: Sequence[Pod], state: KubeState, allowed: bool) -> Finding | None:
    reasons: dict[str, list[str]] = {}
    for pod in pods:
        reason = why_unreachable(pod, state) if uses_irsa(pod) and SKIP_WEBHOOK not in pod.labels else ""
        if reason:
            reasons.setdefault(reason, []).append(pod.name)
    if not reasons:
        return None
    where = "; ".join(
        f"Pod{'' if len(names) == 1 else 's'} {listed(sorted(names))} {reason}"
        for reason, names in reasons.items()
    )
    return Finding(
        Code.ASSOCIATION_WOULD_BREAK,
        f"Pods of service account {key.service_account} in namespace {key.namespace} use IRSA and cannot reach the "
        f"EKS Pod Identity Agent ({where}). An association takes IRSA away from them at their next start, and they "
        "would have no credentials.",
        "Move them to Linux EC2 nodes with the agent, or give them a service account of their own that keeps IRSA. "
        "pod_identity_allow_breakage: true makes the association all the same.",
        key,
        raised_as="warning" if allowed else None,
    )
