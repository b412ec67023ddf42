# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Patterns of the policy language: literal text, wildcards and policy variables, matched without regular expressions.

``*`` is any run of characters, also none; ``?`` is exactly one. A pattern is cut at its ``*`` into chunks that are found
from left to right, so the time grows with the text and never explodes.

``${key}``, ``${key, 'default'}``, and ``${*}`` ``${?}`` ``${$}`` for the characters themselves. Variables exist in
Version 2012-10-17 only; under 2008-10-17 they are literal text.

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
    """The two wildcards."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable; ``key`` in lower case, because key names are case-insensitive."""

    key: str
    default: str | None = None
    name: str = ""


Literal: TypeAlias = str | Wild
Token: TypeAlias = str | Wild | Variable


def tokenize(text: str, *, variables: bool, wildcards: bool) -> tuple[Token, ...]:
    """Cut the text of a policy value into tokens."""
    if not (variables and "${" in text) and not (wildcards and ("*" in text or "?" in text)):
        return (text,) if text else ()
    tokens: list[Token] = []
    plain: list[str] = []
    at = 0
    last_close = text.rfind("}") if variables else -1
    while at < len(text):
        found = _SPECIAL.search(text, at)
        if found is None or found.start() > at:
            plain.append(text[at : found.start()] if found else text[at:])
            if found is None:
                break
        at = found.start()
        character = text[at]
        if character == "$" and at < last_close and text.startswith("{", at + 1):
            close = text.find("}", at)
            token = _variable(text[at + 2 : close])
            if isinstance(token, Variable):
                _flush(plain, tokens)
                tokens.append(token)
                at = close + 1
                continue
            if isinstance(token, str):
                plain.append(token)
                at = close + 1
                continue
        if wildcards and character != "$":
            _flush(plain, tokens)
            # A run of * means one.
            if character == "?":
                tokens.append(Wild.ONE)
            elif not tokens or tokens[-1] is not Wild.ANY:
                tokens.append(Wild.ANY)
        else:
            plain.append(character)
        at += 1
    _flush(plain, tokens)
    return tuple(tokens)


def variable_keys(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    """The keys that the text refers to."""
    return tuple(token.key for token in tokens if isinstance(token, Variable))


def relax(tokens: tuple[Token, ...]) -> tuple[Literal, ...]:
    """The tokens with anything in place of the variables."""
    return tuple(Wild.ANY if isinstance(token, Variable) else token for token in tokens)


def resolve(
    tokens: tuple[Token, ...], context: Context, asker: object = None
) -> tuple[Literal, ...] | bool | None:
    """Put the values of the request in place of the variables.

    :returns: tokens without variables; False when a variable has no value in this request, so
        that nothing equals the text; None when a needed key is unknown. A value is literal text:
        its ``*`` is no wildcard. A key with several values cannot be a variable.
    :arg asker: what a value that stands for many is as good as each of them for (``Some.exact``).
    """
    resolved: list[Literal] = []
    unknown = False
    for token in tokens:
        if not isinstance(token, Variable):
            resolved.append(token)
            continue
        state = context.get(token.key)
        if isinstance(state, Unknown):
            unknown = True
            continue
        values = state if isinstance(state, tuple) else state.values
        if len(values) == 1 and not isinstance(state, tuple) and asker not in state.exact:
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
# As many parts of ARNs, up to this length, are kept to be shared.
_SHARED, _SHORT = 256, 64
# What stands for the wildcards of a request, so that no value that happens to be "*" is taken for one.
STAR, MARK = "\U0010fffe", "\U0010ffff"
_SYMBOLS = {ord("*"): STAR, ord("?"): MARK}


class Cover(IntEnum):
    """How much of a request a pattern covers; SOME only where the request has wildcards itself."""

    NONE = 0
    SOME = 1
    ALL = 2


class _Chunk:
    """A stretch of a pattern without ``*``: text, and the places where ``?`` stands."""

    __slots__ = ("_masks", "holes", "text")

    def __init__(self, text: str, holes: tuple[int, ...]) -> None:
        self.text = text
        self.holes = holes
        self._masks: tuple[dict[str, int], int] | None = None

    def masks(self) -> tuple[dict[str, int], int]:
        """The places of each character and of ``?`` as bits. Not worked out for a chunk that is longer than every text."""
        if self._masks is None:
            holes = frozenset(self.holes)
            places: dict[str, int] = {}
            for at, character in enumerate(self.text):
                if at not in holes:
                    places[character] = places.get(character, 0) | 1 << at
            self._masks = places, sum(1 << hole for hole in self.holes)
        return self._masks

    def at(self, text: str, start: int, symbolic: bool) -> bool:
        """Whether the chunk stands in the text at this place."""
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
        """The first place in text[start:end] where the chunk stands, or -1."""
        if not self.holes:
            return text.find(self.text, start, end)
        if end - start < len(self.text):
            return -1
        # Shift-and: bit n of the state says that the first n + 1 characters match up to here.
        masks, hole_bits = self.masks()
        complete = 1 << (len(self.text) - 1)
        state = 0
        for at in range(start, end):
            character = text[at]
            mask = masks.get(character, 0)
            if not (symbolic and character == STAR):
                mask |= hole_bits
            state = (state << 1 | 1) & mask
            if state & complete:
                return at - len(self.text) + 1
        return -1


_NOTHING = _Chunk("", ())


class Glob:
    """A pattern without variables, ready to be matched many times."""

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
        """Whether the whole text matches.

        :arg symbolic: the text is itself a pattern: its ``*`` is then matched by ``*`` alone, so
            that the answer is whether this pattern covers everything that the text stands for.
        """
        if symbolic:
            text = text.symbolic if isinstance(text, WildText) else symbolise(text)
            if any(STAR in chunk.text or MARK in chunk.text for chunk in self.chunks):
                # These characters of the pattern itself stand for nothing else.
                return False
        if self.literal is not None:
            return text == self.literal
        first, last = self.chunks[0], self.chunks[-1]
        if len(self.chunks) == 1:
            return len(text) == len(first.text) and first.at(text, 0, symbolic)
        start = len(first.text)
        end = len(text) - len(last.text)
        if start > end or not first.at(text, 0, symbolic) or not last.at(text, end, symbolic):
            return False
        for chunk in self.chunks[1:-1]:
            if chunk.text:
                at = chunk.find(text, start, end, symbolic)
                if at < 0:
                    return False
                start = at + len(chunk.text)
        return True

    def covers(self, text: str, wild: bool) -> Cover:
        """How much of the text, itself a pattern when ``wild``, this pattern covers."""
        if not wild:
            return Cover.ALL if self.matches(text) else Cover.NONE
        asked = text if isinstance(text, WildText) else WildText(text)
        # Each wildcard of the request lies in a wildcard of the pattern then, so this never covers too much; it may miss a
        # cover that is written in another way, which the automata find.
        if self.matches(asked, symbolic=True):
            return Cover.ALL
        return Cover.SOME if overlaps(self.tokens, asked) else Cover.NONE


class ArnGlob:
    """An ARN pattern, matched part by part: no wildcard reaches over one of the first five colons.

    :arg complete: whether missing parts count as ``*``, as IAM completes ``arn:aws:sqs:*`` to
        ``arn:aws:sqs:*:*:*`` in the Resource of an identity policy. Elsewhere such a pattern matches
        nothing. A lone ``*`` matches every ARN.
    """

    __slots__ = ("parts",)

    def __init__(self, tokens: Iterable[Literal], complete: bool = True) -> None:
        parts = cut_arn(tokens)
        if complete or parts == [[Wild.ANY]]:
            parts.extend([[Wild.ANY] for _index in range(ARN_PARTS - len(parts))])
        self.parts = tuple(map(_part, parts))

    def matches(self, parts: tuple[str, ...]) -> bool:
        """Whether an ARN, cut by ``arn_parts``, matches."""
        return len(parts) == len(self.parts) == ARN_PARTS and all(
            glob.matches(part) for glob, part in zip(self.parts, parts, strict=True)
        )

    def covers(self, parts: tuple[str, ...], wild: bool) -> Cover:
        """How much of an ARN, cut by ``arn_parts`` and itself a pattern when ``wild``, it covers."""
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
    """Return the one pattern of a token: most parts of the ARNs of a document are the same few."""
    return Glob((token,))


def cut_arn(tokens: Iterable[Literal]) -> list[list[Literal]]:
    """An ARN pattern cut at its first five colons, or at as many as it has."""
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
    """The text of a request with wildcards, to be covered as text."""
    return text.translate(_SYMBOLS)


def arn_parts(text: str) -> tuple[str, ...]:
    """Six parts of an ARN, the last with all its colons; fewer when the text is no ARN."""
    return tuple(text.split(":", ARN_PARTS - 1))


class WildText(str):
    """The text of a request as a pattern: ``*`` and ``?`` are wildcards, all else is itself. Prepared to be
    compared with many patterns."""

    __slots__ = ("end", "runs", "singles", "symbolic", "texts")

    symbolic: str
    runs: int
    singles: int
    end: int
    texts: dict[str, int]

    def __new__(cls, text: str) -> WildText:
        made = super().__new__(cls, text)
        made.symbolic = symbolise(text)
        made.runs = made.singles = 0
        made.texts = {}
        for at, character in enumerate(text):
            if character == "*":
                made.runs |= 1 << at
            elif character == "?":
                made.singles |= 1 << at
            else:
                made.texts[character] = made.texts.get(character, 0) | 1 << at
        made.end = 1 << len(text)
        return made


def overlaps(pattern: Iterable[Literal], asked: WildText) -> bool:
    """Whether some text matches both patterns.

    The first is read unit by unit; the bits of a number say where in the second that may be.
    """
    runs, singles, texts, end = asked.runs, asked.singles, asked.texts, asked.end
    state = _past(1, runs)
    for token in pattern:
        if token is Wild.ANY:
            # Any text may come next, so every later place can be reached.
            state = ((end << 1) - 1) & -(state & -state)
            continue
        for character in token if isinstance(token, str) else "?":
            taken = state & (end - 1 if isinstance(token, Wild) else runs | singles | texts.get(character, 0))
            stay = taken & runs
            state = _past((taken ^ stay) << 1 | stay, runs)
            if not state:
                return False
    return bool(state & end)


def _past(state: int, runs: int) -> int:
    """A state with what follows the runs in it, which may be empty."""
    more = state | (state & runs) << 1
    while more != state:
        state, more = more, more | (more & runs) << 1
    return state
