# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describe the difference between two permissions policies: the permissions that a change adds and removes. Pure.

A permission is an action on a resource, with the effect and the conditions of the statement. It counts as unchanged if
an equal or wider permission of the other document covers it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .document import Condition, Policy, PolicyError, Statement, parse_policy
from .match import ARN_PARTS, arn_parts

# The limits for the actions, resources, condition values and parts in a description.
_ACTIONS, _RESOURCES, _VALUES, _PARTS = 4, 2, 2, 4
_UNLIMITED = sys.maxsize
# With more permissions than ``_MOST_GRANTS``, the difference is not described. With more comparisons than ``_MOST_PAIRS``, a
# permission that a wider one covers is described as well.
_MOST_GRANTS, _MOST_PAIRS = 4_000, 400_000
_EXCEPT = " except "


@dataclass(frozen=True, slots=True)
class _Grant:
    """An action on a resource that a statement allows or denies. In the form for display, lists of names are shortened."""

    effect: str
    action: str
    resource: str
    condition: str


_Grants = dict[_Grant, _Grant]


def describe_document_change(present: object, desired: object, kind: str = "identity") -> str:
    """Return a text such as "adds s3:PutObject on arn:aws:s3:::b/*; removes s3:GetObject on arn:aws:s3:::b/*".

    If ``present`` is None, all permissions are added. For a trust policy (``kind`` "trust"), the text names all principals in the
    place of the resources. Return "" if neither the permissions nor the Version differ, if a document cannot be parsed, or if the
    documents have too many permissions.
    """
    try:
        old = parse_policy(present, kind) if present is not None else None
        new = parse_policy(desired, kind)
    except PolicyError:
        return ""
    old_grants, new_grants = _read_grants(old) if old else {}, _read_grants(new)
    if len(old_grants) + len(new_grants) > _MOST_GRANTS:
        return ""
    whole = kind == "trust"
    parts = [
        f"changes Version from {old.version} to {new.version}" if old and old.version != new.version else "",
        *_describe_grants("adds", _uncovered(new_grants, old_grants), whole),
        *_describe_grants("removes", _uncovered(old_grants, new_grants), whole),
    ]
    return "; ".join(filter(None, parts))


def _read_grants(policy: Policy) -> _Grants:
    """Return the permissions of a policy, each with its form for display."""
    grants: _Grants = {}
    for statement in policy.statements:
        conditions = statement.conditions
        resources = _elements(statement.resources or (), statement.not_resource, "all resources", _RESOURCES)
        if statement.principals is not None:
            callers, conditions = _read_callers(statement)
            resources = _elements(callers, statement.not_principal, "all principals", _UNLIMITED)
        limit = _VALUES if statement.principals is None else _UNLIMITED
        condition = " and ".join(sorted(_condition_text(part, None) for part in conditions))
        condition_text = " and ".join(_condition_text(part, limit) for part in conditions)
        for action, action_text in _elements(
            statement.actions, statement.not_action, "all actions", _ACTIONS
        ):
            for resource, resource_text in resources:
                grant = _Grant(statement.effect, action.lower(), resource, condition)
                display = _Grant(statement.effect, action_text, resource_text, condition_text)
                grants.setdefault(grant, display)
    return grants


def _read_callers(statement: Statement) -> tuple[list[str], tuple[Condition, ...]]:
    """Return the callers that a trust statement names, and the conditions that all of them must meet.

    The last condition of a statement from this collection has the service accounts, so each of its values is a caller.
    """
    names = [" ".join(principal) for principal in statement.principals or ()]
    conditions = statement.conditions
    if not conditions or conditions[-1].operator != "StringEquals" or statement.not_principal:
        return names, conditions
    last = conditions[-1]
    return [f"{name} with {last.key} {value}" for name in names for value in last.values], conditions[:-1]


def _elements(values: Sequence[str], negated: bool, everything: str, limit: int) -> list[tuple[str, str]]:
    """Return each value with its form for display.

    The values of NotAction or NotResource (``negated``) become a single text, such as "all actions except s3:*, iam:*".
    """
    if not negated:
        return [(value, value) for value in values]
    names = sorted(set(values))
    return [(f"{everything}{_EXCEPT}{', '.join(names)}", f"{everything}{_EXCEPT}{_shorten(names, limit)}")]


def _condition_text(condition: Condition, limit: int | None) -> str:
    """Describe a condition for display, or if ``limit`` is None, with all its values for comparisons."""
    values = sorted(condition.values)
    if limit is None:
        return f"{condition.operator} {condition.key.lower()} {', '.join(values)}"
    return f"{condition.operator} {condition.key} {_shorten(values, limit)}"


def _uncovered(grants: _Grants, other_grants: _Grants) -> list[_Grant]:
    """Return the permissions that no permission of the other document covers, in their form for display.

    For large documents only equal permissions count as covered.
    """
    missing = {grant: display for grant, display in grants.items() if grant not in other_grants}
    if len(missing) * len(other_grants) > _MOST_PAIRS:
        return [*missing.values()]
    return [
        display
        for grant, display in missing.items()
        if not any(
            wide.effect == grant.effect
            and wide.condition in ("", grant.condition)
            and _matches(wide.action, grant.action)
            and _matches_resource(wide.resource, grant.resource)
            for wide in other_grants
        )
    ]


def _matches_resource(pattern: str, resource: str) -> bool:
    """Return whether a pattern matches a resource. A wildcard does not match across the first five colons of an ARN."""
    if pattern in ("*", resource):
        return True
    parts, texts = arn_parts(pattern), arn_parts(resource)
    # A pattern with a policy variable is not compared, because the value of the variable is unknown. A text with exceptions is
    # not split, because ``_matches`` would compare an exception as a pattern.
    comparable = "${" not in pattern and _EXCEPT not in pattern
    return len(parts) == len(texts) == ARN_PARTS and comparable and all(map(_matches, parts, texts))


def _matches(pattern: str, text: str) -> bool:
    """Return whether a pattern covers a text that may have wildcards, too."""
    # A text with exceptions is not used as a pattern, because wildcards in an exception make it match less.
    if pattern == text or _EXCEPT in pattern or ("*" not in pattern and "?" not in pattern):
        return pattern == text
    expression = "".join({"*": ".*", "?": r"[^*]"}.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _describe_grants(verb: str, grants: Iterable[_Grant], whole: bool) -> Iterator[str]:
    """Yield a part of the description for each group of actions with the same effect, resources and condition.

    :arg whole: whether to yield all parts with all resources.
    """
    most, most_targets = (_UNLIMITED, _UNLIMITED) if whole else (_PARTS, _RESOURCES)
    resources: dict[tuple[str, str, str], list[str]] = {}
    for grant in grants:
        resources.setdefault((grant.effect, grant.condition, grant.action), []).append(grant.resource)
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (effect, condition, action), targets in resources.items():
        groups.setdefault((effect, condition, tuple(targets)), []).append(action)
    parts = [
        f"{verb} {'' if effect == 'Allow' else 'Deny of '}{_shorten(actions, _ACTIONS)} on {_shorten(targets, most_targets)}"
        + (f" if {condition}" if condition else "")
        for (effect, condition, targets), actions in groups.items()
    ]
    yield from parts[:most]
    if len(parts) > most:
        count = sum(map(len, list(groups.values())[most:]))
        yield f"{verb} {count} more action{'' if count == 1 else 's'}"


def _shorten(names: Iterable[str], limit: int) -> str:
    """Join names to a text such as "a, b and 4 more". A text that would end with "1 more" shows this name instead."""
    texts = list(names)
    if len(texts) <= limit + 1:
        return ", ".join(texts)
    return f"{', '.join(texts[:limit])} and {len(texts) - limit} more"
