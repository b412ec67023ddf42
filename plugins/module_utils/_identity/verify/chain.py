# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Verify the chain of a workload: compare desired and observed state, and return checks and findings. Pure.

Five of the checks are the confirmations of the EKS User Guide ("Configure a Kubernetes service account to assume an IAM
role with EKS Pod Identity"); each is a small function of its own. Others verify that the cluster can serve EKS Pod
Identity at all. Sources: EKS User Guide, "Learn how EKS Pod Identity grants Pods access to AWS services" (cluster
versions), "Set up the Amazon EKS Pod Identity Agent", "Automate cluster infrastructure with EKS Auto Mode" (where the
agent is built in).

A verification without a run marks missing resources that are too young to be visible; a run knows its own changes, and
waits for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..._findings.codes import REPAIRED, Code
from ..._findings.finding import Finding
from ..._policy.language.document import load_document
from ..model.associations import AssociationSpec, ObservedAssociation
from ..model.checks import FAIL, PASS, UNKNOWN, Check, Status, Verified, conclude, conclude_unread
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.errors import as_clause
from ..model.names import parse_role_arn
from ..model.observed import Agent, Observed, ReadFailure, VerificationReads
from ..model.roles import RoleSpec
from ..plan.young import Young, in_minutes, youngest
from .confirmations import (
    check_association,
    check_attachment,
    check_contents,
    check_version,
    policy_settings,
    role_settings,
    with_settings,
)
from .documents import Lints
from .permissions import check_grants, check_permissions, extra_permissions, with_extra
from .trust import check_trust_policy, has_foreign_role, let_in_beside, widest_scopes, with_others

# The first platform version with EKS Pod Identity; later Kubernetes versions have it from the start.
PLATFORM_FLOORS = {"1.24": 13, "1.25": 10, "1.26": 9, "1.27": 8, "1.28": 4}
AGENT_CHECK = "agent"
_WORKING = ("ACTIVE", "UPDATING", "CREATING")


def _check_agent(cluster: Cluster, reads: VerificationReads) -> Check:
    """The same for every workload of the cluster; its findings name no workload."""
    too_old = _platform(cluster)
    if too_old is not None:
        return too_old
    agent = reads.agents[cluster.key]
    if isinstance(agent, ReadFailure):
        return (
            Check(AGENT_CHECK, PASS, "auto mode")
            if cluster.auto_mode
            else conclude_unread(AGENT_CHECK, agent)
        )
    if cluster.auto_mode:
        return _auto_mode(cluster, agent)
    if not agent.status:
        return conclude(
            AGENT_CHECK,
            Finding(
                Code.AGENT_ADDON_MISSING,
                f"cluster {cluster.name} has neither the EKS add-on eks-pod-identity-agent nor EKS Auto Mode.",
                "An agent that was installed by other means is found in the cluster. To install the add-on: aws eks "
                f"create-addon --cluster-name {cluster.name} --addon-name eks-pod-identity-agent",
            ),
        )
    if agent.status not in _WORKING or agent.issues:
        why = "; ".join(agent.issues) or "EKS gives no reason"
        return conclude(
            AGENT_CHECK,
            Finding(
                Code.AGENT_ADDON_DEGRADED,
                f"the add-on eks-pod-identity-agent of cluster {cluster.name} is {agent.status}: {why}.",
                "Resolve what the add-on's health names. To see it again: aws eks describe-addon --cluster-name "
                f"{cluster.name} --addon-name eks-pod-identity-agent",
            ),
        )
    return Check(AGENT_CHECK, PASS, agent.version.partition("-")[0])


def _auto_mode(cluster: Cluster, agent: Agent) -> Check:
    if not agent.status:
        return Check(AGENT_CHECK, PASS, "auto mode")
    return conclude(
        AGENT_CHECK,
        Finding(
            Code.AGENT_ADDON_WITH_AUTO_MODE,
            f"cluster {cluster.name} runs EKS Auto Mode, which has the agent built in, and the add-on "
            "eks-pod-identity-agent as well.",
            f"Remove the add-on if all nodes are of Auto Mode: aws eks delete-addon --cluster-name "
            f"{cluster.name} --addon-name eks-pod-identity-agent",
        ),
    )


def _platform(cluster: Cluster) -> Check | None:
    floor = PLATFORM_FLOORS.get(cluster.version)
    version = re.fullmatch(r"eks\.(\d+)", cluster.platform_version)
    if floor is None or version is None or int(version.group(1)) >= floor:
        return None
    return conclude(
        AGENT_CHECK,
        Finding(
            Code.CLUSTER_PLATFORM_TOO_OLD,
            f"cluster {cluster.name} has Kubernetes {cluster.version} at platform version "
            f"{cluster.platform_version}; EKS Pod Identity needs eks.{floor} or newer.",
            "Update the cluster's Kubernetes version; EKS brings the platform version along.",
        ),
    )


NO_LINTS = Lints()


def verify(
    desired: Desired, observed: Observed, reads: VerificationReads, lints: Lints = NO_LINTS
) -> list[Verified]:
    """The checks of every workload of the clusters that could be read, in the order in which they are shown."""
    agents = {key: _check_agent(cluster, reads) for key, cluster in observed.clusters.members.items()}
    scopes = widest_scopes(desired)
    extra = extra_permissions(desired, observed, reads)
    let_in = let_in_beside(desired, observed)
    verified = []
    clusters_reported: set[str] = set()
    for workload in desired.workloads:
        if workload.key not in observed.clusters:
            continue
        agent = agents[workload.key.cluster]
        if workload.key.cluster in clusters_reported:
            # What is wrong with a cluster is one finding, not one for every workload.
            agent = replace(agent, findings=())
        clusters_reported.add(workload.key.cluster)
        trust = check_trust_policy(workload, observed, scopes)
        contents = check_contents(workload, observed, reads)
        permissions = check_permissions(workload, observed, reads) or check_grants(workload, observed, reads)
        checks = (
            with_settings(
                with_others(trust, let_in.get(workload.key, ())), role_settings(workload, observed)
            ),
            with_extra(check_attachment(workload, observed), extra.get(workload.key, [])),
            check_version(workload, observed, reads),
            contents
            and with_settings(
                contents, [*policy_settings(workload, observed), *lints.policies.get(workload.key, ())]
            ),
            permissions and with_settings(permissions, lints.required.get(workload.key, ())),
            check_association(workload, observed, reads),
            agent,
        )
        verified.append(Verified(workload, tuple(check for check in checks if check is not None)))
    return verified


def workloads_of(associations: Iterable[ObservedAssociation]) -> tuple[Workload, ...]:
    """The workloads that have these associations: each with its role, used as it is."""
    workloads = []
    for association in sorted(associations, key=lambda association: association.key):
        parts = parse_role_arn(association.role_arn)
        role = RoleSpec(name=parts.name if parts else "", arn=association.role_arn)
        # Nobody listed settings, so the association is compared with itself.
        settings = AssociationSpec(
            association.target_role_arn,
            association.disable_session_tags,
            load_document(association.session_policy or {}),
        )
        workloads.append(Workload(association.key, role, association=settings))
    return tuple(workloads)


# What a late read can show of a workload that a run has made right. Not what no run repairs, as an inline policy; and not
# what is told from documents that are as asked for by other checks, as what the role is allowed to do.
_OF_LATE_READS = REPAIRED | {Code.POLICY_ATTACHED_EXTRA, Code.TARGET_ROLE_MISSING}
# The state of the cluster's add-on has nothing to do with the age of a workload.
_OF_THE_CLUSTER = "agent"


def consider_age(verified: Sequence[Verified], observed: Observed) -> list[Verified]:
    """The same, where what failed and may only be invisible yet is not known to have failed."""
    considered = []
    for subject in verified:
        young = youngest(subject.workload, observed)
        # A role of another account is refused for what was asked, not for what was read.
        if young is not None and not has_foreign_role(subject.workload, observed.account):
            explained = any(_is_explained(finding) for finding in _errors(subject.findings))
            checks = tuple(_considered(check, young, explained) for check in subject.checks)
            subject = replace(subject, checks=checks)
        considered.append(subject)
    return considered


def _considered(check: Check, young: Young, explained: bool) -> Check:
    """A check without a finding of its own failed for what another check found; ``explained`` says whether any of those
    has to do with the age."""
    if check.name == _OF_THE_CLUSTER:
        return check
    status: Status = check.status
    if status == FAIL and explained and all(map(_is_explained, _errors(check.findings))):
        status = UNKNOWN
    findings = (
        _with_age(finding, young) if _is_explained(finding) else finding for finding in check.findings
    )
    return replace(check, status=status, findings=tuple(findings))


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def _is_explained(finding: Finding) -> bool:
    # As an error it is a policy that administers the account, which no run attached.
    if finding.code == Code.POLICY_ATTACHED_EXTRA and finding.severity == "error":
        return False
    return finding.code in _OF_LATE_READS


def _with_age(finding: Finding, young: Young) -> Finding:
    return replace(
        finding,
        message=f"{finding.message} Or AWS does not show the last change yet: {young.reason}",
        remedy=f"Run the verification again in {in_minutes(young.minutes_left)}. If it says the same: "
        f"{as_clause(finding.remedy)}",
    )
