# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Comparisons of condition keys and resources with policy values that contain policy variables.

Names with ``open`` mean such a value (``OpenValue``, ``OpenResource``). The "window" of a variable is the set of its values with
which a pattern such as ``home/${aws:username}/*`` matches a known text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..language.automata import (
    ONE,
    Budget,
    Language,
    Pattern,
    Unit,
    arn_units,
    fold,
    prefix_lengths,
    spellings,
    text_units,
)
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
from .keys import TAG_KEYS, TagLinks
from .rules import Question, Request, Rule

# A window with more values than this is represented by a pattern instead of a list.
_MAX_LISTED = 40
# If a pattern contains a variable more than once, its values are tried one by one. Longer texts than this are tried only if the
# variable can start at a single position.
_MAX_TRIED = 48


def filled(tokens: tuple[Token, ...], names: frozenset[str], context: Context) -> list[Token] | None:
    """Replace all policy variables with their values, except the variables whose keys are in ``names``.

    :returns: the tokens, or None if the value of a variable to replace is unknown or missing.
    """
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
    """Return the values of the variable in ``tokens`` with which the tokens match a text.

    :arg tokens: a pattern with one variable, which may occur more than once.
    :arg text: the text. ``STAR`` and ``MARK`` in it represent the wildcards of a request.
    :arg arn: whether the tokens are an ARN, in which a wildcard does not match a colon.
    :returns: None if the pattern is too complex to determine the values, or if the budget is used up.
    """
    spots = [index for index, token in enumerate(tokens) if isinstance(token, Variable)]
    wild = any(isinstance(token, Wild) for token in tokens)
    prefix, suffix = _literals(tokens[: spots[0]]), _literals(tokens[spots[-1] + 1 :])
    if arn and text.count(":") < ARN_PARTS - 1:
        return Language()
    in_parts = arn and wild
    first = arn_units(prefix) if in_parts else text_units(prefix, ignore_case)
    if first is None or (in_parts and len(spots) > 1):
        return None
    if not budget.spend(2 * len(text) + len(first)):
        return None
    if ignore_case:
        text = fold(text)
    starts = prefix_lengths(_covering(first), text)
    if len(spots) > 1:
        return _repeated(tokens, starts, text, ignore_case, budget)
    last = _covering(text_units(suffix, ignore_case))
    ends = sorted(len(text) - length for length in prefix_lengths(last[::-1], text[::-1]))
    pairs = [(start, end) for start in starts[:_MAX_LISTED] for end in ends if end >= start]
    pairs = pairs[: _MAX_LISTED + 1]
    if len(pairs) <= _MAX_LISTED and len(starts) <= _MAX_LISTED:
        words = dict.fromkeys(text[start:end] for start, end in pairs)
        return _listed([word for word in words if STAR not in word and MARK not in word], ignore_case)
    units = tuple(Unit("" if c in (STAR, MARK) else spellings(c) if ignore_case else c) for c in text)
    return Language(patterns=(Pattern(units, tuple(starts), tuple(ends)),))


def _repeated(
    tokens: list[Token], starts: list[int], text: str, ignore_case: bool, budget: Budget
) -> Language | None:
    """Return the window (see ``window``) of a variable that occurs more than once in the tokens."""
    if len(text) > _MAX_TRIED and len(starts) > 1:
        return None
    words: dict[str, None] = {}
    symbolic = STAR in text or MARK in text
    for start in starts:
        for end in range(start, len(text) + 1):
            if not budget.spend(2):
                return None
            value = text[start:end]
            pattern = [
                value if isinstance(t, Variable) else fold(t) if ignore_case and isinstance(t, str) else t
                for t in tokens
            ]
            if STAR not in value and MARK not in value and Glob(pattern).matches(text, symbolic):
                words[value] = None
    return _listed(list(words), ignore_case)


def _listed(words: list[str], ignore_case: bool) -> Language:
    if not ignore_case:
        return Language(tuple(words))
    return Language(patterns=tuple(Pattern(text_units((word,), True)) for word in words))


def _covering(units: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """Replace ``?`` with a unit that does not match ``STAR``, because ``STAR`` represents any number of characters."""
    return tuple(Unit(STAR, negated=True) if unit == ONE else unit for unit in units)


def _literals(tokens: list[Token]) -> list[Literal]:
    return [token for token in tokens if isinstance(token, str | Wild)]


# If a key is unknown, literal values from its conditions are tried as its value. This is their maximum number.
_MAX_WORDS = 8
# The values of a condition are not tried if they have more characters than this in total.
_MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a key to evaluate.

    If ``complete``, every other value of the key leads to the same outcome as one of these values.
    """

    states: tuple[KeyState | Part, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class OpenCondition:
    """A value with policy variables in a condition, with the compiled condition."""

    value: OpenValue
    test: Test


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """An ARN with policy variables in a Resource element, its statement, and the request whose resource is compared with it."""

    value: OpenResource
    rule: Rule
    request: Request


@dataclass(frozen=True, slots=True)
class Constraint:
    """A set of values of a key (``language``) with which a comparison holds or may hold.

    ``value`` identifies the comparison: a value with policy variables, or the condition key of a request tag. ``extract`` selects
    the part of the key's value that is compared. If ``exact``, the comparison holds for the values in ``language`` only.
    """

    value: object
    language: Language
    extract: Extract
    exact: bool


def home(key: str, context: Context) -> tuple[str, Extract]:
    """Return the root of a key and the rule to extract the key's value from the value of the root.

    For example, the name of a cluster is part of its ARN. Most keys are their own root. Unlike ``Context.root``, this function
    also returns the root of a ``Part`` that may be absent although its root is present.
    """
    state = context.keys.get(key)
    return (state.root, state.extract) if isinstance(state, Part) else (key, WHOLE)


class Comparisons:
    """The conditions and the values with policy variables in several questions, by the condition key that is compared."""

    def __init__(
        self, questions: Sequence[Question], context: Context, links: TagLinks, memo: dict[object, Values]
    ) -> None:
        # Two caches: the values in ``memo`` depend on the statements only, the values in ``sorted_values`` also on other keys.
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
        self._open_by_root: dict[str, list[OpenCondition | OpenTarget]] = {}
        for item in self.open:
            for root in _roots(item, context):
                self._open_by_root.setdefault(root, []).append(item)

    def compared(self, key: str) -> bool:
        """Return whether the key is compared with a value that has policy variables, or is the key of such a variable."""
        return key in self._open_by_root

    def entangled(self, key: str, exact: frozenset[object]) -> bool:
        """Return whether a comparison of the key, or of a variable with this key, is undecided.

        :arg exact: the values with policy variables whose comparisons are decided.
        """
        return any(item.value not in exact for item in self._open_by_root.get(key, ()))

    def constraints(self, key: str, context: Context, budget: Budget) -> Iterator[Constraint]:
        """Yield the constraints on a key from comparisons with values that have policy variables.

        For aws:TagKeys there are also constraints from request tags, because aws:TagKeys contains the tag keys.
        """
        if key == TAG_KEYS:
            for tag, spellings in self.links.tags:
                yield Constraint(tag, spellings, WHOLE, True)
        for item in self._open_by_root.get(key, ()):
            if isinstance(item, OpenTarget):
                yield from _target(item, key, context, budget)
            else:
                yield from self._condition(item, key, context, budget)

    def _condition(
        self, item: OpenCondition, key: str, context: Context, budget: Budget
    ) -> Iterator[Constraint]:
        value, test = item.value, item.test
        root, extract = home(test.key, context)
        names = _names(value.tokens, key, context)
        if root == key:
            same = all(home(name, context) == (root, extract) for name in variable_keys(value.tokens))
            if same and value.more_than_variables:
                # The key is compared with its own value plus other characters, so the two are never equal.
                yield Constraint(value, Language(), extract, True)
                return
            # The key must have a value for which the comparison holds with at least one value of the variables.
            yield Constraint(value, value.possible, extract, False)
            if names:
                return
            if _never(value.tokens, context):
                yield Constraint(value, Language(), extract, True)
                return
            tokens = filled(value.tokens, frozenset(), context)
            if tokens is None:
                return
            literals = tuple(t for t in tokens if not isinstance(t, Variable))
            language = value_language(literals, value.arn, value.ignore_case)
            yield Constraint(value, language, extract, True)
            return
        state = context.get(test.key)
        exact = isinstance(state, tuple)
        texts = state if isinstance(state, tuple) else self._words(root)
        tokens = filled(value.tokens, names, context)
        if (exact and not texts) or _never(value.tokens, context):
            yield Constraint(value, Language(), WHOLE, True)
        elif tokens is not None:
            yield from _windows(
                value, tokens, names, texts, (value.arn, value.ignore_case), exact, context, budget
            )

    def _words(self, key: str) -> tuple[str, ...]:
        words: dict[str, None] = {}
        for test, extract in self.tests.get(key, ()):
            if extract is WHOLE and test.length <= _MAX_LENGTH and test.language is not None:
                words.update(dict.fromkeys(test.language.words[:_MAX_WORDS]))
        return tuple(words)[:_MAX_WORDS]


def _target(target: OpenTarget, key: str, context: Context, budget: Budget) -> Iterator[Constraint]:
    value, rule, request = target.value, target.rule, target.request
    if request.resource is None or request.resource == "*":
        return
    if value.head is None or (request.resource_wild and not rule.needs_all):
        return
    if value.head_cover(request.parts, request.resource_wild) is not Cover.ALL:
        yield Constraint(value, Language(), WHOLE, True)
        return
    names = _names(value.tokens, key, context)
    tokens = filled(value.tail, names, context)
    if tokens is None or _never(value.tokens, context):
        if _never(value.tokens, context):
            yield Constraint(value, Language(), WHOLE, True)
        return
    text = request.parts[-1]
    texts = (symbolise(text) if request.resource_wild else text,)
    yield from _windows(value, tokens, names, texts, (False, False), True, context, budget)


def _windows(
    value: object,
    tokens: list[str | Wild | Variable],
    names: frozenset[str],
    texts: tuple[str, ...],
    options: tuple[bool, bool],
    exact: bool,
    context: Context,
    budget: Budget,
) -> Iterator[Constraint]:
    extracts = {home(name, context)[1] for name in names}
    if len(extracts) != 1:
        return
    extract = extracts.pop()
    languages = []
    for text in texts:
        language = window(tokens, text, *options, budget)
        if language is None:
            exact = False
        elif extract is WHOLE or not any(pattern.ends for pattern in language.patterns):
            languages.append(language)
        else:
            exact = False
    for language in languages:
        yield Constraint(value, language, extract, exact)


def _names(tokens: tuple[str | Wild | Variable, ...], key: str, context: Context) -> frozenset[str]:
    """Return the variables whose values a key determines (see ``home``)."""
    return frozenset(name for name in variable_keys(tokens) if home(name, context)[0] == key)


def _roots(item: OpenCondition | OpenTarget, context: Context) -> set[str]:
    """Return the keys on which a comparison depends."""
    roots = {home(name, context)[0] for name in variable_keys(item.value.tokens)}
    if isinstance(item, OpenCondition):
        roots.add(home(item.test.key, context)[0])
    return roots


def _never(tokens: tuple[str | Wild | Variable, ...], context: Context) -> bool:
    """Return whether the tokens certainly match nothing, because a variable has no value or several values."""
    for token in tokens:
        if isinstance(token, Variable):
            state = context.get(token.key)
            if isinstance(state, Unknown):
                continue
            values = state if isinstance(state, tuple) else state.values
            if len(values) > 1 or (not values and token.default is None):
                return True
    return False
