# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check whether a trust policy lets EKS Pod Identity use a role for a workload, and for which other workloads.

A role is usable if its trust policy allows sts:AssumeRole together with sts:TagSession. Without session tags, AWS
STS does not require sts:TagSession, but EKS still rejects a role whose trust policy does not allow both actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.evaluate import ALLOWED, CONDITIONAL, Layer, Verdict, evaluate
from ..evaluation.pods import ACTIONS, SERVICE, Subject, pod_identity_context
from ..evaluation.rules import Request, Rule, build_rules
from ..language.canonical import display, policy_finding_row
from ..language.conditions import describe_action, describe_condition
from ..language.context import Context
from ..language.document import (
    Policy,
    PolicyDocument,
    Statement,
    document_statements,
    load_document,
    parse_policy,
)
from ..language.resources import Caller
from .diagnose import diagnose, lint
from .statements import BARE_SID

# The session tags that identify a workload.
YES, NO = "yes", "no"
IDENTIFYING = ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")


@dataclass(frozen=True, slots=True)
class Remedy:
    """The parts of a statement that would allow a workload.

    ``principal`` is the Principal element, and ``equals`` has the StringEquals conditions. ``identity`` has the conditions that
    together match only this workload; it is empty if no such conditions are known. ``caller`` is the condition (negated
    operator, key, value) that exempts the caller from a Deny. ``unsafe`` is set if the statement needs a condition on
    sts:ExternalId but the value is unknown: without that condition, every workload with the caller's role would be allowed.
    """

    sid: str
    principal: Mapping[str, str]
    equals: Mapping[str, str]
    identity: Mapping[str, str]
    caller: tuple[str, str, str]
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The requests to evaluate in order to decide whether a workload, the ``subject``, can use a role.

    ``requests`` are sts:AssumeRole and sts:TagSession; the result reports the decision on both. ``needed`` has only the requests
    that must be allowed together for the role to be usable. ``context_for`` returns the condition keys of the requests for a
    workload, which may be another one than ``subject``. ``remedy`` has the parts of a statement that would allow the workload.
    """

    subject: Subject
    requests: tuple[Request, ...]
    needed: tuple[Request, ...]
    context_for: Callable[[Subject], Context]
    remedy: Remedy

    @property
    def context(self) -> Context:
        return self.context_for(self.subject)


def pod_identity_inquiry(subject: Subject) -> Inquiry:
    """Build the requests with which EKS Pod Identity assumes a role for a workload."""
    tags = identifying_tags(subject)
    account = {"aws:SourceAccount": subject.account} if subject.account else {}
    caller = Caller(service=SERVICE)
    requests = tuple(Request(action, None, caller) for action in ACTIONS)
    return Inquiry(
        subject,
        requests,
        requests,
        pod_identity_context,
        Remedy(
            sid=BARE_SID,
            principal={"Service": SERVICE},
            equals={**account, **tags},
            identity=complete_identity(tags),
            caller=("StringNotEquals", "aws:PrincipalServiceName", SERVICE),
        ),
    )


def identifying_tags(subject: Subject) -> dict[str, str]:
    """Return the known session tags that identify a workload, by condition key such as aws:RequestTag/eks-cluster-arn.

    If the ARN of the cluster is unknown, the tag with the name of the cluster is used instead. Without session tags the
    result is empty.
    """
    if not subject.session_tags:
        return {}
    tags = subject.tags()
    cluster, *workload = IDENTIFYING
    names = (cluster if tags[cluster] else "eks-cluster-name", *workload)
    return {f"aws:RequestTag/{name}": value for name in names if (value := tags[name])}


def complete_identity(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return the tags if they identify exactly one workload, otherwise an empty mapping."""
    return tags if {f"aws:RequestTag/{name}" for name in IDENTIFYING} <= set(tags) else {}


# A name that no cluster, namespace or service account can have.
_STRANGER = "~another~"


# A group of other workloads that a trust policy allows: every workload of the account, of the cluster or of the namespace, or the
# workload of the same name in every cluster.
Width = Literal["account", "namesake", "cluster", "namespace"]


def reach(rules: Sequence[Rule], inquiry: Inquiry) -> tuple[Width, ...]:
    """Return the groups of other workloads that a trust policy certainly allows.

    To find the groups, the function evaluates example workloads with invented names.

    :arg inquiry: the result of ``pod_identity_inquiry``.
    """
    subject = inquiry.subject
    account = subject.account
    stranger = replace(
        subject,
        cluster_arn=f"arn:aws:eks:us-east-1:{account}:cluster/{_STRANGER}" if account else None,
        cluster=_STRANGER,
        namespace=_STRANGER,
        service_account=_STRANGER,
        pod_name=None,
        pod_uid=None,
    )
    if _allows_subject(rules, inquiry, stranger):
        return ("account",)
    if not subject.session_tags:
        return ()
    widths: list[Width] = []
    namesake = replace(stranger, namespace=subject.namespace, service_account=subject.service_account)
    if _allows_subject(rules, inquiry, namesake):
        widths.append("namesake")
    neighbour = replace(stranger, cluster_arn=subject.cluster_arn, cluster=subject.cluster)
    if _allows_subject(rules, inquiry, neighbour):
        widths.append("cluster")
    elif _allows_subject(rules, inquiry, replace(neighbour, namespace=subject.namespace)):
        widths.append("namespace")
    return tuple(widths)


def _allows_subject(rules: Sequence[Rule], inquiry: Inquiry, subject: Subject) -> bool:
    return judge(rules, inquiry.needed, pod_identity_context(subject)).usable == YES


_WIDTHS: Mapping[Width, tuple[Severity, str]] = {
    "account": ("warning", "every workload of every cluster in the account"),
    "namesake": ("warning", "the same workload of every cluster in the account"),
    "cluster": ("info", "every workload of the cluster"),
    "namespace": ("info", "every service account of the namespace"),
}


def wide(width: Width) -> Finding:
    """Return the finding about a group of other workloads that a trust policy allows."""
    severity, workloads = _WIDTHS[width]
    return Finding(
        Code.TRUST_WIDE,
        f"The policy allows {workloads} to use the role once an association refers to it.",
        "Add conditions on aws:SourceAccount and, with session tags, aws:RequestTag/eks-cluster-arn,"
        " aws:RequestTag/kubernetes-namespace and aws:RequestTag/kubernetes-service-account.",
        raised_as=severity,
    )


@dataclass(frozen=True, slots=True)
class TrustVerdict:
    """The result of the check whether a workload can use a role.

    ``usable`` is "yes", "no" or "conditional"; ``assume_role`` and ``tag_session`` are "allowed", "denied" or "conditional".
    ``trust_policy`` is the document in a uniform form. If ``usable`` is "conditional", ``conditional_on`` has the unknown
    condition keys of the statements that may determine the answer.
    """

    usable: str
    assume_role: str
    tag_session: str
    conditional_on: tuple[str, ...]
    findings: tuple[Finding, ...]
    trust_policy: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        """Return the answer as a dictionary for the module result."""
        return {
            "usable": self.usable,
            "assume_role": self.assume_role,
            "tag_session": self.tag_session,
            "conditional_on": list(map(visible, self.conditional_on)),
            "findings": [policy_finding_row(finding) for finding in self.findings],
            "trust_policy": self.trust_policy,
        }


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A trust policy, compiled for checks of any number of workloads. ``lints`` has the findings of ``lint``."""

    document: PolicyDocument
    policy: Policy
    rules: tuple[Rule, ...]
    lints: tuple[Finding, ...]


def prepare_trust(document: object) -> TrustPolicy:
    """Compile a trust policy for checks.

    :arg document: a dict, JSON text, URL-encoded JSON text, a ``Policy``, or a ``TrustPolicy``, which is returned unchanged.
    :raises PolicyError: when ``document`` is not a trust policy.
    """
    if isinstance(document, TrustPolicy):
        return document
    content = load_document(display(document) if isinstance(document, Policy) else document)
    policy = document if isinstance(document, Policy) else parse_policy(content, "trust")
    rules = build_rules(policy)
    return TrustPolicy(content, policy, rules, tuple(lint(rules)))


def check_trust(document: object, subject: Subject) -> TrustVerdict:
    """Check whether EKS Pod Identity can use a role with this trust policy for a workload.

    :arg document: the trust policy, in any form that ``prepare_trust`` accepts.
    :raises PolicyError: when ``document`` is not a trust policy.
    """
    trust = prepare_trust(document)
    inquiry = pod_identity_inquiry(subject)
    verdict = check_requests(trust, inquiry)
    foreign = foreign_role_finding(subject)
    if foreign is not None:
        return replace(verdict, usable=NO, conditional_on=(), findings=(foreign, *verdict.findings))
    exposures = tuple(map(wide, reach(trust.rules, inquiry)))
    return replace(verdict, findings=(*verdict.findings, *exposures)) if exposures else verdict


def is_usable(trust: TrustPolicy, subject: Subject) -> bool:
    """Return whether ``check_trust`` would report the role as usable.

    This function is faster than ``check_trust``, because it does not explain the answer.
    """
    if foreign_role_finding(subject) is not None:
        return False
    inquiry = pod_identity_inquiry(subject)
    return judge(trust.rules, inquiry.needed, inquiry.context).usable == YES


def check_requests(trust: TrustPolicy, inquiry: Inquiry) -> TrustVerdict:
    """Check whether a trust policy allows the requests of an inquiry."""
    rules, context = trust.rules, inquiry.context
    usability = judge(rules, inquiry.needed, context)
    verdicts = judge(rules, inquiry.requests, context).verdicts
    findings = diagnose(rules, inquiry.needed, context, usability.usable, inquiry.subject.session_tags)
    findings.extend(trust.lints)
    if usability.usable == CONDITIONAL:
        findings.append(_conditional(usability.keys, inquiry.subject.session_tags))
    return TrustVerdict(
        usable=usability.usable,
        assume_role=_decision(verdicts[0]),
        tag_session=_decision(verdicts[1]),
        conditional_on=usability.keys,
        findings=tuple(findings),
        trust_policy=display(trust.policy),
    )


@dataclass(frozen=True, slots=True)
class TrustAnswer:
    """The answer to whether all requests of a caller are allowed: "yes", "no" or "conditional", with the verdict on each."""

    usable: str
    verdicts: tuple[Verdict, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the condition keys on which the answer depends."""
        verdicts = self.verdicts if self.usable == CONDITIONAL else ()
        return tuple(dict.fromkeys(key for verdict in verdicts for key in verdict.conditional_on))


def judge(rules: Sequence[Rule], requests: Sequence[Request], context: Context) -> TrustAnswer:
    """Evaluate whether a trust policy allows all of the requests."""
    layers = (Layer("trust", tuple(rules)),)
    verdicts = tuple(evaluate(layers, request, context) for request in requests)
    if any(verdict.denied for verdict in verdicts):
        return TrustAnswer(NO, verdicts)
    return TrustAnswer(YES if all(v.decision == ALLOWED for v in verdicts) else CONDITIONAL, verdicts)


def foreign_role_finding(subject: Subject) -> Finding | None:
    """Return a finding if EKS certainly rejects the role, because the role and the cluster belong to different accounts."""
    accounts = [(arn or "").split(":")[4:5] for arn in (subject.cluster_arn, subject.role_arn)]
    if not all(accounts) or accounts[0] == accounts[1]:
        return None
    return Finding(
        Code.TRUST_ROLE_IN_OTHER_ACCOUNT,
        f"The role is in account {accounts[1][0]}, the cluster in {accounts[0][0]}: EKS rejects"
        " a role of another account, whatever its trust policy allows.",
        "Use a role in the cluster's account, and set this role as the target role of the association.",
    )


# The option of iam_trust_policy_check that sets the value of a condition key, by the key in lower case.
_OPTIONS = {
    f"aws:{family}/{tag}": option
    for family in ("requesttag", "principaltag")
    for tag, option in {
        "eks-cluster-arn": "cluster_arn",
        "eks-cluster-name": "cluster_name",
        "kubernetes-namespace": "namespace",
        "kubernetes-service-account": "service_account",
        "kubernetes-pod-name": "pod_name",
        "kubernetes-pod-uid": "pod_uid",
    }.items()
} | {
    "aws:sourceaccount": "account_id",
    "aws:sourceorgid": "source_org_id",
    "aws:principalarn": "pod_identity_role_arn",
}
_EXTERNAL_ID = "sts:externalid"


def _conditional(keys: Sequence[str], session_tags: bool) -> Finding:
    options = [f"{key} (option {_OPTIONS[key.lower()]})" for key in keys if key.lower() in _OPTIONS]
    rest = [key for key in keys if key.lower() not in _OPTIONS]
    remedies = [f"Set the value of {', '.join(options)} to get a definite answer."] if options else []
    if session_tags and any(key.lower() == _EXTERNAL_ID for key in rest):
        remedies.append(
            "AWS documents sts:ExternalId only for associations without session tags: disable the tags (session_tags: false "
            "here, and disable_session_tags: true on the association), or remove the condition."
        )
        rest = [key for key in rest if key.lower() != _EXTERNAL_ID]
    if rest:
        those = "this key" if len(rest) == 1 else "these keys"
        remedies.append(
            f"There is no option for {', '.join(rest)}: ensure that the conditions on {those} hold for the Pods, or "
            "remove the conditions."
        )
    return Finding(
        Code.TRUST_CONDITIONAL,
        f"Whether the policy allows the workload depends on unknown values of {', '.join(keys)}.",
        " ".join(remedies),
    )


def _decision(verdict: Verdict) -> str:
    return verdict.decision if verdict.decision in (ALLOWED, CONDITIONAL) else "denied"


@dataclass(frozen=True, slots=True)
class Denial:
    """A Deny statement of a trust policy.

    ``label`` has the position and the Sid of the statement, ``text`` describes its effect, such as "denies sts:AssumeRole to
    everyone", and ``statement`` is the statement itself. ``applies`` states whether the statement denies a request that the
    workload needs, and is None if the answer depends on unknown condition keys.
    """

    label: str
    text: str
    statement: Mapping[str, object]
    applies: bool | None


def find_denials(trust: TrustPolicy, subject: Subject) -> list[Denial]:
    """Return the Deny statements of a trust policy, and for each of them whether it denies a request of the workload."""
    statements = document_statements(trust.document)
    inquiry = pod_identity_inquiry(subject)
    return [
        Denial(
            rule.statement.label,
            _summarize_statement(rule.statement),
            dict(statement),
            find_effect(rule, inquiry),
        )
        for rule, statement in zip(trust.rules, statements, strict=True)
        if isinstance(statement, Mapping) and not rule.allow
    ]


def find_effect(rule: Rule, inquiry: Inquiry) -> bool | None:
    """Return whether a statement applies to a needed request, or None if that depends on unknown condition keys."""
    context = inquiry.context
    answers = {rule.applies(request, context) for request in inquiry.needed}
    return True if True in answers else None if None in answers else False


def _summarize_statement(statement: Statement) -> str:
    actions = ", ".join(map(describe_action, statement.actions))
    principals = dict.fromkeys(
        "everyone" if value == "*" else value for _kind, value in statement.principals or ()
    )
    names = ", ".join(principals)
    conditions = " and ".join(map(describe_condition, statement.conditions))
    return (
        f"denies {'everything except ' if statement.not_action else ''}{actions} to "
        f"{'everyone except ' if statement.not_principal else ''}{names}"
        f"{f' where {conditions}' if conditions else ''}"
    )
