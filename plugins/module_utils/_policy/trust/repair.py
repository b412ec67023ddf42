# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Edits that make a trust policy usable, smallest first. Each keeps all that the author wrote.

The caller evaluates the results and takes the first that is usable.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evaluation.request import ACTIONS, SERVICE, Subject
from ..evaluation.rules import Request, Rule
from ..language.conditions import Test
from ..language.context import Context
from ..language.text import load
from .common_mistakes import lookalikes
from .statements import BARE_SID

Document = dict[str, Any]
_OPEN_ENDED = ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike")


@dataclass(frozen=True, slots=True)
class Remedy:
    """What lets a caller in: a statement with ``principal`` and conditions ``equals``, and
    ``exempt``, the condition (operator, key, value) that leaves the caller out of a Deny."""

    sid: str
    principal: Mapping[str, str]
    equals: Mapping[str, str]
    exempt: tuple[str, str, str]


def pod_identity_remedy(subject: Subject) -> Remedy:
    """A statement for this workload, as narrow as what is known of it allows."""
    equals: dict[str, str] = {}
    if subject.account:
        equals["aws:SourceAccount"] = subject.account
    if subject.session_tags:
        known = subject.tags()
        for name in ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account"):
            value = known[name]
            if value:
                equals[f"aws:RequestTag/{name}"] = value
    return Remedy(
        sid=BARE_SID,
        principal={"Service": SERVICE},
        equals=equals,
        exempt=("StringNotEquals", "aws:PrincipalServiceName", SERVICE),
    )


def repairs(
    document: object,
    rules: Sequence[Rule],
    requests: Sequence[Request],
    context: Context,
    remedy: Remedy,
) -> Iterator[Document]:
    """Documents to try, in the order in which to try them."""
    original = _thaw(load(document))
    base, exempted = _exempt(original, rules, requests, context, remedy)
    if exempted:
        yield base
    meant = [rule for rule in rules if rule.allow and rule.means_caller(requests[0].caller)]
    for rule in meant:
        if all(test.holds(context) for test in rule.tests):
            yield _with_actions(base, rule, requests)
    for rule in rules:
        if "Service" in remedy.principal and rule.allow and lookalikes(rule.statement):
            renamed = _renamed(base, rule)
            yield renamed
            yield _with_actions(renamed, rule, requests)
    for rule in meant:
        failing = [test for test in rule.tests if test.holds(context) is False]
        if len(failing) == 1:
            widened = _with_value(base, rule, failing[0], context)
            if widened is not None:
                yield widened
                yield _with_actions(widened, rule, requests)
    yield _with_statement(base, remedy)


def _thaw(document: Mapping[str, object]) -> Document:
    copied: Document = copy.deepcopy(dict(document))
    given = copied["Statement"]
    copied["Statement"] = list(given) if isinstance(given, list | tuple) else [given]
    return copied


def _at(document: Document, rule: Rule) -> Document:
    statement: Document = document["Statement"][rule.statement.index - 1]
    return statement


def _with_actions(base: Document, rule: Rule, requests: Sequence[Request]) -> Document:
    document = copy.deepcopy(base)
    statement = _at(document, rule)
    missing = [
        action for action, request in zip(ACTIONS, requests, strict=False) if not rule.means_action(request)
    ]
    if rule.statement.not_action:
        lowered = {action.lower() for action in missing}
        kept = [action for action in rule.statement.actions if action.lower() not in lowered]
        if kept:
            statement["NotAction"] = kept
    elif missing:
        statement["Action"] = [*rule.statement.actions, *missing]
    return document


def _renamed(base: Document, rule: Rule) -> Document:
    document = copy.deepcopy(base)
    wrong = set(lookalikes(rule.statement))
    principal = _at(document, rule)["Principal"]
    given = principal["Service"]
    services = [given] if isinstance(given, str) else list(given)
    renamed = list(dict.fromkeys(SERVICE if name in wrong else name for name in services))
    principal["Service"] = renamed[0] if len(renamed) == 1 else renamed
    return document


def _with_value(base: Document, rule: Rule, test: Test, context: Context) -> Document | None:
    """The workload's own value beside those that a condition asks for."""
    condition = test.condition
    state = context.get(test.key)
    if condition.base not in _OPEN_ENDED or condition.quantifier:
        return None
    if not isinstance(state, tuple) or len(state) != 1:
        return None
    document = copy.deepcopy(base)
    for operator, keys in _at(document, rule)["Condition"].items():
        if operator.lower() == condition.operator.lower() and condition.key in keys:
            keys[condition.key] = [*condition.values, state[0]]
    return document


def _exempt(
    base: Document,
    rules: Sequence[Rule],
    requests: Sequence[Request],
    context: Context,
    remedy: Remedy,
) -> tuple[Document, bool]:
    """Leave the caller out of every Deny that keeps it out."""
    document = copy.deepcopy(base)
    touched = False
    for rule in rules:
        if rule.allow:
            continue
        if any(rule.speaks_of(r) and rule.applies(r, context) is not False for r in requests):
            operator, key, value = remedy.exempt
            keys = _at(document, rule).setdefault("Condition", {}).setdefault(operator, {})
            given = keys.get(key, [])
            values = [*([given] if isinstance(given, str) else given), value]
            keys[key] = values[0] if len(values) == 1 else values
            touched = True
    return document, touched


def _with_statement(base: Document, remedy: Remedy) -> Document:
    document = copy.deepcopy(base)
    sids = {each.get("Sid") for each in document["Statement"]}
    sid = remedy.sid
    if sid in sids:
        sid = next(f"{sid}{n}" for n in range(2, len(sids) + 3) if f"{sid}{n}" not in sids)
    statement: Document = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": dict(remedy.principal),
        "Action": list(ACTIONS),
    }
    if remedy.equals:
        statement["Condition"] = {"StringEquals": dict(remedy.equals)}
    document["Statement"].append(statement)
    return document
