# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The values of an unknown key, sorted into the few kinds that its conditions can tell apart.

Every value that IAM allows for the key is of one of the kinds, and each kind is there with one value,
unless the budget ended early, which is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..language.context import ABSENT, WHOLE, Context, KeyState, Part, Some, Unknown
from ..language.operators import date, family, number
from ..language.words import (
    CHARACTERS,
    Budget,
    Pattern,
    containing,
    kinds,
    other_than,
    shape_form,
    shape_units,
    word_pattern,
)
from .asked import Asked, Closed, Values
from .keys import BOOLEANS, DATES, TAG_KEYS, is_multivalued, of_type, shape_of, typed_values

_MAX_STATES = 96
# So few words are left out of the patterns' texts from the start.
_FEW = 2


@dataclass(frozen=True, slots=True)
class _Kind:
    """One value, and whether it is the only one of its kind."""

    text: str
    single: bool


def values_of(key: str, asked: Asked, context: Context, budget: Budget) -> Values:
    """The states of an unknown key."""
    given = context.keys.get(key)
    if isinstance(given, Part):
        return Values((Part(given.root, given.extract), ABSENT), True)
    state = context.get(key)
    if not isinstance(state, Unknown):
        return Values((state,), True)
    if state.may_be_absent and any(test.presence for test, _extract in asked.tests.get(key, ())):
        # Whether it is there at all is asked, and may be enough.
        return Values((replace(state, may_be_absent=False), ABSENT), True)
    if asked.compared(key):
        sorter = _Sorter(key, state, asked, context, budget)
        asking = (key, state, sorter.entangled, *sorter.closed)
        values = asked.sorted_values.get(asking)
        if values is None:
            values = asked.sorted_values[asking] = sorter.values()
        return values
    # What a key is not compared with does not count, so that the answer is the same every time.
    always = (key, state, asked.links if key == TAG_KEYS else None, *asked.tests.get(key, ()))
    known = asked.memo.get(always)
    if known is None:
        known = _Sorter(key, state, asked, context, budget).values()
        if known.complete:
            asked.memo[always] = known
    return known


class _Sorter:
    def __init__(self, key: str, state: Unknown, asked: Asked, context: Context, budget: Budget) -> None:
        self.key, self.state, self.budget = key, state, budget
        self.tests = [(test, extract) for test, extract in asked.tests.get(key, ()) if not test.presence]
        self.closed: list[Closed] = list(asked.closed(key, context, budget))
        self.exact: frozenset[object] = frozenset(each.value for each in self.closed if each.exact)
        self.entangled = asked.entangled(key, self.exact)
        self.typed = [test for test, _extract in self.tests if not test.reads_text]
        texts = [(test, extract) for test, extract in self.tests if test.reads_text]
        # The work ends here already, so any value may be tried.
        affordable = budget.spend(sum(test.length for test, _extract in texts) // CHARACTERS)
        languages = (
            containing(extract, test.language)
            for test, extract in texts
            if affordable and test.language is not None
        )
        self.languages = [*languages, *(containing(each.extract, each.language) for each in self.closed)]
        shape = state.shape if state.shape is not None else shape_of(key)
        self.shape = None if shape == "*" else shape

    def values(self) -> Values:
        values = self._values()
        # Work that ended early may have left out kinds anywhere.
        return values if self.budget.left >= 0 else Values(values.states, False)

    def _values(self) -> Values:
        several, complete = self._kinds()
        alone = any(family(test.condition.base) in ("Numeric", "Date", "Ip") for test in self.typed)
        if is_multivalued(self.key, alone) and self.state.choices is None:
            states, all_of_them = self._sets(several)
            complete = complete and all_of_them
        else:
            states = [self._state((kind,)) for kind in several]
        if self.state.may_be_absent:
            states.append(ABSENT)
        return Values(tuple(states), complete)

    def _state(self, several: Sequence[_Kind]) -> KeyState:
        texts = tuple(kind.text for kind in several)
        if not self.entangled or all(kind.single for kind in several):
            return texts
        return Some(texts, self.exact)

    def _kinds(self) -> tuple[list[_Kind], bool]:
        choices = self.state.choices or (("true", "false") if self.key in BOOLEANS else None)
        if choices is not None:
            return [_Kind(choice, True) for choice in choices], True
        free = self.shape in (None, "?*") and not any(extract.separator for _test, extract in self.tests)
        if self.typed and free and not self.languages:
            texts, complete = typed_values(self.key, self.typed, self.budget)
            return self._different([_Kind(text, False) for text in texts]), complete
        several, complete = self._texts()
        if self.typed:
            # Texts that are also numbers, dates or addresses, or these within a shape: good to try, but
            # not all there is.
            more, _all = typed_values(self.key, self.typed, self.budget)
            several += [_Kind(text, False) for text in more if self._fits(text)]
            complete = False
        if self.key in DATES:
            # A pattern of dates is none of seconds, and few texts are dates.
            several.append(_Kind(next(of_type(self.key)), False))
            dates = any(test.reads_text and extract is WHOLE for test, extract in self.tests)
            return [
                kind
                for kind in several
                if date(kind.text) is not None and not (dates and number(kind.text) is not None)
            ], False
        return several, complete

    def _texts(self) -> tuple[list[_Kind], bool]:
        words = dict.fromkeys(word for language in self.languages for word in language.words)
        if self.shape is None:
            words[""] = None
        fitting = [word for word in words if self._fits(word)]
        if not self.budget.spend(len(words) + len(fitting) * len(self.languages) // 4):
            return [_Kind(word, True) for word in fitting[:8]], False
        listed = [_Kind(word, True) for word in fitting]
        patterns = [language.patterns for language in self.languages]
        if not any(patterns) and self.shape in (None, "?*"):
            return self._different([*listed, _Kind(next(other_than(fitting)), False)]), True
        inside = -1
        if self.shape is not None:
            inside = len(patterns)
            patterns.append((Pattern(shape_units(self.shape)),))
        # The words are of kinds of their own, so that the other kinds are shown by texts that are none of them.
        few = len(fitting) <= _FEW
        combinations, complete = kinds([*patterns, *([_words(fitting)] if few else [])], inside, self.budget)
        if complete and not few and any(text in words for text in combinations.values()):
            combinations, complete = kinds([*patterns, _words(fitting)], inside, self.budget)
        if not complete:
            listed += [_Kind(text, False) for text in self._samples() if text not in words]
        return self._different(
            [*listed, *(_Kind(text, False) for text in combinations.values() if text not in words)]
        ), complete

    def _samples(self) -> Iterable[str]:
        """A text for each pattern, for where there was no time to find all kinds."""
        for language in self.languages:
            for pattern in language.patterns[:_MAX_STATES]:
                if pattern.ends is None and self.budget.spend(1 + len(pattern.units) // 16):
                    for fill in ("", "x"):
                        text = "".join(
                            fill
                            if unit.run and unit.negated
                            else ""
                            if unit.run
                            else "x"
                            if unit.negated
                            else unit.chars[:1]
                            for unit in pattern.units
                        )
                        if self._fits(text):
                            yield text

    def _fits(self, text: str) -> bool:
        return self.shape is None or shape_form(self.shape).fullmatch(text) is not None

    def _different(self, several_kinds: list[_Kind]) -> list[_Kind]:
        """One of each kind, where nothing else tells them apart."""
        if self.entangled:
            return list({kind.text: kind for kind in reversed(several_kinds)}.values())[::-1]
        kept: dict[tuple[bool, ...], _Kind] = {}
        for kind in several_kinds:
            if not self.budget.spend(1 + len(self.tests) // 4) and kept:
                break
            kept.setdefault(self._matched(kind.text), kind)
        return list(kept.values())

    def _matched(self, text: str) -> tuple[bool, ...]:
        """What a value matches; empty texts are of a kind of their own, as set operators leave them out."""
        marks = [text == "" and self.shape is None]
        marks += [test.matches(extract.take(text)) for test, extract in self.tests]
        marks += [each.language.matches(each.extract.take(text)) for each in self.closed]
        return tuple(marks)

    def _sets(self, several_kinds: list[_Kind]) -> tuple[list[KeyState], bool]:
        """The states of a key that may have several values: every set of kinds that makes a difference."""
        singles = [self._state((kind,)) for kind in several_kinds]
        marks = {kind.text: self._matched(kind.text) for kind in several_kinds}
        if self.entangled:
            # Two values of one kind: as a variable they are no value at all.
            doubles = [
                more
                for kind in several_kinds
                if not kind.single and (more := self._twin(kind, marks)) is not None
            ]
        else:
            doubles = []
        reached: dict[tuple[object, ...], tuple[_Kind, ...]] = {}
        queue: deque[tuple[_Kind, ...]] = deque()
        for several in [*((kind,) for kind in several_kinds), *doubles]:
            sign = _sign(several, marks, self.entangled)
            if sign not in reached:
                reached[sign] = several
                queue.append(several)
        while queue:
            several = queue.popleft()
            for kind in several_kinds:
                if kind in several:
                    continue
                more = (*several, kind)
                sign = _sign(more, marks, self.entangled)
                if not self.budget.spend(1 + len(more) // 2) or len(reached) > _MAX_STATES:
                    return [*singles, *map(self._state, reached.values())], False
                if sign not in reached:
                    reached[sign] = more
                    queue.append(more)
        states = [*singles, *map(self._state, reached.values())]
        return list(dict.fromkeys(states)), True

    def _twin(self, kind: _Kind, marks: dict[str, tuple[bool, ...]]) -> tuple[_Kind, ...] | None:
        for text in (
            kind.text + "x",
            "x" + kind.text,
            kind.text[:-1] + "y",
            kind.text[:-1] + "z",
            "y" + kind.text[1:],
        ):
            if text != kind.text and self._fits(text) and self._matched(text) == marks[kind.text]:
                marks[text] = marks[kind.text]
                return kind, _Kind(text, False)
        return None


def _sign(several: Sequence[_Kind], marks: dict[str, tuple[bool, ...]], counted: bool) -> tuple[object, ...]:
    """All that conditions can tell of a set of values: what any of them matches, and what all do."""
    every = [marks[kind.text] for kind in several]
    filled = [mark for mark in every if not mark[0]]
    return (
        tuple(map(any, zip(*every, strict=True))),
        tuple(map(any, zip(*filled, strict=True))),
        tuple(map(all, zip(*filled, strict=True))),
        counted and len(several) > 1,
    )


def _words(words: Iterable[str]) -> tuple[Pattern, ...]:
    return tuple(map(word_pattern, words))
