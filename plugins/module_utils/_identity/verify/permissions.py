# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

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
from ..._policy.evaluation.pods import Subject, pod_context
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
)
from ..._policy.trust.check import check_chain, check_chain_permissions
from ..model.checks import FAIL, PASS, UNKNOWN, Check, conclude, conclude_unread, join_checks
from ..model.desired import Desired, Workload
from ..model.errors import as_clause
from ..model.names import is_aws_managed, is_marked
from ..model.observed import (
    Document,
    Observed,
    RolePermissions,
    VerificationReads,
    find_target_role,
)
from ..model.roles import ObservedRole
from ..model.shared import SharedRole
from ..model.targets import Failure, role_target
from ..plan.attachments import only_denies
from ..plan.problems import attached_extra, restricted_by_policy
from ..plan.scene import selected_roles
from ..plan.trust import reasons, trust_subject
from .trust import tags_disabled

SESSION_POLICY = "the session policy of the association"


def check_permissions(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Check the required permissions of a workload or, if its association has a target role, the access to that role.

    Without both, check that a permissions boundary, a session policy or a Deny does not exclude everything that the policies of
    the role allow. Return None for a workload without a role, and if there is nothing to report about its policies.
    """
    target = find_target_role(workload, observed)
    name = workload.role.name.lower() if workload.role is not None else ""
    role, permissions = observed.roles.get(name), reads.permissions.get(name)
    if role is None or permissions is None:
        if workload.role is None or not (workload.required_permissions or target):
            return None
        # The check of the trust policy reports that the role is missing, or could not be read.
        return Check("permissions", UNKNOWN if role_target(name) in observed.unread else FAIL)
    if isinstance(permissions, Failure):
        return conclude_unread("permissions", permissions, workload.key)
    subject = trust_subject(observed.cluster, workload.key, role.arn, tags_disabled(workload, observed))
    if target:
        # With a target role the Pod gets the permissions of that role.
        checks = [
            _check_target_access(workload, observed, reads, permissions, subject, target),
            _check_target_trust(workload, observed, reads, subject, target),
        ]
        if workload.required_permissions:
            unchecked = Finding(
                Code.PERMISSION_NOT_CHECKED,
                f"required_permissions were not checked: the Pods get the permissions of target role {target}, whose policies "
                "were not read.",
                "Check them with workload_identity.aws.iam_permissions_check in the target role's account.",
                workload.key,
            )
            checks.append(Check("permissions", UNKNOWN, findings=(unchecked,)))
        return join_checks("permissions", checks)
    session = _session_policy(workload, observed)
    if not workload.required_permissions:
        return _check_effect(workload, role, permissions, session, subject)
    layers, without_limits = _build_layers(permissions, session), permission_layers(permissions.identity)
    context = pod_context(subject, role.tags)
    checks = []
    for required in workload.required_permissions:

        def is_allowed(layers: Sequence[Layer], required: Required = required) -> bool:
            return check_permission(layers, required, context).decision == ALLOWED

        verdict = check_permission(layers, required, context)
        check = _judge_verdict(workload, role.arn, verdict, is_allowed(without_limits))
        checks.append(_mark_consequence(check, workload, observed, permissions, is_allowed))
    return join_checks("permissions", checks)


def _check_effect(
    workload: Workload,
    role: ObservedRole,
    permissions: RolePermissions,
    session: Document | None,
    subject: Subject,
) -> Check | None:
    """Check that the role has effective permissions. Return None if there is no finding, or if a document is invalid."""
    if not (permissions.identity or workload.policies):
        return conclude(
            "permissions",
            Finding(
                Code.ROLE_WITHOUT_POLICIES,
                f"role {role.arn} has no policies, so it allows nothing, unless the policy of a resource names it.",
                "List the policies that the workload needs. If only policies of resources name the role, accept the finding.",
                workload.key,
            ),
        )
    limits = [NamedPolicy(SESSION_POLICY, session)] if session else []
    if permissions.boundary is not None:
        boundary = permissions.boundary
        limits.insert(0, NamedPolicy(f"permissions boundary {boundary.name}", boundary.document))
    try:
        causes = find_denying_policies(permissions.identity, limits, subject, dict(role.tags))
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
    documents = {observed.cluster.policy_arn(spec): spec.document for spec in workload.policies}
    identity = {policy.name: policy for policy in permissions.identity}
    unknown = any(document is None and arn not in identity for arn, document in documents.items())
    identity |= {
        arn: NamedPolicy(arn, document) for arn, document in documents.items() if document is not None
    }
    session: Mapping[str, object] | None = workload.association.session_policy
    if session is None:
        session = _session_policy(workload, observed)
    desired_permissions = replace(permissions, identity=tuple(identity.values()))
    if unknown or is_allowed(_build_layers(desired_permissions, session if restricted else None)):
        return replace(check, findings=(), follows=check.findings)
    return check


def _session_policy(workload: Workload, observed: Observed) -> Document | None:
    association = observed.associations.get(workload.key)
    return association.session_policy if association is not None else None


def _build_layers(
    permissions: RolePermissions, session_policy: Mapping[str, object] | None = None
) -> Sequence[Layer]:
    session = NamedPolicy(SESSION_POLICY, session_policy) if session_policy else None
    return permission_layers(permissions.identity, permissions.boundary, session)


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
    denying = _denying([verdict])
    reason = f"{' and '.join(denying)} {'denies' if len(denying) == 1 else 'deny'} it"
    hint = "; an object in a bucket has a separate ARN, arn:aws:s3:::bucket/key"
    hint_text = hint if verdict.required.action.startswith("s3:") else ""
    return conclude(
        "permissions",
        Finding(
            Code.PERMISSION_DENIED,
            f"role {role_arn} is not allowed to perform {permission}: "
            f"{reason if denying else 'none of its policies allows it'}.",
            _denial_remedy([verdict])
            or f"Allow the action in one of the workload's policies and apply the workload again{hint_text}.",
            workload.key,
        ),
    )


def _denying(verdicts: Iterable[PermissionVerdict]) -> list[str]:
    """Return the Deny statements of the verdicts, each like "Statement 1 of my-policy"."""
    statements = dict.fromkeys(statement for verdict in verdicts for statement in verdict.statements)
    return [f"{label} of {policy}" for policy, label, effect in statements if effect == "Deny"]


def _denial_remedy(verdicts: Iterable[PermissionVerdict]) -> str:
    denying = ", ".join(_denying(verdicts))
    return f"A Deny wins over every Allow: narrow or remove {denying}." if denying else ""


def _external_id(workload: Workload, observed: Observed) -> str | None:
    association = observed.associations.get(workload.key)
    return association.external_id if association is not None else None


def _check_target_access(
    workload: Workload,
    observed: Observed,
    reads: VerificationReads,
    permissions: RolePermissions,
    subject: Subject,
    target: str,
) -> Check:
    trust = reads.targets.get(target)

    def judge(layers: Sequence[Layer]) -> list[PermissionVerdict]:
        verdicts = check_chain_permissions(
            layers,
            subject,
            target,
            None if isinstance(trust, Failure) else trust,
            external_id=_external_id(workload, observed),
        )
        return [verdict for verdict in verdicts if verdict.decision != ALLOWED]

    unallowed = judge(_build_layers(permissions))
    denied = [verdict for verdict in unallowed if verdict.decision != CONDITIONAL]
    if not unallowed:
        return Check("permissions", PASS)

    def is_resolved(layers: Sequence[Layer]) -> bool:
        # A denied action may become conditional. A conditional one must become allowed, because the finding is about conditions.
        return all(denied and verdict.decision == CONDITIONAL for verdict in judge(layers))

    actions = " and ".join(verdict.required.action for verdict in denied or unallowed)
    if denied:
        places = dict.fromkeys(place for verdict in denied for place in verdict.change)
        remedy = (
            "Give the role a policy that allows sts:AssumeRole and sts:TagSession on the target role."
            if IDENTITY in places
            else f"Allow sts:AssumeRole and sts:TagSession on the target role in {', '.join(places)} too."
        )
        finding = Finding(
            Code.TARGET_ROLE_NOT_ALLOWED,
            f"role {subject.role_arn} is not allowed to perform {actions} on target role {target}.",
            _denial_remedy(denied) or remedy,
            workload.key,
        )
    else:
        keys = sorted({key for verdict in unallowed for key in verdict.conditional_on})
        finding = Finding(
            Code.TARGET_ROLE_UNKNOWN,
            f"the permission of role {subject.role_arn} to perform {actions} on target role {target} depends on "
            f"unknown values of {', '.join(keys)}.",
            "Check that the conditions hold for the Pods, or allow the actions without conditions in the role's policies.",
            workload.key,
        )
    return _mark_consequence(
        conclude("permissions", finding), workload, observed, permissions, is_resolved, restricted=False
    )


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
    verdict = check_chain(
        trust, subject, target_role_arn=target, external_id=_external_id(workload, observed)
    )
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
        remedy = "Check that the conditions hold for the Pods, or remove the conditions from the trust policy of the target role."
        if subject.session_tags and "sts:ExternalId" in verdict.conditional_on:
            remedy = (
                "Give the workload disable_session_tags: true, because AWS documents sts:ExternalId only for associations "
                "without session tags. Or remove the condition from the trust policy of the target role."
            )
        return conclude(
            "permissions",
            Finding(
                Code.TARGET_ROLE_UNKNOWN,
                f"the permission of role {subject.role_arn} to assume target role {target} depends on "
                f"unknown values of {', '.join(verdict.conditional_on)}.",
                remedy,
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
    for shared in selected_roles(observed.cluster, desired.workloads, desired.unselected):
        role = observed.roles.get(shared.spec.name.lower())
        if role is None or role.arn != observed.cluster.role_arn(shared.spec):
            continue
        inline = reads.inline.get(role.name.lower(), {})
        documents = {} if isinstance(inline, Failure) else inline
        checks = [
            conclude("attachment", finding)
            for finding in (
                *_extra_policies(shared, role, documents, reads),
                *_listed_administration(shared, role, observed, reads),
            )
        ]
        if isinstance(inline, Failure) and is_marked(role.tags) and not shared.spec.existing:
            checks.append(conclude_unread("attachment", inline))
        for key in shared.keys:
            checks_by_key[key] = [
                replace(check, findings=tuple(replace(finding, workload=key) for finding in check.findings))
                for check in checks
            ]
    return checks_by_key


def _extra_policies(
    shared: SharedRole, role: ObservedRole, inline: Mapping[str, Document], reads: VerificationReads
) -> Iterator[Finding]:
    """Yield a finding for each policy of a role, and for its permissions boundary, that the input does not list.

    :arg inline: the inline policies of the role.
    """
    managed, key = is_marked(role.tags) and not shared.spec.existing, shared.keys[0]
    extra = [arn for arn in role.attached if arn not in shared.policy_users]
    policies = [(arn, _known(arn, reads.documents.get(arn)), True) for arn in extra]
    policies += [(name, document, False) for name, document in inline.items()]
    for name, document, attached in policies:
        if managed and document is not None and not isinstance(document, Failure) and only_denies(document):
            yield restricted_by_policy(role, key, name, attached)
        elif (administers := _administers(role, document)) or managed:
            yield _extra_policy(shared, role, name, attached, administers)
    if managed and role.permissions_boundary and shared.spec.permissions_boundary is None:
        yield Finding(
            Code.ROLE_RESTRICTED,
            f"role {role.name} has the permissions boundary {role.permissions_boundary}, which is not part of the "
            "role's configuration, and is kept.",
            "If it is intended, list it as role.permissions_boundary. Otherwise find out who restricts the role and why (event "
            "PutRolePermissionsBoundary of the role in CloudTrail). To remove it, set permissions_boundary: '' in the role and "
            "run again.",
            key,
            raised_as="warning",
        )


def _extra_policy(
    shared: SharedRole, role: ObservedRole, name: str, attached: bool, administers: bool
) -> Finding:
    """Report an attached or inline policy that no workload lists.

    :arg administers: whether the policy lets the role administer the account.
    """
    if attached:
        finding = attached_extra(role, shared.keys[0], name, administers=administers)
    else:
        effect = (
            "lets it administer the account" if administers else "is not part of the role's configuration"
        )
        finding = Finding(
            Code.POLICY_ADMINISTERS if administers else Code.ROLE_INLINE_POLICY,
            f"role {role.name} has the inline policy {name}, which {effect}.",
            "List the permissions that the workload needs under policies, and delete the inline policy: aws iam "
            f"delete-role-policy --role-name {role.name} --policy-name {name}",
            shared.keys[0],
        )
    existing, command = shared.spec.existing, f"--role-name {role.name} --policy-arn {name}"
    if attached and (existing or not is_marked(role.tags)):
        step = "If the workload must administer the account, list this policy under policies. Otherwise detach it"
        step = "Detach the policy" if existing else step
        finding = replace(finding, remedy=f"{step}: aws iam detach-role-policy {command}")
    if existing:
        remedy = "If the workload must administer the account, no change is needed; otherwise "
        finding = replace(finding, remedy=f"{remedy}{as_clause(finding.remedy)}", raised_as="info")
    return finding


def _known(arn: str, document: Document | Failure | None) -> Document | Failure | None:
    """Return the document of a policy. If it was not read, return the known one of an AWS managed policy of administrators."""
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
) -> Iterator[Finding]:
    """Yield a warning for each listed policy that lets the role administer the account in spite of its permissions boundary."""
    limit = reads.documents.get(role.permissions_boundary)
    boundary = None if limit is None or isinstance(limit, Failure) else NamedPolicy("boundary", limit)
    for arn, document in {
        observed.cluster.policy_arn(spec): spec.document
        for workload in shared.users
        for spec in workload.policies
    }.items():
        # Without the document of the boundary, it is not proven that the policy has an effect in spite of it.
        if (boundary or not role.permissions_boundary) and _administers(
            role, _known(arn, document or reads.documents.get(arn)), boundary
        ):
            yield Finding(
                Code.POLICY_ADMINISTERS,
                f"the listed policy {arn} lets role {role.name} administer the account.",
                "List a policy with only the permissions that the workload needs, or set role.permissions_boundary.",
                shared.keys[0],
                raised_as="warning",
            )
