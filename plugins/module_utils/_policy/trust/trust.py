# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Can EKS Pod Identity use a role with this trust policy, for this workload? And who else can?

``usable`` means sts:AssumeRole and sts:TagSession in the same request. With session tags disabled the request to AWS STS
carries no tags and would not need sts:TagSession; but EKS rejects a role whose trust policy does not allow both, whatever
the association's settings, so both are required.
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

# The session tags that tell a workload from every other.
IDENTIFYING = ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")


@dataclass(frozen=True, slots=True)
class Remedy:
    """A statement that lets the workload in: ``principal`` with the conditions ``equals``.

    ``identity`` are those of ``equals`` that together name this workload and no other; it is empty when that is not
    possible, because something of the workload is not known or its requests carry nothing that names it. ``caller`` is
    the negated condition (operator, key, value) that leaves the caller out of a Deny. ``unsafe``: a statement without a
    condition on sts:ExternalId would let in whoever uses the caller's role, and its value is not known.
    """

    sid: str
    principal: Mapping[str, str]
    equals: Mapping[str, str]
    identity: Mapping[str, str]
    caller: tuple[str, str, str]
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Inquiry:
    """``requests`` are what is reported: sts:AssumeRole and sts:TagSession. ``needed`` are those of them without which
    the workload cannot use the role. ``context_for`` gives the keys of the request for any subject, so that others
    can be asked about, too."""

    subject: Subject
    requests: tuple[Request, ...]
    needed: tuple[Request, ...]
    context_for: Callable[[Subject], Context]
    remedy: Remedy

    @property
    def context(self) -> Context:
        return self.context_for(self.subject)


def pod_identity_inquiry(subject: Subject) -> Inquiry:
    """Can EKS Pod Identity use the role for this workload?"""
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
            identity=whole(tags),
            caller=("StringNotEquals", "aws:PrincipalServiceName", SERVICE),
        ),
    )


def identifying_tags(subject: Subject) -> dict[str, str]:
    """The known session tags that identify a workload, by condition key; the cluster's name where its ARN is not known."""
    if not subject.session_tags:
        return {}
    tags = subject.tags()
    cluster, *others = IDENTIFYING
    names = (cluster if tags[cluster] else "eks-cluster-name", *others)
    return {f"aws:RequestTag/{name}": value for name in names if (value := tags[name])}


def whole(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The tags when none of the identifying ones is missing, else nothing. Clusters of one name are in many regions."""
    return tags if {f"aws:RequestTag/{name}" for name in IDENTIFYING} <= set(tags) else {}


_STRANGER = "~another~"


def reach(rules: Sequence[Rule], inquiry: Inquiry) -> tuple[Finding, ...]:
    """Findings on a role that is open to more than this workload, the widest first, whether or not it is open to this one.

    A target role is another matter: it is open to whoever has the role that it names.
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
    if _lets_in(questions, stranger):
        return (_wide(Code.TRUST_ACCOUNT_WIDE, "warning", "every workload of every cluster in the account"),)
    if not subject.session_tags:
        return ()
    findings = []
    namesake = replace(stranger, namespace=subject.namespace, service_account=subject.service_account)
    if _lets_in(questions, namesake):
        findings.append(
            _wide(Code.TRUST_ANY_CLUSTER, "warning", "the same workload of every cluster in the account")
        )
    neighbour = replace(stranger, cluster_arn=subject.cluster_arn, cluster=subject.cluster)
    if _lets_in(questions, neighbour):
        findings.append(_wide(Code.TRUST_CLUSTER_WIDE, "info", "every workload of the cluster"))
    elif _lets_in(questions, replace(neighbour, namespace=subject.namespace)):
        findings.append(_wide(Code.TRUST_NAMESPACE_WIDE, "info", "every service account of the namespace"))
    return tuple(findings)


def _lets_in(questions: Sequence[Question], subject: Subject) -> bool:
    context = pod_identity_context(subject)
    return all(question.allowed(context) is True for question in questions)


def _wide(code: Code, severity: Severity, who: str) -> Finding:
    return Finding(
        code,
        f"The policy lets {who} use the role once an association names it.",
        "Add conditions on aws:SourceAccount and, with session tags, aws:RequestTag/eks-cluster-arn,"
        " aws:RequestTag/kubernetes-namespace and aws:RequestTag/kubernetes-service-account.",
        raised_as=severity,
    )


@dataclass(frozen=True, slots=True)
class TrustVerdict:
    """``usable`` is "yes", "no" or "conditional"; ``assume_role`` and ``tag_session`` are
    "allowed", "denied" or "conditional". The witnesses and ``undecided`` (see ``Answer``) are there
    only for "conditional"."""

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
        """For a module's result."""
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
    """A trust policy, prepared once for any number of workloads."""

    document: PolicyDocument
    policy: Policy
    rules: tuple[Rule, ...]
    lints: tuple[Finding, ...]


def prepare_trust(document: object) -> TrustPolicy:
    """Parse a trust policy: a dict, JSON text, URL-encoded JSON text, or a parsed ``Policy``; what is prepared stays.

    :raises PolicyError: when it is not a trust policy document.
    """
    if isinstance(document, TrustPolicy):
        return document
    given = load_document(display(document) if isinstance(document, Policy) else document)
    policy = document if isinstance(document, Policy) else parse_policy(given, "trust")
    rules = build_rules(policy)
    return TrustPolicy(given, policy, rules, tuple(lint(rules)))


def check_trust(document: object, subject: Subject) -> TrustVerdict:
    """Judge a trust policy for a workload.

    :arg document: what ``prepare_trust`` takes, or its result.
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
    """Whether ``check_trust`` would say "yes", without working out why not and what would help."""
    if is_foreign(subject):
        return False
    inquiry = pod_identity_inquiry(subject)
    _verdicts, answer = _judge(trust.rules, inquiry.needed, inquiry.context)
    return answer.proven is True


def check_requests(trust: TrustPolicy, inquiry: Inquiry) -> TrustVerdict:
    """Judge a trust policy for sts:AssumeRole and sts:TagSession of any caller."""
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
    """Whether EKS refuses the role, whatever its trust policy says, because it belongs to another account."""
    return _foreign_role(subject) is not None


def _foreign_role(subject: Subject) -> Finding | None:
    accounts = [(arn or "").split(":")[4:5] for arn in (subject.cluster_arn, subject.role_arn)]
    if not all(accounts) or accounts[0] == accounts[1]:
        return None
    return Finding(
        Code.TRUST_ROLE_IN_OTHER_ACCOUNT,
        f"The role is in account {accounts[1][0]}, the cluster in {accounts[0][0]}: EKS refuses to"
        " pass a role of another account, whatever the trust policy says.",
        "Use a role of the cluster's account, and name this one as the association's target role.",
    )


# By condition key in lower case, the option of iam_trust_policy_check that gives its value.
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
    given = [f"{key} (option {_OPTIONS[key.lower()]})" for key in keys if key.lower() in _OPTIONS]
    rest = [key for key in keys if key.lower() not in _OPTIONS]
    remedies = [f"Give the value of {', '.join(given)} to get a definite answer."] if given else []
    if session_tags and any(key.lower() == _EXTERNAL_ID for key in rest):
        remedies.append(
            "EKS sends sts:ExternalId only without session tags: turn them off (session_tags: false here, and "
            "disable_session_tags: true of the association), or remove the condition."
        )
        rest = [key for key in rest if key.lower() != _EXTERNAL_ID]
    if rest:
        remedies.append(
            f"No option gives {', '.join(rest)}: make sure that its condition holds for the Pods, or remove it."
        )
    return Finding(
        Code.TRUST_CONDITIONAL,
        f"The policy allows some requests and denies others; it turns on {', '.join(keys)}.",
        " ".join(remedies),
    )


def _decision(verdict: Verdict) -> str:
    if verdict.decision in (ALLOWED, CONDITIONAL):
        return verdict.decision
    return "denied"


@dataclass(frozen=True, slots=True)
class Denial:
    """A Deny statement of a trust policy.

    ``label`` has its position and Sid, ``text`` describes it in a clause, and ``statement`` is the statement as it is stored.
    ``applies`` is None where that depends on values that are not known.
    """

    label: str
    text: str
    statement: Mapping[str, object]
    applies: bool | None


def find_denials(trust: TrustPolicy, subject: Subject) -> list[Denial]:
    """Return each Deny statement, and whether it denies a request without which the workload cannot use the role."""
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
