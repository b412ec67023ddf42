# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whether a statement for every principal of every AWS account says whose they have to be.

Source: IAM User Guide, "AWS global condition context keys" and "Available keys for AWS STS".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..evaluation.rules import Rule
from ..language.elements import Condition

_EQUAL = frozenset(("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"))
_UNEQUAL = frozenset(
    ("StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike")
)
_ARNS = frozenset(("aws:principalarn", "aws:sourcearn"))
# Not those that a caller of any account can set himself, such as the tags of the request or of the principal, the name
# of the session, or the name of a user.
_WHOSE = _ARNS | frozenset(
    (
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalservicename",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "sts:externalid",
    )
)


def allows_everyone(rule: Rule) -> bool:
    """Whether it is an Allow for everyone, whatever its conditions. An Allow with NotPrincipal grants nothing."""
    return rule.allow and _names_everyone(rule) and not rule.statement.not_principal


def is_narrowed(rule: Rule, rules: Sequence[Rule]) -> bool:
    """Whether a condition of the statement, or a Deny of the policy, keeps out all but some accounts or callers."""
    if any(_says_whose(test.condition, _EQUAL) for test in rule.tests):
        return True
    return any(_keeps_out(other) for other in rules if not other.allow)


def _names_everyone(rule: Rule) -> bool:
    return not {("*", "*"), ("AWS", "*")}.isdisjoint(rule.statement.principals or ())


def _keeps_out(deny: Rule) -> bool:
    """A Deny for all but some. Its conditions all have to hold, so that a second one lets others through."""
    actions = {action.lower() for action in deny.statement.actions}
    if deny.statement.not_action or actions.isdisjoint({"*", "sts:*", "sts:assumerole", "sts:assumerole*"}):
        return False
    if deny.statement.not_principal:
        return not deny.tests and not _names_everyone(deny)
    conditions = [test.condition for test in deny.tests]
    if not _names_everyone(deny) or len(conditions) > 1:
        return False
    return all(not condition.quantifier and _says_whose(condition, _UNEQUAL) for condition in conditions)


def _says_whose(condition: Condition, operators: frozenset[str]) -> bool:
    key = condition.key.lower()
    if key not in _WHOSE or condition.base not in operators or condition.quantifier == "ForAllValues":
        return False
    # An absent key satisfies IfExists, which in a Deny keeps out the more.
    if condition.if_exists and operators is _EQUAL:
        return False
    return all(_is_some(value, key in _ARNS) for value in condition.values)


def _is_some(value: str, arn: bool) -> bool:
    """Whether the part that says whose it is has no wildcard, like "o-1/*" or "arn:aws:iam::111122223333:role/*"."""
    parts = value.split(":") if arn else re.split("[/:]", value)
    place = 4 if arn else 0
    return "${" not in value and len(parts) > place and not set("*?") & set(parts[place])
