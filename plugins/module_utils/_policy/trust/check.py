# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a trust policy for a workload, and check whether a pod identity role can assume a target role.

The pod identity role is the role of an association. If the association also has a target role, the session of the pod identity
role assumes the target role. Two policies must allow this: the trust policy of the target role (``check_chain``), and the
identity policies of the pod identity role (``check_chain_permissions``). If both roles are in one account and the trust policy
names the ARN of the pod identity role, its identity policies need no Allow; a Deny or a permissions boundary still counts. If it
names a session of the role or everyone, the boundary may need no Allow either.
Source: IAM User Guide, "Policy evaluation logic", for requests within one account and across accounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..evaluation.evaluate import Layer
from ..evaluation.pods import ACTIONS, ASSUME_ROLE, Subject, chained_context, pod_context
from ..evaluation.rules import Request, Rule, build_rules
from ..grammar.storable import Storability, storability
from ..language.context import Context
from ..language.document import parse_policy
from ..language.resources import Caller
from ..permissions.permissions import PermissionVerdict, Required, check_permission
from .repair import Suggestion, existing_principals, suggest
from .trust import (
    Inquiry,
    Remedy,
    TrustPolicy,
    TrustVerdict,
    check_requests,
    check_trust,
    complete_identity,
    foreign_role_finding,
    identifying_tags,
    judge,
    pod_identity_inquiry,
    prepare_trust,
)


def check_chain(
    document: object,
    subject: Subject,
    *,
    target_role_arn: str | None = None,
    external_id: str | None = None,
) -> TrustVerdict:
    """Check whether the trust policy of a target role allows the session of a pod identity role.

    :arg document: the trust policy, in any form that ``prepare_trust`` accepts.
    :arg subject: the workload; its ``role_arn`` is the pod identity role.
    :arg target_role_arn: the ARN of the target role, or None if it is unknown.
    :arg external_id: the external ID of the association; by default it is composed from the subject.
    :raises PolicyError: when ``document`` is not a trust policy.
    :raises ValueError: when ``subject.role_arn`` is missing.
    """
    return check_requests(prepare_trust(document), _chain_inquiry(subject, target_role_arn, external_id))


def _chain_inquiry(
    subject: Subject, target_role_arn: str | None = None, external_id: str | None = None
) -> Inquiry:
    """Build the requests with which the session of a pod identity role assumes the target role of the association.

    :raises ValueError: when ``subject.role_arn`` is missing.
    """
    if not subject.role_arn:
        raise ValueError("subject.role_arn is missing; set it to the ARN of the pod identity role")
    caller = Caller(role_arn=subject.role_arn)
    tags = identifying_tags(subject)
    expected = external_id or subject.external_id
    id_condition = {"sts:ExternalId": expected} if expected and not subject.session_tags else {}

    def context_for(other: Subject) -> Context:
        # ``external_id`` belongs to the association of this workload. Another workload has another external ID.
        is_same = replace(other, pod_name=None, pod_uid=None) == replace(subject, pod_name=None, pod_uid=None)
        return chained_context(other, target_role_arn, external_id if is_same else None)

    requests = tuple(Request(action, None, caller) for action in ACTIONS)
    return Inquiry(
        subject,
        requests,
        requests if subject.session_tags else requests[:1],
        context_for,
        Remedy(
            sid="AllowPodIdentityRole",
            principal={"AWS": subject.role_arn},
            equals={**tags, **id_condition},
            identity=id_condition or complete_identity(tags),
            caller=("ArnNotEquals", "aws:PrincipalArn", subject.role_arn),
            unsafe=not subject.session_tags and not id_condition,
        ),
    )


def judge_session(rules: Sequence[Rule], role_arn: str, context: Context, action: str = ASSUME_ROLE) -> str:
    """Decide whether a trust policy allows a session of another role an action: yes, no or conditional.

    A statement that names single sessions of the role depends on the name of the session.

    :arg rules: the statements of the trust policy.
    :arg role_arn: the role of the session.
    :arg context: the condition keys of its requests. What the session may choose, such as the external ID, is unknown in it.
    """
    caller = Caller(role_arn=role_arn)
    sessions = [
        replace(caller, session_arn=value)
        for value in {value for rule in rules for _kind, value in rule.statement.principals or ()}
        if caller.has_session(value)
    ]
    usable, *by_session = (
        judge(rules, (Request(action, None, entry),), context).usable for entry in (caller, *sessions)
    )
    return "conditional" if usable == "no" and set(by_session) - {"no"} else usable


# The Allow that replaces the one of the identity policies of a role, by the answer whether a trust policy names the role.
_NAMED: Mapping[str, tuple[Rule, ...]] = {
    answer: build_rules(
        parse_policy(
            {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", **condition}}, "identity"
        )
    )
    for answer, condition in (
        ("yes", {}),
        ("conditional", {"Condition": {"Bool": {"the trust policy of the target role": "true"}}}),
    )
}


def check_assumption(
    layers: Sequence[Layer],
    required: Required,
    context: Context,
    role_arn: str,
    trust: TrustPolicy | None,
    trust_context: Context,
) -> PermissionVerdict:
    """Check whether the policies of a role allow an action on a target role.

    If a statement of a trust policy in the same account names the role and allows it the action, the identity policies need no
    Allow. If it names a session of the role, or everyone with a condition on aws:PrincipalArn, a permissions boundary and a
    session policy need no Allow either. AWS does not document this for everyone without the condition, and the name of the
    session is unknown, so there, and without the trust policy, this is not certain. Source: IAM User Guide, "AWS JSON policy
    elements: Principal".

    :arg layers: the identity policies of the role, and the policies that limit them.
    :arg trust: the trust policy of the target role, or None if it is unknown.
    :arg trust_context: the condition keys of the request for the evaluation of the trust policy.
    """
    is_foreign = role_arn.split(":")[4:5] != required.resource.split(":")[4:5]
    by_role, by_session = (
        ("no", "no") if is_foreign else _judge_named(trust, role_arn, trust_context, required.action)
    )
    answers = (by_session if by_role == "no" else by_role, *(by_session for _layer in layers[1:]))
    return check_permission(
        [
            replace(layer, rules=(*layer.rules, *_NAMED.get(answer, ())))
            for layer, answer in zip(layers, answers, strict=True)
        ],
        required,
        context,
    )


def _judge_named(trust: TrustPolicy | None, role_arn: str, context: Context, action: str) -> tuple[str, str]:
    """Decide whether statements that name a role allow it an action, and statements that name its sessions or everyone.

    The second answer is never "yes".
    """
    if trust is None:
        return "conditional", "conditional"
    caller = Caller(role_arn=role_arn)
    by_role, by_session = (
        judge_session(
            [
                rule
                for rule in trust.rules
                if rule.allow
                and any(
                    (value == "*" or caller.has_session(value)) if is_session else value == role_arn
                    for _kind, value in rule.statement.principals or ()
                )
            ],
            role_arn,
            context,
            action,
        )
        for is_session in (False, True)
    )
    return by_role, "no" if by_session == "no" else "conditional"


def check_chain_permissions(
    layers: Sequence[Layer],
    subject: Subject,
    target_role_arn: str,
    trust: object,
    *,
    external_id: str | None = None,
    role_tags: Mapping[str, str] | None = None,
) -> tuple[PermissionVerdict, ...]:
    """Check whether the policies of a pod identity role allow the actions that it needs on a target role.

    :arg layers: the identity policies and the permissions boundary of the pod identity role, without the session policy of the
        association, because that policy limits the session of the target role.
    :arg trust: the trust policy of the target role, in any form that ``prepare_trust`` accepts, or None if it is unknown.
    :arg external_id: the external ID of the association; by default it is composed from the subject.
    :arg role_tags: the tags of the pod identity role, or None if they are unknown.
    :returns: the decision on sts:AssumeRole and, unless session tags are disabled, on sts:TagSession.
    """
    context = pod_context(subject, role_tags)
    chained = chained_context(subject, target_role_arn, external_id)
    prepared = None if trust is None else prepare_trust(trust)
    return tuple(
        check_assumption(
            layers, Required(action, target_role_arn), context, str(subject.role_arn), prepared, chained
        )
        for action in (ACTIONS if subject.session_tags else (ASSUME_ROLE,))
    )


@dataclass(frozen=True, slots=True)
class TrustCheck:
    """The result of ``check_policy``.

    ``suggestion`` is None unless ``verdict.usable`` is "no" and a change of the policy can make the role usable.
    """

    verdict: TrustVerdict
    storable: Storability
    suggestion: Suggestion | None

    def as_dict(self) -> dict[str, object]:
        """Return the check as a dictionary for the module result."""
        return {
            **self.verdict.as_dict(),
            "storable": self.storable.answer,
            "storable_reasons": self.storable.rows,
            "suggestion": self.suggestion.as_dict() if self.suggestion else None,
        }


def check_policy(
    document: object,
    subject: Subject,
    *,
    chained: bool = False,
    target_role_arn: str | None = None,
    external_id: str | None = None,
    stored: bool = False,
) -> TrustCheck:
    """Check whether a workload can use a role with this trust policy, and whether IAM accepts the policy. Suggest a change.

    :arg document: the trust policy, in any form that ``prepare_trust`` accepts.
    :arg chained: whether the policy belongs to a target role, which the session of ``subject.role_arn`` assumes.
    :arg target_role_arn: the ARN of the target role, if ``chained``.
    :arg external_id: the external ID of the association, if ``chained``; by default it is composed from the subject.
    :arg stored: whether the policy was read from IAM. If it was not, a policy that IAM would reject makes the role unusable.
    :raises PolicyError: when ``document`` is not a trust policy.
    :raises ValueError: when ``chained`` is set and ``subject.role_arn`` is missing.
    """
    trust = prepare_trust(document)
    chain = _chain_inquiry(subject, target_role_arn, external_id) if chained else None
    verdict = check_trust(trust, subject) if chain is None else check_requests(trust, chain)
    inquiry = chain or pod_identity_inquiry(subject)
    judged = (
        Storability()
        if stored
        else storability(trust.document, "trust", existing=existing_principals(inquiry))
    )
    if judged.answer == "no":
        refusals = tuple(
            Finding(
                Code.TRUST_NOT_STORABLE,
                f"IAM rejects the document: {reason.text}.",
                reason.remedy,
                statement=reason.statement,
            )
            for reason in judged.refusals
        )
        verdict = replace(verdict, usable="no", conditional_on=(), findings=(*refusals, *verdict.findings))
    helps = verdict.usable == "no" and (chained or foreign_role_finding(subject) is None)
    return TrustCheck(verdict, judged, suggest(trust, inquiry, stored) if helps else None)
