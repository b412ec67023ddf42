# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""IAM policy documents: from what people and IAM give us to typed values, or a located error.

Grammar: IAM User Guide, "Grammar of the IAM JSON policy language". What is refused here has no meaning. What a
document means is decided in evaluation, and what else IAM does not store in grammar.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from .elements import (
    Condition,
    PolicyError,
    kind_of,
    parse_conditions,
    parse_principals,
    parse_strings,
    refuse_unknown,
)
from .text import load

KINDS = ("identity", "trust", "session", "boundary")
LEGACY_VERSION = "2008-10-17"
VERSIONS = ("2012-10-17", LEGACY_VERSION)

_POLICY_ELEMENTS = ("Version", "Id", "Statement")
_STATEMENT_ELEMENTS = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Lists keep the author's order and letter case.

    ``principals`` is a tuple of (type, value), with type "AWS", "Service", "Federated",
    "CanonicalUser", or "*" for the bare ``"Principal": "*"``; None where the kind has none.
    """

    index: int
    sid: str | None
    effect: str
    actions: tuple[str, ...]
    not_action: bool = False
    resources: tuple[str, ...] | None = None
    not_resource: bool = False
    principals: tuple[tuple[str, str], ...] | None = None
    not_principal: bool = False
    conditions: tuple[Condition, ...] = ()

    @property
    def label(self) -> str:
        """How messages name this statement, such as ``Statement 2 (Sid 'X')``."""
        return _label(self.index, self.sid)


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed document. ``version`` is 2008-10-17 when the document names none, as for IAM."""

    kind: str
    version: str
    statements: tuple[Statement, ...]
    id: str | None = None

    @property
    def has_variables(self) -> bool:
        """Whether ``${...}`` means a policy variable (only in Version 2012-10-17)."""
        return self.version != LEGACY_VERSION


def parse_policy(document: object, kind: str = "identity") -> Policy:
    """Parse a dict, JSON text, or URL-encoded JSON text.

    :arg kind: "identity", "session" and "boundary" need Resource and forbid Principal; "trust" is
        the reverse.
    :raises PolicyError: with the statement, Sid and element in its text.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    content = load(document)
    refuse_unknown(content, _POLICY_ELEMENTS, "policy")
    version = _version(content.get("Version", LEGACY_VERSION))
    identifier = content.get("Id")
    if identifier is not None and not isinstance(identifier, str):
        raise PolicyError(f"Id must be text, got {kind_of(identifier)}")
    if "Statement" not in content:
        raise PolicyError("the policy has no Statement")
    given = content["Statement"]
    items = given if isinstance(given, list | tuple) else [given]
    if not items:
        raise PolicyError("Statement is empty: a policy needs at least one statement")
    statements = tuple(_statement(item, at, kind) for at, item in enumerate(items, 1))
    return Policy(kind=kind, version=version, statements=statements, id=identifier)


def _version(value: object) -> str:
    if isinstance(value, datetime.date):
        # YAML reads an unquoted 2012-10-17 as a date.
        value = value.isoformat()
    if not isinstance(value, str) or value not in VERSIONS:
        shown = repr(value) if isinstance(value, str) else kind_of(value)
        raise PolicyError(f"Version must be '2012-10-17' or '2008-10-17', got {shown}")
    return str(value)


def _statement(item: object, index: int, kind: str) -> Statement:
    if not isinstance(item, Mapping):
        raise PolicyError(f"Statement {index}: must be an object, got {kind_of(item)}")
    sid = item.get("Sid")
    if sid is not None and not isinstance(sid, str):
        raise PolicyError(f"Statement {index}: Sid must be text, got {kind_of(sid)}")
    where = _label(index, sid)
    refuse_unknown(item, _STATEMENT_ELEMENTS, where)
    effect = item.get("Effect")
    if not isinstance(effect, str) or effect not in ("Allow", "Deny"):
        if effect is None:
            raise PolicyError(f"{where}: Effect is missing; it must be Allow or Deny")
        shown = repr(str(effect)) if isinstance(effect, str) else kind_of(effect)
        raise PolicyError(f"{where}: Effect must be Allow or Deny, got {shown}")
    action = _one_of(item, "Action", "NotAction", where)
    actions = parse_strings(item[action], where, action)
    for value in actions:
        _check_action(value, where, action)
    resources, not_resource = _resources(item, where, kind)
    principals, not_principal = _principals(item, where, kind)
    return Statement(
        index=index,
        sid=sid or None,
        effect=str(effect),
        actions=actions,
        not_action=action == "NotAction",
        resources=resources,
        not_resource=not_resource,
        principals=principals,
        not_principal=not_principal,
        conditions=parse_conditions(item.get("Condition", {}), where),
    )


def _resources(item: Mapping[object, object], where: str, kind: str) -> tuple[tuple[str, ...] | None, bool]:
    if kind == "trust":
        for element in ("Resource", "NotResource"):
            if element in item:
                raise PolicyError(
                    f"{where}: {element} is not allowed in a trust policy"
                    f" (IAM: Has prohibited field {element}); remove it"
                )
        return None, False
    element = _one_of(item, "Resource", "NotResource", where)
    resources = parse_strings(item[element], where, element)
    for value in resources:
        if value != "*" and not value.startswith(("arn:", "*", "?", "${")):
            raise PolicyError(f"{where}: {element} {value!r} must be an ARN or '*'")
    return resources, element == "NotResource"


def _principals(
    item: Mapping[object, object], where: str, kind: str
) -> tuple[tuple[tuple[str, str], ...] | None, bool]:
    if kind != "trust":
        for element in ("Principal", "NotPrincipal"):
            if element in item:
                raise PolicyError(f"{where}: {element} is not allowed here; only a trust policy has one")
        return None, False
    element = _one_of(item, "Principal", "NotPrincipal", where)
    return parse_principals(item[element], where, element), element == "NotPrincipal"


def _check_action(value: str, where: str, element: str) -> None:
    if value == "*":
        return
    vendor, colon, name = value.partition(":")
    if not colon or not vendor or not name:
        raise PolicyError(
            f"{where}: {element} {value!r} must have the form service:Action, such as s3:GetObject"
        )


def _one_of(item: Mapping[object, object], name: str, alternative: str, where: str) -> str:
    if name in item and alternative in item:
        raise PolicyError(f"{where}: has both {name} and {alternative}; give exactly one")
    if name in item:
        return name
    if alternative in item:
        return alternative
    raise PolicyError(f"{where}: {name} (or {alternative}) is missing")


def _label(index: int, sid: str | None) -> str:
    if not sid:
        return f"Statement {index}"
    short = sid if len(sid) <= 64 else sid[:61] + "..."
    return f"Statement {index} (Sid {short!r})"
