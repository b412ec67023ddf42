# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The elements inside a statement: lists of text, principals and conditions, typed and located."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

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
    """A document that IAM would not accept; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator and key of a Condition block, with all its values as text.

    ``base`` is the operator's canonical name without prefix and suffix; ``quantifier`` is
    "ForAllValues", "ForAnyValue" or "". ``key`` keeps the author's letter case.
    """

    base: str
    key: str
    values: tuple[str, ...]
    quantifier: str = ""
    if_exists: bool = False

    @property
    def operator(self) -> str:
        """The whole operator in canonical letter case: ``ForAnyValue:StringLikeIfExists``."""
        prefix = f"{self.quantifier}:" if self.quantifier else ""
        return f"{prefix}{self.base}{'IfExists' if self.if_exists else ''}"


def parse_strings(value: object, where: str, element: str) -> tuple[str, ...]:
    """A non-empty text or list of non-empty texts."""
    items = value if isinstance(value, list | tuple) else (value,)
    if not items:
        raise PolicyError(f"{where}: {element} is an empty list; give at least one value")
    for item in items:
        if not isinstance(item, str):
            raise PolicyError(f"{where}: {element} must be text or a list of text, got {kind_of(item)}")
        if not item:
            raise PolicyError(f"{where}: {element} has an empty value")
    return tuple(str(item) for item in items)


def parse_principals(value: object, where: str, element: str) -> tuple[tuple[str, str], ...]:
    """``"*"`` or an object of principal types, as pairs of type and value in the author's order."""
    if value == "*":
        return (EVERYONE,)
    if isinstance(value, str):
        raise PolicyError(
            f"{where}: {element} {value!r:.80} must be an object such as"
            ' {"Service": "pods.eks.amazonaws.com"}, or "*"'
        )
    if not isinstance(value, Mapping):
        raise PolicyError(f"{where}: {element} must be an object or '*', got {kind_of(value)}")
    if not value:
        raise PolicyError(f"{where}: {element} is empty")
    refuse_unknown(value, PRINCIPAL_TYPES, f"{where}: {element}")
    principals: list[tuple[str, str]] = []
    for kind, given in value.items():
        for item in parse_strings(given, where, f"{element}.{kind}"):
            principals.append((str(kind), item))
    return tuple(principals)


def parse_conditions(block: object, where: str) -> tuple[Condition, ...]:
    """A Condition block, flattened: one entry an operator and key. All of them must hold."""
    if not isinstance(block, Mapping):
        raise PolicyError(f"{where}: Condition must be an object, got {kind_of(block)}")
    conditions: list[Condition] = []
    seen: set[tuple[str, str]] = set()
    for operator, keys in block.items():
        quantifier, base, if_exists = parse_operator(str(operator), where)
        if not isinstance(keys, Mapping):
            raise PolicyError(
                f"{where}: Condition.{operator} must be an object of condition keys, got {kind_of(keys)}"
            )
        for key, given in keys.items():
            if not isinstance(key, str) or not key.strip():
                raise PolicyError(f"{where}: Condition.{operator} has an empty condition key")
            place = f"{where}: Condition.{operator}.{key:.128}"
            condition = Condition(base, str(key), _values(given, place), quantifier, if_exists)
            identity = (condition.operator, key.lower())
            if identity in seen:
                raise PolicyError(
                    f"{place}: the key is given twice for this operator (letter case does not count)"
                )
            seen.add(identity)
            conditions.append(condition)
    return tuple(conditions)


def parse_operator(operator: str, where: str) -> tuple[str, str, bool]:
    """Quantifier, canonical base name and IfExists of an operator. Letter case does not count."""
    prefix, colon, rest = operator.rpartition(":")
    quantifier = _QUANTIFIERS.get(prefix.lower(), "") if colon else ""
    folded = rest.lower()
    if_exists = folded.endswith("ifexists")
    base = _BY_FOLDED.get(folded.removesuffix("ifexists"))
    if base is None or (colon and not quantifier):
        raise PolicyError(f"{where}: Condition has no operator {operator[:64]!r}" + _hint(rest, OPERATORS))
    if base == "Null" and (if_exists or quantifier):
        raise PolicyError(
            f"{where}: Condition operator {operator[:64]!r}: Null takes no IfExists and no"
            " ForAllValues or ForAnyValue"
        )
    return quantifier, base, if_exists


def refuse_unknown(
    item: Mapping[object, object] | Mapping[str, object], known: Collection[str], where: str
) -> None:
    """Refuse keys that the grammar does not have, with the nearest that it has."""
    for key in item:
        if key not in known:
            name = key if isinstance(key, str) else repr(key)
            raise PolicyError(f"{where}: unknown element {name[:64]!r}" + _hint(name, known))


def _values(given: object, place: str) -> tuple[str, ...]:
    items = given if isinstance(given, list | tuple) else (given,)
    return tuple(_value(item, place) for item in items)


def _value(item: object, place: str) -> str:
    if isinstance(item, str):
        return str(item)
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float):
        return str(item)
    raise PolicyError(f"{place}: values must be text, numbers or booleans, got {kind_of(item)}")


def _hint(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:64], known, n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"


def kind_of(value: object) -> str:
    """Return the kind of a value in words, such as "text" or "a list": Ansible has classes of its own for each."""
    if value is None:
        return "null"
    kinds = (
        (bool, "a boolean"),
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    )
    named = (word for kind, word in kinds if isinstance(value, kind))
    return next(named, f"a {type(value).__name__}")
