# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Check the permissions of a role. Pure.

The checks find missing required permissions, a target role that cannot be assumed, and policies that no workload lists. They also
find roles that have no effective permissions because a permissions boundary, a session policy or a Deny excludes everything that
the policies of the role allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED, CONDITIONAL, PARTLY_ALLOWED, Layer
from ..._policy.evaluation.request import Subject
from ..._policy.language.context import Context
from ..._policy.language.document import PolicyError
from ..._policy.permissions.escalation import find_self_grant
from ..._policy.permissions.permissions import (
    IDENTITY,
    NamedPolicy,
    PermissionVerdict,
    Required,
    check_permission,
    find_denying_policies,
    permission_layers,
    pod_context,
)
from ..._policy.trust.check import check_chain, check_chain_permissions
from ..model.checks import (
    FAIL,
    PASS,
    UNKNOWN,
    Check,
    conclude,
    conclude_unread,
    find_read_failure,
    join_checks,
)
from ..model.desired import Desired, Workload
from ..model.errors import as_clause
from ..model.names import is_aws_managed
from ..model.observed import (
    Document,
    Observed,
    RolePermissions,
    VerificationReads,
    find_target_role,
)
from ..model.roles import ObservedRole
from ..model.shared import SharedRole, shared_roles
from ..model.targets import Failure, role_target
from ..plan.attachments import only_denies
from ..plan.problems import attached_extra, boundary_set, restricted_by_policy
from ..plan.trust import reasons, trust_subject
from .trust import tags_disabled

SESSION_POLICY = "the session policy of the association"


def check_permissions(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Check the required permissions of a workload or, if its association has a target role, the access to that role.

    Return None for a workload without a role, and for a workload without required permissions and without a target role.
    """
    target = find_target_role(workload, observed)
    if workload.role is None or not (workload.required_permissions or target):
        return None
    name = workload.role.name.lower()
    role, permissions = observed.roles.get(name), reads.permissions.get(name)
    if role is None or permissions is None:
        # The check of the trust policy reports that the role is missing, or could not be read.
        return Check("permissions", UNKNOWN if find_read_failure(observed, role_target(name)) else FAIL)
    if isinstance(permissions, Failure):
        return conclude_unread("permissions", permissions, workload.key)
    subject = trust_subject(
        observed.clusters.of_workload(workload.key), workload.key, role.arn, tags_disabled(workload, observed)
    )
    if target:
        # With a target role the Pod gets the permissions of that role.
        return join_checks(
            "permissions",
            [
                _check_target_access(workload, observed, permissions, subject, target),
                _check_target_trust(workload, observed, reads, subject, target),
                *_target_permissions_unchecked(workload, target),
            ],
        )
    layers = _build_layers(permissions, _session_policy(workload, observed))
    context = pod_context(subject, role.tags)
    without_limits = _build_layers(RolePermissions(permissions.identity))
    checks = []
    for required in workload.required_permissions:

        def is_allowed(layers: Sequence[Layer], required: Required = required) -> bool:
            return check_permission(layers, required, context).decision == ALLOWED

        verdict = check_permission(layers, required, context)
        check = _judge_verdict(workload, role.arn, verdict, is_allowed(without_limits))
        checks.append(_mark_consequence(check, workload, observed, permissions, is_allowed))
    return join_checks("permissions", checks)


def _mark_consequence(
    check: Check,
    workload: Workload,
    observed: Observed,
    permissions: RolePermissions,
    is_allowed: Callable[[Sequence[Layer]], bool],
    *,
    restricted: bool = True,
) -> Check:
    """Move findings about missing permissions to ``follows`` if applying the workload would resolve them.

    Such findings are only consequences of other findings. If the workload lists a policy by ARN that is not attached, its
    document is unknown, and it is assumed to give the missing permissions.

    :arg is_allowed: returns whether layers of policies allow the permissions.
    :arg restricted: whether the session policy of the association applies to these permissions. With a target role, it applies
        only to the session of the target role, not to the session that assumes the target role.
    """
    if not check.findings:
        return check
    documents = {observed.account.policy_arn(spec): spec.document for spec in workload.policies}
    identity = dict(permissions.identity)
    unknown = any(document is None and arn not in identity for arn, document in documents.items())
    identity.update({arn: document for arn, document in documents.items() if document is not None})
    session: Mapping[str, object] | None = workload.association.session_policy
    if session is None:
        session = _session_policy(workload, observed)
    desired_permissions = RolePermissions(tuple(identity.items()), permissions.boundary)
    if unknown or is_allowed(_build_layers(desired_permissions, session if restricted else None)):
        return replace(check, findings=(), follows=check.findings)
    return check


def _session_policy(workload: Workload, observed: Observed) -> Document | None:
    association = observed.associations.get(workload.key)
    return association.session_policy if association is not None else None


def _build_layers(
    permissions: RolePermissions, session_policy: Mapping[str, object] | None = None
) -> Sequence[Layer]:
    identity = [NamedPolicy(name, document) for name, document in permissions.identity]
    boundary = NamedPolicy(*permissions.boundary) if permissions.boundary else None
    session = NamedPolicy(SESSION_POLICY, session_policy) if session_policy else None
    return permission_layers(identity, boundary, session)


def _judge_verdict(
    workload: Workload, role_arn: str, verdict: PermissionVerdict, allowed_without: bool
) -> Check:
    """Return the check of one permission.

    :arg allowed_without: whether the policies of the role allow the permission if the permissions boundary and the session
        policy are ignored.
    """
    permission = f"{verdict.required.action} on {verdict.required.resource}"
    if verdict.decision == ALLOWED:
        return Check("permissions", PASS)
    if verdict.decision == CONDITIONAL and not verdict.conditional_on:
        return conclude(
            "permissions",
            Finding(
                Code.PERMISSION_CONDITIONAL,
                f"role {role_arn}: {verdict.message}",
                "Replace it in required_permissions with permissions for single actions and resources.",
                workload.key,
            ),
        )
    if verdict.decision == CONDITIONAL:
        return conclude(
            "permissions",
            Finding(
                Code.PERMISSION_CONDITIONAL,
                f"the permission of role {role_arn} to perform {permission} depends on unknown values of "
                f"{', '.join(verdict.conditional_on)}.",
                "Set values for the keys in the context of the required permission, or check that the conditions hold for "
                "the Pods.",
                workload.key,
            ),
        )
    places = " and ".join(verdict.change)
    if verdict.decision == PARTLY_ALLOWED:
        return conclude(
            "permissions",
            Finding(
                Code.PERMISSION_TAKEN_AWAY if allowed_without else Code.PERMISSION_DENIED,
                f"role {role_arn}: {verdict.message}",
                _denial_remedy([verdict])
                or f"Allow the rest in {places if allowed_without else 'a policy of the workload'} too, or require single "
                "actions and resources in required_permissions.",
                workload.key,
            ),
        )
    if allowed_without:
        return conclude(
            "permissions",
            Finding(
                Code.PERMISSION_TAKEN_AWAY,
                f"role {role_arn} is not allowed to perform {permission}: its policies allow the action, but "
                f"{places} {'does' if len(verdict.change) == 1 else 'do'} not.",
                _denial_remedy([verdict]) or f"Allow the action in {places} too.",
                workload.key,
            ),
        )
    return conclude(
        "permissions",
        Finding(
            Code.PERMISSION_DENIED,
            f"role {role_arn} is not allowed to perform {permission}: {_denial_reason(verdict)}.",
            _grant_remedy(verdict),
            workload.key,
        ),
    )


def _denial_remedy(verdicts: Iterable[PermissionVerdict]) -> str:
    statements = dict.fromkeys(statement for verdict in verdicts for statement in verdict.statements)
    denying = ", ".join(f"{label} of {policy}" for policy, label, effect in statements if effect == "Deny")
    return f"A Deny wins over every Allow: narrow or remove {denying}." if denying else ""


def _grant_remedy(verdict: PermissionVerdict) -> str:
    if remedy := _denial_remedy([verdict]):
        return remedy
    hint = "; an object in a bucket has a separate ARN, arn:aws:s3:::bucket/key"
    hint_text = hint if verdict.required.action.startswith("s3:") else ""
    return f"Allow the action in one of the workload's policies and apply the workload again{hint_text}."


def _denial_reason(verdict: PermissionVerdict) -> str:
    denying = [f"{label} of {policy}" for policy, label, effect in verdict.statements if effect == "Deny"]
    if not denying:
        return "none of its policies allows it"
    return f"{' and '.join(denying)} {'denies' if len(denying) == 1 else 'deny'} it"


def _check_target_access(
    workload: Workload, observed: Observed, permissions: RolePermissions, subject: Subject, target: str
) -> Check:
    def judge(layers: Sequence[Layer]) -> list[PermissionVerdict]:
        verdicts = check_chain_permissions(layers, subject, target)
        return [verdict for verdict in verdicts if verdict.decision != ALLOWED]

    def denials(layers: Sequence[Layer]) -> list[PermissionVerdict]:
        return [verdict for verdict in judge(layers) if verdict.decision != CONDITIONAL]

    unallowed = judge(_build_layers(permissions))
    denied = [verdict for verdict in unallowed if verdict.decision != CONDITIONAL]
    if not unallowed:
        return Check("permissions", PASS)
    if not denied:
        keys = sorted({key for verdict in unallowed for key in verdict.conditional_on})
        actions = " and ".join(verdict.required.action for verdict in unallowed)
        return conclude(
            "permissions",
            Finding(
                Code.TARGET_ROLE_UNKNOWN,
                f"the permission of role {subject.role_arn} to perform {actions} on target role {target} depends on "
                f"unknown values of {', '.join(keys)}.",
                "Check that the conditions hold for the Pods, or remove the conditions from the role's policies.",
                workload.key,
            ),
        )
    actions = " and ".join(verdict.required.action for verdict in denied)
    check = conclude(
        "permissions",
        Finding(
            Code.TARGET_ROLE_NOT_ALLOWED,
            f"role {subject.role_arn} is not allowed to perform {actions} on target role {target}.",
            _denial_remedy(denied) or _target_remedy(denied),
            workload.key,
        ),
    )
    return _mark_consequence(
        check, workload, observed, permissions, lambda layers: not denials(layers), restricted=False
    )


def _target_remedy(denied: Sequence[PermissionVerdict]) -> str:
    places = dict.fromkeys(place for verdict in denied for place in verdict.change)
    if IDENTITY in places:
        return "Give the role a policy that allows sts:AssumeRole and sts:TagSession on the target role."
    return f"Allow sts:AssumeRole and sts:TagSession on the target role in {', '.join(places)} too."


def _check_target_trust(
    workload: Workload, observed: Observed, reads: VerificationReads, subject: Subject, target: str
) -> Check:
    trust = reads.targets.get(target)
    if isinstance(trust, Failure):
        unread = Finding(
            Code.TARGET_ROLE_UNKNOWN,
            f"the trust policy of target role {target} could not be checked: {trust.error.text}",
            trust.error.remedy,
            workload.key,
        )
        return Check("permissions", UNKNOWN, findings=(unread,))
    if trust is None:
        return conclude(
            "permissions",
            Finding(
                Code.TARGET_ROLE_MISSING,
                f"target role {target} does not exist.",
                "Correct target_role_arn, or create the role.",
                workload.key,
            ),
        )
    association = observed.associations.get(workload.key)
    external_id = association.external_id if association is not None else None
    verdict = check_chain(trust, subject, target_role_arn=target, external_id=external_id or None)
    if verdict.usable == "no":
        return conclude(
            "permissions",
            Finding(
                Code.TARGET_ROLE_NOT_ALLOWED,
                f"target role {target} does not allow role {subject.role_arn} to assume it: {reasons(verdict)}",
                f"Allow {subject.role_arn} sts:AssumeRole and sts:TagSession in the trust policy of the target role.",
                workload.key,
            ),
        )
    if verdict.usable == "conditional":
        return conclude(
            "permissions",
            Finding(
                Code.TARGET_ROLE_UNKNOWN,
                f"the permission of role {subject.role_arn} to assume target role {target} depends on "
                f"unknown values of {', '.join(verdict.conditional_on)}.",
                _condition_remedy(verdict.conditional_on, subject.session_tags),
                workload.key,
            ),
        )
    opened = next(
        (finding for finding in verdict.findings if finding.code == Code.TRUST_OPEN_TO_EVERYONE), None
    )
    if opened is None:
        return Check("permissions", PASS)
    return conclude(
        "permissions",
        replace(opened, message=f"target role {target}: {opened.message}", workload=workload.key),
    )


def _condition_remedy(keys: Sequence[str], session_tags: bool) -> str:
    if session_tags and "sts:ExternalId" in keys:
        return (
            "Give the workload disable_session_tags: true, because AWS documents sts:ExternalId only for associations without "
            "session tags. Or remove the condition from the trust policy of the target role."
        )
    return "Check that the conditions hold for the Pods, or remove the conditions from the trust policy of the target role."


def _target_permissions_unchecked(workload: Workload, target: str) -> list[Check]:
    """Return a check with the status unknown, because the policies of the target role are not read.

    Return [] if the workload lists no required permissions.
    """
    if not workload.required_permissions:
        return []
    unchecked = Finding(
        Code.PERMISSION_NOT_CHECKED,
        f"required_permissions were not checked: the Pods get the permissions of target role {target}, whose policies were "
        "not read.",
        "Check them with workload_identity.aws.iam_permissions_check in the target role's account.",
        workload.key,
    )
    return [Check("permissions", UNKNOWN, findings=(unchecked,))]


# The actions that AWS managed policies of administrators allow on all resources. Their documents need not be read.
_ADMINISTRATORS = {"AdministratorAccess": "*", "IAMFullAccess": "iam:*"}


def extra_permissions(
    desired: Desired, observed: Observed, reads: VerificationReads
) -> dict[WorkloadKey, list[Check]]:
    """Return, by workload, checks of attached and inline policies of its role that no workload lists.

    For a managed role, all of these policies are reported, and a permissions boundary that the input does not set. For other
    roles, only policies that let the role administer the account are reported. Also report listed policies of administrators.
    """
    checks_by_key: dict[WorkloadKey, list[Check]] = {}
    for shared in shared_roles(observed.account, desired.workloads):
        name = shared.spec.name.lower()
        role = observed.roles.get(name)
        if role is None or role.arn != observed.account.role_arn(shared.spec):
            continue
        first = shared.keys[0]
        extra = [arn for arn in role.attached if arn not in shared.policy_users]
        inline = reads.inline.get(name, {})
        listed = list(_listed_administration(shared, role, observed, reads))
        if shared.spec.existing or not role.marked:
            attached = {arn: reads.documents.get(arn) for arn in extra}
            inline_documents = inline if not isinstance(inline, Failure) else {}
            administration = _administration(
                role, first, attached, inline_documents, by_arn=shared.spec.existing
            )
            checks_by_key.update(
                {
                    key: [_for_workload(check, key) for check in [*administration, *listed]]
                    for key in shared.keys
                }
            )
            continue
        findings = [
            restricted_by_policy(role, first, arn)
            if _only_denies(reads.documents.get(arn))
            else attached_extra(
                role, first, arn, administers=_administers(role, _known(arn, reads.documents.get(arn)))
            )
            for arn in extra
        ]
        if role.permissions_boundary and shared.spec.permissions_boundary is None:
            findings.append(boundary_set(role, first))
        if isinstance(inline, Failure):
            unread = [conclude_unread("attachment", inline, first)]
        else:
            unread = []
            findings += [
                restricted_by_policy(role, first, policy, attached=False)
                if _only_denies(document)
                else _inline(role, first, policy, _administers(role, document))
                for policy, document in inline.items()
            ]
        checks = [*(conclude("attachment", finding) for finding in findings), *unread, *listed]
        checks_by_key.update({key: [_for_workload(check, key) for check in checks] for key in shared.keys})
    return checks_by_key


def check_grants(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Check that a permissions boundary, session policy or Deny does not exclude everything that the policies allow.

    Return a check with the status unknown if a policy could not be read, and None if there is no finding, if the role or a
    document is missing or invalid, or if ``check_permissions`` checks the workload.
    """
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    if role is None or workload.required_permissions or find_target_role(workload, observed):
        return None
    inline = reads.inline.get(role.name.lower(), {})
    if isinstance(inline, Failure):
        return conclude_unread("permissions", inline, workload.key)
    granting = {arn: _document(arn, observed, reads) for arn in sorted(role.attached)}
    for document in (*granting.values(), reads.documents.get(role.permissions_boundary)):
        if isinstance(document, Failure):
            return conclude_unread("permissions", document, workload.key)
    readable = [
        NamedPolicy(arn, document)
        for arn, document in granting.items()
        if document is not None and not isinstance(document, Failure)
    ]
    if len(readable) < len(granting):
        return None
    limits = list(_limits(workload, role, observed, reads))
    policies = [
        *readable,
        *(NamedPolicy(f"inline policy {name}", document) for name, document in inline.items()),
    ]
    subject = trust_subject(
        observed.clusters.of_workload(workload.key), workload.key, role.arn, tags_disabled(workload, observed)
    )
    try:
        causes = find_denying_policies(policies, limits, subject, dict(role.tags))
    except PolicyError:
        return None
    if not causes:
        return None
    places = " and ".join(causes)
    verb = "rules" if len(causes) == 1 else "rule"
    finding = Finding(
        Code.PERMISSION_TAKEN_AWAY,
        f"role {role.arn} has no effective permissions: {places} {verb} out everything that its policies grant.",
        f"In {places}, allow the permissions that the workload needs, and remove every Deny that excludes them.",
        workload.key,
    )
    return conclude("permissions", finding)


def add_checks(check: Check, extra: list[Check]) -> Check:
    """Join a check with further checks of the same name. The result has all of their findings, and their worst status."""
    return join_checks(check.name, [check, *extra]) if extra else check


def _for_workload(check: Check, key: WorkloadKey) -> Check:
    return replace(check, findings=tuple(replace(finding, workload=key) for finding in check.findings))


def _document(arn: str, observed: Observed, reads: VerificationReads) -> Document | Failure | None:
    policy = observed.policies.get(arn)
    if policy is not None and policy.document is not None:
        return policy.document
    return reads.documents.get(arn)


def _limits(
    workload: Workload, role: ObservedRole, observed: Observed, reads: VerificationReads
) -> Iterator[NamedPolicy]:
    boundary = reads.documents.get(role.permissions_boundary)
    if boundary is not None and not isinstance(boundary, Failure):
        yield NamedPolicy(f"permissions boundary {role.permissions_boundary}", boundary)
    session = _session_policy(workload, observed)
    if session:
        yield NamedPolicy(SESSION_POLICY, session)


def _only_denies(document: Mapping[str, object] | Failure | None) -> bool:
    return not isinstance(document, Failure) and document is not None and only_denies(document)


def _known(arn: str, document: Document | Failure | None) -> Document | Failure | None:
    """Return the document of a policy or, for an AWS managed policy of an administrator that was not read, what it allows."""
    action = _ADMINISTRATORS.get(arn.rpartition("/")[2]) if is_aws_managed(arn) else None
    if action is None or (document is not None and not isinstance(document, Failure)):
        return document
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def _administers(
    role: ObservedRole, document: Document | Failure | None, boundary: NamedPolicy | None = None
) -> bool:
    """Return whether a policy allows its role, without conditions, to give itself further permissions."""
    if document is None or isinstance(document, Failure):
        return False
    try:
        layers = permission_layers([NamedPolicy("", document)], boundary)
    except PolicyError:
        return False
    grant = find_self_grant(
        layers, role.arn, (arn for arn in role.attached if not is_aws_managed(arn)), Context()
    )
    return grant is not None and grant.is_certain


def _listed_administration(
    shared: SharedRole, role: ObservedRole, observed: Observed, reads: VerificationReads
) -> Iterator[Check]:
    """Yield a warning for each listed policy that lets the role administer the account in spite of its permissions boundary."""
    limit = reads.documents.get(role.permissions_boundary)
    boundary = None if limit is None or isinstance(limit, Failure) else NamedPolicy("boundary", limit)
    for arn, document in {
        observed.account.policy_arn(spec): spec.document
        for workload in shared.users
        for spec in workload.policies
    }.items():
        if _administers(role, _known(arn, document or _document(arn, observed, reads)), boundary):
            yield conclude(
                "attachment",
                Finding(
                    Code.POLICY_ADMINISTERS,
                    f"the listed policy {arn} lets role {role.name} administer the account.",
                    "List a policy with only the permissions that the workload needs, or set role.permissions_boundary.",
                    shared.keys[0],
                    raised_as="warning",
                ),
            )


def _administration(
    role: ObservedRole,
    key: WorkloadKey,
    attached: Mapping[str, Document | Failure | None],
    inline: Mapping[str, Document],
    by_arn: bool,
) -> list[Check]:
    """Report policies that allow an unmanaged role to administer the account.

    :arg by_arn: whether the workload uses an existing role (``role.arn``). The findings then have severity "info".
    """
    step = (
        "Detach the policy"
        if by_arn
        else "If the workload must administer the account, list this policy under policies. Otherwise detach it"
    )
    findings = [
        replace(
            attached_extra(role, key, arn, administers=True),
            remedy=f"{step}: aws iam detach-role-policy --role-name {role.name} --policy-arn {arn}",
        )
        for arn, document in attached.items()
        if _administers(role, _known(arn, document))
    ]
    findings += [
        _inline(role, key, name, True) for name, document in inline.items() if _administers(role, document)
    ]
    if by_arn:
        remedy = "If the workload must administer the account, no change is needed; otherwise "
        findings = [
            replace(finding, remedy=f"{remedy}{as_clause(finding.remedy)}", raised_as="info")
            for finding in findings
        ]
    return [conclude("attachment", finding) for finding in findings]


def _inline(role: ObservedRole, key: WorkloadKey, name: str, administers: bool) -> Finding:
    effect = "lets it administer the account" if administers else "is not part of the role's configuration"
    return Finding(
        Code.POLICY_ADMINISTERS if administers else Code.ROLE_INLINE_POLICY,
        f"role {role.name} has the inline policy {name}, which {effect}.",
        "List the permissions that the workload needs under policies, and delete the inline policy: aws iam delete-role-policy "
        f"--role-name {role.name} --policy-name {name}",
        key,
    )
