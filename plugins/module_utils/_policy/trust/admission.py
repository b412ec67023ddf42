# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whom an edited trust policy lets in that the policy before did not, and that is not the workload.

Proven to be nobody only by what the edit admits: every statement of it names the caller and all that identifies the
workload. Otherwise others are asked about, and where none of them is let in, that is said to be unproven.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..evaluation.evaluate import Layer, ask
from ..evaluation.query import Question
from ..evaluation.request import Subject
from ..evaluation.rules import Rule, rules_of
from ..language.document import parse_policy
from ..language.elements import Condition
from ..language.phrases import describe_action
from .edits import Document, Draft
from .inquiry import IDENTIFYING, Inquiry

UNPROVEN = "others, which could not be ruled out"
_OTHER = "~another~"
_SHOWN = 5
_PLAIN = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")


def also_lets_in(
    before: Sequence[Rule], after: Sequence[Rule], draft: Draft, inquiry: Inquiry
) -> tuple[str, ...]:
    """In words, the widest first; empty when proven to be nobody."""
    admits = [rule for statement in draft.admits for rule in _rules(statement, draft.whole)]
    open_rules = [rule for rule in admits if not is_pinned(rule, inquiry)]
    if not open_rules:
        return ()
    asked = _Asked(_questions(before, inquiry), _questions(after, inquiry), inquiry)
    admitted = [*_callers(open_rules, inquiry), *_workloads(asked), *_named(asked, open_rules)]
    return tuple(dict.fromkeys(admitted)) or (UNPROVEN,)


def is_pinned(rule: Rule, inquiry: Inquiry) -> bool:
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
        context = self.inquiry.context_of(subject)
        if any(question.allowed(context) is False for question in self.after):
            return False
        return not all(question.allowed(context) is True for question in self.before)


def _workloads(asked: _Asked) -> Iterator[str]:
    """Others than the workload that share none or some of its cluster, namespace and service account."""
    subject = asked.inquiry.subject
    account = subject.account
    stranger = replace(
        subject,
        cluster_arn=f"arn:aws:eks:us-east-1:{account}:cluster/{_OTHER}" if account else None,
        cluster=_OTHER,
        namespace=_OTHER,
        service_account=_OTHER,
        pod_name=None,
        pod_uid=None,
    )
    if asked.newly(stranger):
        yield "every workload of every cluster in the account"
        return
    if not subject.session_tags:
        return
    in_cluster = replace(stranger, cluster_arn=subject.cluster_arn, cluster=subject.cluster)
    in_namespace = replace(stranger, namespace=subject.namespace)
    namesake = replace(stranger, service_account=subject.service_account)
    namespace, account_name = subject.namespace or "any", subject.service_account or "any"
    whole_cluster = asked.newly(in_cluster)
    if whole_cluster:
        yield "every workload of the cluster"
    everywhere = asked.newly(in_namespace)
    if everywhere:
        yield f"every service account of namespace {namespace} in every cluster of the account"
    elsewhere = asked.newly(namesake)
    if elsewhere:
        yield f"service account {account_name} of every namespace in every cluster of the account"
    if not whole_cluster and not everywhere and asked.newly(replace(in_cluster, namespace=subject.namespace)):
        yield f"every service account of namespace {namespace} in the cluster"
    if (
        not whole_cluster
        and not elsewhere
        and asked.newly(replace(in_cluster, service_account=subject.service_account))
    ):
        yield f"service account {account_name} of every namespace in the cluster"
    if not everywhere and not elsewhere and asked.newly(replace(namesake, namespace=subject.namespace)):
        yield f"service account {account_name} of namespace {namespace} in every cluster of the account"
    if asked.newly(replace(stranger, session_tags=False)):
        yield "every workload without session tags"


def _named(asked: _Asked, admits: Sequence[Rule]) -> Iterator[str]:
    """Workloads that the values of the statements name in other combinations."""
    subject = asked.inquiry.subject
    if not subject.session_tags:
        return
    own = (subject.cluster_arn, subject.namespace, subject.service_account)
    choices = [_values(admits, name, value) for name, value in zip(IDENTIFYING, own, strict=True)]
    others = []
    for cluster, namespace, name in product(*choices):
        other = replace(
            subject,
            cluster_arn=cluster,
            namespace=namespace,
            service_account=name,
            pod_name=None,
            pod_uid=None,
        )
        if (cluster, namespace, name) != own and asked.newly(other):
            where = "" if cluster == subject.cluster_arn else f" in {cluster}"
            others.append(f"service account {name} of namespace {namespace}{where}")
    yield from others[:_SHOWN]
    if len(others) > _SHOWN:
        yield f"{len(others) - _SHOWN} more workloads that the policy names"


def _values(rules: Sequence[Rule], tag: str, own: str | None) -> list[str | None]:
    key = f"aws:requesttag/{tag}"
    named = [
        value
        for rule in rules
        for test in rule.tests
        if test.key == key and test.condition.base in _PLAIN
        for value in test.condition.values
        if "*" not in value and "?" not in value
    ]
    return list(dict.fromkeys([own, *named[:8]]))


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


def _rules(statement: Document, whole: Mapping[str, object]) -> tuple[Rule, ...]:
    version = {"Version": whole["Version"]} if "Version" in whole else {}
    return rules_of(parse_policy({**version, "Statement": [statement]}, "trust"))
