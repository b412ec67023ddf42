# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find Pods that a run would break, because they need IRSA or lose their role. Pure: the cluster is an argument.

IRSA (IAM roles for service accounts) is the older way to give a Pod an IAM role, by an annotation of its service account. The
webhook of EKS injects either EKS Pod Identity or IRSA into a new Pod, never both (amazon-eks-pod-identity-webhook). If the
service account gets an association, a Pod that used IRSA uses EKS Pod Identity after its next start. If it then runs where it
cannot reach the EKS Pod Identity Agent, such as on Fargate, it has no credentials. Service accounts without the annotation
need no check.

A Pod template does not always show where its Pods will run. For example, a Fargate profile is not an object of Kubernetes, and
selects Pods when they are created. Therefore the existing Pods of a template, running or finished, are examined as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.errors import listed
from ..accounts.account_plan import IRSA_ANNOTATION, Accounts
from ..api.api_errors import remedy_for
from ..api.cluster import ClusterReader, Listing
from ..model.aws_result import AwsResult, Verification, VerifiedWorkload
from ..model.objects import as_text, member
from ..pods.environment import preferred_provider, uses_irsa
from ..pods.pod_checks import has_injection, on_unsupported_node
from ..pods.pods import (
    SKIP_WEBHOOK,
    KubeState,
    Owner,
    Pod,
    has_ended,
    parse_pod,
    pod_service_account,
    pods_by_workload,
)
from ..pods.reads import (
    Template,
    Templates,
    build_state,
    is_proof,
    live_pods_query,
    read_pod_state,
    read_templates,
)

SHOWN_USERS = 5


@dataclass(frozen=True, slots=True)
class _Users:
    """The Pods and Pod templates of all service accounts with the IRSA annotation.

    ``state`` has the live Pods, and ``pods`` also the finished ones. ``installs_agent`` is true if the run installs a missing
    agent before it creates the associations.
    """

    state: KubeState
    pods: Mapping[WorkloadKey, Sequence[Pod]]
    templates: Templates
    installs_agent: bool

    def template_pods(self, template: Template) -> list[Pod]:
        """Return the Pods that the owner of a template created, directly or by a ReplicaSet or Job."""
        owners, root = {template.owner, self.templates.root(template.owner)}, self.templates.root
        return [pod for pod in self.pods[template.pod.workload] if owners & {pod.owner, root(pod.owner)}]

    def unreachable_reason(self, pod: Pod) -> str:
        """Return the reason why a Pod cannot reach the agent, or "" if it can or if this is unknown."""
        state, unsupported = self.state, on_unsupported_node(pod, self.state)
        if unsupported:
            return unsupported.description
        if not pod.node or state.agents is None or state.has_agent(pod.node):
            return ""
        if pod.node in state.agents:
            return "on a node where the EKS Pod Identity Agent is not ready"
        # A node that was not read may be a node of EKS Auto Mode, which has the agent built in.
        gets_agent = pod.node not in state.nodes or (self.installs_agent and not state.agents)
        return "" if gets_agent else "on a node without the EKS Pod Identity Agent"


def find_breakage(
    reader: ClusterReader,
    keys: Iterable[WorkloadKey],
    accounts: Accounts,
    cluster: str,
    now: datetime,
    allowed: bool = False,
    installs_agent: bool = False,
) -> list[Finding]:
    """Return a finding for each workload whose Pods would lose, or may lose, their credentials if it got an association.

    :arg keys: the workloads for which the run would create an association.
    :arg accounts: the existing service accounts.
    :arg allowed: whether the user accepts that Pods lose credentials. Findings are then warnings instead of errors.
    :arg installs_agent: whether the run installs a missing agent before it creates the associations.
    """
    annotated = [key for key in keys if key in accounts and accounts[key].annotations.get(IRSA_ANNOTATION)]
    if not annotated:
        return []
    workloads = tuple(VerifiedWorkload(key, (), "", "", "", None, {}) for key in annotated)
    verification = Verification(cluster, "", workloads)
    reads = read_pod_state(reader, verification, now, finished=True)
    state = build_state(verification, reads, now)
    pods = {key: [*(state.pods or {}).get(key, ())] for key in annotated}
    for item in reads["pods"].items:
        if has_ended(item) and (key := pod_service_account(item, cluster)) in pods:
            pods[key].append(parse_pod(item, cluster))
    # If the newest Pod already has EKS Pod Identity, the templates of the workload do not need to be read.
    uninjected = [key for key in annotated if not any(map(has_injection, _newest(pods[key])))]
    templates = read_templates(reader, frozenset(uninjected), cluster) if uninjected else Templates()
    users = _Users(state, pods, templates, installs_agent)
    findings = [
        _breakage(key, users, allowed)
        or (_possible_breakage(key, users, cluster) if key in uninjected else None)
        for key in annotated
    ]
    return [finding for finding in findings if finding is not None]


def _newest(pods: Iterable[Pod]) -> list[Pod]:
    """Return the Pod that was created last, in a list, or an empty list without a Pod whose time is known."""
    dated = {pod.created: pod for pod in pods if pod.created is not None}
    return [dated[max(dated)]] if dated else []


def _is_exempt(template: Pod) -> bool:
    """Return whether an association would not change the credentials of the Pods of a template.

    Either the webhook skips these Pods because of a label, or the template sets the variables of access keys or a web identity
    in all containers, and SDKs prefer these.
    """
    return SKIP_WEBHOOK in template.labels or all(
        preferred_provider(container.env) for container in template.containers
    )


def _breakage(key: WorkloadKey, users: _Users, allowed: bool) -> Finding | None:
    live, templates = (users.state.pods or {}).get(key, ()), users.templates
    pods: dict[str, list[str]] = {}
    owners: dict[str, dict[Owner, None]] = {}
    named = set()
    for pod in live:
        by_irsa = any(uses_irsa(container.env) for container in pod.containers)
        reason = users.unreachable_reason(pod)
        if by_irsa and reason and SKIP_WEBHOOK not in pod.labels:
            pods.setdefault(reason, []).append(pod.name)
            named |= {pod.owner, templates.root(pod.owner)}
    for template in templates.by_workload.get(key, ()):
        # A live Pod is judged above. A finished one shows where the next Pod of its template will run.
        ended = [pod for pod in _newest(users.template_pods(template)) if pod not in live]
        faults = [on_unsupported_node(pod, users.state) for pod in (template.pod, *ended)]
        fault = next(filter(None, faults), None)
        if fault and template.owner not in named and not _is_exempt(template.pod):
            owners.setdefault(fault.description, {})[templates.root(template.owner)] = None
    places = [
        f"Pod{'' if len(names) == 1 else 's'} {listed(sorted(names))} {reason}"
        for reason, names in pods.items()
    ]
    places += [f"Pods of {listed(map(str, names))} {reason}" for reason, names in owners.items()]
    if not places:
        return None
    return Finding(
        Code.ASSOCIATION_WOULD_BREAK,
        f"Pods of service account {key.service_account} in namespace {key.namespace} use IAM roles for service accounts (IRSA) "
        f"and cannot reach the EKS Pod Identity Agent ({'; '.join(places)}). With an association, they get EKS Pod Identity "
        "instead of IRSA at their next start, and would have no credentials.",
        "Move them to Linux EC2 nodes with the agent, or give them a separate service account that keeps IRSA. "
        "To create the association anyway, set 'pod_identity_allow_breakage: true'.",
        key,
        raised_as="warning" if allowed else None,
    )


def _possible_breakage(key: WorkloadKey, users: _Users, cluster: str) -> Finding | None:
    """Return a finding if it is unknown where Pods of the workload will run; otherwise None.

    It is unknown for a template without Pods, for a workload without Pods and templates, and if a resource could not be listed.
    """
    templates, unlisted = users.templates.by_workload.get(key, ()), users.templates.errors
    errors = {**({"pods": error} if (error := users.state.errors.get("pods")) else {}), **unlisted}
    unseen = dict.fromkeys(
        str(users.templates.root(template.owner))
        for template in templates
        if not _is_exempt(template.pod) and not users.template_pods(template)
    )
    verb = "have" if len(unseen) > 1 else "has"
    gaps = [f"{listed(unseen)} {verb} no Pod that shows where new Pods start"] if unseen else []
    gaps += [f"{', '.join(errors)} could not be listed"] if errors else []
    if not (users.pods[key] or templates or errors):
        gaps.append(
            "no Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, CronJob or Job uses the service account, and other kinds of "
            "owners were not read"
        )
    if not gaps:
        return None
    allow = (
        "Allow the caller to list these resources: docs/iam-permissions.md has the manifests. "
        if errors
        else ""
    )
    return Finding(
        Code.ASSOCIATION_WOULD_BREAK,
        f"service account {key.service_account} in namespace {key.namespace} has the IRSA annotation. With an "
        "association, its Pods get EKS Pod Identity instead of IRSA at their next start, and it is not known whether they can "
        f"then reach the EKS Pod Identity Agent: {'; '.join(gaps)}.",
        f"{allow}Make sure that the Pods start on Linux EC2 nodes with the agent, or give them a separate service account "
        f"that keeps IRSA. To see the Fargate profiles: aws eks list-fargate-profiles --cluster-name {cluster}",
        key,
        raised_as="warning",
    )


def find_losing_pods(reader: ClusterReader, aws: AwsResult, now: datetime) -> list[Finding]:
    """Return a finding for each workload that has running Pods and whose association the run deletes, or would delete."""
    roles = {
        WorkloadKey(aws.cluster, *as_text(row.get("workload")).split("/")): as_text(
            member(row, "before").get("role_arn")
        )
        for row in aws.changes
        if (row.get("resource"), row.get("action")) == ("association", "delete")
    }
    listing = reader.list_objects(live_pods_query([*roles])) if roles else Listing()
    if listing.error is not None:
        return [
            Finding(
                Code.KUBERNETES_NOT_READABLE,
                f"it is not known whether running Pods of {listed(map(str, roles), SHOWN_USERS)} lose their roles: pods could "
                f"not be listed: {listing.error.text}",
                remedy_for(listing.error),
                raised_as="warning",
            )
        ]
    items = [item for item in listing.items if not is_proof(item)]
    pods = pods_by_workload(items, frozenset(roles), aws.cluster)
    state = KubeState(now)
    owned = {key: [(pod.name, state.find_owner(pod)) for pod in users] for key, users in sorted(pods.items())}
    return [
        Finding(
            Code.POD_LOSES_ROLE,
            f"the run deletes the association of {key}, so its running Pods lose role {roles[key]}: "
            f"{listed([f'{name} of {owner}' if owner.kind else name for name, owner in users], SHOWN_USERS)}. "
            f"Their present credentials expire within six hours, by {now + timedelta(hours=6):%Y-%m-%d %H:%M} UTC.",
            "If the Pods still need AWS, list the workload again, or give them another service account.",
            key,
        )
        for key, users in owned.items()
    ]
