# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Suggest repairs of a trust policy that a workload cannot use, with the other principals that each repair would allow.

Every suggestion has been evaluated: with the suggested policy, the workload can use the role. A repair allows no other
principal if every request that it additionally allows must come from the caller and have the complete identity of the
workload. Otherwise example workloads are evaluated. If no other principal is found in this way, the suggestion says that there
may be some.
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
from ..language.document import PolicyDocument, parse_policy, policy_size, to_json
from .diagnose import lint
from .repair import RawDocument, TrustDraft, drafts
from .trust import IDENTIFYING, Inquiry, TrustPolicy, reach, requires_value, wide

UNPROVEN = "possibly other callers, which the check cannot rule out"
# A name that no cluster, namespace or service account can have.
_OTHER = "~another~"
# The maximum number of groups of workloads that are described.
_MAX_DESCRIBED = 5
# The highest width (see ``Admission``), for a draft that allows other callers. Groups of workloads have the widths 2 to 8.
_WIDEST = 9
# The maximum number of values that are evaluated for each session tag.
_MAX_VALUES = 4
# The operators whose values are evaluated.
_TEXTS = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")


@dataclass(frozen=True, slots=True)
class Admission:
    """The other principals that a draft allows.

    ``principals`` describes them, and is empty only if there are certainly no other principals.
    ``width`` ranks drafts: it is 0 without other principals, and higher if more workloads may use the role.
    """

    principals: tuple[str, ...] = ()
    width: int = 0


def find_admissions(
    original: Sequence[Rule], edited: Sequence[Rule], draft: TrustDraft, inquiry: Inquiry
) -> Admission:
    """Find the principals, other than the workload, that a draft allows in addition to the original policy."""
    admits = [rule for statement in draft.admits for rule in _rules(statement, draft.whole)]
    open_rules = [rule for rule in admits if not _is_pinned(rule, inquiry)]
    if not open_rules:
        return Admission()
    edit = _Edit(_questions(original, inquiry), _questions(edited, inquiry), inquiry)
    callers = [(words, _WIDEST) for words in _callers(open_rules, inquiry)]
    admitted = [*callers, *_workloads(edit, open_rules)]
    if not admitted or _has_more_values(open_rules):
        admitted.append((UNPROVEN, 1))
    return Admission(
        tuple(dict.fromkeys(words for words, _width in admitted)), max(width for _words, width in admitted)
    )


def _is_pinned(rule: Rule, inquiry: Inquiry) -> bool:
    """Return whether a statement certainly matches only requests of the workload."""
    remedy = inquiry.remedy
    if not remedy.identity:
        return False
    _operator, key, value = remedy.caller
    only_caller = set(rule.statement.principals or ()) <= set(remedy.principal.items())
    if not (only_caller and not rule.statement.not_principal) and not requires_value(rule, key, {value}):
        return False
    return all(requires_value(rule, key, {value}) for key, value in remedy.identity.items())


@dataclass(frozen=True, slots=True)
class _Edit:
    """The requests of a workload, prepared for evaluation against the original and the edited policy."""

    original: Sequence[Question]
    edited: Sequence[Question]
    inquiry: Inquiry

    def may_admit(self, subject: Subject) -> bool:
        """Return whether the edit may be the reason why a workload can use the role.

        That is so if the edited policy may allow the workload, and it is not certain that the original policy allows it.
        """
        context = self.inquiry.context_for(subject)
        if any(question.allowed(context) is False for question in self.edited):
            return False
        return not all(question.allowed(context) is True for question in self.original)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A cluster, namespace or service account to evaluate, with a description of it (``words``).

    ``rank`` is 2 for a specific cluster, namespace or service account, 1 for an example that matches a pattern or the name of a
    cluster, and 0 for an example of any other name.
    """

    value: str | None
    words: str
    rank: int


def _workloads(edit: _Edit, admits: Sequence[Rule]) -> Iterator[tuple[str, int]]:
    """Yield the descriptions and widths of the groups of other workloads that the edit may allow.

    The function evaluates all combinations of cluster, namespace and service account: the workload's own values, the values in
    the statements, and an invented name as an example of any other value. A group that is part of a wider group is left out.
    After ``_MAX_DESCRIBED`` groups, one description has the number of further groups.
    """
    subject = edit.inquiry.subject
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
    for combination in sorted(product(*choices), key=lambda parts: sum(choice.rank for choice in parts)):
        cluster, namespace, name = (choice.value for choice in combination)
        if (cluster, namespace, name) == (subject.cluster_arn, subject.namespace, subject.service_account):
            continue
        if any(all(map(_covers, wider, combination)) for wider in admitted):
            continue
        other = replace(
            stranger,
            cluster_arn=cluster,
            cluster=cluster.rpartition("/")[2] if cluster else subject.cluster,
            namespace=namespace,
            service_account=name,
        )
        if cluster is None and combination[0].rank == 0:
            other = replace(other, cluster=_OTHER)
        if edit.may_admit(other):
            admitted.append(combination)
    for combination in admitted[:_MAX_DESCRIBED]:
        yield _describe(combination), _WIDEST - 1 - sum(choice.rank for choice in combination)
    if len(admitted) > _MAX_DESCRIBED:
        # 2 is the width of a single workload, the smallest group.
        more = len(admitted) - _MAX_DESCRIBED
        yield f"{more} more group{'' if more == 1 else 's'} of workloads in the policy", 2
    if subject.session_tags and not any(sum(choice.rank for choice in parts) == 0 for parts in admitted):
        last = tuple(options[-1].value for options in choices)
        untagged = replace(stranger, session_tags=False, cluster_arn=last[0], namespace=last[1])
        if edit.may_admit(replace(untagged, service_account=last[2], cluster=_OTHER)):
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
    """Return the clusters to evaluate: the workload's, clusters in the statements, and one with an invented name."""
    arn = subject.cluster_arn
    account = subject.account
    prefix = f"arn:{(arn or 'arn:aws').split(':')[1]}:eks"
    region = "us-east-1" if arn is None or arn.split(":")[3] != "us-east-1" else "us-west-2"
    choices = [_Choice(arn, "the cluster", 2)]
    for pattern in _tag_values(admits, IDENTIFYING[0]):
        parts = pattern.split(":", 5)
        if not _is_pattern(pattern):
            choices.append(_Choice(pattern, pattern, 2))
        elif len(parts) == 6:
            defaults = ["arn", prefix.split(":")[1], "eks", region, account or ""]
            filled = [
                default if _is_pattern(part) else part
                for part, default in zip(parts[:5], defaults, strict=True)
            ]
            choices.append(_Choice(":".join([*filled, _fill(parts[5])]), f"clusters {pattern}", 1))
    if account:
        for name in _tag_values(admits, "eks-cluster-name"):
            named = f"{prefix}:{region}:{account}:cluster/{_fill(name)}"
            choices.append(_Choice(named, f"every cluster with the name {name} in the account", 1))
    other = f"{prefix}:{region}:{account}:cluster/{_OTHER}" if account else None
    choices.append(_Choice(other, "every cluster in the account", 0))
    return list({choice.value or choice.words: choice for choice in reversed(choices)}.values())[::-1]


def _choices(admits: Sequence[Rule], tag: str, current: str | None, every: str) -> list[_Choice]:
    """Return the namespaces or service accounts to evaluate: the workload's, names in the statements, and an invented name.

    :arg tag: the session tag that has the namespace or service account.
    :arg current: the workload's value of the tag.
    :arg every: the description of the invented name, such as "every namespace".
    """
    kind = every.removeprefix("every ")
    choices = [_Choice(current, f"{kind} {current}" if current else f"any {kind}", 2)]
    for value in _tag_values(admits, tag):
        words = f"{kind}s {value}" if _is_pattern(value) else f"{kind} {value}"
        choices.append(_Choice(_fill(value), words, 1 if _is_pattern(value) else 2))
    choices.append(_Choice(_OTHER, every, 0))
    return list({choice.value: choice for choice in reversed(choices)}.values())[::-1]


def _tag_values(rules: Sequence[Rule], tag: str) -> list[str]:
    """Return the values that the statements compare with a session tag, at most ``_MAX_VALUES``."""
    key = f"aws:requesttag/{tag}"
    values = [
        value
        for rule in rules
        for test in rule.tests
        if test.key == key and test.condition.base in _TEXTS and not test.variables
        for value in test.condition.values
    ]
    return list(dict.fromkeys(values))[:_MAX_VALUES]


def _has_more_values(rules: Sequence[Rule]) -> bool:
    """Return whether the statements compare an identifying tag with more values than are evaluated."""
    values: dict[str, set[str]] = {
        f"aws:requesttag/{tag}": set() for tag in (*IDENTIFYING, "eks-cluster-name")
    }
    for rule in rules:
        for test in rule.tests:
            values.get(test.key, set()).update(test.condition.values)
    return any(len(compared) > _MAX_VALUES for compared in values.values())


def _is_pattern(value: str) -> bool:
    return "*" in value or "?" in value


def _fill(pattern: str) -> str:
    return pattern.replace("*", _OTHER).replace("?", "x")


def _callers(admits: Sequence[Rule], inquiry: Inquiry) -> Iterator[str]:
    """Yield a description of each principal of the statements, except the caller."""
    _operator, key, value = inquiry.remedy.caller
    for rule in admits:
        if requires_value(rule, key, {value}):
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
# IAM returns this unique ID instead of an ARN after the role or user in a principal was deleted.
_UNIQUE_ID = re.compile(r"\bA(?:ROA|IDA)[A-Z0-9]{12,}\b")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A repaired trust policy, with which the workload can use the role.

    ``edits`` has a sentence about each edit. ``also_lets_in`` has the other principals that the edits allow, and is empty only
    if there are certainly no other principals. ``findings`` are the findings on the repaired policy. ``width`` is the width of
    its ``Admission``.
    """

    trust_policy: PolicyDocument
    edits: tuple[str, ...]
    also_lets_in: tuple[str, ...]
    storable: Storability
    findings: tuple[Finding, ...]
    width: int = 0

    def as_dict(self) -> dict[str, object]:
        """Return the suggestion as a dictionary for the module result."""
        return {
            "trust_policy": self.trust_policy,
            "edits": list(map(visible, self.edits)),
            "also_lets_in": list(map(visible, self.also_lets_in)),
            "storable": self.storable.answer,
            "storable_reasons": self.storable.rows,
            "findings": [policy_finding_row(finding) for finding in self.findings],
        }


def suggest(trust: TrustPolicy, inquiry: Inquiry, stored: bool = False) -> tuple[Suggestion, ...]:
    """Suggest repairs for a trust policy that the workload cannot use, or that IAM rejects.

    There are no suggestions for a policy that is too long, because edits do not remove statements of its author. There are
    also no suggestions if a safe statement would need a condition on sts:ExternalId whose value is unknown.

    :arg stored: whether the policy was read from IAM. If it was, IAM also accepts its elements in an edited policy, except the
        unique IDs of deleted principals.
    :returns: at most ``MAX_SUGGESTIONS`` suggestions, in the order of ``_rank``.
    """
    if inquiry.remedy.unsafe:
        return ()
    if any(reason.certain for reason in size_reasons(to_json(trust.document), "trust")):
        return ()
    accepted = (
        _messages(storability(trust.document, "trust", existing=existing_principals(inquiry)))
        if stored
        else frozenset()
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


def existing_principals(inquiry: Inquiry) -> frozenset[str]:
    """Return the account ID and the role ARN of the workload, if they are known. IAM accepts them as principals."""
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
    judged = storability(document, "trust", existing=existing_principals(inquiry))
    stored = Storability(tuple(reason for reason in judged.reasons if reason.message not in accepted))
    if stored.answer == "no":
        return None
    findings = [*lint(rules), *map(wide, reach(rules, inquiry))]
    admission = find_admissions(trust.rules, rules, draft, inquiry)
    return Suggestion(document, draft.edits, admission.principals, stored, tuple(findings), admission.width)


def _messages(judged: Storability) -> frozenset[str]:
    """Return the messages of the reasons that IAM ignores for elements of a stored policy: all except those about unique IDs."""
    return frozenset(reason.message for reason in judged.reasons if not _UNIQUE_ID.search(reason.message))


def _rank(suggestion: Suggestion, trust: TrustPolicy) -> tuple[object, ...]:
    """Return the sort key of a suggestion: fewer other principals first, then certainly storable, then the smaller change."""
    growth = policy_size(suggestion.trust_policy) - policy_size(trust.document)
    return (
        suggestion.width,
        suggestion.storable.answer != "yes",
        len(suggestion.edits),
        abs(growth),
    )


def _distinct(ordered: Sequence[Suggestion]) -> list[Suggestion]:
    """Keep only the first of the suggestions that allow the same other principals."""
    distinct: dict[tuple[str, ...], Suggestion] = {}
    for suggestion in ordered:
        distinct.setdefault(suggestion.also_lets_in, suggestion)
    return list(distinct.values())
