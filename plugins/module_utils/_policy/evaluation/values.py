# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The possible values of an unknown condition key, divided into kinds.

All values of a kind have the same result in every condition that compares the key with constants. So one value of each kind
is sufficient, unless a condition compares the key with a policy variable. If the budget of steps is used up before every kind
is found, the result is marked as incomplete.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..language.automata import (
    CHARACTERS,
    Budget,
    Pattern,
    containing,
    kinds,
    other_than,
    shape_regex,
    shape_units,
    word_pattern,
)
from ..language.context import ABSENT, WHOLE, Context, KeyState, Part, Representative, Unknown
from ..language.operators import date, family, number
from .comparisons import Comparisons, Constraint, Values
from .keys import BOOLEANS, DATES, TAG_KEYS, is_multivalued, sample_values, typed_values, value_shape

# The maximum number of sets of values for a multivalued key, and the maximum number of patterns in a condition for which sample
# texts are built.
_MAX_STATES = 96
# With at most this number of literal values in the conditions, the first search for examples (``kinds``) already excludes these
# values. With more literal values, a second search excludes them, but only if an example of the first search is one of them.
_FEW = 2


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of values, with an example value (``text``). If ``single``, the kind has no other value."""

    text: str
    single: bool


def possible_values(key: str, comparisons: Comparisons, context: Context, budget: Budget) -> Values:
    """Return the states of a key to evaluate: one for each kind of values, and ``ABSENT`` if requests may lack the key.

    A key with known values has only this state. If the key is a ``Part``, or may be absent and a condition tests its presence,
    there are two states: present, and ``ABSENT``.
    """
    part = context.keys.get(key)
    if isinstance(part, Part):
        return Values((Part(part.root, part.extract), ABSENT), True)
    state = context.get(key)
    if not isinstance(state, Unknown):
        return Values((state,), True)
    if state.may_be_absent and any(test.presence for test, _extract in comparisons.tests.get(key, ())):
        # A condition with the operator Null tests whether the key is present, so the search first decides this without a value.
        return Values((replace(state, may_be_absent=False), ABSENT), True)
    if comparisons.compared(key):
        sorter = _Sorter(key, state, comparisons, context, budget)
        constrained = (key, state, sorter.entangled, *sorter.constraints)
        values = comparisons.sorted_values.get(constrained)
        if values is None:
            values = comparisons.sorted_values[constrained] = sorter.values()
        return values
    # The kinds do not depend on other keys, so further questions can reuse them.
    links = comparisons.links if key == TAG_KEYS else None
    independent = (key, state, links, *comparisons.tests.get(key, ()))
    values = comparisons.memo.get(independent)
    if values is None:
        values = _Sorter(key, state, comparisons, context, budget).values()
        if values.complete:
            comparisons.memo[independent] = values
    return values


class _Sorter:
    def __init__(
        self, key: str, state: Unknown, comparisons: Comparisons, context: Context, budget: Budget
    ) -> None:
        self.key, self.state, self.budget = key, state, budget
        self.tests = [
            (test, extract) for test, extract in comparisons.tests.get(key, ()) if not test.presence
        ]
        self.constraints: list[Constraint] = list(comparisons.constraints(key, context, budget))
        self.exact: frozenset[object] = frozenset(item.value for item in self.constraints if item.exact)
        self.entangled = comparisons.entangled(key, self.exact)
        self.typed = [test for test, _extract in self.tests if not test.reads_text]
        texts = [(test, extract) for test, extract in self.tests if test.reads_text]
        # If the budget is too small to compile the conditions, leave them out. The result is then marked as incomplete anyway.
        affordable = budget.spend(sum(test.length for test, _extract in texts) // CHARACTERS)
        languages = (
            containing(extract, test.language)
            for test, extract in texts
            if affordable and test.language is not None
        )
        self.languages = [*languages, *(containing(item.extract, item.language) for item in self.constraints)]
        shape = state.shape if state.shape is not None else value_shape(key)
        self.shape = None if shape == "*" else shape

    def values(self) -> Values:
        values = self._values()
        # If the budget is used up, kinds may be missing.
        return values if self.budget.left >= 0 else Values(values.states, False)

    def _values(self) -> Values:
        all_kinds, complete = self._kinds()
        typed = any(family(test.condition.base) in ("Numeric", "Date", "Ip") for test in self.typed)
        if is_multivalued(self.key, typed) and self.state.choices is None:
            states, all_sets = self._sets(all_kinds)
            complete = complete and all_sets
        else:
            states = [self._state((kind,)) for kind in all_kinds]
        if self.state.may_be_absent:
            states.append(ABSENT)
        return Values(tuple(states), complete)

    def _state(self, several: Sequence[_Kind]) -> KeyState:
        texts = tuple(kind.text for kind in several)
        if not self.entangled or all(kind.single for kind in several):
            return texts
        return Representative(texts, self.exact)

    def _kinds(self) -> tuple[list[_Kind], bool]:
        choices = self.state.choices or (("true", "false") if self.key in BOOLEANS else None)
        if choices is not None:
            return [_Kind(choice, True) for choice in choices], True
        free = self.shape in (None, "?*") and not any(extract.separator for _test, extract in self.tests)
        if self.typed and free and not self.languages:
            texts, complete = typed_values(self.key, self.typed, self.budget)
            return self._different([_Kind(text, False) for text in texts]), complete
        all_kinds, complete = self._texts()
        if self.typed:
            # An automaton only compares text, so add sample values for the conditions on numbers, dates, addresses or bytes.
            more, _complete = typed_values(self.key, self.typed, self.budget)
            all_kinds += [_Kind(text, False) for text in more if self._fits(text)]
            complete = False
        if self.key in DATES:
            # The value must be a date, and if a condition compares the key as text, it must not be written as epoch seconds.
            all_kinds.append(_Kind(next(sample_values(self.key)), False))
            dates = any(test.reads_text and extract is WHOLE for test, extract in self.tests)
            return [
                kind
                for kind in all_kinds
                if date(kind.text) is not None and not (dates and number(kind.text) is not None)
            ], False
        return all_kinds, complete

    def _texts(self) -> tuple[list[_Kind], bool]:
        words = dict.fromkeys(word for language in self.languages for word in language.words)
        if self.shape is None:
            words[""] = None
        fitting = [word for word in words if self._fits(word)]
        if not self.budget.spend(len(words) + len(fitting) * len(self.languages) // 4):
            return [_Kind(word, True) for word in fitting[:8]], False
        word_kinds = [_Kind(word, True) for word in fitting]
        patterns = [language.patterns for language in self.languages]
        if not any(patterns) and self.shape in (None, "?*"):
            return self._different([*word_kinds, _Kind(next(other_than(fitting)), False)]), True
        shape_index = -1
        if self.shape is not None:
            shape_index = len(patterns)
            patterns.append((Pattern(shape_units(self.shape)),))
        # Each word (a literal value of a condition) is a separate kind. The texts for the other kinds must differ from all words.
        few = len(fitting) <= _FEW
        combinations, complete = kinds(
            [*patterns, *([_words(fitting)] if few else [])], shape_index, self.budget
        )
        if complete and not few and any(text in words for text in combinations.values()):
            combinations, complete = kinds([*patterns, _words(fitting)], shape_index, self.budget)
        if not complete:
            word_kinds += [_Kind(text, False) for text in self._samples() if text not in words]
        return self._different(
            [*word_kinds, *(_Kind(text, False) for text in combinations.values() if text not in words)]
        ), complete

    def _samples(self) -> Iterable[str]:
        """Yield texts that match the patterns, as a substitute if the budget is too small to find all kinds."""
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
        return self.shape is None or shape_regex(self.shape).fullmatch(text) is not None

    def _different(self, several_kinds: list[_Kind]) -> list[_Kind]:
        """Return one kind for each combination of results in all conditions.

        If a comparison with another key is undecided, return every kind, but only once. If the budget is used up, return the
        kinds found so far.
        """
        if self.entangled:
            return list({kind.text: kind for kind in reversed(several_kinds)}.values())[::-1]
        distinct: dict[tuple[bool, ...], _Kind] = {}
        for kind in several_kinds:
            if not self.budget.spend(1 + len(self.tests) // 4) and distinct:
                break
            distinct.setdefault(self._matched(kind.text), kind)
        return list(distinct.values())

    def _matched(self, text: str) -> tuple[bool, ...]:
        """Return the results of all conditions and constraints for a value.

        The first result is whether the value is empty, because ForAllValues and ForAnyValue ignore empty values.
        """
        marks = [text == "" and self.shape is None]
        marks += [test.matches(extract.take(text)) for test, extract in self.tests]
        marks += [item.language.matches(item.extract.take(text)) for item in self.constraints]
        return tuple(marks)

    def _sets(self, several_kinds: list[_Kind]) -> tuple[list[KeyState], bool]:
        """Return the sets of values to evaluate for a multivalued key, and whether they are sufficient to find every outcome.

        A set of several values is left out if all conditions, with and without ForAllValues or ForAnyValue, have the same
        results as for another set.
        """
        singles = [self._state((kind,)) for kind in several_kinds]
        marks = {kind.text: self._matched(kind.text) for kind in several_kinds}
        if self.entangled:
            # Two values of one kind can have other results than one value, because a policy variable requires a single value.
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
        """Return a kind together with a second value of the same kind, or None if no such value is found."""
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
    """Return the results of all conditions on a set of values; two sets with equal results have the same outcome.

    For each condition, the results are whether any value matches, and for the non-empty values whether any and whether all of
    them match. With ``counted``, the last result is whether the set has several values.
    """
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
