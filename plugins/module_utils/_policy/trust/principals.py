# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the principals that a trust policy allows in addition to EKS Pod Identity.

The plan and the access report judge these principals with the same function. It ignores Deny statements and most conditions, so a
principal can be in the result although it is denied, but none is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..evaluation.pods import SERVICE
from ..evaluation.rules import Rule
from .diagnose import is_narrowed

# "account" is the own account as a whole, "oidc" a provider with a condition on ``sub``, and "provider" one without.
GuestKind = Literal[
    "everyone", "limited", "other account", "account", "principal", "service", "saml", "oidc", "provider"
]
GuestSeverity = Literal["high", "medium", "low"]
GUESTS: Final[Mapping[GuestKind, tuple[GuestSeverity, str]]] = {
    "everyone": ("high", "everyone"),
    "other account": ("high", "other accounts"),
    "provider": ("high", "every identity of an identity provider (no condition on sub)"),
    "limited": ("medium", "everyone except principals that conditions or Deny statements exclude"),
    "account": ("medium", "each principal of the account whose policies allow it"),
    "service": ("medium", "other AWS services"),
    "saml": ("medium", "a SAML provider"),
    "oidc": ("low", "identities of an OIDC provider"),
    "principal": ("low", "other principals of the account"),
}
_ACCOUNT_OF = re.compile(r"arn:[a-z0-9-]+:(?:iam|sts)::([^:]*):(.*)|(\d{12})", re.ASCII | re.DOTALL)
# The values of ``sub`` that limit nothing: a wildcard, alone or after the fixed beginning that all values of a provider have.
_ANY_SUBJECT = re.compile(
    r"(?:repo:|system:serviceaccount:|project_path:|organization:)?[*?].*|.*\$\{.*", re.DOTALL
)
_POSITIVE = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")


@dataclass(frozen=True, slots=True)
class Guest:
    """A principal that a trust policy allows. ``index`` is the position, from 0, of the statement that names it."""

    name: str
    kind: GuestKind
    index: int

    @property
    def severity(self) -> GuestSeverity:
        return GUESTS[self.kind][0]


def find_guests(rules: Sequence[Rule], account: str) -> list[Guest]:
    """Return the principals that the Allow statements of a trust policy name, except EKS Pod Identity.

    :arg account: the account of the role.
    """
    return [guest for rule in rules if rule.allow for guest in _guests(rule, rules, account)]


def _guests(rule: Rule, rules: Sequence[Rule], account: str) -> Iterator[Guest]:
    statement = rule.statement
    index = statement.index - 1
    everyone: GuestKind = "limited" if is_narrowed(rule, rules) else "everyone"
    names = dict.fromkeys(statement.principals or ())
    if statement.not_principal:
        excepted = ", ".join(value for _kind, value in names)
        yield Guest(f"everyone except {excepted}", everyone, index)
        return
    for kind, value in names:
        if value == "*":
            yield Guest(value, everyone, index)
        elif kind == "Service":
            if value != SERVICE:
                yield Guest(value, "service", index)
        elif kind == "Federated":
            is_saml = ":saml-provider/" in value
            yield Guest(value, "saml" if is_saml else "oidc" if _has_subject(rule) else "provider", index)
        else:
            yield Guest(value, _aws_kind(value, account), index)


def _aws_kind(value: str, account: str) -> GuestKind:
    """Return the kind of an AWS principal. The ID of a deleted principal has no account."""
    match = _ACCOUNT_OF.fullmatch(value)
    if match is None:
        return "principal"
    if (match[1] or match[3]) != account:
        return "other account"
    return "account" if match[3] or match[2] == "root" else "principal"


def _has_subject(rule: Rule) -> bool:
    """Return whether a condition requires a value of ``sub`` that not all identities of a provider can have."""
    return any(
        condition.key.lower().endswith(":sub")
        and condition.base in _POSITIVE
        and not condition.if_exists
        and condition.quantifier != "ForAllValues"
        and not any(map(_ANY_SUBJECT.fullmatch, condition.values))
        for condition in (test.condition for test in rule.tests)
    )
