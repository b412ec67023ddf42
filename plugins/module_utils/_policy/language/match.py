# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Patterns of the policy language: literal text, wildcards and policy variables, matched without regular expressions.

``*`` matches any number of characters, ``?`` exactly one. A pattern is compared with all positions of a text at the same time,
which are the bits of an integer. So the time is at most proportional to the length of the pattern times the length of the text.

Variables have the forms ``${key}`` and ``${key, 'default'}``. The texts ``${*}``, ``${?}`` and ``${$}`` represent the literal
characters. Variables exist in Version 2012-10-17 only; in Version 2008-10-17 the same text is literal.

Sources: IAM User Guide, "IAM JSON policy elements: Resource", "... Condition operators", "IAM policy elements: Variables
and tags".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from itertools import groupby
from typing import TypeAlias

from .context import Context, Unknown

_WILDCARDS = re.compile(r"(\*+|\?)")


class Wild(Enum):
    """The two wildcards of the policy language."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable. ``key`` is its condition key in lower case, ``name`` the same key as the policy spells it.

    ``default`` is the value to use if the request does not have the key; None if the variable has no default.
    """

    key: str
    default: str | None = None
    name: str = ""


Literal: TypeAlias = str | Wild
Token: TypeAlias = str | Wild | Variable


def tokenize(text: str, *, variables: bool, wildcards: bool) -> tuple[Token, ...]:
    """Split a value of a policy into literal texts, wildcards and policy variables.

    :arg variables: whether ``${...}`` is a policy variable, rather than literal text.
    :arg wildcards: whether ``*`` and ``?`` are wildcards, rather than literal text.
    """
    head, *rest = text.split("${") if variables else (text,)
    tokens: list[Token] = _split_wildcards(head, wildcards)
    for piece in rest:
        inside, close, after = piece.partition("}")
        token = _variable(inside) if close else None
        tokens.append("${" if token is None else token)
        tokens += _split_wildcards(piece if token is None else after, wildcards)
    if not rest:
        return tuple(tokens)
    joined: list[Token] = []
    for is_text, group in groupby(tokens, lambda token: isinstance(token, str)):
        adjacent = list(group)
        joined += ["".join(map(str, adjacent))] if is_text else adjacent
    return tuple(joined)


def _split_wildcards(text: str, wildcards: bool) -> list[Token]:
    """Split a text at its wildcards. Several ``*`` in a row are equivalent to one."""
    pieces = _WILDCARDS.split(text) if wildcards else (text,)
    return [Wild(piece[0]) if place % 2 else piece for place, piece in enumerate(pieces) if piece]


def literal_tokens(text: str) -> tuple[Literal, ...]:
    """Split a text into literal texts and wildcards. ``${...}`` is literal text."""
    tokens = tokenize(text, variables=False, wildcards=True)
    return tuple(token for token in tokens if isinstance(token, str | Wild))


def policy_variables(tokens: tuple[Token, ...]) -> tuple[Variable, ...]:
    """Return the policy variables among the tokens."""
    return tuple(token for token in tokens if isinstance(token, Variable))


def relax(tokens: tuple[Token, ...]) -> tuple[Literal, ...]:
    """Replace each policy variable with ``*``, so that the pattern matches every text that it could match for any values of
    the variables.
    """
    return tuple(Wild.ANY if isinstance(token, Variable) else token for token in tokens)


def resolve(tokens: tuple[Token, ...], context: Context) -> tuple[Literal, ...] | bool | None:
    """Replace policy variables with their values in the request. Wildcards in such a value are literal text.

    :returns: the tokens without variables; False if a variable has several values, or neither a value nor a default, so that
        nothing matches; None if a value is unknown.
    """
    resolved: list[Literal] = []
    unknown = False
    for token in tokens:
        if not isinstance(token, Variable):
            resolved.append(token)
            continue
        values = context.get(token.key)
        if isinstance(values, Unknown):
            unknown = True
        elif len(values) == 1:
            resolved.append(values[0])
        elif token.default is not None and not values:
            resolved.append(token.default)
        else:
            return False
    return None if unknown else tuple(resolved)


def _variable(inside: str) -> str | Variable | None:
    if inside in ("*", "?", "$"):
        return inside
    key, comma, rest = inside.partition(",")
    key = key.strip()
    if not key or any(character.isspace() for character in key):
        return None
    if not comma:
        return Variable(key.lower(), name=key)
    default = rest.strip()
    if len(default) < 2 or default[0] != "'" or default[-1] != "'":
        return None
    return Variable(key.lower(), default[1:-1], key)


ARN_PARTS = 6
# The number of texts whose positions are cached. All patterns of a statement are compared with the same few texts.
_CACHED = 256


class Cover(IntEnum):
    """The number of requests that a pattern matches: none, some, or all of the requests that a request with wildcards represents.

    The order of the members is used for minima and maxima.
    """

    NONE = 0
    SOME = 1
    ALL = 2


_ANYTHING: tuple[Literal, ...] = (Wild.ANY,)


class Glob:
    """A pattern without policy variables, compiled for repeated use.

    ``literal`` is the text of a pattern without wildcards, otherwise None.
    """

    __slots__ = ("_head", "_least", "_middle", "_tail", "literal", "tokens")

    def __init__(self, tokens: Iterable[Literal]) -> None:
        self.tokens = tuple(tokens)
        texts = [token for token in self.tokens if isinstance(token, str)]
        self.literal = "".join(texts) if len(texts) == len(self.tokens) else None
        # The length of the shortest text that matches.
        self._least = sum(map(len, texts)) + self.tokens.count(Wild.ONE)
        first, last = (self.tokens[0], self.tokens[-1]) if self.tokens else ("", "")
        self._head = first if isinstance(first, str) else ""
        self._tail = last if isinstance(last, str) else ""
        # The tokens between a text at the start and a text at the end.
        self._middle = self.tokens[bool(self._head) : len(self.tokens) - bool(self._tail)]

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches. ``*`` and ``?`` in the text are literal characters."""
        if self.literal is not None:
            return text == self.literal
        if len(text) < self._least or not text.startswith(self._head) or not text.endswith(self._tail):
            return False
        return self._middle == _ANYTHING or _walk(
            self._middle, _literal_text(text), len(self._head), len(text) - len(self._tail)
        )

    def covers(self, text: str, wild: bool) -> Cover:
        """Return whether this pattern matches all, some or none of the texts that ``text`` represents.

        :arg wild: whether ``text`` has wildcards and therefore represents many texts. Otherwise the result is never SOME.
        """
        if not wild:
            return Cover.ALL if self.matches(text) else Cover.NONE
        request = text if isinstance(text, WildText) else WildText(text)
        # This test fails for some equivalent patterns, such as ?* and *?. The result is then SOME.
        if self._least <= len(request) - request.runs.bit_count() and _walk(
            self.tokens, request, 0, len(request)
        ):
            return Cover.ALL
        overlaps = _walk(self.tokens, request, 0, len(request), overlap=True)
        return Cover.SOME if overlaps else Cover.NONE


def compile_glob(text: str) -> Glob:
    """Compile a text with wildcards. ``${...}`` is literal text."""
    return Glob(literal_tokens(text))


class ArnGlob:
    """An ARN pattern. It is matched part by part, so that no wildcard matches one of the first five colons.

    :arg complete: whether missing parts count as ``*``: in the Resource of an identity policy, IAM completes
        ``arn:aws:sqs:*`` to ``arn:aws:sqs:*:*:*``. Otherwise such a pattern matches nothing. A single ``*`` always matches
        every ARN.
    """

    __slots__ = ("parts",)

    def __init__(self, tokens: Iterable[Literal], complete: bool = True) -> None:
        parts = cut_arn(tokens)
        if complete or parts == [[Wild.ANY]]:
            parts.extend([[Wild.ANY] for _index in range(ARN_PARTS - len(parts))])
        self.parts = tuple(map(Glob, parts))

    def matches(self, parts: tuple[str, ...]) -> bool:
        """Return whether the pattern matches an ARN, which ``arn_parts`` has split."""
        return len(parts) == len(self.parts) == ARN_PARTS and all(
            glob.matches(part) for glob, part in zip(self.parts, parts, strict=True)
        )

    def covers(self, parts: tuple[str, ...], wild: bool) -> Cover:
        """Return whether the pattern matches all, some or none of the ARNs of a request.

        :arg parts: the ARN in the request, split by ``arn_parts``.
        :arg wild: whether that ARN has wildcards and therefore represents many ARNs.
        """
        if not len(parts) == len(self.parts) == ARN_PARTS:
            return Cover.NONE
        least = Cover.ALL
        for glob, part in zip(self.parts, parts, strict=True):
            cover = glob.covers(part, wild)
            if cover is Cover.NONE:
                return Cover.NONE
            least = min(least, cover)
        return least


def cut_arn(tokens: Iterable[Literal]) -> list[list[Literal]]:
    """Split the tokens of an ARN pattern at the first five colons, and return the tokens of each part."""
    parts: list[list[Literal]] = [[]]
    rest = iter(tokens)
    for token in rest:
        if isinstance(token, Wild):
            parts[-1].append(token)
            continue
        pieces = token.split(":", ARN_PARTS - len(parts))
        parts[-1].append(pieces[0])
        parts.extend([piece] for piece in pieces[1:])
        if len(parts) == ARN_PARTS:
            break
    parts[-1].extend(rest)
    return parts


def arn_parts(text: str) -> tuple[str, ...]:
    """Return the six parts of an ARN, or fewer if the text is not an ARN. The last part may have colons."""
    return tuple(text.split(":", ARN_PARTS - 1))


class WildText(str):
    """A text of a request in which ``*`` and ``?`` are wildcards, compiled for comparisons with many patterns.

    A set of positions is an integer with the bits of these positions. ``runs`` has the positions of ``*``, ``singles`` the
    positions of ``?``, and ``texts`` the positions of each other character.

    :arg wild: False for a text in which ``*`` and ``?`` are literal characters.
    """

    __slots__ = ("runs", "singles", "texts")

    runs: int
    singles: int
    texts: defaultdict[str, int]

    def __new__(cls, text: str, wild: bool = True) -> WildText:
        request = super().__new__(cls, re.sub(r"\*+", "*", text) if wild else text)
        request.texts = defaultdict(int)
        for position, character in enumerate(request):
            request.texts[character] |= 1 << position
        request.runs = request.texts.pop("*", 0) if wild else 0
        request.singles = request.texts.pop("?", 0) if wild else 0
        return request


@lru_cache(_CACHED)
def _literal_text(text: str) -> WildText:
    return WildText(text, wild=False)


def _walk(
    pattern: Iterable[Literal], request: WildText, start: int, stop: int, *, overlap: bool = False
) -> bool:
    """Return whether ``pattern`` matches every text that ``request[start:stop]`` represents, or with ``overlap`` one such text.

    The loop reads the pattern token by token. Bit n of ``state`` is set if the tokens that were read match the first n characters
    of the request. Only a ``*`` of the pattern matches a ``*`` of the request, and only ``*`` or ``?`` its ``?``. With
    ``overlap``, the wildcards of the request match characters of the pattern, too.
    """
    runs = request.runs if overlap else 0
    free = runs | request.singles if overlap else 0
    texts, end, every = request.texts.__getitem__, 1 << stop, (2 << stop) - 1
    single = end - 1 if overlap else (end - 1) & ~request.runs
    state = 1 << start
    # A ``*`` of the request may match no character, so the position after it is reached, too.
    state |= (state & runs) << 1
    for token in pattern:
        if token is Wild.ANY:
            # After a ``*`` any text may follow, so every later position is reached.
            state = every & -(state & -state)
            continue
        for positions in map(texts, token) if isinstance(token, str) else (single,):
            matched = state & (positions | free)
            repeated = matched & runs
            state = matched << 1 | repeated
            state |= (state & runs) << 1
            if not state:
                return False
    return bool(state & end)
