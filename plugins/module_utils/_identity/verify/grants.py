# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a role has beside what was asked for, and whether anything of what was asked for is left. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED
from ..._policy.language.context import Context
from ..._policy.language.document import PolicyError
from ..._policy.permissions.permissions import (
    NamedPolicy,
    Required,
    check_permission,
    find_what_takes_all,
    permission_layers,
)
from ..model.checks import Check, conclude, conclude_unread, join_checks
from ..model.desired import Desired, Workload
from ..model.errors import as_clause
from ..model.observed import Document, Observed, ObservedRole, ReadFailure, VerificationReads, target_of
from ..model.shared import shared_roles
from ..plan import retained
from ..plan.document_steps import only_denies
from ..plan.outside_users import OutsideUsers, find_outside_users
from ..plan.trust_usability import subject_of
from .permissions import NAME, SESSION_POLICY, session_policy_of
from .trust_policy import tags_disabled

# Whoever has one of these on every resource can give himself the rest.
ADMINISTRATION = ("*", "iam:*")


def extra_permissions(
    desired: Desired, observed: Observed, reads: VerificationReads
) -> dict[WorkloadKey, list[Check]]:
    """Return the policies that nobody listed, by each workload of the role: all of a role that is managed here, and of other
    roles those that let them administer the account."""
    checks_of: dict[WorkloadKey, list[Check]] = {}
    keys = frozenset(workload.key for workload in desired.workloads)
    for shared in shared_roles(observed.account, desired.workloads):
        name = shared.spec.name.lower()
        role = observed.roles.get(name)
        if role is None or role.arn != observed.account.role_arn(shared.spec):
            continue
        first = shared.keys[0]
        extra = [arn for arn in role.attached if arn not in shared.policy_users]
        inline = reads.inline.get(name, {})
        if shared.spec.existing or not role.owned:
            attached = {arn: reads.documents.get(arn) for arn in extra}
            own = inline if not isinstance(inline, ReadFailure) else {}
            found = _administration(role, first, attached, own, by_arn=shared.spec.existing)
            checks_of.update({key: [_told_of(check, key) for check in found] for key in shared.keys})
            continue
        clusters = observed.clusters.among(shared.keys)
        users = find_outside_users(observed, clusters, role, role.trust, keys) if extra else OutsideUsers()
        findings = [
            retained.only_denies(role, first, arn)
            if _only_denies(reads.documents.get(arn))
            else retained.attached_extra(
                role, first, arn, users, administers=_administers(reads.documents.get(arn))
            )
            for arn in extra
        ]
        if role.permissions_boundary and shared.spec.permissions_boundary is None:
            findings.append(retained.boundary_set(role, first))
        if isinstance(inline, ReadFailure):
            unread = [conclude_unread("attachment", inline, first)]
        else:
            unread = []
            findings += [
                retained.only_denies(role, first, policy, attached=False)
                if _only_denies(document)
                else _inline(role, first, policy, _administers(document))
                for policy, document in inline.items()
            ]
        checks = [*(conclude("attachment", finding) for finding in findings), *unread]
        checks_of.update({key: [_told_of(check, key) for check in checks] for key in shared.keys})
    return checks_of


def check_grants(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Where no permission is required: a finding when nothing of what the policies grant can have an effect, unknown when
    that cannot be read. None when there is nothing to say."""
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    if role is None or workload.required_permissions or target_of(workload, observed):
        return None
    inline = reads.inline.get(role.name.lower(), {})
    if isinstance(inline, ReadFailure):
        return conclude_unread(NAME, inline, workload.key)
    granting = {arn: _document(arn, observed, reads) for arn in role.attached}
    for document in (*granting.values(), reads.documents.get(role.permissions_boundary)):
        if isinstance(document, ReadFailure):
            return conclude_unread(NAME, document, workload.key)
    known = [
        NamedPolicy(arn, document)
        for arn, document in granting.items()
        if document is not None and not isinstance(document, ReadFailure)
    ]
    if len(known) < len(granting):
        return None
    limits = list(_limits(workload, role, observed, reads))
    policies = [
        *known,
        *(NamedPolicy(f"inline policy {name}", document) for name, document in inline.items()),
    ]
    subject = subject_of(
        observed.cluster_of(workload.key), workload.key, role.arn, tags_disabled(workload, observed)
    )
    try:
        causes = find_what_takes_all(policies, [], limits, subject, dict(role.tags))
    except PolicyError:
        return None
    if not causes:
        return None
    where = " and ".join(causes)
    leaves = "leaves" if len(causes) == 1 else "leave"
    finding = Finding(
        Code.PERMISSION_NOTHING_LEFT,
        f"role {role.arn} is not allowed to do anything of what its policies grant: {where} {leaves} nothing of it.",
        f"Allow in {where} what the workload needs, take the Deny there away, or detach it where it was not asked for.",
        workload.key,
    )
    return conclude(NAME, finding)


def with_extra(check: Check, others: list[Check]) -> Check:
    return join_checks(check.name, [check, *others]) if others else check


def _told_of(check: Check, key: WorkloadKey) -> Check:
    return replace(check, findings=tuple(replace(finding, workload=key) for finding in check.findings))


def _document(arn: str, observed: Observed, reads: VerificationReads) -> Document | ReadFailure | None:
    policy = observed.policies.get(arn)
    if policy is not None and policy.document is not None:
        return policy.document
    return reads.documents.get(arn)


def _limits(
    workload: Workload, role: ObservedRole, observed: Observed, reads: VerificationReads
) -> Iterator[NamedPolicy]:
    boundary = reads.documents.get(role.permissions_boundary)
    if boundary is not None and not isinstance(boundary, ReadFailure):
        yield NamedPolicy(f"permissions boundary {role.permissions_boundary}", boundary)
    session = session_policy_of(workload, observed)
    if session:
        yield NamedPolicy(SESSION_POLICY, session)


def _only_denies(document: Mapping[str, object] | ReadFailure | None) -> bool:
    return not isinstance(document, ReadFailure) and document is not None and only_denies(document)


def _administers(document: Mapping[str, object] | ReadFailure | None) -> bool:
    if document is None or isinstance(document, ReadFailure):
        return False
    try:
        layers = permission_layers([NamedPolicy("", document)])
    except PolicyError:
        return False
    return any(
        check_permission(layers, Required(action, "arn:*:*:*:*:*"), Context()).decision == ALLOWED
        for action in ADMINISTRATION
    )


def _administration(
    role: ObservedRole,
    key: WorkloadKey,
    attached: Mapping[str, Document | ReadFailure | None],
    inline: Mapping[str, Document],
    by_arn: bool,
) -> list[Check]:
    """Report the policies that let a role administer the account which is not managed here. Given by its ARN it is used as it
    is, so they are information."""
    findings = [
        replace(
            retained.attached_extra(role, key, arn, OutsideUsers(), administers=True),
            remedy="Detach it; list it under policies only where the workload is to administer the account. To detach it: "
            f"aws iam detach-role-policy --role-name {role.name} --policy-arn {arn}",
        )
        for arn, document in attached.items()
        if _administers(document)
    ]
    findings += [
        _inline(role, key, name, True) for name, document in inline.items() if _administers(document)
    ]
    if by_arn:
        remedy = "Nothing, where the workload is to administer the account; else "
        findings = [
            replace(finding, remedy=f"{remedy}{as_clause(finding.remedy)}", raised_as="info")
            for finding in findings
        ]
    return [conclude("attachment", finding) for finding in findings]


def _inline(role: ObservedRole, key: WorkloadKey, name: str, administers: bool) -> Finding:
    what = "lets it administer the account" if administers else "is not asked for"
    return Finding(
        Code.ROLE_INLINE_POLICY,
        f"role {role.name} has the inline policy {name}, which {what}.",
        "List what the workload needs of it under policies, and delete it: aws iam delete-role-policy "
        f"--role-name {role.name} --policy-name {name}",
        key,
        raised_as="error" if administers else None,
    )
