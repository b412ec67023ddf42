# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Split a request with wildcards into requests without, one for each combination of values that can match it.

Statements tell the actions and ARNs of a request apart only by their patterns. The automaton of all patterns that match a
part of the request finds each combination of them, with a text for it. The request is allowed exactly if all of these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from ..language.budget import Budget
from ..language.context import Context
from ..language.template import Literal, Wild, tokenize
from ..language.words import Pattern, Unit, arn_units, kinds, part_units, text_units
from .rules import Request, Rule

_STEPS = 4_000
_MOST = 400
_FILLS = ("", "x", "xy-z")


class OverBudget(Exception):
    """The combinations cannot be found within the work that a verdict may cost."""


def samples(request: Request) -> Iterator[Request]:
    """Generate a few requests that a request with wildcards stands for. If one of them is denied, so is the whole."""
    for fill in _FILLS:
        texts = [
            text.replace("*", fill).replace("?", "x") if wild and text is not None else text
            for text, wild in (
                ("*:*" if request.action == "*" else request.action, request.action_wild),
                (request.resource, request.resource_wild),
            )
        ]
        if texts[0] is not None and all(texts[0].split(":")):
            yield Request(texts[0], texts[1], request.caller, literal=True, made_up=request.action_wild)


def split(rules: Iterable[Rule], request: Request, context: Context) -> tuple[Request, ...]:
    """Return requests without wildcards that stand for all of a request; nothing where a policy variable without a value, or
    the service of an action, keeps the patterns from being compared as text.

    :raises OverBudget: when that is too much work.
    """
    if request.resource == "*" and request.action_wild and not request.service_is_text:
        return ()
    budget = Budget(_STEPS)
    several = list(rules)
    actions, resources = [request.action], [request.resource]
    if request.action_wild:
        patterns = {tokens for rule in several for tokens in rule.partial_actions(request)}
        asked = _tokens("?*:?*" if request.action == "*" else request.action)
        actions = _texts(sorted(map(text_units, patterns), key=repr), text_units(asked), budget)
    if request.resource_wild and request.resource is not None:
        units: set[tuple[Unit, ...]] = set()
        for rule in several:
            for glob in rule.partial_resources(request, context):
                if glob is None:
                    return ()
                units.add(part_units(part.tokens for part in glob.parts))
        whole = arn_units(_tokens(request.resource))
        if whole is None:
            return ()
        resources = [*_texts(sorted(units, key=repr), whole, budget)]
    if len(actions) * len(resources) > _MOST:
        raise OverBudget
    return tuple(
        Request(action, resource, request.caller, literal=True, made_up=request.action_wild)
        for action, resource in product(actions, resources)
    )


def _texts(patterns: Iterable[tuple[Unit, ...]], asked: tuple[Unit, ...], budget: Budget) -> list[str]:
    languages = [(Pattern(units),) for units in patterns]
    combinations, complete = kinds([*languages, (Pattern(asked),)], len(languages), budget)
    if not complete:
        raise OverBudget
    return list(combinations.values())


def _tokens(text: str) -> tuple[Literal, ...]:
    tokens = tokenize(text, variables=False, wildcards=True)
    return tuple(token for token in tokens if isinstance(token, str | Wild))
