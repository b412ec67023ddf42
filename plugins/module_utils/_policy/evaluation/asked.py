# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Everything that questions ask about condition keys, gathered once for a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..language.budget import Budget
from ..language.conditions import Test
from ..language.context import Context, Part, State, Unknown
from ..language.match import Cover, symbolise
from ..language.operators import OpenValue, language_of
from ..language.parts import WHOLE, Extract
from ..language.resources import OpenResource
from ..language.template import Variable, Wild, variable_keys
from ..language.words import Language
from .links import TAG_KEYS, TagLinks
from .query import Question
from .rules import Request, Rule
from .windows import filled, window

# As many words of a condition are tried for what is compared with its key.
_WORDS = 8
# Of conditions that are longer, in characters, none is.
_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Values:
    """``states`` of a key; ``complete``: there is no other that could make a difference."""

    states: tuple[State | Part, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class OpenCondition:
    """A value with variables of a condition."""

    value: OpenValue
    test: Test


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """A Resource value with variables, asked about a request."""

    value: OpenResource
    rule: Rule
    request: Request


@dataclass(frozen=True, slots=True)
class Closed:
    """What an open value asks of one key, now that the others are known. ``exact``: that is all of it."""

    value: object
    language: Language
    extract: Extract
    exact: bool


def home(key: str, context: Context) -> tuple[str, Extract]:
    """The key that another's value is part of, where it is there, and which part."""
    state = context.keys.get(key)
    return (state.root, state.extract) if isinstance(state, Part) else (key, WHOLE)


class Asked:
    """The conditions and open values of questions."""

    def __init__(
        self, questions: Sequence[Question], context: Context, links: TagLinks, memo: dict[object, Values]
    ) -> None:
        # What was found of keys: whatever else is known, and with what is known of others here.
        self.memo = memo
        self.links = links
        self.sorted_values: dict[object, Values] = {}
        tests = {id(test): test for q in questions for rule in q.rules for test in rule.tests}
        self.tests: dict[str, list[tuple[Test, Extract]]] = {}
        self.open: list[OpenCondition | OpenTarget] = []
        for test in tests.values():
            root, extract = home(test.key, context)
            self.tests.setdefault(root, []).append((test, extract))
            self.open.extend(OpenCondition(value, test) for value in test.open_values)
        for question in questions:
            for rule in question.rules:
                for value in rule.open_resources:
                    self.open.append(OpenTarget(value, rule, question.request))
        self._open_of: dict[str, list[OpenCondition | OpenTarget]] = {}
        for each in self.open:
            for root in _roots(each, context):
                self._open_of.setdefault(root, []).append(each)

    def compared(self, key: str) -> bool:
        """Whether a value with variables has to do with the key."""
        return key in self._open_of

    def entangled(self, key: str, exact: frozenset[object]) -> bool:
        """Whether a value with variables is still open that the key has a part in."""
        return any(each.value not in exact for each in self._open_of.get(key, ()))

    def closed(self, key: str, context: Context, budget: Budget) -> Iterator[Closed]:
        """The open values that ask something of this key alone, the others being known, and the keys of tags that are linked."""
        if key == TAG_KEYS:
            for tag, spellings in self.links.tags:
                yield Closed(tag, spellings, WHOLE, True)
        for each in self._open_of.get(key, ()):
            if isinstance(each, OpenTarget):
                yield from _target(each, key, context, budget)
            else:
                yield from self._condition(each, key, context, budget)

    def _condition(self, each: OpenCondition, key: str, context: Context, budget: Budget) -> Iterator[Closed]:
        value, test = each.value, each.test
        own, extract = home(test.key, context)
        names = _names(value.tokens, key, context)
        if own == key:
            same = all(home(name, context) == (own, extract) for name in variable_keys(value.tokens))
            if same and value.more_than_variables:
                # A value beside more of the same is never the value.
                yield Closed(value, Language(), extract, True)
                return
            # What its variables leave possible tells values apart in any case.
            yield Closed(value, value.possible, extract, False)
            if names:
                return
            if _never(value.tokens, context):
                yield Closed(value, Language(), extract, True)
                return
            tokens = filled(value.tokens, frozenset(), context)
            if tokens is None:
                return
            literals = tuple(t for t in tokens if not isinstance(t, Variable))
            language = language_of(literals, value.arn, value.ignore_case)
            yield Closed(value, language, extract, True)
            return
        state = context.get(test.key)
        known = isinstance(state, tuple)
        texts = state if isinstance(state, tuple) else self._words(own)
        tokens = filled(value.tokens, names, context)
        if (known and not texts) or _never(value.tokens, context):
            yield Closed(value, Language(), WHOLE, True)
        elif tokens is not None:
            yield from _windows(
                value, tokens, names, texts, (value.arn, value.ignore_case), known, context, budget
            )

    def _words(self, key: str) -> tuple[str, ...]:
        words: dict[str, None] = {}
        for test, extract in self.tests.get(key, ()):
            if extract is WHOLE and test.length <= _LENGTH and test.language is not None:
                words.update(dict.fromkeys(test.language.words[:_WORDS]))
        return tuple(words)[:_WORDS]


def _target(each: OpenTarget, key: str, context: Context, budget: Budget) -> Iterator[Closed]:
    value, rule, request = each.value, each.rule, each.request
    if request.resource is None or request.resource == "*":
        return
    if value.head is None or (request.resource_wild and not rule.needs_all):
        return
    if value.head_cover(request.parts, request.resource_wild) is not Cover.ALL:
        yield Closed(value, Language(), WHOLE, True)
        return
    names = _names(value.tokens, key, context)
    tokens = filled(value.tail, names, context)
    if tokens is None or _never(value.tokens, context):
        if _never(value.tokens, context):
            yield Closed(value, Language(), WHOLE, True)
        return
    text = request.parts[-1]
    texts = (symbolise(text) if request.resource_wild else text,)
    yield from _windows(value, tokens, names, texts, (False, False), True, context, budget)


def _windows(
    value: object,
    tokens: list[str | Wild | Variable],
    names: frozenset[str],
    texts: tuple[str, ...],
    form: tuple[bool, bool],
    known: bool,
    context: Context,
    budget: Budget,
) -> Iterator[Closed]:
    extracts = {home(name, context)[1] for name in names}
    if len(extracts) != 1:
        return
    extract = extracts.pop()
    languages = []
    for text in texts:
        language = window(tokens, text, *form, budget)
        if language is None:
            known = False
        elif extract is WHOLE or not any(pattern.ends for pattern in language.patterns):
            languages.append(language)
        else:
            known = False
    for language in languages:
        yield Closed(value, language, extract, known)


def _names(tokens: tuple[str | Wild | Variable, ...], key: str, context: Context) -> frozenset[str]:
    """The variables whose values are part of a key's."""
    return frozenset(name for name in variable_keys(tokens) if home(name, context)[0] == key)


def _roots(each: OpenCondition | OpenTarget, context: Context) -> set[str]:
    roots = {home(name, context)[0] for name in variable_keys(each.value.tokens)}
    if isinstance(each, OpenCondition):
        roots.add(home(each.test.key, context)[0])
    return roots


def _never(tokens: tuple[str | Wild | Variable, ...], context: Context) -> bool:
    """Whether a variable has no single value, so that nothing equals the text."""
    for token in tokens:
        if isinstance(token, Variable):
            state = context.get(token.key)
            if isinstance(state, Unknown):
                continue
            values = state if isinstance(state, tuple) else state.values
            if len(values) > 1 or (not values and token.default is None):
                return True
    return False
