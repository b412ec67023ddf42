# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""IAM policy documents: parse text or data into typed statements, and serialise them for AWS.

The IAM API returns documents URL-encoded (RFC 3986); boto3 decodes only some of these documents.

Source: IAM User Guide, "Grammar of the IAM JSON policy language". The parser accepts every document that can be evaluated,
even if IAM would not store it. ``grammar`` checks whether IAM would store it, and ``evaluation`` evaluates it.
"""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

PRINCIPAL_TYPES = ("AWS", "Service", "Federated", "CanonicalUser")
EVERYONE = ("*", "*")

# IAM User Guide, "IAM JSON policy elements: Condition operators".
OPERATORS = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
)
_BY_FOLDED = {name.lower(): name for name in OPERATORS}
_QUANTIFIERS = {"forallvalues": "ForAllValues", "foranyvalue": "ForAnyValue"}


class PolicyError(ValueError):
    """The error for a document that is not a policy. The message names the reason and, if known, the place in the document."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator and key of a Condition block, with the values of the key as text.

    ``base`` is the operator in canonical letter case, without set operator and IfExists. ``quantifier`` is the set operator:
    "ForAllValues", "ForAnyValue" or "". ``key`` keeps the letter case of the author.
    """

    base: str
    key: str
    values: tuple[str, ...]
    quantifier: str = ""
    if_exists: bool = False

    @property
    def operator(self) -> str:
        """Return the complete operator in canonical letter case, such as ``ForAnyValue:StringLikeIfExists``."""
        prefix = f"{self.quantifier}:" if self.quantifier else ""
        return f"{prefix}{self.base}{'IfExists' if self.if_exists else ''}"


def _parse_strings(value: object, place: str, element: str) -> tuple[str, ...]:
    """Parse an element whose value is a non-empty text, or a non-empty list of such texts."""
    items = value if isinstance(value, list | tuple) else (value,)
    if not items:
        raise PolicyError(f"{place}: {element} is an empty list; it needs at least one value")
    for item in items:
        if not isinstance(item, str):
            actual = f"{'a list with ' if items is value else ''}{describe_type(item)}"
            raise PolicyError(f"{place}: {element} must be text or a list of text, got {actual}")
        if not item:
            raise PolicyError(f"{place}: {element} has an empty value")
    return tuple(str(item) for item in items)


def _parse_principals(value: object, place: str, element: str) -> tuple[tuple[str, str], ...]:
    """Parse ``"*"``, or an object with principal types as keys, into pairs of type and value in the author's order."""
    if value == "*":
        return (EVERYONE,)
    if isinstance(value, str):
        raise PolicyError(
            f"{place}: {element} {value!r:.80} must be an object such as"
            ' {"Service": "pods.eks.amazonaws.com"}, or "*"'
        )
    if not isinstance(value, Mapping):
        raise PolicyError(f"{place}: {element} must be an object or '*', got {describe_type(value)}")
    if not value:
        raise PolicyError(f"{place}: {element} is empty")
    _check_elements(value, PRINCIPAL_TYPES, f"{place}: {element}")
    return tuple(
        (str(kind), name)
        for kind, names in value.items()
        for name in _parse_strings(names, place, f"{element}.{kind}")
    )


def parse_conditions(block: object, statement: str) -> tuple[Condition, ...]:
    """Parse a Condition block into one condition for each operator and key.

    :arg statement: the label of the statement, for messages.
    :raises PolicyError: when the block is malformed, or has the same key twice for one operator.
    """
    if not isinstance(block, Mapping):
        raise PolicyError(f"{statement}: Condition must be an object, got {describe_type(block)}")
    conditions: list[Condition] = []
    seen: set[tuple[str, str]] = set()
    for operator, keys in block.items():
        quantifier, base, if_exists = _parse_operator(str(operator), statement)
        if not isinstance(keys, Mapping):
            raise PolicyError(
                f"{statement}: Condition.{operator} must be an object of condition keys, got {describe_type(keys)}"
            )
        for key, content in keys.items():
            if not isinstance(key, str) or not key.strip():
                raise PolicyError(f"{statement}: Condition.{operator} has an empty condition key")
            place = f"{statement}: Condition.{operator}.{key:.128}"
            items = content if isinstance(content, list | tuple) else (content,)
            values = tuple(_value(item, place) for item in items)
            condition = Condition(base, str(key), values, quantifier, if_exists)
            identity = (condition.operator, key.lower())
            if identity in seen:
                raise PolicyError(
                    f"{place}: duplicate key for this operator (condition keys are case-insensitive)"
                )
            seen.add(identity)
            conditions.append(condition)
    return tuple(conditions)


def _parse_operator(operator: str, place: str) -> tuple[str, str, bool]:
    """Split an operator in any letter case into set operator, canonical name, and whether it has IfExists."""
    prefix, colon, rest = operator.rpartition(":")
    quantifier = _QUANTIFIERS.get(prefix.lower(), "") if colon else ""
    folded = rest.lower()
    if_exists = folded.endswith("ifexists")
    base = _BY_FOLDED.get(folded.removesuffix("ifexists"))
    if base is None or (colon and not quantifier):
        raise PolicyError(f"{place}: unknown condition operator {operator[:64]!r}" + _hint(rest, OPERATORS))
    if base == "Null" and (if_exists or quantifier):
        raise PolicyError(
            f"{place}: Condition operator {operator!r}: Null does not support IfExists,"
            " ForAllValues or ForAnyValue"
        )
    return quantifier, base, if_exists


def _check_elements(
    item: Mapping[object, object] | Mapping[str, object], allowed: Collection[str], place: str
) -> None:
    """Raise PolicyError for an element that is not allowed. The message suggests the most similar name, if there is one."""
    for key in item:
        if key not in allowed:
            name = key if isinstance(key, str) else repr(key)
            raise PolicyError(f"{place}: unknown element {name[:64]!r}" + _hint(name, allowed))


def _value(item: object, place: str) -> str:
    if isinstance(item, str):
        return str(item)
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float):
        return str(item)
    raise PolicyError(f"{place}: values must be text, numbers or booleans, got {describe_type(item)}")


def _hint(name: str, allowed: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:64], allowed, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(allowed)}"


def describe_type(value: object) -> str:
    """Describe the type of a value for a message, such as "text" or "a list".

    Values from Ansible are instances of internal subclasses that users do not know. So a class is named only if it is not a
    subclass of a common type.
    """
    if value is None:
        return "null"
    kinds = (
        (bool, "a boolean"),
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    )
    names = (name for kind, name in kinds if isinstance(value, kind))
    return next(names, f"a {type(value).__name__}")


# The maximum length of a document. IAM accepts at most 131,072 characters from users, but some AWS managed policies are longer.
# The evaluation of a document of this length takes up to two seconds.
MAX_CHARACTERS = 400_000
# The maximum number of nested levels. A valid policy has fewer: Statement > Condition > operator > key > values.
MAX_DEPTH = 32
# Python refuses to convert integers of more than 4,300 digits to text. This number of bits is below that limit.
MAX_BITS = 14_000
_LONG_NUMBER = "a number has more than 4,000 digits"


class PolicyDocument(dict[str, object]):
    """A document that ``load_document`` has validated, so that it is not validated again."""


def load_document(document: object) -> PolicyDocument:
    """Convert a dict, JSON text or URL-encoded JSON text to a dict, and check its size and depth.

    :raises PolicyError: when the document is not a JSON object, is too large or too deeply nested, or has a duplicate key, a key
        that is not text, or a number that is too long.
    """
    if isinstance(document, PolicyDocument):
        return document
    if isinstance(document, str):
        content = _from_text(document)
    elif isinstance(document, Mapping):
        content = document
    else:
        raise PolicyError(f"a policy document must be a mapping or JSON text, got {describe_type(document)}")
    if not isinstance(content, Mapping):
        raise PolicyError(f"a policy document must be a JSON object, got {describe_type(content)}")
    _validate_bounds(content)
    return PolicyDocument(content)


def to_json(document: object) -> str:
    """Serialise a document as JSON without white space between tokens. The order of the elements does not change.

    :raises PolicyError: when ``load_document`` rejects the document, or the document has a value that JSON does not support.
    """
    return json.dumps(load_document(document), separators=(",", ":"), ensure_ascii=False, default=_jsonable)


def policy_size(document: object) -> int:
    """Return the number of characters that count towards the size quotas of IAM, which ignore white space between tokens.

    Source: IAM User Guide, "IAM and AWS STS quotas", IAM and STS character limits.
    """
    return len(to_json(document))


def document_statements(document: Mapping[str, object]) -> list[object]:
    """Return the statements of a policy document, which may have a single statement instead of a list."""
    statements = document.get("Statement", [])
    return list(statements) if isinstance(statements, list) else [statements]


def _from_text(text: str) -> object:
    stripped = text.strip()
    if not stripped:
        raise PolicyError("the policy document is empty")
    if stripped[0] != "{" and "%" in stripped:
        stripped = unquote(stripped).strip()
    if len(stripped) > MAX_CHARACTERS:
        raise PolicyError(_too_large(len(stripped)))
    try:
        return json.loads(stripped, object_pairs_hook=_unique, parse_constant=_no_constant)
    except PolicyError:
        raise
    except json.JSONDecodeError as error:
        raise PolicyError(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise PolicyError(f"nested more than {MAX_DEPTH} levels deep") from error
    except ValueError as error:
        # The only remaining cause is an integer with more digits than Python converts.
        raise PolicyError(_LONG_NUMBER) from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content: dict[str, object] = {}
    for key, value in pairs:
        if key in content:
            sid = next((v for k, v in pairs if k == "Sid" and isinstance(v, str)), None)
            place = f" in the statement with Sid {sid[:64]!r}" if sid else ""
            raise PolicyError(f"duplicate key {key[:64]!r} in an object{place}")
        content[key] = value
    return content


def _no_constant(name: str) -> object:
    raise PolicyError(f"not JSON: {name} is not a JSON value")


def _validate_bounds(document: Mapping[object, object]) -> None:
    """Check size and depth before other code walks the document recursively. A document from YAML may be cyclic."""
    remaining = MAX_CHARACTERS
    stack: list[tuple[object, int]] = [(document, 1)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, str):
            remaining -= len(value)
        elif isinstance(value, Mapping):
            remaining -= len(value)
            for key, item in value.items():
                if not isinstance(key, str):
                    raise PolicyError(f"the key {key!r:.64} must be text")
                remaining -= len(key)
                stack.append((item, depth + 1))
        elif isinstance(value, list | tuple):
            remaining -= len(value)
            stack.extend((item, depth + 1) for item in value)
        else:
            remaining -= 1
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                raise PolicyError(_LONG_NUMBER)
        if remaining < 0:
            raise PolicyError(_too_large(None))
        if depth > MAX_DEPTH:
            raise PolicyError(f"nested more than {MAX_DEPTH} levels deep")


def _jsonable(value: object) -> str:
    # YAML reads an unquoted 2012-10-17 as a date.
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise PolicyError(f"{describe_type(value)} cannot be part of a policy document")


def _too_large(size: int | None) -> str:
    count = "too many" if size is None else f"{size:,}"
    return f"the document has {count} characters; the maximum is {MAX_CHARACTERS:,}"


DOCUMENT_KINDS = ("identity", "trust", "session", "boundary")
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
    """A statement. Its lists have the order and letter case of the author.

    ``index`` counts from 1. ``principals`` has pairs of type and value; the type is "AWS", "Service", "Federated",
    "CanonicalUser", or "*" for ``"Principal": "*"``. In trust policies ``resources`` is None; in all other policies
    ``principals`` is None. ``not_action``, ``not_resource`` and ``not_principal`` mark NotAction, NotResource and
    NotPrincipal.
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
        """Return the description of the statement in messages, such as ``Statement 2 (Sid 'X')``."""
        return _label(self.index, self.sid)


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document. Without a Version, ``version`` is 2008-10-17, as in IAM."""

    kind: str
    version: str
    statements: tuple[Statement, ...]
    id: str | None = None

    @property
    def has_variables(self) -> bool:
        """Return whether ``${...}`` is a policy variable. In Version 2008-10-17 it is literal text."""
        return self.version != LEGACY_VERSION


def parse_policy(document: object, kind: str = "identity") -> Policy:
    """Parse a policy document: a dict, JSON text, or URL-encoded JSON text.

    :arg kind: "identity", "session", "boundary" or "trust". The first three require Resource and forbid Principal, "trust"
        requires Principal and forbids Resource.
    :raises PolicyError: when the document is malformed.
    :raises ValueError: when ``kind`` is not one of these four kinds.
    """
    if kind not in DOCUMENT_KINDS:
        raise ValueError(f"kind must be one of {', '.join(DOCUMENT_KINDS)}, got {kind!r}")
    content = load_document(document)
    _check_elements(content, _POLICY_ELEMENTS, "policy")
    version = _version(content.get("Version", LEGACY_VERSION))
    identifier = content.get("Id")
    if identifier is not None and not isinstance(identifier, str):
        raise PolicyError(f"Id must be text, got {describe_type(identifier)}")
    if "Statement" not in content:
        raise PolicyError("the policy has no Statement")
    content_statements = content["Statement"]
    items = content_statements if isinstance(content_statements, list | tuple) else [content_statements]
    if not items:
        raise PolicyError("Statement is empty: a policy needs at least one statement")
    statements = tuple(_parse_statement(item, index, kind) for index, item in enumerate(items, 1))
    return Policy(kind=kind, version=version, statements=statements, id=identifier)


def _version(value: object) -> str:
    if isinstance(value, datetime.date):
        # YAML reads an unquoted 2012-10-17 as a date.
        value = value.isoformat()
    if not isinstance(value, str) or value not in VERSIONS:
        actual = repr(value) if isinstance(value, str) else describe_type(value)
        raise PolicyError(f"Version must be '2012-10-17' or '2008-10-17', got {actual}")
    return str(value)


def _parse_statement(item: object, index: int, kind: str) -> Statement:
    if not isinstance(item, Mapping):
        raise PolicyError(f"Statement {index}: must be an object, got {describe_type(item)}")
    sid = item.get("Sid")
    if sid is not None and not isinstance(sid, str):
        raise PolicyError(f"Statement {index}: Sid must be text, got {describe_type(sid)}")
    place = _label(index, sid)
    _check_elements(item, _STATEMENT_ELEMENTS, place)
    effect = item.get("Effect")
    if not isinstance(effect, str) or effect not in ("Allow", "Deny"):
        if effect is None:
            raise PolicyError(f"{place}: Effect is missing; it must be Allow or Deny")
        actual = repr(str(effect)) if isinstance(effect, str) else describe_type(effect)
        raise PolicyError(f"{place}: Effect must be Allow or Deny, got {actual}")
    action = _single_element(item, "Action", "NotAction", place)
    actions = _parse_strings(item[action], place, action)
    for value in actions:
        if value != "*" and not all(value.partition(":")):
            raise PolicyError(
                f"{place}: {action} {value!r} must have the form service:Action, such as s3:GetObject"
            )
    is_trust = kind == "trust"
    for prohibited in ("Resource", "NotResource") if is_trust else ("Principal", "NotPrincipal"):
        if prohibited in item:
            raise PolicyError(
                f"{place}: {prohibited} is not allowed in a trust policy"
                f" (IAM: Has prohibited field {prohibited}); remove it"
                if is_trust
                else f"{place}: {prohibited} is allowed in a trust policy only"
            )
    target = "Principal" if is_trust else "Resource"
    element = _single_element(item, target, f"Not{target}", place)
    resources = None if is_trust else _parse_strings(item[element], place, element)
    for value in resources or ():
        if value != "*" and not value.startswith(("arn:", "*", "?", "${")):
            raise PolicyError(f"{place}: {element} {value!r} must be an ARN or '*'")
    return Statement(
        index=index,
        sid=sid or None,
        effect=str(effect),
        actions=actions,
        not_action=action == "NotAction",
        resources=resources,
        not_resource=element == "NotResource",
        principals=_parse_principals(item[element], place, element) if is_trust else None,
        not_principal=element == "NotPrincipal",
        conditions=parse_conditions(item.get("Condition", {}), place),
    )


def _single_element(item: Mapping[object, object], name: str, alternative: str, place: str) -> str:
    names = [element for element in (name, alternative) if element in item]
    if len(names) != 1:
        problem = f"has both {name} and {alternative}; use exactly one"
        raise PolicyError(f"{place}: {problem if names else f'{name} (or {alternative}) is missing'}")
    return names[0]


def _label(index: int, sid: str | None) -> str:
    if not sid:
        return f"Statement {index}"
    short = sid if len(sid) <= 64 else sid[:61] + "..."
    return f"Statement {index} (Sid {short!r})"
