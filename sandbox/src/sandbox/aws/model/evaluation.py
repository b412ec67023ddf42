# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluate policies: statements, principals and conditions. Conditions on numbers, dates and addresses do not hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from sandbox.aws.model.documents import as_list

ALLOW, DENY, NEITHER = "Allow", "Deny", ""
Context = Mapping[str, Any]
"""The values of condition keys. The keys are in lower case; a value is a text or a list of texts."""


@dataclass(frozen=True, slots=True)
class Question:
    """An action on a resource."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def decide(
    documents: Iterable[Any], question: Question, principal: Callable[[Any], bool] | None = None
) -> str:
    """Return ALLOW, DENY or NEITHER. ``principal`` decides which principals of a trust policy are the caller."""
    decision = NEITHER
    for document in documents:
        for statement in as_list(document["Statement"]):
            if (principal is None or principal(statement.get("Principal"))) and _applies(statement, question):
                if statement["Effect"] == DENY:
                    return DENY
                decision = ALLOW
    return decision


def global_context(principal: str, region: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the condition keys of every request of a principal."""
    moment = datetime.now(timezone.utc)
    return {
        "aws:principalarn": role_of_session(principal) or principal,
        "aws:principalaccount": principal.split(":")[4],
        "aws:currenttime": moment.isoformat(),
        "aws:epochtime": str(int(moment.timestamp())),
        "aws:requestedregion": region,
        "aws:securetransport": "false",
        "aws:sourceip": "127.0.0.1",
        **{f"aws:principaltag/{key}".lower(): value for key, value in tags.items()},
    }


def tag_context(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the condition keys of a request that names tags."""
    if not tags:
        return {}
    return {
        "aws:tagkeys": list(tags),
        **{f"aws:requesttag/{key}".lower(): value for key, value in tags.items()},
    }


def role_of_session(arn: str) -> str:
    """Return the ARN of the role of a session without its path, which the session does not have."""
    if ":assumed-role/" not in arn:
        return ""
    return f"arn:aws:iam::{arn.split(':')[4]}:role/{arn.split('/')[1]}"


def names_caller(principal: Any, caller: str) -> bool:
    """Return whether a principal of a trust policy is the caller, who is not a service."""
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    account = caller.split(":")[4]
    return any(
        value in ("*", account, f"arn:aws:iam::{account}:root", caller) or _is_role_of(value, caller)
        for value in as_list(principal.get("AWS", []))
    )


def _is_role_of(value: str, caller: str) -> bool:
    head, _, path = value.partition(":role/")
    return bool(path) and role_of_session(caller) == f"{head}:role/{path.rpartition('/')[2]}"


def _applies(statement: Mapping[str, Any], question: Question) -> bool:
    return (
        _names(statement, "Action", question.action, question.context, fold=True)
        and _names(statement, "Resource", question.resource, question.context, fold=False)
        and conditions_hold(statement.get("Condition", {}), question.context)
    )


def _names(statement: Mapping[str, Any], element: str, value: str, context: Context, *, fold: bool) -> bool:
    if f"Not{element}" in statement:
        return not any(like(value, _filled(p, context), fold) for p in as_list(statement[f"Not{element}"]))
    # A trust policy has no resources.
    return element not in statement or any(
        like(value, _filled(p, context), fold) for p in as_list(statement[element])
    )


def _filled(pattern: str, context: Context) -> str:
    """Replace the policy variables in a pattern."""
    if "${" not in pattern:
        return pattern
    return re.sub(r"\$\{([^}]+)\}", lambda match: str(context.get(match[1].lower(), match[0])), pattern)


@lru_cache(maxsize=4096)
def _compiled(pattern: str, fold: bool) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL | (re.IGNORECASE if fold else 0))


def like(value: str, pattern: str, fold: bool = False) -> bool:
    return _compiled(pattern, fold).fullmatch(value) is not None


def conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        _holds(operator, context.get(key.lower()), [str(value) for value in as_list(expected)], context)
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _holds(operator: str, actual: Any, expected: list[str], context: Context) -> bool:
    name = operator.lower()
    if name == "null":
        return (actual is None) == (expected[0].lower() == "true")
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    quantifier, _, name = name.rpartition(":")
    negated = "not" in name
    compare = _OPERATORS.get(name.replace("not", ""))
    if compare is None:
        return False
    if actual is None:
        return if_exists or quantifier == "forallvalues" or (negated and quantifier != "foranyvalue")
    values = [str(value) for value in as_list(actual)]

    def matches(value: str) -> bool:
        return any(compare(value, _filled(each, context)) for each in expected) != negated

    return all(map(matches, values)) if quantifier == "forallvalues" else any(map(matches, values))


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": lambda value, expected: value == expected,
    "stringequalsignorecase": lambda value, expected: value.lower() == expected.lower(),
    "stringlike": like,
    "arnequals": like,
    "arnlike": like,
    "bool": lambda value, expected: value.lower() == expected.lower(),
}
