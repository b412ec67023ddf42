# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Values worth trying for an unknown key: all that its policies can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import combinations

from ..language.conditions import Test
from ..language.context import ABSENT, Context, State, Unknown
from ..language.match import ARN_PARTS, Glob, overlap
from ..language.operators import date, family, network, number, value_tokens
from ..language.template import Literal, Token, Variable, Wild, tokenize
from .query import Question
from .rules import Request, Rule

MAX_TEXTS = 60
MAX_OTHERS = 8
MAX_PATTERNS = 12
# Longest pair of patterns, as the product of their lengths, for which a common text is looked for.
MAX_OVERLAP = 20_000
_MULTIVALUED = frozenset(
    {
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "sts:identitytokenaudience",
        "sts:requestcontextproviders",
        "sts:transitivetagkeys",
    }
)
_SINGLE_VALUED = ("Numeric", "Date", "Ip")
# A value that no policy names.
OTHER = "~other~"


def candidates(key: str, context: Context, questions: Sequence[Question]) -> tuple[State, ...]:
    """The states to try for an unknown key, those that a policy names first."""
    state = context.get(key)
    if not isinstance(state, Unknown):
        return (state,)
    texts = _choices(key, state, context, questions)
    states: list[State] = [(text,) for text in texts]
    if _may_have_several(key, questions):
        states.extend(combinations(texts[:8], 2))
        states.append(tuple(texts))
        if state.choices is None:
            # Several values of which the policy names none.
            states.append((OTHER, OTHER * 2) if state.shape is None else tuple(texts[-2:]))
    if state.may_be_absent:
        states.append(ABSENT)
    return tuple(dict.fromkeys(states))


def _may_have_several(key: str, questions: Sequence[Question]) -> bool:
    """Whether requests may carry several values of a key. That is a property of the key: if it turned on
    whether a policy has set operators, one more Deny could make more requests possible.

    Known are the keys of all services and of AWS STS, and that tags, numbers, dates and addresses stand
    alone. Source: Service Authorization Reference, the types of condition keys.
    """
    if key.startswith(("aws:", "sts:")):
        return key in _MULTIVALUED
    return "tag/" not in key and not any(
        family(test.condition.base) in _SINGLE_VALUED for test in _tests(key, questions)
    )


def _choices(key: str, state: Unknown, context: Context, questions: Sequence[Question]) -> list[str]:
    if state.choices is not None:
        return list(state.choices)
    shape = _pattern(state.shape) if state.shape is not None else None
    linked = _linked(key, questions)
    named: dict[str, None] = {}
    for name in linked:
        for test in _tests(name, questions):
            named.update(dict.fromkeys(_texts(test)))
        known = context.get(name)
        if isinstance(known, tuple):
            named.update(dict.fromkeys(known))
    for question in questions:
        for rule in question.rules:
            named.update(dict.fromkeys(_captures(linked, rule, question.request)))
    patterns = [p for name in linked for test in _tests(name, questions) for p in _patterns(test)]
    if shape is not None:
        patterns.append(shape)
    for pattern, other in combinations(patterns[:MAX_PATTERNS], 2):
        witness = overlap(pattern, other, MAX_OVERLAP)
        if witness:
            named[witness] = None
    # Keys that are compared with each other may all differ.
    others = [OTHER + str(at or "") for at in range(len(linked))][:MAX_OTHERS]
    # Twice, for a key that is compared with a key that is compared with a third.
    for test in [t for name in linked for t in _tests(name, questions) if t.variables] * 2:
        named.update(dict.fromkeys(_filled(test, [*named, *others])))
    texts = list(named)
    if shape is not None:
        form = Glob(shape)
        texts = [text for text in texts if form.matches(text)]
        others = list(_instances(shape))
    texts = [text for text in texts if text and text not in others]
    return [*texts[: MAX_TEXTS - len(others)], *others]


def _tests(key: str, questions: Sequence[Question]) -> Iterator[Test]:
    for question in questions:
        for rule in question.rules:
            for test in rule.tests:
                if test.key == key:
                    yield test


def _linked(key: str, questions: Sequence[Question]) -> list[str]:
    """The key, and those that conditions compare with it through policy variables."""
    links = [
        {test.key, *test.variables}
        for question in questions
        for rule in question.rules
        for test in rule.tests
        if test.variables
    ]
    linked = {key}
    grew = True
    while grew:
        grew = False
        for link in links:
            if link & linked and not link <= linked:
                linked |= link
                grew = True
    return [key, *sorted(linked - {key})]


def _texts(test: Test) -> Iterator[str]:
    """Values that one condition on the key tells apart."""
    condition = test.condition
    kind = family(condition.base)
    if kind in ("String", "Arn"):
        for tokens in value_tokens(condition.base, condition.values, bool(test.variables)):
            for text in _instances(_literals(tokens)):
                yield _as_arn(text) if kind == "Arn" else text
                if "IgnoreCase" in condition.base:
                    yield text.swapcase()
    elif kind in ("Numeric", "Date"):
        for value in condition.values:
            limit = number(value) if kind == "Numeric" else date(value)
            if limit is not None:
                yield from (format(limit + step, "f") for step in map(Decimal, (0, -1, 1)))
    elif kind == "Bool":
        yield from ("true", "false")
    elif kind == "Ip":
        for value in condition.values:
            block = network(value)
            if block is not None:
                yield from (str(block.network_address), str(block.broadcast_address))
    elif kind == "Binary":
        yield from condition.values


def _patterns(test: Test) -> list[tuple[Literal, ...]]:
    condition = test.condition
    if family(condition.base) not in ("String", "Arn") or test.variables:
        return []
    return [_literals(t) for t in value_tokens(condition.base, condition.values, False)]


def _filled(test: Test, texts: list[str]) -> Iterator[str]:
    """The values of a condition with each known text in place of its variables."""
    condition = test.condition
    for tokens in value_tokens(condition.base, condition.values, True):
        if any(isinstance(token, Variable) for token in tokens):
            for text in texts[:20]:
                filled = [text if isinstance(token, Variable) else token for token in tokens]
                yield from _instances(filled)


def _captures(keys: Iterable[str], rule: Rule, request: Request) -> Iterator[str]:
    """The parts of the request's resource that a variable in a Resource could stand for."""
    resource = request.resource
    if resource is None:
        return
    for tokens in rule.open_resources:
        for at, token in enumerate(tokens):
            if not isinstance(token, Variable) or token.key not in keys:
                continue
            before = tokens[:at]
            prefix = "".join(part for part in before if isinstance(part, str))
            if len(prefix) and all(isinstance(part, str) for part in before):
                if resource.startswith(prefix):
                    yield from _ends(resource[len(prefix) :], tokens[at + 1 : at + 2])
            else:
                yield from resource.replace(":", "/").split("/")[:20]


def _ends(rest: str, following: tuple[Token, ...]) -> Iterator[str]:
    """Where a variable may end: before the text that follows it, else anywhere sensible."""
    if not following:
        yield rest
        return
    stops = [following[0]] if isinstance(following[0], str) else ["/", ":", "-", ".", "_"]
    for stop in stops:
        at = rest.find(stop)
        for _index in range(8):
            if at < 0:
                break
            yield rest[:at]
            at = rest.find(stop, at + 1)
    yield rest


def _instances(tokens: Iterable[Literal]) -> Iterator[str]:
    """Texts that match a pattern: its ``*`` as nothing and as a letter."""
    given = tuple(tokens)
    some = ["", "x"] if Wild.ANY in given else ["x"]
    for filler in some:
        yield "".join(
            token if isinstance(token, str) else filler if token is Wild.ANY else "x" for token in given
        )


def _literals(tokens: tuple[Token, ...]) -> tuple[Literal, ...]:
    return tuple(token if isinstance(token, str | Wild) else token.default or OTHER for token in tokens)


def _as_arn(text: str) -> str:
    missing = ARN_PARTS - 1 - text.count(":")
    return text + ":x" * missing if missing > 0 else text


def _pattern(text: str) -> tuple[Literal, ...]:
    return _literals(tokenize(text, variables=False, wildcards=True))
