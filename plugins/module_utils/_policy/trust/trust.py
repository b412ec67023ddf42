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
from ..evaluation.request import ACTIONS, SERVICE, Subject, pod_identity_context
from ..evaluation.rules import Request, Rule, rules_of
from ..language.canonical import display
from ..language.context import Context
from ..language.document import Policy, parse_policy
from ..language.principals import Caller
from ..language.rows import policy_finding_row
from ..language.text import Document, load, policy_size
from .diagnose import diagnose
from .exposure import reach
from .lint import lint
from .repair import Remedy, pod_identity_remedy, repairs


@dataclass(frozen=True, slots=True)
class TrustVerdict:
    """``usable`` is "yes", "no" or "conditional"; ``assume_role`` and ``tag_session`` are
    "allowed", "denied" or "conditional". ``suggested_trust_policy`` is there only for "no",
    the witnesses and ``undecided`` (see ``Answer``) only for "conditional"."""

    usable: str
    assume_role: str
    tag_session: str
    conditional_on: tuple[str, ...]
    findings: tuple[Finding, ...]
    suggested_trust_policy: dict[str, object] | None
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
            "suggested_trust_policy": self.suggested_trust_policy,
            "trust_policy": self.trust_policy,
        }


def pod_identity_requests() -> tuple[Request, Request]:
    """The two actions that EKS Pod Identity asks AWS STS for."""
    caller = Caller(service=SERVICE)
    return (Request(ACTIONS[0], None, caller), Request(ACTIONS[1], None, caller))


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A trust policy, prepared once for any number of workloads."""

    document: Document
    policy: Policy
    rules: tuple[Rule, ...]
    lints: tuple[Finding, ...]


def prepare_trust(document: object) -> TrustPolicy:
    """Parse a trust policy: a dict, JSON text, URL-encoded JSON text, or a parsed ``Policy``.

    :raises PolicyError: when it is not a trust policy document.
    """
    given = load(display(document) if isinstance(document, Policy) else document)
    policy = document if isinstance(document, Policy) else parse_policy(given, "trust", strict=False)
    rules = rules_of(policy)
    return TrustPolicy(given, policy, rules, tuple(lint(policy, rules, policy_size(given))))


def check_trust(document: object, subject: Subject) -> TrustVerdict:
    """Judge a trust policy for a workload.

    :arg document: what ``prepare_trust`` takes, or its result.
    :raises PolicyError: when it is not a trust policy document.
    """
    trust = document if isinstance(document, TrustPolicy) else prepare_trust(document)
    requests = pod_identity_requests()
    verdict = check_requests(
        trust,
        requests,
        pod_identity_context(subject),
        pod_identity_remedy(subject),
        subject.session_tags,
    )
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
            suggested_trust_policy=None,
        )
    if verdict.usable == "no":
        return verdict
    exposures = reach(trust.rules, requests, subject)
    return replace(verdict, findings=(*verdict.findings, *exposures)) if exposures else verdict


def is_usable(trust: TrustPolicy, subject: Subject) -> bool:
    """Whether ``check_trust`` would say "yes", without working out why not and what would help."""
    if _foreign_role(subject) is not None:
        return False
    _verdicts, answer = _judge(trust.rules, pod_identity_requests(), pod_identity_context(subject))
    return answer.proven is True


def check_requests(
    trust: TrustPolicy,
    requests: tuple[Request, ...],
    context: Context,
    remedy: Remedy,
    session_tags: bool,
    needed: int = len(ACTIONS),
) -> TrustVerdict:
    """Judge a trust policy for sts:AssumeRole and sts:TagSession of any caller.

    :arg needed: with how many of these requests, from the first, the role is usable.
    """
    rules = trust.rules
    verdicts, answer = _judge(rules, requests, context)
    if needed < len(requests):
        requests = requests[:needed]
        _verdicts, answer = _judge(rules, requests, context)
    usable = answer.proven
    findings = diagnose(rules, requests, context, usable, session_tags)
    findings.extend(trust.lints)
    if usable is None:
        findings.append(_conditional(answer.keys))
    return TrustVerdict(
        usable=answer.decision,
        assume_role=_decision(verdicts[0]),
        tag_session=_decision(verdicts[1]),
        conditional_on=answer.keys,
        findings=tuple(findings),
        suggested_trust_policy=(_suggest(trust, requests, context, remedy) if usable is False else None),
        trust_policy=display(trust.policy),
        allowed_when=answer.allowed_when,
        denied_when=answer.denied_when,
        undecided=answer.undecided,
    )


def _judge(
    rules: Sequence[Rule], requests: Sequence[Request], context: Context
) -> tuple[tuple[Verdict, ...], Answer]:
    return evaluate_together((Layer("trust", tuple(rules)),), requests, context)


def _suggest(
    trust: TrustPolicy, requests: Sequence[Request], context: Context, remedy: Remedy
) -> dict[str, object] | None:
    for repaired in repairs(trust.document, trust.rules, requests, context, remedy):
        repaired_rules = rules_of(parse_policy(repaired, "trust", strict=False))
        if _judge(repaired_rules, requests, context)[1].proven:
            return repaired
    return None


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


def _conditional(keys: tuple[str, ...]) -> Finding:
    named = ", ".join(keys)
    return Finding(
        Code.TRUST_CONDITIONAL,
        f"The policy allows some requests and denies others; it turns on {named}.",
        f"Give the value of {named} to get a definite answer.",
    )


def _decision(verdict: Verdict) -> str:
    if verdict.decision in (ALLOWED, CONDITIONAL):
        return verdict.decision
    return "denied"
