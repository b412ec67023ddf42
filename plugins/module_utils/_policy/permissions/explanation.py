# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Explain why a permission is allowed or denied, and suggest the smallest statements that would allow it.

Suggested statements are evaluated together with the policies, which proves that the statements are sufficient.
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
from .permissions import PermissionVerdict, request_context


@dataclass(frozen=True, slots=True)
class Addition:
    """A suggested Allow statement.

    A layer is a group of policies that must allow a request, such as the identity policies of the role or its permissions
    boundary. ``policy`` is the name of the layer to which the statement must be added, such as "identity policies".
    """

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
        """Return the suggestion as a dictionary for the module result."""
        return {"policy": self.policy, "statement": self.statement}


def additions(
    layers: Sequence[Layer], action: str, resource: str, missing: Sequence[str], context: Context
) -> tuple[Addition, ...]:
    """Suggest a statement for each layer that does not allow the request.

    :arg missing: the names of these layers.
    :returns: an empty tuple if IAM might reject the statements, or if they would not allow the request.
    """
    added = tuple(Addition(name, (action,), resource) for name in missing)
    if any(storability(addition.document, "managed").answer != "yes" for addition in added):
        return ()
    granted = [
        replace(layer, rules=(*layer.rules, *build_rules(parse_policy(addition.document), addition.policy)))
        if (addition := next((item for item in added if item.policy == layer.name), None)) is not None
        else layer
        for layer in layers
    ]
    return added if evaluate(granted, Request(action, resource), context).allowed else ()


def join_additions(items: Iterable[Addition]) -> tuple[Addition, ...]:
    """Combine the suggestions for the same policy and resource into one statement with all of their actions."""
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for item in items:
        actions.setdefault((item.policy, item.resource), {}).update(dict.fromkeys(item.actions))
    return tuple(Addition(policy, tuple(names), resource) for (policy, resource), names in actions.items())


# The maximum number of explained statements with the same effect in one layer.
_MAX_LINES = 12


def reason(layers: Sequence[Layer], request: Request, context: Context) -> tuple[str, ...]:
    """Explain the effect of each statement that matches the action: first the Deny statements, then the Allow statements.

    :returns: one sentence for each statement (see ``_MAX_LINES``), and one for each layer without a matching Allow.
    """
    lines: list[str] = []
    for layer in layers:
        denies = (rule for rule in layer.rules if not rule.allow and rule.concerns(request))
        lines.extend(_limited([_describe_effect(rule, request, context) for rule in denies]))
    for layer in layers:
        allows = [rule for rule in layer.rules if rule.allow and rule.concerns(request)]
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
    open_tests = [test for test in rule.tests if test.holds(context) is None]
    if open_tests or covered is None:
        points = [describe_condition(test.condition) for test in open_tests]
        points += [f"the policy variables of its {element}"] if covered is None else []
        return f"{name} applies to some requests: it depends on {'; '.join(points)}."
    return f"{name} applies."


def _describe_failure(test: Test, context: Context) -> str:
    state = context.get(test.key)
    actual = describe_actual(test.key, context)
    reason = (
        f"no possible value of {test.condition.key} meets the condition"
        if isinstance(state, Unknown)
        else f"the request has {actual}"
    )
    return f"it requires {describe_condition(test.condition)}, and {reason}"


def _similar_actions(layer: Layer, request: Request) -> str:
    """Return the end of a sentence that names allowed actions of the same service, because the action may be misspelt.

    The result is "" if there are no such actions.
    """
    service = request.action.partition(":")[0]
    actions = [
        action
        for rule in layer.rules
        if rule.allow and not rule.statement.not_action
        for action in rule.statement.actions
        if action.lower().partition(":")[0] == service
    ]
    return f", only {describe_values(tuple(dict.fromkeys(actions)))} of the same service" if actions else ""


def _limited(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MAX_LINES]
    more = len(lines) - _MAX_LINES
    if more > 0:
        yield f"{more} more {'statement has' if more == 1 else 'statements have'} the action."


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a decision on a permission.

    ``reasoning`` has the sentences of ``reason``. ``addition`` has suggested statements, and is empty unless the decision is an
    implicit deny.
    """

    reasoning: tuple[str, ...]
    addition: tuple[Addition, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the explanation as a dictionary for the module result."""
        return {
            "reasoning": list(map(visible, self.reasoning)),
            "addition": [addition.as_dict() for addition in self.addition],
        }


def explain(layers: Sequence[Layer], verdict: PermissionVerdict, context: Context) -> Explanation:
    """Explain the decision on a required permission.

    :arg verdict: the result of ``check_permission`` with the same layers and context.
    :arg context: the condition keys of every request (see ``pod_context``).
    """
    required = verdict.required
    request = Request(required.action, required.resource)
    request_keys = request_context(required, context)
    missing = verdict.change if verdict.decision == IMPLICIT_DENY else ()
    return Explanation(
        reason(layers, request, request_keys),
        additions(layers, required.action, required.resource, missing, request_keys) if missing else (),
    )
