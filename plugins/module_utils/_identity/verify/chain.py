# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify workloads: compare the desired and the observed role, policies and association of each workload. Pure.

Five of the checks are the steps by which the EKS User Guide confirms a configuration ("Assign an IAM role to a Kubernetes
service account"). Two more check the permissions of the role, and that the cluster supports EKS Pod Identity and has its agent.
Sources: EKS User Guide, "Learn how EKS Pod Identity grants Pods access to AWS services" (cluster versions), "Set up the Amazon
EKS Pod Identity Agent", "Automate cluster infrastructure with EKS Auto Mode" (built-in agent).

IAM and EKS are eventually consistent. After its changes, a run waits until reads show them. A verification without changes
cannot do that, because it does not know the changes of other processes. So it reports the status unknown instead of fail if a
recent change may not be visible yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..._findings.codes import STALE_READ_CODES, Code
from ..._findings.finding import Finding
from ..._policy.language.document import load_document
from ..model.addons import ObservedAddon
from ..model.associations import AssociationSpec, ObservedAssociation
from ..model.checks import FAIL, PASS, UNKNOWN, Check, Verified, conclude, conclude_unread, join_checks
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.errors import as_clause
from ..model.names import parse_role_arn
from ..model.observed import Observed, VerificationReads
from ..model.roles import RoleSpec
from ..model.targets import Failure
from ..plan.recent_changes import RecentChange, in_minutes, latest_change
from .confirmations import (
    add_findings,
    check_association,
    check_attachment,
    check_contents,
    check_version,
    find_unmarked,
    policy_settings,
    role_settings,
)
from .documents import Lints
from .permissions import check_permissions, extra_permissions
from .trust import (
    check_trust_policy,
    find_unexpected_access,
    has_foreign_role,
    widest_scopes,
)

# The first EKS platform version with EKS Pod Identity, by Kubernetes version. Newer Kubernetes versions always have it.
PLATFORM_FLOORS = {"1.24": 13, "1.25": 10, "1.26": 9, "1.27": 8, "1.28": 4}
_WORKING = ("ACTIVE", "UPDATING", "CREATING")


def _check_agent(cluster: Cluster, reads: VerificationReads) -> Check:
    """Check that EKS reports a working EKS Pod Identity Agent: the add-on, or the agent built into EKS Auto Mode.

    The findings concern the cluster, so they name no workload.
    """
    floor = PLATFORM_FLOORS.get(cluster.version)
    version = re.fullmatch(r"eks\.(\d+)", cluster.platform_version)
    if floor is not None and version is not None and int(version.group(1)) < floor:
        return conclude(
            "agent",
            Finding(
                Code.CLUSTER_PLATFORM_TOO_OLD,
                f"cluster {cluster.name} has Kubernetes {cluster.version} at platform version "
                f"{cluster.platform_version}; EKS Pod Identity needs eks.{floor} or newer.",
                "Update the cluster's Kubernetes version, which updates the platform version.",
            ),
        )
    agent = reads.agent
    if cluster.auto_mode and isinstance(agent, ObservedAddon):
        return conclude(
            "agent",
            Finding(
                Code.AGENT_ADDON_WITH_AUTO_MODE,
                f"cluster {cluster.name} has the add-on eks-pod-identity-agent, although EKS Auto Mode has a built-in agent.",
                f"Remove the add-on if all nodes are managed by Auto Mode: aws eks delete-addon --cluster-name "
                f"{cluster.name} --addon-name eks-pod-identity-agent",
            ),
        )
    if cluster.auto_mode:
        return Check("agent", PASS, "auto mode")
    if isinstance(agent, Failure):
        return conclude_unread("agent", agent)
    if agent is None:
        return conclude(
            "agent",
            Finding(
                Code.AGENT_MISSING,
                f"cluster {cluster.name} has neither the EKS add-on eks-pod-identity-agent nor EKS Auto Mode.",
                "An agent that was installed without the add-on is only found through the Kubernetes API. To install the "
                "add-on, apply the workloads with ⟨agent⟩: present.",
            ),
        )
    if agent.status not in _WORKING or agent.issues:
        reason = "; ".join(agent.issues) or "EKS reports no cause"
        advice = (
            "Resolve the issues of the add-on"
            if agent.issues
            else "If the status does not change, update or reinstall the add-on"
        )
        return conclude(
            "agent",
            Finding(
                Code.AGENT_NOT_READY,
                f"the add-on eks-pod-identity-agent of cluster {cluster.name} is {agent.status}: {reason}.",
                f"{advice}. To see its state: aws eks describe-addon --cluster-name {cluster.name} --addon-name "
                "eks-pod-identity-agent",
            ),
        )
    return Check("agent", PASS, agent.version.partition("-")[0])


NO_LINTS = Lints()


def verify(
    desired: Desired, observed: Observed, reads: VerificationReads, lints: Lints = NO_LINTS
) -> list[Verified]:
    """Return the checks of each workload, in the order of the report.

    :arg reads: data that only a verification reads, such as the documents of attached policies.
    :arg lints: the findings about the input from ``lint_workloads``.
    """
    agent = _check_agent(observed.cluster, reads)
    scopes = widest_scopes(desired, observed.cluster)
    extra = extra_permissions(desired, observed, reads)
    access_findings = find_unexpected_access(desired, observed)
    owner = desired.options.owner
    verified = []
    for workload in desired.workloads:
        if workload.conflict is not None:
            verified.append(Verified(workload, (conclude("association", workload.conflict), agent)))
            continue
        trust = check_trust_policy(workload, observed, scopes, owner)
        # A failed check explains that the workload cannot use the role; only other errors are worth adding.
        access = [
            finding
            for finding in access_findings.get(workload.key, ())
            if trust.status != FAIL or finding.severity == "error"
        ]
        contents = check_contents(workload, observed, reads)
        association = check_association(workload, observed, reads, owner)
        permissions = check_permissions(workload, observed, reads)
        checks = (
            add_findings(trust, [*access, *role_settings(workload, observed, owner)]),
            join_checks("attachment", [check_attachment(workload, observed), *extra.get(workload.key, [])]),
            check_version(workload, observed, reads),
            contents
            and add_findings(
                contents, [*policy_settings(workload, observed, owner), *lints.policies.get(workload.key, ())]
            ),
            permissions and add_findings(permissions, lints.required.get(workload.key, ())),
            add_findings(association, find_unmarked(workload, observed, matches=association.status == PASS)),
            agent,
        )
        verified.append(Verified(workload, tuple(check for check in checks if check is not None)))
    return verified


def workloads_from_associations(associations: Iterable[ObservedAssociation]) -> tuple[Workload, ...]:
    """Convert associations to workloads, to verify a cluster without a list of workloads.

    The role of an association becomes the existing role (``role.arn``) of its workload, and the present settings of the
    association become its desired settings.
    """
    workloads = []
    for association in sorted(associations, key=lambda association: association.key):
        parts = parse_role_arn(association.role_arn)
        role = RoleSpec(name=parts.name if parts else "", arn=association.role_arn)
        settings = AssociationSpec(
            association.target_role_arn,
            association.disable_session_tags,
            load_document(association.session_policy or {}),
        )
        workloads.append(Workload(association.key, role, association=settings))
    return tuple(workloads)


def consider_age(verified: Sequence[Verified], observed: Observed) -> list[Verified]:
    """Change failed checks to the status unknown if a stale read may be the cause, because the workload changed recently.

    The messages of findings that a stale read can cause then mention the recent change.
    """
    return [_consider_age_of(subject, observed) for subject in verified]


def _consider_age_of(subject: Verified, observed: Observed) -> Verified:
    workload = subject.workload
    young = latest_change(workload, observed)
    # A role of another account fails the check because of its ARN, which no later read changes.
    if young is None or has_foreign_role(workload, observed.cluster):
        return subject
    # A run attaches nothing to a role given by its ARN, so the age of the association does not explain a missing attachment.
    attached = (
        latest_change(workload, replace(observed, associations={}))
        if workload.role is not None and workload.role.existing
        else young
    )
    explained = any(
        finding.severity == "error" and finding.code in STALE_READ_CODES
        for check in subject.checks
        if check.name != "attachment" or attached is not None
        for finding in check.findings
    )
    checks = tuple(
        # Without a finding, the check follows from another one.
        _apply_age(check, attached if check.name == "attachment" and check.findings else young, explained)
        for check in subject.checks
    )
    return replace(subject, checks=checks)


def _apply_age(check: Check, young: RecentChange | None, explained: bool) -> Check:
    """Change a failed check to the status unknown if a stale read may explain all of its errors.

    :arg young: the recent change that affects the check, or None.
    :arg explained: whether a stale read may explain an error of the workload. If so, failed checks without findings become
        unknown, too, because they only follow from other checks.
    """
    # The check of the agent is about the cluster, so a recent change of a workload does not explain its failure.
    if check.name == "agent" or young is None:
        return check
    stale = explained and all(
        finding.code in STALE_READ_CODES for finding in check.findings if finding.severity == "error"
    )
    findings = tuple(
        replace(
            finding,
            message=f"{finding.message} It is also possible that AWS does not return the latest change yet: {young.reason}",
            remedy=f"Run the verification again in {in_minutes(young.minutes_left)}. If the finding persists: "
            f"{as_clause(finding.remedy)}",
        )
        if finding.code in STALE_READ_CODES
        else finding
        for finding in check.findings
    )
    return replace(
        check, status=UNKNOWN if check.status == FAIL and stale else check.status, findings=findings
    )
