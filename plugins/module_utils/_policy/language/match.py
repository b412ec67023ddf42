# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Patterns of the policy language: literal text, wildcards and policy variables, matched without regular expressions.

``*`` matches any number of characters, ``?`` exactly one. A pattern is split at each ``*`` into chunks, which are searched
from left to right. So the time is at most proportional to the length of the pattern times the length of the text.

Variables have the forms ``${key}`` and ``${key, 'default'}``. The texts ``${*}``, ``${?}`` and ``${$}`` represent the literal
characters. Variables exist in Version 2012-10-17 only; in Version 2008-10-17 the same text is literal.

Sources: IAM User Guide, "IAM JSON policy elements: Resource", "... Condition operators", "IAM policy elements: Variables
and tags".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from typing import TypeAlias

from .context import Context, Unknown

_SPECIAL = re.compile(r"[*?$]")


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
    if not (variables and "${" in text) and not (wildcards and ("*" in text or "?" in text)):
        return (text,) if text else ()
    tokens: list[Token] = []
    plain: list[str] = []
    position = 0
    last_close = text.rfind("}") if variables else -1
    while position < len(text):
        special = _SPECIAL.search(text, position)
        if special is None or special.start() > position:
            plain.append(text[position : special.start()] if special else text[position:])
            if special is None:
                break
        position = special.start()
        character = text[position]
        if character == "$" and position < last_close and text.startswith("{", position + 1):
            close = text.find("}", position)
            token = _variable(text[position + 2 : close])
            if isinstance(token, Variable):
                _flush(plain, tokens)
                tokens.append(token)
                position = close + 1
                continue
            if isinstance(token, str):
                plain.append(token)
                position = close + 1
                continue
        if wildcards and character != "$":
            _flush(plain, tokens)
            # Several * in a row are equivalent to one.
            if character == "?":
                tokens.append(Wild.ONE)
            elif not tokens or tokens[-1] is not Wild.ANY:
                tokens.append(Wild.ANY)
        else:
            plain.append(character)
        position += 1
    _flush(plain, tokens)
    return tuple(tokens)


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


def _flush(plain: list[str], tokens: list[Token]) -> None:
    if plain:
        tokens.append("".join(plain))
        plain.clear()


ARN_PARTS = 6
# The cache of compiled ARN parts has at most ``_SHARED`` parts of at most ``_SHORT`` characters.
_SHARED, _SHORT = 256, 64
# Replacements for ``*`` and ``?`` in a request. Text normally does not have these characters, because Unicode reserves them.
STAR, MARK = "\U0010fffe", "\U0010ffff"
_SYMBOLS = {ord("*"): STAR, ord("?"): MARK}


class Cover(IntEnum):
    """The number of requests that a pattern matches: none, some, or all of the requests that a request with wildcards represents.

    The order of the members is used for minima and maxima.
    """

    NONE = 0
    SOME = 1
    ALL = 2


class _Chunk:
    """A part of a pattern without ``*``. ``holes`` has the positions in ``text`` where ``?`` is a wildcard.

    The argument ``symbolic`` of the methods means that ``STAR`` in the compared text is a wildcard, which ``?`` does not match.
    """

    __slots__ = ("_masks", "holes", "text")

    def __init__(self, text: str, holes: tuple[int, ...]) -> None:
        self.text = text
        self.holes = holes
        self._masks: tuple[dict[str, int], int] | None = None

    def masks(self) -> tuple[dict[str, int], int]:
        """Return a bit mask of the positions of each character, and one of the positions of ``?``. The result is cached."""
        if self._masks is None:
            holes = frozenset(self.holes)
            positions: dict[str, int] = {}
            for position, character in enumerate(self.text):
                if position not in holes:
                    positions[character] = positions.get(character, 0) | 1 << position
            self._masks = positions, sum(1 << hole for hole in self.holes)
        return self._masks

    def matches_at(self, text: str, start: int, symbolic: bool) -> bool:
        if not self.holes:
            return text.startswith(self.text, start)
        end = start + len(self.text)
        if start < 0 or end > len(text):
            return False
        previous = 0
        for hole in self.holes:
            if not text.startswith(self.text[previous:hole], start + previous):
                return False
            if symbolic and text[start + hole] == STAR:
                return False
            previous = hole + 1
        return text.startswith(self.text[previous:], start + previous)

    def find(self, text: str, start: int, end: int, symbolic: bool) -> int:
        """Return the first position in text[start:end] where the chunk matches, or -1."""
        if not self.holes:
            return text.find(self.text, start, end)
        if end - start < len(self.text):
            return -1
        # Shift-and algorithm: bit n of the state is set when the first n + 1 characters match up to this position.
        masks, hole_bits = self.masks()
        complete = 1 << (len(self.text) - 1)
        state = 0
        for position in range(start, end):
            character = text[position]
            mask = masks.get(character, 0)
            if not (symbolic and character == STAR):
                mask |= hole_bits
            state = (state << 1 | 1) & mask
            if state & complete:
                return position - len(self.text) + 1
        return -1


_NOTHING = _Chunk("", ())


class Glob:
    """A pattern without policy variables, compiled for repeated use.

    ``literal`` is the text of a pattern without wildcards, otherwise None.
    """

    __slots__ = ("chunks", "literal", "tokens")

    def __init__(self, tokens: Iterable[Literal]) -> None:
        self.tokens = tuple(tokens)
        chunks: list[_Chunk] = []
        text: list[str] = []
        holes: list[int] = []
        length = 0
        for token in self.tokens:
            if token is Wild.ANY:
                chunks.append(_Chunk("".join(text), tuple(holes)) if text else _NOTHING)
                text, holes, length = [], [], 0
            elif isinstance(token, Wild):
                holes.append(length)
                text.append("?")
                length += 1
            else:
                text.append(token)
                length += len(token)
        chunks.append(_Chunk("".join(text), tuple(holes)))
        self.chunks = tuple(chunks)
        only = self.chunks[0]
        self.literal = only.text if len(self.chunks) == 1 and not only.holes else None

    def matches(self, text: str, symbolic: bool = False) -> bool:
        """Return whether the whole text matches.

        :arg symbolic: whether the text is a pattern, too. If it is, the method returns True only if this pattern matches every
            text that the other pattern matches. Only a ``*`` of this pattern matches a ``*`` of the other.
        """
        if symbolic:
            text = text.symbolic if isinstance(text, WildText) else symbolise(text)
            if any(STAR in chunk.text or MARK in chunk.text for chunk in self.chunks):
                # A pattern that contains one of the replacement characters would match it by mistake.
                return False
        if self.literal is not None:
            return text == self.literal
        first, last = self.chunks[0], self.chunks[-1]
        if len(self.chunks) == 1:
            return len(text) == len(first.text) and first.matches_at(text, 0, symbolic)
        start = len(first.text)
        end = len(text) - len(last.text)
        if start > end:
            return False
        if not first.matches_at(text, 0, symbolic) or not last.matches_at(text, end, symbolic):
            return False
        for chunk in self.chunks[1:-1]:
            if chunk.text:
                position = chunk.find(text, start, end, symbolic)
                if position < 0:
                    return False
                start = position + len(chunk.text)
        return True

    def covers(self, text: str, wild: bool) -> Cover:
        """Return whether this pattern matches all, some or none of the texts that ``text`` represents.

        :arg wild: whether ``text`` has wildcards and therefore represents many texts. Otherwise the result is never SOME.
        """
        if not wild:
            return Cover.ALL if self.matches(text) else Cover.NONE
        request = text if isinstance(text, WildText) else WildText(text)
        # This test fails for some equivalent patterns, such as ?* and *?. The result is then SOME.
        if self.matches(request, symbolic=True):
            return Cover.ALL
        return Cover.SOME if overlaps(self.tokens, request) else Cover.NONE


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
        self.parts = tuple(map(_part, parts))

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


def _part(tokens: list[Literal]) -> Glob:
    if len(tokens) == 1 and (isinstance(tokens[0], Wild) or len(tokens[0]) <= _SHORT):
        return _shared(tokens[0])
    return Glob(tokens)


@lru_cache(_SHARED)
def _shared(token: Literal) -> Glob:
    """Compile one token. The result is cached, because most ARNs of a document have the same partition and service."""
    return Glob((token,))


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


def symbolise(text: str) -> str:
    """Replace the wildcards ``*`` and ``?`` of a request with ``STAR`` and ``MARK``."""
    return text.translate(_SYMBOLS)


def arn_parts(text: str) -> tuple[str, ...]:
    """Return the six parts of an ARN, or fewer if the text is not an ARN. The last part may have colons."""
    return tuple(text.split(":", ARN_PARTS - 1))


class WildText(str):
    """A text of a request in which ``*`` and ``?`` are wildcards, compiled for comparisons with many patterns.

    A set of positions is an integer with the bits of these positions. ``runs`` has the positions of ``*``, ``singles`` the
    positions of ``?``, ``texts`` the positions of each other character, and ``end`` the position after the last character.
    ``symbolic`` is the text with ``STAR`` and ``MARK``.
    """

    __slots__ = ("end", "runs", "singles", "symbolic", "texts")

    symbolic: str
    runs: int
    singles: int
    end: int
    texts: dict[str, int]

    def __new__(cls, text: str) -> WildText:
        pattern = super().__new__(cls, text)
        pattern.symbolic = symbolise(text)
        pattern.runs = pattern.singles = 0
        pattern.texts = {}
        for position, character in enumerate(text):
            if character == "*":
                pattern.runs |= 1 << position
            elif character == "?":
                pattern.singles |= 1 << position
            else:
                pattern.texts[character] = pattern.texts.get(character, 0) | 1 << position
        pattern.end = 1 << len(text)
        return pattern


def overlaps(pattern: Iterable[Literal], request: WildText) -> bool:
    """Return whether at least one text matches both patterns: ``pattern`` and the request with wildcards.

    The loop reads ``pattern`` token by token. Bit n of ``state`` is set if some text matches both the tokens that were read and
    the first n characters of the request.
    """
    runs, singles, texts, end = request.runs, request.singles, request.texts, request.end
    state = _past(1, runs)
    for token in pattern:
        if token is Wild.ANY:
            # After a ``*`` any text may follow, so every later position is reachable.
            state = ((end << 1) - 1) & -(state & -state)
            continue
        for character in token if isinstance(token, str) else "?":
            matched = state & (
                end - 1 if isinstance(token, Wild) else runs | singles | texts.get(character, 0)
            )
            repeated = matched & runs
            state = _past((matched ^ repeated) << 1 | repeated, runs)
            if not state:
                return False
    return bool(state & end)


def _past(state: int, runs: int) -> int:
    """Add to a state the positions after each ``*`` of the request, because a ``*`` may match no character."""
    extended = state | (state & runs) << 1
    while extended != state:
        state, extended = extended, extended | (extended & runs) << 1
    return state
