# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Repairs of an unusable trust policy: evaluated, with the others that each lets in, the narrowest first.

A repair provably lets in nobody else only if every statement that it admits names the caller and everything that
identifies the workload. Otherwise other callers are evaluated, and where none of them is let in, the result is unproven.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.evaluate import Layer, ask, evaluate_together
from ..evaluation.request import Subject
from ..evaluation.rules import Question, Rule, build_rules
from ..grammar.storable import Storability, size_reasons, storability
from ..language.canonical import policy_finding_row
from ..language.conditions import describe_action
from ..language.document import Condition, PolicyDocument, parse_policy, policy_size, to_json
from .diagnose import lint
from .repair import RawDocument, TrustDraft, drafts
from .trust import IDENTIFYING, Inquiry, TrustPolicy, reach

UNPROVEN = "others, which could not be ruled out"
_OTHER = "~another~"
_SHOWN = 5
_WIDEST = 9
# So many values of a condition are asked about.
_NAMED = 4
_TEXTS = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
_PLAIN = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")


@dataclass(frozen=True, slots=True)
class Admission:
    """``others`` in words, the widest first; empty when proven to be nobody. ``width`` grows with them, from 0 for nobody."""

    others: tuple[str, ...] = ()
    width: int = 0


def also_lets_in(
    before: Sequence[Rule], after: Sequence[Rule], draft: TrustDraft, inquiry: Inquiry
) -> Admission:
    """Find the other principals that an edit lets in."""
    admits = [rule for statement in draft.admits for rule in _rules(statement, draft.whole)]
    open_rules = [rule for rule in admits if not _is_pinned(rule, inquiry)]
    if not open_rules:
        return Admission()
    asked = _Asked(_questions(before, inquiry), _questions(after, inquiry), inquiry)
    callers = [(words, _WIDEST) for words in _callers(open_rules, inquiry)]
    admitted = [*callers, *_workloads(asked, open_rules)]
    if not admitted or _has_more_values(open_rules):
        admitted.append((UNPROVEN, 1))
    return Admission(
        tuple(dict.fromkeys(words for words, _width in admitted)), max(width for _words, width in admitted)
    )


def _is_pinned(rule: Rule, inquiry: Inquiry) -> bool:
    """Whether a statement matches the requests of this workload and no other."""
    remedy = inquiry.remedy
    if not remedy.identity:
        return False
    _operator, key, value = remedy.caller
    own = set(rule.statement.principals or ()) <= set(remedy.principal.items())
    if not (own and not rule.statement.not_principal) and not _asks_for(rule, key, value):
        return False
    return all(_asks_for(rule, key, value) for key, value in remedy.identity.items())


def _asks_for(rule: Rule, key: str, value: str) -> bool:
    """Whether a statement matches only requests that have exactly this value."""
    return any(
        test.key == key.lower()
        and not test.variables
        and _is_plain(test.condition)
        and set(test.condition.values) == {value}
        for test in rule.tests
    )


def _is_plain(condition: Condition) -> bool:
    wildcards = condition.base != "StringEquals" and any(
        sign in value for value in condition.values for sign in "*?"
    )
    return condition.base in _PLAIN and not condition.quantifier and not condition.if_exists and not wildcards


@dataclass(frozen=True, slots=True)
class _Asked:
    before: Sequence[Question]
    after: Sequence[Question]
    inquiry: Inquiry

    def newly(self, subject: Subject) -> bool:
        """Whether the edited policy may let a subject in, and the one before was not certain to."""
        context = self.inquiry.context_for(subject)
        if any(question.allowed(context) is False for question in self.after):
            return False
        return not all(question.allowed(context) is True for question in self.before)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A cluster, namespace or service account to ask about. ``rank`` is 0 for any other, 1 for those that a pattern or a name
    stands for, and 2 for a single one."""

    value: str | None
    words: str
    rank: int


def _workloads(asked: _Asked, admits: Sequence[Rule]) -> Iterator[tuple[str, int]]:
    """Return other workloads: all combinations of the workload's own parts, of parts that statements name, and of any other,
    without those that a wider combination covers."""
    subject = asked.inquiry.subject
    stranger = replace(subject, pod_name=None, pod_uid=None)
    clusters = _clusters(subject, admits)
    if not subject.session_tags:
        names = [_Choice(_OTHER, "", 0)]
        choices = [[clusters[-1]], names, names]
    else:
        choices = [
            clusters,
            _choices(admits, IDENTIFYING[1], subject.namespace, "every namespace"),
            _choices(admits, IDENTIFYING[2], subject.service_account, "every service account"),
        ]
    admitted: list[tuple[_Choice, ...]] = []
    for combination in sorted(product(*choices), key=lambda each: sum(choice.rank for choice in each)):
        own = tuple(choice.value for choice in combination)
        if own == (subject.cluster_arn, subject.namespace, subject.service_account):
            continue
        if any(all(map(_covers, wider, combination)) for wider in admitted):
            continue
        cluster, namespace, name = own
        other = replace(
            stranger,
            cluster_arn=cluster,
            cluster=cluster.rpartition("/")[2] if cluster else subject.cluster,
            namespace=namespace,
            service_account=name,
        )
        if cluster is None and combination[0].rank == 0:
            other = replace(other, cluster=_OTHER)
        if asked.newly(other):
            admitted.append(combination)
    for combination in admitted[:_SHOWN]:
        yield _describe(combination), _WIDEST - 1 - sum(choice.rank for choice in combination)
    if len(admitted) > _SHOWN:
        yield f"{len(admitted) - _SHOWN} more workloads that the policy names", 2
    if subject.session_tags and not any(sum(choice.rank for choice in each) == 0 for each in admitted):
        last = tuple(each[-1].value for each in choices)
        untagged = replace(stranger, session_tags=False, cluster_arn=last[0], namespace=last[1])
        if asked.newly(replace(untagged, service_account=last[2], cluster=_OTHER)):
            yield "every workload without session tags", _WIDEST - 1


def _covers(wide: _Choice, narrow: _Choice) -> bool:
    return wide.rank == 0 or wide == narrow


def _describe(combination: tuple[_Choice, ...]) -> str:
    cluster, namespace, name = combination
    if cluster.rank == namespace.rank == name.rank == 0:
        return "every workload of every cluster in the account"
    if namespace.rank == name.rank == 0:
        return f"every workload of {cluster.words}"
    words = f"{name.words} of {namespace.words}"
    if cluster.words == "the cluster" and namespace.rank == name.rank == 2:
        return words
    return f"{words} in {cluster.words}"


def _clusters(subject: Subject, admits: Sequence[Rule]) -> list[_Choice]:
    """The workload's cluster, those that the statements name, by ARN or by name, and any other."""
    own = subject.cluster_arn
    account = subject.account
    start = f"arn:{(own or 'arn:aws').split(':')[1]}:eks"
    region = "us-east-1" if own is None or own.split(":")[3] != "us-east-1" else "us-west-2"
    choices = [_Choice(own, "the cluster", 2)]
    for pattern in _named(admits, IDENTIFYING[0]):
        parts = pattern.split(":", 5)
        if not _is_pattern(pattern):
            choices.append(_Choice(pattern, pattern, 2))
        elif len(parts) == 6:
            known = ["arn", start.split(":")[1], "eks", region, account or "", ""]
            filled = [part if not _is_pattern(part) else known[at] for at, part in enumerate(parts[:5])]
            choices.append(_Choice(":".join([*filled, _fill(parts[5])]), f"clusters {pattern}", 1))
    if account:
        for name in _named(admits, "eks-cluster-name"):
            arn = f"{start}:{region}:{account}:cluster/{_fill(name)}"
            choices.append(_Choice(arn, f"every cluster of the name {name} in the account", 1))
    other = f"{start}:{region}:{account}:cluster/{_OTHER}" if account else None
    choices.append(_Choice(other, "every cluster of the account", 0))
    return list({choice.value or choice.words: choice for choice in reversed(choices)}.values())[::-1]


def _choices(admits: Sequence[Rule], tag: str, own: str | None, every: str) -> list[_Choice]:
    kind = every.removeprefix("every ")
    choices = [_Choice(own, f"{kind} {own or 'any'}", 2)]
    for value in _named(admits, tag):
        words = f"{kind}s {value}" if _is_pattern(value) else f"{kind} {value}"
        choices.append(_Choice(_fill(value), words, 1 if _is_pattern(value) else 2))
    choices.append(_Choice(_OTHER, every, 0))
    return list({choice.value: choice for choice in reversed(choices)}.values())[::-1]


def _named(rules: Sequence[Rule], tag: str) -> list[str]:
    """The first values that conditions on a session tag have."""
    key = f"aws:requesttag/{tag}"
    named = [
        value
        for rule in rules
        for test in rule.tests
        if test.key == key and test.condition.base in _TEXTS and not test.variables
        for value in test.condition.values
    ]
    return list(dict.fromkeys(named))[:_NAMED]


def _has_more_values(rules: Sequence[Rule]) -> bool:
    """Return whether a condition on an identifying tag has more values than the search tries."""
    keys = {f"aws:requesttag/{tag}" for tag in (*IDENTIFYING, "eks-cluster-name")}
    return any(
        test.key in keys and len(test.condition.values) > _NAMED for rule in rules for test in rule.tests
    )


def _is_pattern(value: str) -> bool:
    return "*" in value or "?" in value


def _fill(pattern: str) -> str:
    return pattern.replace("*", _OTHER).replace("?", "x")


def _callers(admits: Sequence[Rule], inquiry: Inquiry) -> Iterator[str]:
    """Principals beside the caller that a statement names."""
    _operator, key, value = inquiry.remedy.caller
    for rule in admits:
        if _asks_for(rule, key, value):
            continue
        for pair in rule.statement.principals or ():
            if pair not in inquiry.remedy.principal.items():
                yield f"{'everyone' if pair[1] == '*' else pair[1]}, by {', '.join(map(describe_action, rule.statement.actions))}"


def _questions(rules: Sequence[Rule], inquiry: Inquiry) -> list[Question]:
    layers = (Layer("trust", tuple(rules)),)
    return [ask(layers, request) for request in inquiry.needed]


def _rules(statement: RawDocument, whole: Mapping[str, object]) -> tuple[Rule, ...]:
    version = {"Version": whole["Version"]} if "Version" in whole else {}
    return build_rules(parse_policy({**version, "Statement": [statement]}, "trust"))


MAX_SUGGESTIONS = 4
# What IAM shows in the place of a role or user that was deleted.
_UNIQUE_ID = re.compile(r"\bA(?:ROA|IDA)[A-Z0-9]{12,}\b")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A trust policy that the workload can use. ``edits`` says what changes, ``also_lets_in`` whom else that admits (empty:
    nobody), ``findings`` what remains to be known about the policy."""

    trust_policy: PolicyDocument
    edits: tuple[str, ...]
    also_lets_in: tuple[str, ...]
    storable: Storability
    findings: tuple[Finding, ...]
    width: int = 0

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {
            "trust_policy": self.trust_policy,
            "edits": list(map(visible, self.edits)),
            "also_lets_in": list(map(visible, self.also_lets_in)),
            "storable": self.storable.answer,
            "storable_reasons": self.storable.rows,
            "findings": [policy_finding_row(finding) for finding in self.findings],
        }


def suggest(trust: TrustPolicy, inquiry: Inquiry, stored: bool = False) -> tuple[Suggestion, ...]:
    """Repairs for a policy that is not usable, or that IAM refuses. One that is too long has none: what its author wrote is
    kept. Nor has one that could only be repaired without the condition on sts:ExternalId that keeps others out.

    :arg stored: the policy comes from IAM, so that what it has already is stored again.
    """
    if inquiry.remedy.unsafe:
        return ()
    if any(reason.certain for reason in size_reasons(to_json(trust.document), "trust")):
        return ()
    accepted = (
        _messages(storability(trust.document, "trust", existing=known_to(inquiry))) if stored else frozenset()
    )
    by_text: dict[str, Suggestion] = {}
    for draft in drafts(trust.document, trust.rules, inquiry):
        document = PolicyDocument(draft.document)
        text = json.dumps(document, sort_keys=True, default=str)
        if text not in by_text and draft.edits:
            suggestion = _judge(trust, document, draft, inquiry, accepted)
            if suggestion is not None:
                by_text[text] = suggestion
    ordered = sorted(by_text.values(), key=lambda suggestion: _rank(suggestion, trust))
    return tuple(_distinct(ordered))[:MAX_SUGGESTIONS]


def known_to(inquiry: Inquiry) -> frozenset[str]:
    """Account and principals of an inquiry, which exist."""
    names = {inquiry.subject.account, inquiry.subject.role_arn}
    return frozenset(name for name in names if name)


def _judge(
    trust: TrustPolicy,
    document: PolicyDocument,
    draft: TrustDraft,
    inquiry: Inquiry,
    accepted: frozenset[str],
) -> Suggestion | None:
    if not document["Statement"]:
        return None
    rules = build_rules(parse_policy(document, "trust"))
    _verdicts, answer = evaluate_together((Layer("trust", rules),), inquiry.needed, inquiry.context)
    if not answer.proven:
        return None
    judged = storability(document, "trust", existing=known_to(inquiry))
    stored = Storability(tuple(reason for reason in judged.reasons if reason.message not in accepted))
    if stored.answer == "no":
        return None
    findings = [*lint(rules), *reach(rules, inquiry)]
    admission = also_lets_in(trust.rules, rules, draft, inquiry)
    return Suggestion(document, draft.edits, admission.others, stored, tuple(findings), admission.width)


def _messages(judged: Storability) -> frozenset[str]:
    return frozenset(reason.message for reason in judged.reasons if not _UNIQUE_ID.search(reason.message))


def _rank(suggestion: Suggestion, trust: TrustPolicy) -> tuple[object, ...]:
    """Return the sort key of a suggestion: the fewest others let in, then certainly storable, then the smaller edit."""
    grown = policy_size(suggestion.trust_policy) - policy_size(trust.document)
    return (
        suggestion.width,
        suggestion.storable.answer != "yes",
        len(suggestion.edits),
        abs(grown),
    )


def _distinct(ordered: Sequence[Suggestion]) -> list[Suggestion]:
    """The first of those that let in the same others."""
    kept: dict[tuple[str, ...], Suggestion] = {}
    for suggestion in ordered:
        kept.setdefault(suggestion.also_lets_in, suggestion)
    return list(kept.values())
