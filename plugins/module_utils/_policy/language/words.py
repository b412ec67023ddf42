# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Sets of texts that patterns can tell apart, with one text of each, and the budget for the work on a verdict.

All patterns are read at once as a nondeterministic automaton whose states are the bits of one integer. A walk from the
empty text reaches every combination of matches that is possible, the shortest text of each first. The budget counts
steps, so that a verdict never depends on the clock.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .context import Extract
from .match import ARN_PARTS, Literal, Wild, cut_arn

# A step pays for reading so many characters of patterns into an automaton.
CHARACTERS = 2


class Budget:
    """Steps that are left."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> bool:
        """Take steps; False once there are none left."""
        self.left -= steps
        return self.left >= 0


# Letters whose lower case is the same one as of another: fold() maps each of them to the key.
_ALSO = {"k": "\u212a", "\xe5": "\u212b", "\u03c9": "\u2126", "\xdf": "\u1e9e", "\u03b8": "\u03f4"}
# What a text is filled with where anything will do.
_FILLERS = "xyzwvutsrqponmlkjihgfedcba0123456789"


@dataclass(frozen=True, slots=True)
class Unit:
    """One of ``chars`` (or, negated, any other character), once or as a run of any length."""

    chars: str
    negated: bool = False
    run: bool = False


ONE = Unit("", negated=True)
RUN = Unit("", negated=True, run=True)
ONE_IN_PART = Unit(":", negated=True)
RUN_IN_PART = Unit(":", negated=True, run=True)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Units in order. ``starts`` and ``ends`` are the places where a match may begin and end; by
    default it is the whole pattern."""

    units: tuple[Unit, ...]
    starts: tuple[int, ...] = (0,)
    ends: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Language:
    """The texts that one of ``words`` equals or one of ``patterns`` matches."""

    words: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    def matches(self, text: str) -> bool:
        """Whether a text is in the language."""
        if text in self.words:
            return True
        if not self.patterns:
            return False
        machine = _Machine([self.patterns])
        state = machine.start
        for character in text:
            state = machine.step(state, character)
        return bool(state & machine.ends[0])


def word_pattern(word: str) -> Pattern:
    """The pattern that one text matches."""
    return Pattern(tuple(map(Unit, word)))


def fold(text: str) -> str:
    """Text in lower case, one character at a time, for comparing without letter case."""
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def spellings(character: str) -> str:
    """All characters that ``fold`` makes the same as this one, which is folded."""
    others = {character.upper(), character.title(), _ALSO.get(character, character)}
    return character + "".join(sorted(other for other in others - {character} if fold(other) == character))


def text_units(tokens: Iterable[Literal], ignore_case: bool = False) -> tuple[Unit, ...]:
    """The units of a text pattern."""
    units: list[Unit] = []
    for token in tokens:
        if isinstance(token, Wild):
            units.append(RUN if token is Wild.ANY else ONE)
        elif ignore_case:
            units.extend(Unit(spellings(character)) for character in fold(token))
        else:
            units.extend(map(Unit, token))
    return _merged(units)


def arn_units(tokens: Iterable[Literal]) -> tuple[Unit, ...] | None:
    """The units of an ARN pattern, whose wildcards stay within its parts; None when it has too few
    parts to match any ARN."""
    parts = cut_arn(tokens)
    if parts == [[Wild.ANY]]:
        parts = [[Wild.ANY] for _part in range(ARN_PARTS)]
    return part_units(parts) if len(parts) == ARN_PARTS else None


def part_units(parts: Iterable[Iterable[Literal]]) -> tuple[Unit, ...]:
    """Return the units of the six parts of an ARN pattern."""
    units: list[Unit] = []
    for place, part in enumerate(parts):
        inner = place < ARN_PARTS - 1
        for token in part:
            if isinstance(token, str):
                units.extend(map(Unit, token))
            elif token is Wild.ANY:
                units.append(RUN_IN_PART if inner else RUN)
            else:
                units.append(ONE_IN_PART if inner else ONE)
        if inner:
            units.append(Unit(":"))
    return _merged(units)


_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_SHAPES = {
    "*": (RUN,),
    "?": (ONE,),
    "#": (Unit("0123456789"),),
    "+": (Unit(_NAME), Unit(_NAME, run=True)),
    "^": (Unit(_NAME[:-2]), Unit(_NAME, run=True)),
    "&": (Unit(_NAME + "+=,.@/"), Unit(_NAME + "+=,.@/", run=True)),
    "=": (*map(Unit, "aws"), Unit(_LOWER + "-", run=True)),
    "%": (
        *(Unit(_LOWER), Unit(_LOWER), Unit(_LOWER, run=True), Unit("-")),
        *(Unit(_LOWER), Unit(_LOWER + "-", run=True), Unit("-"), Unit("123456789")),
    ),
}


def shape_units(shape: str) -> tuple[Unit, ...]:
    """The units of a shape: text in which ``*`` is any run of characters, ``?`` any one, ``#`` a digit,
    ``+`` a name of letters, digits, hyphens and underscores, ``^`` one that begins with a letter or digit, ``&`` the path and
    name of a role, ``=`` a partition, and ``%`` a Region."""
    return tuple(unit for character in shape for unit in _SHAPES.get(character, (Unit(character),)))


def shape_form(shape: str) -> re.Pattern[str]:
    """A shape as a regular expression for ``fullmatch``. Its time is bounded by the shapes, which are few and short."""
    classes = {
        "*": "(?s:.*)",
        "?": "(?s:.)",
        "#": "[0-9]",
        "+": "[A-Za-z0-9_-]+",
        "^": "[A-Za-z0-9][A-Za-z0-9_-]*",
        "&": "[A-Za-z0-9_+=,.@/-]+",
        "=": "aws[a-z-]*",
        "%": "[a-z]{2}[a-z]*-[a-z][a-z-]*-[1-9]",
    }
    return re.compile("".join(classes.get(character, re.escape(character)) for character in shape))


def within(extract: Extract, language: Language) -> Language:
    """The texts whose piece is in the language."""
    separator = extract.separator
    if not separator:
        return language
    inside = (*language.patterns, *map(word_pattern, language.words))
    gap = Unit(separator, negated=True, run=True)
    before = ((), (RUN, Unit(separator))) if extract.place < 0 else ((gap, Unit(separator)) * extract.place,)
    after = ((),) if extract.place < 0 else ((), (Unit(separator), RUN))
    return Language(
        patterns=tuple(
            Pattern((*first, *units, *last))
            for pattern in inside
            for units in _without(separator, pattern.units)
            for first in before
            for last in after
        )
    )


def _without(character: str, units: tuple[Unit, ...]) -> Iterator[tuple[Unit, ...]]:
    """The units with the same texts but those that have the character; nothing when all have."""
    kept = []
    for unit in units:
        if unit.negated:
            kept.append(Unit(unit.chars + character, True, unit.run) if character not in unit.chars else unit)
        elif unit.chars.strip(character):
            kept.append(Unit(unit.chars.replace(character, ""), False, unit.run))
        elif not unit.run:
            return
    yield tuple(kept)


def _merged(units: list[Unit]) -> tuple[Unit, ...]:
    """Without a run right after the same run."""
    return tuple(unit for at, unit in enumerate(units) if not (unit.run and at and units[at - 1] == unit))


def other_than(words: Iterable[str]) -> Iterator[str]:
    """Texts that are none of ``words``."""
    taken = set(words)
    for length in range(1, len(taken) + 2):
        for filler in _FILLERS:
            if filler * length not in taken:
                yield filler * length


class _Machine:
    """The patterns of several languages, side by side."""

    def __init__(self, languages: Sequence[Sequence[Pattern]]) -> None:
        self.start = 0
        self.runs = 0
        self.ends: list[int] = []
        self.places: list[int] = []
        self.finals: list[tuple[int, int, int]] = []
        chars: list[str] = []
        self.negated = 0
        self.but: dict[str, int] = {}
        self.only: dict[str, int] = {}
        at = 0
        for patterns in languages:
            first, ends, absorbing, final = at, 0, 0, 0
            for pattern in patterns:
                length = len(pattern.units)
                for place in pattern.starts:
                    self.start |= 1 << at + place
                for place in (length,) if pattern.ends is None else pattern.ends:
                    ends |= 1 << at + place
                for unit in pattern.units:
                    bit = 1 << at
                    chars.append(unit.chars)
                    if unit.run:
                        self.runs |= bit
                    if unit.negated:
                        self.negated |= bit
                    masks = self.but if unit.negated else self.only
                    for character in unit.chars:
                        masks[character] = masks.get(character, 0) | bit
                    at += 1
                if pattern.units and pattern.units[-1] == RUN and pattern.ends is None:
                    absorbing |= 1 << at - 1
                    final = 1 << at | 1 << at - 1
                chars.append("")
                at += 1
            self.ends.append(ends)
            self.places.append((1 << at) - (1 << first))
            if absorbing:
                # From here on the language is matched whatever follows: its other places do not count.
                self.finals.append((absorbing, self.places[-1], final))
        self.absorbing = sum(absorbing for absorbing, _all, _final in self.finals)
        self.takes = {
            character: self.negated & ~self.but.get(character, 0) | self.only.get(character, 0)
            for character in dict.fromkeys((*self.but, *self.only))
        }
        self.other = _unused(self.takes)
        # Characters that lead to the same everywhere need one of them only.
        alike: dict[int, str] = {self.negated: self.other}
        same = {character: alike.setdefault(takes, character) for character, takes in self.takes.items()}
        self.apart = [tuple(dict.fromkeys(same[character] for character in each)) for each in chars]
        self.telling = sum(1 << at for at, each in enumerate(self.apart) if each)
        self.start = self.settle(self.start)

    def settle(self, state: int) -> int:
        """A state with all that it reaches without a character."""
        more = state | (state & self.runs) << 1
        while more != state:
            state, more = more, more | (more & self.runs) << 1
        if state & self.absorbing:
            for absorbing, places, final in self.finals:
                if state & absorbing:
                    state = state & ~places | final
        return state

    def step(self, state: int, character: str) -> int:
        taken = state & self.takes.get(character, self.negated)
        stay = taken & self.runs
        return self.settle((taken ^ stay) << 1 | stay)

    def told_apart(self, state: int) -> list[str]:
        """The characters that lead on differently from here; any other is as good as the last."""
        characters: dict[str, None] = {}
        rest = state & self.telling
        while rest:
            low = rest & -rest
            for character in self.apart[low.bit_length() - 1]:
                characters[character] = None
            rest ^= low
        return [*characters, self.other]

    def matched(self, state: int) -> tuple[bool, ...]:
        return tuple(bool(state & ends) for ends in self.ends)


def kinds(
    languages: Sequence[Sequence[Pattern]], inside: int, budget: Budget
) -> tuple[dict[tuple[bool, ...], str], bool]:
    """Each combination of matches that some text has, with a text, and whether these are all.

    :arg inside: the place of the language that a text must be in; negative for none.
    """
    texts: dict[tuple[bool, ...], str] = {}
    units = sum(len(pattern.units) + 1 for patterns in languages for pattern in patterns)
    if not budget.spend(units // CHARACTERS):
        return texts, False
    machine = _Machine(languages)
    needed = machine.places[inside] if inside >= 0 else 0
    came: dict[int, str] = {machine.start: ""}
    queue = deque([machine.start])
    width = 1 + len(machine.apart) // 400 + len(machine.finals) // 8
    while queue:
        state = queue.popleft()
        text = came[state]
        matched = machine.matched(state)
        if (inside < 0 or matched[inside]) and matched not in texts:
            texts[matched] = text
        steps = machine.told_apart(state)
        if not budget.spend(width * (len(steps) + 1) + bin(state).count("1") // 16):
            return texts, False
        for character in steps:
            following = machine.step(state, character)
            if following not in came and (not needed or following & needed):
                came[following] = text + character
                queue.append(following)
    return texts, True


def places(units: tuple[Unit, ...], text: str) -> list[int]:
    """How much of the beginning of a text the units match: the lengths that are possible."""
    machine = _Machine([[Pattern(units)]])
    state, end = machine.start, machine.ends[0]
    lengths = [0] if state & end else []
    for at, character in enumerate(text, 1):
        state = machine.step(state, character)
        if state & end:
            lengths.append(at)
    return lengths


def _unused(taken: Iterable[str]) -> str:
    used = set(taken)
    for filler in _FILLERS:
        if filler not in used:
            return filler
    return next(chr(code) for code in range(0x4E00, 0x9FFF) if chr(code) not in used)
