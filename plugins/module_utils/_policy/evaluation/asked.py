# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Comparisons of condition keys in all questions, gathered once for a search; windows of policy variables.

A window has the values of one variable with which a text of the policy matches a known text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..language.conditions import Test
from ..language.context import WHOLE, Context, Extract, KeyState, Part, Unknown
from ..language.match import (
    ARN_PARTS,
    MARK,
    STAR,
    Cover,
    Glob,
    Literal,
    Token,
    Variable,
    Wild,
    resolve,
    symbolise,
    variable_keys,
)
from ..language.operators import OpenValue, value_language
from ..language.resources import OpenResource
from ..language.words import (
    ONE,
    Budget,
    Language,
    Pattern,
    Unit,
    arn_units,
    fold,
    places,
    spellings,
    text_units,
)
from .keys import TAG_KEYS, TagLinks
from .rules import Question, Request, Rule

# As many values are listed one by one; where more fit, they are a pattern.
_LISTED = 40
# The longest text in which the places of a variable that stands there more than once are tried out.
_TRIED = 48


def filled(tokens: tuple[Token, ...], names: frozenset[str], context: Context) -> list[Token] | None:
    """The tokens with all variables but ``names`` put in; None when one of these has no single value."""
    result: list[Token] = []
    for token in tokens:
        if not isinstance(token, Variable) or token.key in names:
            result.append(token)
            continue
        resolved = resolve((token,), context)
        if resolved is None or isinstance(resolved, bool):
            return None
        result.extend(resolved)
    return result


def window(tokens: list[Token], text: str, arn: bool, ignore_case: bool, budget: Budget) -> Language | None:
    """The values of the variable in ``tokens`` with which they match the text; None when that is no matter of a
    few places in the text. The text may have the symbols of a request with wildcards."""
    spots = [at for at, token in enumerate(tokens) if isinstance(token, Variable)]
    wild = any(isinstance(token, Wild) for token in tokens)
    before, after = _literals(tokens[: spots[0]]), _literals(tokens[spots[-1] + 1 :])
    if arn and text.count(":") < ARN_PARTS - 1:
        return Language()
    in_parts = arn and wild
    first = arn_units(before) if in_parts else text_units(before, ignore_case)
    if first is None or (in_parts and len(spots) > 1):
        return None
    if not budget.spend(2 * len(text) + len(first)):
        return None
    if ignore_case:
        text = fold(text)
    starts = places(_covering(first), text)
    if len(spots) > 1:
        return _repeated(tokens, starts, text, ignore_case, budget)
    last = _covering(text_units(after, ignore_case))
    ends = sorted(len(text) - length for length in places(last[::-1], text[::-1]))
    pairs = [(start, end) for start in starts[:_LISTED] for end in ends if end >= start][: _LISTED + 1]
    if len(pairs) <= _LISTED and len(starts) <= _LISTED:
        words = dict.fromkeys(text[start:end] for start, end in pairs)
        return _listed([word for word in words if STAR not in word and MARK not in word], ignore_case)
    units = tuple(Unit("" if c in (STAR, MARK) else spellings(c) if ignore_case else c) for c in text)
    return Language(patterns=(Pattern(units, tuple(starts), tuple(ends)),))


def _repeated(
    tokens: list[Token], starts: list[int], text: str, ignore_case: bool, budget: Budget
) -> Language | None:
    """As ``window``, for a variable that stands there more than once."""
    if len(text) > _TRIED and len(starts) > 1:
        return None
    words: dict[str, None] = {}
    symbolic = STAR in text or MARK in text
    for start in starts:
        for end in range(start, len(text) + 1):
            if not budget.spend(2):
                return None
            value = text[start:end]
            given = [
                value if isinstance(t, Variable) else fold(t) if ignore_case and isinstance(t, str) else t
                for t in tokens
            ]
            if STAR not in value and MARK not in value and Glob(given).matches(text, symbolic):
                words[value] = None
    return _listed(list(words), ignore_case)


def _listed(words: list[str], ignore_case: bool) -> Language:
    if not ignore_case:
        return Language(tuple(words))
    return Language(patterns=tuple(Pattern(text_units((word,), True)) for word in words))


def _covering(units: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """The units for a text that may have symbols: one character never stands for a run of them."""
    return tuple(Unit(STAR, negated=True) if unit == ONE else unit for unit in units)


def _literals(tokens: list[Token]) -> list[Literal]:
    return [token for token in tokens if isinstance(token, str | Wild)]


# As many words of a condition are tried for what is compared with its key.
_WORDS = 8
# Of conditions that are longer, in characters, none is.
_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Values:
    """``states`` of a key; ``complete``: there is no other that could make a difference."""

    states: tuple[KeyState | Part, ...]
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
            language = value_language(literals, value.arn, value.ignore_case)
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
