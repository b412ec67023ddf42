# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find every combination of patterns that a text can match, with an example text for each combination.

For example, the patterns ``a*`` and ``*b`` have four combinations: both ("ab"), only the first ("a"), only the second ("b"),
neither (""). A "language" is a set of texts, described by words and patterns. A "unit" is one position of a pattern.

A nondeterministic finite automaton compares a text with all patterns at once. Its state is an integer, in which each bit is a
position in a pattern. A breadth-first search from the empty text reaches every combination with its shortest text. The
search is limited by a budget of steps instead of time, so that the result is the same on every machine.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .context import Extract
from .match import ARN_PARTS, Literal, Wild, cut_arn

# Compiling this number of pattern characters costs one step of a ``Budget``.
CHARACTERS = 2


class Budget:
    """A limit for the number of steps of an evaluation. ``left`` is the number of remaining steps; negative if it is used up."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> bool:
        """Subtract steps, and return whether the budget was sufficient for them."""
        self.left -= steps
        return self.left >= 0


# By lower-case letter, another letter that ``fold`` maps to it, but that ``str.upper`` and ``str.title`` do not return.
_FOLDED_ALIASES = {"k": "\u212a", "\xe5": "\u212b", "\u03c9": "\u2126", "\xdf": "\u1e9e", "\u03b8": "\u03f4"}
# The characters to use in an example text at positions where any character matches.
_FILLERS = "xyzwvutsrqponmlkjihgfedcba0123456789"


@dataclass(frozen=True, slots=True)
class Unit:
    """One position of a pattern. It matches one of ``chars``, or if ``negated``, any other character.

    If ``run``, the unit matches any number of such characters, including none.
    """

    chars: str
    negated: bool = False
    run: bool = False


ONE = Unit("", negated=True)
RUN = Unit("", negated=True, run=True)
ONE_IN_PART = Unit(":", negated=True)
RUN_IN_PART = Unit(":", negated=True, run=True)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A sequence of units.

    ``starts`` and ``ends`` are indexes of units. A match begins before a unit in ``starts``, and ends before a unit in ``ends``;
    None means the end of the sequence.
    """

    units: tuple[Unit, ...]
    starts: tuple[int, ...] = (0,)
    ends: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Language:
    """A set of texts: the ``words``, and every text that one of ``patterns`` matches."""

    words: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    def matches(self, text: str) -> bool:
        """Return whether the language contains a text."""
        if text in self.words:
            return True
        if not self.patterns:
            return False
        automaton = _Automaton([self.patterns])
        state = automaton.start
        for character in text:
            state = automaton.step(state, character)
        return bool(state & automaton.ends[0])


def word_pattern(word: str) -> Pattern:
    """Return the pattern of a literal text."""
    return Pattern(tuple(map(Unit, word)))


def fold(text: str) -> str:
    """Return a text in lower case for case-insensitive comparisons. Its length does not change."""
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def spellings(character: str) -> str:
    """Return all characters that ``fold`` maps to ``character``, which must be in lower case."""
    variants = {character.upper(), character.title(), _FOLDED_ALIASES.get(character, character)}
    variants.discard(character)
    return character + "".join(sorted(variant for variant in variants if fold(variant) == character))


def text_units(tokens: Iterable[Literal], ignore_case: bool = False) -> tuple[Unit, ...]:
    """Convert the tokens of a text pattern to units. Unlike in an ARN pattern, ``*`` and ``?`` also match a colon."""
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
    """Convert the tokens of an ARN pattern to units. A wildcard matches within one of the six parts of an ARN only.

    :returns: None if the pattern has too few parts to match an ARN.
    """
    parts = cut_arn(tokens)
    if parts == [[Wild.ANY]]:
        parts = [[Wild.ANY] for _part in range(ARN_PARTS)]
    return part_units(parts) if len(parts) == ARN_PARTS else None


def part_units(parts: Iterable[Iterable[Literal]]) -> tuple[Unit, ...]:
    """Convert the six parts of an ARN pattern to units. Only wildcards in the last part match a colon."""
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
    """Convert a shape to units.

    A shape describes the format of a condition key's values in a notation of this module:

    * ``*`` is any number of characters, ``?`` one character, and ``#`` one digit.
    * ``+`` is a name of letters, digits, hyphens and underscores. ``^`` is such a name that begins with a letter or digit.
    * ``&`` is the path and name of a role, ``=`` a partition such as aws-cn, and ``%`` a Region.
    * Any other character is literal.
    """
    return tuple(unit for character in shape for unit in _SHAPES.get(character, (Unit(character),)))


def shape_regex(shape: str) -> re.Pattern[str]:
    """Convert a shape, as ``shape_units`` describes it, to a regular expression for ``fullmatch``.

    Shapes are constants of this collection, so a policy cannot cause slow matching.
    """
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


def containing(extract: Extract, language: Language) -> Language:
    """Return the language of the texts from which ``extract`` takes a text of ``language``."""
    separator = extract.separator
    if not separator:
        return language
    pieces = (*language.patterns, *map(word_pattern, language.words))
    gap = Unit(separator, negated=True, run=True)
    prefixes = (
        ((), (RUN, Unit(separator))) if extract.place < 0 else ((gap, Unit(separator)) * extract.place,)
    )
    suffixes = ((),) if extract.place < 0 else ((), (Unit(separator), RUN))
    return Language(
        patterns=tuple(
            Pattern((*prefix, *units, *suffix))
            for pattern in pieces
            for units in _excluding(separator, pattern.units)
            for prefix in prefixes
            for suffix in suffixes
        )
    )


def _excluding(character: str, units: tuple[Unit, ...]) -> Iterator[tuple[Unit, ...]]:
    """Yield the units that match the same texts as ``units``, except texts with a certain character.

    The generator has one item, or none if ``units`` match only texts with this character.
    """
    narrowed = []
    for unit in units:
        if unit.negated:
            narrowed.append(
                Unit(unit.chars + character, True, unit.run) if character not in unit.chars else unit
            )
        elif unit.chars.strip(character):
            narrowed.append(Unit(unit.chars.replace(character, ""), False, unit.run))
        elif not unit.run:
            return
    yield tuple(narrowed)


def _merged(units: list[Unit]) -> tuple[Unit, ...]:
    """Remove each run that equals the unit before it, because one run already matches any number of characters."""
    return tuple(
        unit for index, unit in enumerate(units) if not (unit.run and index and units[index - 1] == unit)
    )


def other_than(words: Iterable[str]) -> Iterator[str]:
    """Yield texts that are not among ``words``."""
    excluded = set(words)
    for length in range(1, len(excluded) + 2):
        for filler in _FILLERS:
            if filler * length not in excluded:
                yield filler * length


class _Automaton:
    """A nondeterministic finite automaton that matches the patterns of several languages at once.

    A state is an integer. Each bit is a position in a pattern, and is set if the text that was read so far leads to it.
    """

    def __init__(self, languages: Sequence[Sequence[Pattern]]) -> None:
        self.start = 0
        self.runs = 0
        self.ends: list[int] = []
        self.positions: list[int] = []
        self.finals: list[tuple[int, int, int]] = []
        chars: list[str] = []
        self.negated = 0
        self.excluded: dict[str, int] = {}
        self.included: dict[str, int] = {}
        position = 0
        for patterns in languages:
            first, ends, absorbing, final = position, 0, 0, 0
            for pattern in patterns:
                length = len(pattern.units)
                for place in pattern.starts:
                    self.start |= 1 << position + place
                for place in (length,) if pattern.ends is None else pattern.ends:
                    ends |= 1 << position + place
                for unit in pattern.units:
                    bit = 1 << position
                    chars.append(unit.chars)
                    if unit.run:
                        self.runs |= bit
                    if unit.negated:
                        self.negated |= bit
                    masks = self.excluded if unit.negated else self.included
                    for character in unit.chars:
                        masks[character] = masks.get(character, 0) | bit
                    position += 1
                if pattern.units and pattern.units[-1] == RUN and pattern.ends is None:
                    absorbing |= 1 << position - 1
                    final = 1 << position | 1 << position - 1
                chars.append("")
                position += 1
            self.ends.append(ends)
            self.positions.append((1 << position) - (1 << first))
            if absorbing:
                # If a pattern ends with * and has matched up to there, it also matches every longer text. The other positions in
                # its language cannot change the result, so they are dropped to keep the search small.
                self.finals.append((absorbing, self.positions[-1], final))
        self.absorbing = sum(absorbing for absorbing, _all, _final in self.finals)
        self.takes = {
            character: self.negated & ~self.excluded.get(character, 0) | self.included.get(character, 0)
            for character in dict.fromkeys((*self.excluded, *self.included))
        }
        self.other = _unused(self.takes)
        # Characters with the same transitions lead to the same states, so one of them is sufficient.
        by_transitions: dict[int, str] = {self.negated: self.other}
        same = {
            character: by_transitions.setdefault(takes, character) for character, takes in self.takes.items()
        }
        self.branches = [tuple(dict.fromkeys(same[character] for character in unit)) for unit in chars]
        self.branching = sum(1 << index for index, unit in enumerate(self.branches) if unit)
        self.start = self.settle(self.start)

    def settle(self, state: int) -> int:
        """Add the positions that are reachable without reading a character, because a run may be empty.

        If a pattern that ends with ``*`` has matched, drop the other positions of its language (see ``finals``).
        """
        extended = state | (state & self.runs) << 1
        while extended != state:
            state, extended = extended, extended | (extended & self.runs) << 1
        if state & self.absorbing:
            for absorbing, positions, final in self.finals:
                if state & absorbing:
                    state = state & ~positions | final
        return state

    def step(self, state: int, character: str) -> int:
        matched = state & self.takes.get(character, self.negated)
        repeated = matched & self.runs
        return self.settle((matched ^ repeated) << 1 | repeated)

    def distinct_characters(self, state: int) -> list[str]:
        """Return one character for each different transition from a state. The last one represents all other characters."""
        characters: dict[str, None] = {}
        rest = state & self.branching
        while rest:
            low = rest & -rest
            for character in self.branches[low.bit_length() - 1]:
                characters[character] = None
            rest ^= low
        return [*characters, self.other]

    def matched(self, state: int) -> tuple[bool, ...]:
        return tuple(bool(state & ends) for ends in self.ends)


def kinds(
    languages: Sequence[Sequence[Pattern]], inside: int, budget: Budget
) -> tuple[dict[tuple[bool, ...], str], bool]:
    """Find every combination of languages to which one text can belong.

    :arg languages: the patterns of each language.
    :arg inside: the index of a language to which all texts must belong, or -1.
    :returns: an example text by combination, which has one boolean for each language; and whether all combinations were found
        before the budget was used up.
    """
    texts: dict[tuple[bool, ...], str] = {}
    units = sum(len(pattern.units) + 1 for patterns in languages for pattern in patterns)
    if not budget.spend(units // CHARACTERS):
        return texts, False
    automaton = _Automaton(languages)
    needed = automaton.positions[inside] if inside >= 0 else 0
    shortest: dict[int, str] = {automaton.start: ""}
    queue = deque([automaton.start])
    # The evaluation of a state takes longer with a larger automaton, so it costs more steps.
    width = 1 + len(automaton.branches) // 400 + len(automaton.finals) // 8
    while queue:
        state = queue.popleft()
        text = shortest[state]
        matched = automaton.matched(state)
        if (inside < 0 or matched[inside]) and matched not in texts:
            texts[matched] = text
        steps = automaton.distinct_characters(state)
        if not budget.spend(width * (len(steps) + 1) + bin(state).count("1") // 16):
            return texts, False
        for character in steps:
            successor = automaton.step(state, character)
            if successor not in shortest and (not needed or successor & needed):
                shortest[successor] = text + character
                queue.append(successor)
    return texts, True


def prefix_lengths(units: tuple[Unit, ...], text: str) -> list[int]:
    """Return the lengths of the prefixes of a text that the units match."""
    automaton = _Automaton([[Pattern(units)]])
    state, end = automaton.start, automaton.ends[0]
    lengths = [0] if state & end else []
    for length, character in enumerate(text, 1):
        state = automaton.step(state, character)
        if state & end:
            lengths.append(length)
    return lengths


def _unused(characters: Iterable[str]) -> str:
    used = set(characters)
    for filler in _FILLERS:
        if filler not in used:
            return filler
    return next(chr(code) for code in range(0x4E00, 0x9FFF) if chr(code) not in used)
