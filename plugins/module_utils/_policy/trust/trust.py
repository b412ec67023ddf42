# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Evaluate whether EKS Pod Identity can use a role with a trust policy for a workload, and whether other workloads can.

A role is usable if its trust policy allows sts:AssumeRole and sts:TagSession in the same request. Without session tags the
request to AWS STS does not need sts:TagSession, but EKS rejects a role whose trust policy does not allow both, whatever the
settings of the association.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.evaluate import ALLOWED, Layer, Verdict, ask, evaluate_together
from ..evaluation.request import ACTIONS, SERVICE, Subject, pod_identity_context
from ..evaluation.rules import CONDITIONAL, Answer, Question, Request, Rule, Witness, build_rules, witness_row
from ..language.canonical import display, policy_finding_row
from ..language.conditions import describe_action, describe_condition
from ..language.context import Context
from ..language.document import Policy, PolicyDocument, Statement, load_document, parse_policy
from ..language.resources import Caller
from .diagnose import diagnose, lint
from .statements import BARE_SID

# The session tags that identify a workload.
IDENTIFYING = ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")


@dataclass(frozen=True, slots=True)
class Remedy:
    """A statement that allows the workload: ``principal`` with the conditions ``equals``.

    ``identity`` has the conditions that together identify this workload. It is empty if a value is unknown, or its requests
    have no identifying keys. ``caller`` is the negated condition (operator, key, value) that exempts the caller from a Deny.
    It is ``unsafe`` if the statement needs a condition on sts:ExternalId, whose value is unknown: without the condition it
    would allow every workload with the caller's role.
    """

    sid: str
    principal: Mapping[str, str]
    equals: Mapping[str, str]
    identity: Mapping[str, str]
    caller: tuple[str, str, str]
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The requests of a workload to use a role.

    ``requests`` are sts:AssumeRole and sts:TagSession, which are reported, and ``needed`` the requests that the workload
    cannot use the role without. ``context_for`` returns the keys of the request for this or another subject.
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
    """Build the inquiry whether EKS Pod Identity can use the role for this workload."""
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
    """Return the known identifying session tags by condition key, with the name of the cluster if its ARN is unknown."""
    if not subject.session_tags:
        return {}
    tags = subject.tags()
    cluster, *workload = IDENTIFYING
    names = (cluster if tags[cluster] else "eks-cluster-name", *workload)
    return {f"aws:RequestTag/{name}": value for name in names if (value := tags[name])}


def complete_identity(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return the tags if they have all identifying tags, otherwise nothing."""
    return tags if {f"aws:RequestTag/{name}" for name in IDENTIFYING} <= set(tags) else {}


_STRANGER = "~another~"


def reach(rules: Sequence[Rule], inquiry: Inquiry) -> tuple[Finding, ...]:
    """Return findings on a role that allows further workloads, the widest first.

    A target role has no such findings: it allows every session of the role in its trust policy.
    """
    if "Service" not in inquiry.remedy.principal:
        return ()
    subject = inquiry.subject
    layers = (Layer("trust", tuple(rules)),)
    questions = [ask(layers, request) for request in inquiry.needed]
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
    if _allows(questions, stranger):
        return (_wide(Code.TRUST_ACCOUNT_WIDE, "warning", "every workload of every cluster in the account"),)
    if not subject.session_tags:
        return ()
    findings = []
    namesake = replace(stranger, namespace=subject.namespace, service_account=subject.service_account)
    if _allows(questions, namesake):
        findings.append(
            _wide(Code.TRUST_ANY_CLUSTER, "warning", "the same workload of every cluster in the account")
        )
    neighbour = replace(stranger, cluster_arn=subject.cluster_arn, cluster=subject.cluster)
    if _allows(questions, neighbour):
        findings.append(_wide(Code.TRUST_CLUSTER_WIDE, "info", "every workload of the cluster"))
    elif _allows(questions, replace(neighbour, namespace=subject.namespace)):
        findings.append(_wide(Code.TRUST_NAMESPACE_WIDE, "info", "every service account of the namespace"))
    return tuple(findings)


def _allows(questions: Sequence[Question], subject: Subject) -> bool:
    context = pod_identity_context(subject)
    return all(question.allowed(context) is True for question in questions)


def _wide(code: Code, severity: Severity, workloads: str) -> Finding:
    return Finding(
        code,
        f"The policy allows {workloads} to use the role once an association refers to it.",
        "Add conditions on aws:SourceAccount and, with session tags, aws:RequestTag/eks-cluster-arn,"
        " aws:RequestTag/kubernetes-namespace and aws:RequestTag/kubernetes-service-account.",
        raised_as=severity,
    )


@dataclass(frozen=True, slots=True)
class TrustVerdict:
    """The verdict on a trust policy.

    ``usable`` is "yes", "no" or "conditional", ``assume_role`` and ``tag_session`` are "allowed", "denied" or "conditional".
    Only "conditional" has witnesses and may be ``undecided`` (see ``Answer``).
    """

    usable: str
    assume_role: str
    tag_session: str
    conditional_on: tuple[str, ...]
    findings: tuple[Finding, ...]
    trust_policy: dict[str, object]
    allowed_when: Witness | None = None
    denied_when: Witness | None = None
    undecided: bool = False

    def as_dict(self) -> dict[str, object]:
        """Return the result of a module."""
        return {
            "usable": self.usable,
            "assume_role": self.assume_role,
            "tag_session": self.tag_session,
            "conditional_on": list(map(visible, self.conditional_on)),
            "allowed_when": witness_row(self.allowed_when),
            "denied_when": witness_row(self.denied_when),
            "undecided": self.undecided,
            "findings": [policy_finding_row(finding) for finding in self.findings],
            "trust_policy": self.trust_policy,
        }


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A trust policy, compiled for the check of any number of workloads."""

    document: PolicyDocument
    policy: Policy
    rules: tuple[Rule, ...]
    lints: tuple[Finding, ...]


def prepare_trust(document: object) -> TrustPolicy:
    """Compile a trust policy: a dict, JSON text, URL-encoded JSON text, or a ``Policy``. Return a ``TrustPolicy`` unchanged.

    :raises PolicyError: when it is not a trust policy document.
    """
    if isinstance(document, TrustPolicy):
        return document
    content = load_document(display(document) if isinstance(document, Policy) else document)
    policy = document if isinstance(document, Policy) else parse_policy(content, "trust")
    rules = build_rules(policy)
    return TrustPolicy(content, policy, rules, tuple(lint(rules)))


def check_trust(document: object, subject: Subject) -> TrustVerdict:
    """Check a trust policy for a workload.

    :arg document: in any form that ``prepare_trust`` accepts.
    :raises PolicyError: when it is not a trust policy document.
    """
    trust = prepare_trust(document)
    inquiry = pod_identity_inquiry(subject)
    verdict = check_requests(trust, inquiry)
    foreign = _foreign_role(subject)
    if foreign is not None:
        return replace(
            verdict,
            usable="no",
            conditional_on=(),
            allowed_when=None,
            denied_when=None,
            undecided=False,
            findings=(foreign, *verdict.findings),
        )
    exposures = reach(trust.rules, inquiry)
    return replace(verdict, findings=(*verdict.findings, *exposures)) if exposures else verdict


def is_usable(trust: TrustPolicy, subject: Subject) -> bool:
    """Return whether ``check_trust`` would return "yes", without a diagnosis."""
    if is_foreign(subject):
        return False
    inquiry = pod_identity_inquiry(subject)
    _verdicts, answer = _judge(trust.rules, inquiry.needed, inquiry.context)
    return answer.proven is True


def check_requests(trust: TrustPolicy, inquiry: Inquiry) -> TrustVerdict:
    """Check a trust policy for the requests of an inquiry."""
    rules, context = trust.rules, inquiry.context
    verdicts, answer = _judge(rules, inquiry.requests, context)
    if inquiry.needed != inquiry.requests:
        _verdicts, answer = _judge(rules, inquiry.needed, context)
    usable = answer.proven
    findings = diagnose(rules, inquiry.needed, context, usable, inquiry.subject.session_tags)
    findings.extend(trust.lints)
    if usable is None:
        findings.append(_conditional(answer.keys, inquiry.subject.session_tags))
    return TrustVerdict(
        usable=answer.decision,
        assume_role=_decision(verdicts[0]),
        tag_session=_decision(verdicts[1]),
        conditional_on=answer.keys,
        findings=tuple(findings),
        trust_policy=display(trust.policy),
        allowed_when=answer.allowed_when,
        denied_when=answer.denied_when,
        undecided=answer.undecided,
    )


def _judge(
    rules: Sequence[Rule], requests: Sequence[Request], context: Context
) -> tuple[tuple[Verdict, ...], Answer]:
    return evaluate_together((Layer("trust", tuple(rules)),), requests, context)


def is_foreign(subject: Subject) -> bool:
    """Return whether EKS rejects the role because it belongs to another account than the cluster."""
    return _foreign_role(subject) is not None


def _foreign_role(subject: Subject) -> Finding | None:
    accounts = [(arn or "").split(":")[4:5] for arn in (subject.cluster_arn, subject.role_arn)]
    if not all(accounts) or accounts[0] == accounts[1]:
        return None
    return Finding(
        Code.TRUST_ROLE_IN_OTHER_ACCOUNT,
        f"The role is in account {accounts[1][0]}, the cluster in {accounts[0][0]}: EKS rejects"
        " a role of another account, whatever its trust policy allows.",
        "Use a role in the cluster's account, and set this role as the target role of the association.",
    )


# The options of iam_trust_policy_check for the values of condition keys, by lower-case key.
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


def _conditional(keys: tuple[str, ...], session_tags: bool) -> Finding:
    options = [f"{key} (option {_OPTIONS[key.lower()]})" for key in keys if key.lower() in _OPTIONS]
    rest = [key for key in keys if key.lower() not in _OPTIONS]
    remedies = [f"Set the value of {', '.join(options)} to get a definite answer."] if options else []
    if session_tags and any(key.lower() == _EXTERNAL_ID for key in rest):
        remedies.append(
            "EKS sends sts:ExternalId only without session tags: disable them (session_tags: false here, and "
            "disable_session_tags: true on the association), or remove the condition."
        )
        rest = [key for key in rest if key.lower() != _EXTERNAL_ID]
    if rest:
        remedies.append(
            f"There is no option for {', '.join(rest)}: ensure that its condition holds for the Pods, or remove it."
        )
    return Finding(
        Code.TRUST_CONDITIONAL,
        f"The policy allows some requests and denies others, depending on {', '.join(keys)}.",
        " ".join(remedies),
    )


def _decision(verdict: Verdict) -> str:
    if verdict.decision in (ALLOWED, CONDITIONAL):
        return verdict.decision
    return "denied"


@dataclass(frozen=True, slots=True)
class Denial:
    """A Deny statement of a trust policy.

    ``label`` has its position and Sid, ``text`` describes it in a clause, and ``statement`` is the stored statement.
    ``applies`` is None if that depends on unknown values.
    """

    label: str
    text: str
    statement: Mapping[str, object]
    applies: bool | None


def find_denials(trust: TrustPolicy, subject: Subject) -> list[Denial]:
    """Return the Deny statements, and whether each denies a request that the workload needs to use the role."""
    stored = trust.document["Statement"]
    statements = stored if isinstance(stored, list) else [stored]
    inquiry = pod_identity_inquiry(subject)
    return [
        Denial(rule.statement.label, _describe(rule.statement), dict(statement), _applies(rule, inquiry))
        for rule, statement in zip(trust.rules, statements, strict=True)
        if not rule.allow
    ]


def _applies(rule: Rule, inquiry: Inquiry) -> bool | None:
    context = inquiry.context
    answers = {rule.applies(request, context) for request in inquiry.needed if rule.concerns(request)}
    return True if True in answers else None if None in answers else False


def _describe(statement: Statement) -> str:
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
