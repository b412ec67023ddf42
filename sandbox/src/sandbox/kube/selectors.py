# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse and match label selectors and field selectors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.kube.errors import bad_request
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import ResourceType

_TERM = re.compile(r"(?:[^,()]|\([^()]*\))+")
_SET_TERM = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")
_EQUALITY_TERM = re.compile(r"([^!=<>\s]+)\s*(==|=|!=)\s*([^!=<>\s]*)")
_EXISTS_TERM = re.compile(r"(!?)\s*([^!=<>\s,()]+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A term of a label selector. ``operator`` is in, notin, exists or absent."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, Any]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
        return False


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A parsed label selector. All of its terms must match."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_label_selector(text: str) -> LabelSelector:
    """Parse a label selector, such as ``a=b,c!=d,e in (f,g),h notin (i),j,!k``.

    Raise ApiError 400 for a syntax error.
    """
    if not text.strip():
        return LabelSelector()
    terms = [term.strip() for term in _TERM.findall(text)]
    if ",".join(_TERM.findall(text)) != text:
        raise bad_request(f"unable to parse requirement: found '{text}', expected: identifier")
    return LabelSelector(tuple(_requirement(term) for term in terms))


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def object_selector(selector: Json | None) -> LabelSelector:
    """Parse a label selector in an object (matchLabels and matchExpressions). An empty selector selects every object."""
    equal = [Requirement(key, "in", frozenset({value})) for key, value in _labels(selector)]
    expressions = (selector or {}).get("matchExpressions") or []
    set_based = [
        Requirement(term["key"], _OPERATORS[term["operator"]], frozenset(term.get("values") or ()))
        for term in expressions
    ]
    return LabelSelector((*equal, *set_based))


def _labels(selector: Json | None) -> list[tuple[str, str]]:
    return list(((selector or {}).get("matchLabels") or {}).items())


def _requirement(term: str) -> Requirement:
    if matched := _SET_TERM.fullmatch(term):
        values = frozenset(value.strip() for value in matched[3].split(","))
        return Requirement(matched[1], matched[2], values)
    if matched := _EQUALITY_TERM.fullmatch(term):
        operator = "notin" if matched[2] == "!=" else "in"
        return Requirement(matched[1], operator, frozenset({matched[3]}))
    if matched := _EXISTS_TERM.fullmatch(term):
        return Requirement(matched[2], "absent" if matched[1] else "exists")
    raise bad_request(f"unable to parse requirement: found '{term}', expected: in, notin, =, ==, !=")


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """A term of a field selector: the value that a field must have, or, with ``negated``, that the field must not have."""

    path: tuple[str, ...]
    value: str
    negated: bool

    def matches(self, obj: Json) -> bool:
        return (_text(lookup(obj, *self.path)) == self.value) != self.negated


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A parsed field selector. All of its terms must match."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, obj: Json) -> bool:
        return all(term.matches(obj) for term in self.terms)

    def exact(self, *path: str) -> str | None:
        """Return the value that a field must have, or None if the selector does not require a value."""
        for term in self.terms:
            if term.path == path and not term.negated:
                return term.value
        return None


def parse_field_selector(text: str, rtype: ResourceType) -> FieldSelector:
    """Parse a field selector, such as ``metadata.name=x,status.phase!=Running``.

    Raise ApiError 400 for a syntax error, or for a field that the kind does not support.
    """
    terms = []
    for part in filter(None, text.split(",")):
        matched = re.fullmatch(r"([^!=]+?)(==|=|!=)(.*)", part)
        if matched is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field = matched[1].strip()
        if field not in ("metadata.name", "metadata.namespace", *rtype.fields):
            raise bad_request(
                f'Unable to find "{rtype.group_version}, Resource={rtype.plural}" that match'
                f' label selector "", field selector "{text}": field label not supported: {field}'
            )
        terms.append(FieldTerm(tuple(field.split(".")), matched[3], matched[2] == "!="))
    return FieldSelector(tuple(terms))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
