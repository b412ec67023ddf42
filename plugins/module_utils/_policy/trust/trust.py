# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Can EKS Pod Identity use a role with this trust policy, for this workload?

``usable`` means sts:AssumeRole and sts:TagSession in the same request. With session tags disabled
the request to AWS STS carries no tags and would not need sts:TagSession; EKS however refuses a
role whose trust policy does not allow both, whatever the association says, so both stay needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.answer import Answer, Witness, witness_row
from ..evaluation.evaluate import ALLOWED, CONDITIONAL, Layer, Verdict, evaluate_together
from ..evaluation.request import Subject
from ..evaluation.rules import Request, Rule, rules_of
from ..language.canonical import display
from ..language.context import Context
from ..language.document import Policy, parse_policy
from ..language.rows import policy_finding_row
from ..language.text import Document, load
from .diagnose import diagnose
from .exposure import reach
from .inquiry import Inquiry, pod_identity_inquiry
from .lint import lint


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

    document: Document
    policy: Policy
    rules: tuple[Rule, ...]
    lints: tuple[Finding, ...]


def prepare_trust(document: object) -> TrustPolicy:
    """Parse a trust policy: a dict, JSON text, URL-encoded JSON text, or a parsed ``Policy``; what is prepared stays.

    :raises PolicyError: when it is not a trust policy document.
    """
    if isinstance(document, TrustPolicy):
        return document
    given = load(display(document) if isinstance(document, Policy) else document)
    policy = document if isinstance(document, Policy) else parse_policy(given, "trust")
    rules = rules_of(policy)
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
