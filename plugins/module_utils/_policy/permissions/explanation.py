# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Explain a verdict on a permission: the effect of each statement, and the smallest statements that would allow it.

The additions are proven by evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..._findings.text import visible
from ..evaluation.evaluate import IMPLICIT_DENY, Layer, evaluate
from ..evaluation.rules import Request, Rule, build_rules
from ..grammar.storable import storability
from ..language.conditions import Test, describe_actual, describe_condition, describe_values
from ..language.context import Context, Unknown
from ..language.document import parse_policy
from .permissions import PermissionVerdict, context_of


@dataclass(frozen=True, slots=True)
class Addition:
    """A statement to add. ``policy`` names the layer that lacks it; one of its policies takes it."""

    policy: str
    actions: tuple[str, ...]
    resource: str

    @property
    def statement(self) -> dict[str, object]:
        return {"Effect": "Allow", "Action": list(self.actions), "Resource": self.resource}

    @property
    def document(self) -> dict[str, object]:
        return {"Version": "2012-10-17", "Statement": [self.statement]}

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {"policy": self.policy, "statement": self.statement}


def additions(
    layers: Sequence[Layer], action: str, resource: str, missing: Sequence[str], context: Context
) -> tuple[Addition, ...]:
    """One statement for each of the ``missing`` layers, when with them the request is allowed for certain and IAM stores
    them; else none."""
    wanted = tuple(Addition(name, (action,), resource) for name in missing)
    if any(storability(addition.document, "managed").answer != "yes" for addition in wanted):
        return ()
    granted = [
        replace(layer, rules=(*layer.rules, *build_rules(parse_policy(addition.document), addition.policy)))
        if (addition := next((each for each in wanted if each.policy == layer.name), None)) is not None
        else layer
        for layer in layers
    ]
    return wanted if evaluate(granted, Request(action, resource), context).allowed else ()


def join_additions(items: Iterable[Addition]) -> tuple[Addition, ...]:
    """The same with one statement for the actions on each resource."""
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for item in items:
        actions.setdefault((item.policy, item.resource), {}).update(dict.fromkeys(item.actions))
    return tuple(Addition(policy, tuple(names), resource) for (policy, resource), names in actions.items())


_SHOWN = 12


def reason(layers: Sequence[Layer], request: Request, context: Context) -> tuple[str, ...]:
    """Explain the effect of each statement that names the action: Deny statements first, as IAM evaluates them, then each
    layer, which needs an Allow of its own."""
    lines: list[str] = []
    for layer in layers:
        denies = (rule for rule in layer.rules if not rule.allow and rule.concerns(request))
        lines.extend(_shown([_says(rule, request, context) for rule in denies]))
    for layer in layers:
        allows = [rule for rule in layer.rules if rule.allow and rule.concerns(request)]
        if not allows:
            actions = "these actions" if request.action_wild else "the action"
            lines.append(f"No Allow of {layer.name} names {actions}{_near(layer, request)}.")
        lines.extend(_shown([_says(rule, request, context) for rule in allows]))
    return tuple(lines)


def _says(rule: Rule, request: Request, context: Context) -> str:
    statement = rule.statement
    who = f"{statement.label} of {rule.source} ({statement.effect})"
    meant = rule.matches_resource(request, context)
    if meant is False:
        element = "NotResource" if statement.not_resource else "Resource"
        part = "all of the resources" if rule.allow and request.resource_wild else "the resource"
        return f"{who} names the action, but not {part}: its {element} is {describe_values(statement.resources or ())}."
    failing = [test for test in rule.tests if test.holds(context) is False]
    if failing:
        return f"{who} does not apply: {'; '.join(_fails(test, context) for test in failing)}."
    open_tests = [test for test in rule.tests if test.holds(context) is None]
    if open_tests or meant is None:
        asked = [describe_condition(test.condition) for test in open_tests]
        asked += ["the policy variables of its Resource"] if meant is None else []
        return f"{who} applies to some requests: it turns on {'; '.join(asked)}."
    return f"{who} applies."


def _fails(test: Test, context: Context) -> str:
    state = context.get(test.key)
    actual = describe_actual(test.key, context)
    has = (
        f"what is known of {test.condition.key} excludes it"
        if isinstance(state, Unknown)
        else f"the request has {actual}"
    )
    return f"it asks for {describe_condition(test.condition)}, and {has}"


def _near(layer: Layer, request: Request) -> str:
    """Actions of the same service that the layer allows, as a hint at a wrong name."""
    service = request.action.partition(":")[0]
    named = [
        action
        for rule in layer.rules
        if rule.allow and not rule.statement.not_action
        for action in rule.statement.actions
        if action.lower().partition(":")[0] == service
    ]
    return f"; of the same service it allows {describe_values(tuple(dict.fromkeys(named)))}" if named else ""


def _shown(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"{len(lines) - _SHOWN} more statements name the action."


@dataclass(frozen=True, slots=True)
class Explanation:
    """``reasoning`` are sentences in the order in which IAM asks; ``addition`` the statements that are missing, empty when
    nothing is, when a Deny is in the way, and when the answer turns on something else."""

    reasoning: tuple[str, ...]
    addition: tuple[Addition, ...]

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {
            "reasoning": list(map(visible, self.reasoning)),
            "addition": [addition.as_dict() for addition in self.addition],
        }


def explain(layers: Sequence[Layer], verdict: PermissionVerdict, context: Context) -> Explanation:
    """``context`` is that of every item, as for ``check_permission``."""
    required = verdict.required
    request = Request(required.action, required.resource)
    known = context_of(required, context)
    missing = verdict.change if verdict.decision == IMPLICIT_DENY else ()
    return Explanation(
        reason(layers, request, known),
        additions(layers, required.action, required.resource, missing, known) if missing else (),
    )
