# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Explain why a permission is allowed or denied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..evaluation.evaluate import Layer
from ..evaluation.rules import Request, Rule
from ..language.conditions import Test, describe_actual, describe_condition, describe_values
from ..language.context import Context, Unknown
from .permissions import Required, request_context

# The maximum number of explained statements with the same effect in one layer.
_MAX_LINES = 12


def explain(layers: Sequence[Layer], required: Required, context: Context) -> tuple[str, ...]:
    """Explain the effect of each statement that matches the action: first the Deny statements, then the Allow statements.

    :arg context: the condition keys of every request (see ``pod_context``).
    :returns: one sentence for each statement (see ``_MAX_LINES``), and one for each layer without a matching Allow.
    """
    request = Request(required.action, required.resource)
    context = request_context(required, context)
    lines: list[str] = []
    for layer in layers:
        denies = (rule for rule in layer.rules if not rule.allow and rule.matches_action(request))
        lines.extend(_limited([_describe_effect(rule, request, context) for rule in denies]))
    for layer in layers:
        allows = [rule for rule in layer.rules if rule.allow and rule.matches_action(request)]
        if not allows:
            actions = "these actions" if request.action_wild else "the action"
            lines.append(
                f"No Allow statement in {layer.name} has {actions}{_similar_actions(layer, request)}."
            )
        lines.extend(_limited([_describe_effect(rule, request, context) for rule in allows]))
    return tuple(lines)


def _describe_effect(rule: Rule, request: Request, context: Context) -> str:
    statement = rule.statement
    name = f"{statement.label} of {rule.source} ({statement.effect})"
    covered = rule.matches_resource(request, context)
    element = "NotResource" if statement.not_resource else "Resource"
    if covered is False:
        part = "all of the resources" if rule.allow and request.resource_wild else "the resource"
        return f"{name} has the action, but not {part}: its {element} is {describe_values(statement.resources or ())}."
    failing = [test for test in rule.tests if test.holds(context) is False]
    if failing:
        return f"{name} does not apply: {'; '.join(_describe_failure(test, context) for test in failing)}."
    if rule.applies(request, context) is False:
        return f"{name} does not apply: no request meets all of its conditions."
    open_tests = [test for test in rule.tests if test.holds(context) is None]
    if open_tests or covered is None:
        points = [describe_condition(test.condition) for test in open_tests]
        points += [f"the policy variables of its {element}"] if covered is None else []
        return f"{name} applies to some requests: it depends on {'; '.join(points)}."
    return f"{name} applies."


def _describe_failure(test: Test, context: Context) -> str:
    reason = (
        f"no possible value of {test.condition.key} meets the condition"
        if isinstance(context.get(test.key), Unknown)
        else f"the request has {describe_actual(test.key, context)}"
    )
    return f"it requires {describe_condition(test.condition)}, and {reason}"


def _similar_actions(layer: Layer, request: Request) -> str:
    """Return the end of a sentence that names allowed actions of the same service, because the action may be misspelt.

    The result is "" if there are no such actions.
    """
    actions = [
        action
        for rule in layer.rules
        if rule.allow and not rule.statement.not_action
        for action in rule.statement.actions
        if action.lower().partition(":")[0] == request.service
    ]
    return f", only {describe_values(tuple(dict.fromkeys(actions)))} of the same service" if actions else ""


def _limited(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MAX_LINES]
    more = len(lines) - _MAX_LINES
    if more > 0:
        yield f"{more} more {'statement has' if more == 1 else 'statements have'} the action."
