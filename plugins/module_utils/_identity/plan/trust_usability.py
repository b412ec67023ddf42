# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Can the workloads use a role whose trust policy is not ours? Asked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.request import Subject
from ..._policy.trust.statements import foreign_denies
from ..._policy.trust.trust import Denial, TrustVerdict, check_trust, find_denials, prepare_trust
from ..model.cluster import Cluster, Clusters
from ..model.desired import Workload
from ..model.observed import ObservedAssociation, ObservedRole
from ..model.targets import Failure, trust_target

Document = Mapping[str, object]
_LIFT = (
    "Find out who added the statement and why (event UpdateAssumeRolePolicy of the role in CloudTrail). To lift it, remove it "
    "from the trust policy of the role."
)
_FORCE = "Or set ⟨force⟩: true for one run, which writes role.trust_policy as it is given."
_WORST_FIRST: tuple[Severity, ...] = ("error", "warning", "info")
_EFFECTS: Mapping[Severity, str] = {
    "error": "keeps the workload out",
    "warning": "may keep the workload out",
    "info": "does not concern the workload",
}


def subject_of(cluster: Cluster, key: WorkloadKey, role_arn: str, disabled: bool) -> Subject:
    """What is known of a workload's request. ``disabled``: session tags are turned off."""
    return Subject(
        cluster_arn=cluster.arn,
        namespace=key.namespace,
        service_account=key.service_account,
        account_id=cluster.account_id,
        partition=cluster.partition,
        role_arn=role_arn,
        session_tags=not disabled,
    )


def trust_failures(
    clusters: Clusters,
    users: Sequence[Workload],
    trust: Mapping[str, object],
    role_arn: str,
) -> list[Failure]:
    """A failure for each workload that the trust policy certainly keeps out."""
    failures = []
    for workload in users:
        disabled = bool(workload.association.disable_session_tags)
        subject = subject_of(clusters.of(workload.key), workload.key, role_arn, disabled)
        verdict = check_trust(trust, subject)
        if verdict.usable == "no":
            failures.append(
                Failure(
                    (workload.key,),
                    trust_target(role_arn),
                    "read",
                    Code.TRUST_NOT_USABLE,
                    f"role {role_arn} cannot be used by {workload.key}: {reasons(verdict)}",
                    given_trust_remedy(workload)
                    or (_LIFT if usable_without_denies(trust, None, subject) != "no" else "")
                    or "Have the trust policy corrected, or set role.extend_trust: true to have our statement added "
                    "to it.",
                )
            )
    return failures


def is_shut_out(
    workload: Workload, association: ObservedAssociation | None, role: ObservedRole | None, clusters: Clusters
) -> bool:
    """Return whether an association turns session tags off, which the workload does not ask for, and its role certainly cannot
    be used without them."""
    if association is None or not association.disable_session_tags or role is None:
        return False
    if workload.association.disable_session_tags is not None or workload.key not in clusters:
        return False
    if association.role_arn.lower() != role.arn.lower():
        return False
    subject = subject_of(clusters.of(workload.key), workload.key, role.arn, disabled=True)
    return check_trust(role.trust, subject).usable == "no"


def usable_without_denies(trust: Document, given: Document | None, subject: Subject) -> str:
    """Return whether the workload could use the role without the Deny statements that were written elsewhere: "yes", "no" or
    "conditional".

    :arg given: the trust policy that a user gives as a whole.
    """
    denies = foreign_denies(trust, given)
    stored = trust["Statement"]
    statements = [
        statement
        for statement in (stored if isinstance(stored, list) else [stored])
        if statement not in denies
    ]
    return check_trust({**trust, "Statement": statements}, subject).usable if statements else "no"


def find_restrictions(
    role_arn: str, trust: Document, given: Document | None, subjects: Mapping[WorkloadKey, Subject]
) -> list[Finding]:
    """Report each Deny statement of a trust policy that was written elsewhere, for the first workload that it concerns most.

    :arg given: the trust policy that a user gives as a whole.
    """
    denies = foreign_denies(trust, given)
    if not denies:
        return []
    prepared = prepare_trust(trust)
    worst: dict[str, Finding] = {}
    for key, subject in subjects.items():
        usable = check_trust(prepared, subject).usable
        together = usable == "no" and usable_without_denies(trust, given, subject) != "no"
        for denial in find_denials(prepared, subject):
            if denial.statement not in denies:
                continue
            finding = _restriction(role_arn, denial, together, given is not None, key)
            present = worst.get(denial.label)
            if present is None or _rank(finding) < _rank(present):
                worst[denial.label] = finding
    return list(worst.values())


def _restriction(role_arn: str, denial: Denial, together: bool, given: bool, key: WorkloadKey) -> Finding:
    """:arg together: the workload could use the role without all of these statements."""
    severity: Severity = "error" if denial.applies or (denial.applies is None and together) else "warning"
    if denial.applies is False:
        severity = "info"
    return Finding(
        Code.ROLE_RESTRICTED,
        f"{denial.label} of the trust policy of role {role_arn} {denial.text}, which {_EFFECTS[severity]}. It was not written by "
        "this collection, and stays.",
        f"{_LIFT} {_FORCE}" if given else _LIFT,
        key,
        denial.label,
        raised_as=severity,
    )


def _rank(finding: Finding) -> int:
    return _WORST_FIRST.index(finding.severity)


def given_trust_remedy(workload: Workload) -> str:
    """What to do where a user wrote the trust policy himself; "" where not."""
    if workload.role is None or workload.role.trust_policy is None:
        return ""
    return (
        "Correct role.trust_policy, and apply the workload; or leave it out, and the trust policy is written for the "
        "workloads of the role."
    )


def reasons(verdict: TrustVerdict) -> str:
    """The errors among the findings of a verdict that keep the workload out, in one line."""
    errors = [
        finding.message
        for finding in verdict.findings
        if finding.severity == "error" and finding.code != Code.TRUST_OPEN_TO_EVERYONE
    ]
    return " ".join(errors) or "its trust policy does not allow EKS Pod Identity."
