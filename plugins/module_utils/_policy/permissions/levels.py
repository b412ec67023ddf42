# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Summarise the effective permissions of a role: the access levels of each AWS service.

``check_permission`` decides whether an action is allowed on all resources that match an ARN. Here an action counts if it is
allowed on at least one resource that the policies name. The decision is "yes" if this holds for all values of the unknown
condition keys, and "depends" if it may hold for some values only.

Actions to which the same statements apply have the same decision on a resource, so only one of them is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias, TypeVar

from ..evaluation.evaluate import CONDITIONAL, Layer, evaluate
from ..evaluation.rules import Request, Rule
from ..language.context import Context, Unknown
from ..language.match import Cover, Wild, policy_variables, resolve, tokenize
from .catalogue import (
    LEVELS,
    UNKNOWN_LEVEL,
    Catalogue,
    ServiceAction,
    action_expression,
    action_service,
    arn_service,
    is_name,
)

_Item = TypeVar("_Item")
Decision = Literal["yes", "depends", "no"]
# ``Cell.service`` of the cell for all services that the policies do not name.
EVERY_SERVICE: Final = "*"
# The default partition, if the ARN of the principal is not known.
_PARTITION: Final = "aws"
# A resource that includes all resources of a service, and therefore also matches actions without a resource.
_WHOLE_SERVICE = re.compile(r"arn:[^:]*:[^:]*:(?:\*|\*?:\*|\*?:\*?:\*)")
# The patterns that match all actions.
_ANY_ACTION: Final = frozenset(("*", "*:*"))
# The maximum number of resources in a cell.
_SHOWN_RESOURCES = 6
# From the least to the greatest access.
_DECISIONS: Final[Sequence[Decision]] = ("no", "depends", "yes")
# The resource types of an action (see ``ServiceAction``).
_Types: TypeAlias = "tuple[str, ...] | None"


@dataclass(frozen=True, slots=True)
class Possibility:
    """The decision whether an action is allowed on some resource.

    ``rules`` are the statements that allow or may allow it, and ``denying`` the statements that deny or may deny it, on at least
    one of the evaluated resources. ``limiting`` are the names of the layers that do not allow it on one or more of these
    resources. If ``decision`` is "depends", ``keys`` are the condition keys with unknown values on which it depends. ``is_whole``
    is true if one resource was evaluated, and the action is allowed on every part of it.
    """

    decision: Decision
    rules: tuple[Rule, ...] = ()
    denying: tuple[Rule, ...] = ()
    limiting: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """The access of a role to a service: a cell in a table of roles and services.

    ``service`` is a prefix such as s3, or ``EVERY_SERVICE``. ``levels`` has a decision for each access level with an action that
    is allowed, or may be allowed. ``resources`` has some resources of the statements that allow these actions. ``everywhere`` has
    the levels with an action that is allowed on all resources. ``Possibility`` describes the other attributes.
    """

    service: str
    levels: Mapping[str, Decision] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    denying: tuple[Rule, ...] = ()
    limiting: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    everywhere: frozenset[str] = frozenset()


def find_possibility(
    layers: Sequence[Layer], action: ServiceAction, context: Context, catalogue: Catalogue
) -> Possibility:
    """Decide whether the layers allow an action on some resource.

    :arg layers: the result of ``permission_layers``; the first layer has the identity policies.
    :arg action: an action without wildcards.
    """
    request, service = Request(action.name), action_service(action.name)

    def concerns(rule: Rule) -> bool:
        patterns = catalogue.by_service(rule)
        is_named = rule.statement.not_action or service in patterns or "" in patterns
        return is_named and rule.matches_action(request)

    concerned = _filter_layers(layers, concerns)
    found = Possibility("no")
    for resource in (resource for rule in concerned[0].rules for resource in _resources(rule)):
        for target in _targets(action.types, service, resource, context, catalogue):
            found = _merge(found, _decide(concerned, action.name, target, context))
            if found.decision == "yes":
                return found
    return found


# A cache of cells, which roles with the same statements for a service share. Its keys contain the IDs of ``Rule`` objects.
CellMemo: TypeAlias = dict[object, "Cell | None"]


def summarise_access(
    layers: Sequence[Layer], context: Context, catalogue: Catalogue, memo: CellMemo | None = None
) -> list[Cell]:
    """Return a cell for each service that the policies name, and one for all other services if any of their actions are allowed.

    Without this last cell, services without allowed actions have no cell.

    :arg layers: the result of ``permission_layers``; the first layer has the identity policies.
    :arg memo: a cache of cells. Reuse it for further roles while the layers of the earlier roles exist.
    """
    summary = _Summary(layers, context, catalogue, {} if memo is None else memo)
    cells = [cell for service in summary.services if (cell := summary.cell(service)) is not None]
    # A cell without levels shows that the access in the cell for all other services does not include this service.
    is_open = any(cell.service == EVERY_SERVICE and cell.levels for cell in cells)
    return cells if is_open else [cell for cell in cells if cell.levels]


def context_signature(rules: Iterable[Rule], context: Context) -> tuple[tuple[str, str], ...]:
    """Return the states of the condition keys that statements compare. With equal states, a request has equal decisions."""
    keys: set[str] = set()
    for rule in rules:
        keys.update(key for test in rule.tests for key in (test.key, *test.variable_names))
        keys.update(
            variable.key for value in rule.open_resources for variable in policy_variables(value.tokens)
        )
    return tuple(sorted((key, repr(context.get(key))) for key in keys))


# The access levels of actions, by the resource types of these actions.
_Kinds: TypeAlias = dict[_Types, set[str]]


class _Summary:
    """The evaluation of one role, service by service.

    ``is_wide`` is true if the identity policies allow actions of services that they do not name.
    """

    def __init__(
        self, layers: Sequence[Layer], context: Context, catalogue: Catalogue, memo: CellMemo
    ) -> None:
        self._layers, self._context, self._catalogue, self._memo = layers, context, catalogue, memo
        allowing = [rule for rule in layers[0].rules if rule.allow]
        self.is_wide = any(map(self._is_open, allowing))
        relevant = [rule for layer in layers for rule in layer.rules] if self.is_wide else allowing
        named = {service for rule in relevant for service in catalogue.by_service(rule) if service}
        for rule in filter(self._is_open, allowing):
            for resource in filter(_names_service, _resources(rule)):
                named |= catalogue.find_services(resource)
        self._named = frozenset(named)

    @property
    def services(self) -> list[str]:
        return [*sorted(self._named), *([EVERY_SERVICE] if self.is_wide else ())]

    def cell(self, service: str) -> Cell | None:
        """Return the access to a service; None if no action is allowed and ``is_wide`` is false."""
        layers = _filter_layers(
            self._layers,
            lambda rule: self._is_open(rule) or service in self._catalogue.by_service(rule),
        )
        rules = [rule for layer in layers for rule in layer.rules]
        key = (
            service,
            self._named if service == EVERY_SERVICE else self.is_wide,
            tuple((layer.name, tuple(map(id, layer.rules))) for layer in layers),
            context_signature(rules, self._context),
        )
        if key not in self._memo:
            self._memo[key] = self._evaluate(service, layers)
        return self._memo[key]

    @cached_property
    def _unnamed(self) -> list[str]:
        """Return the services that the policies do not name."""
        return sorted(self._catalogue.services.keys() - self._named)

    def _is_open(self, rule: Rule) -> bool:
        """Return whether a statement applies to services that it does not name."""
        return rule.statement.not_action or "" in self._catalogue.by_service(rule)

    def _evaluate(self, service: str, layers: Sequence[Layer]) -> Cell | None:
        decisions: dict[str, Decision] = {}
        found = Possibility("no")
        resources: dict[str, None] = {}
        everywhere: set[str] = set()
        for rules, actions in self._groups(service, layers).items():
            selected = _filter_layers(layers, frozenset(rules).__contains__)
            kinds: _Kinds = {}
            for action in actions:
                kinds.setdefault(action.types, set()).add(action.level)
            for resource in (resource for rule in selected[0].rules for resource in _resources(rule)):
                for target, levels in self._targets(kinds, service, resource).items():
                    possibility = _decide(selected, actions[0].name, target, self._context)
                    found = _merge(found, possibility)
                    if target.is_whole and possibility.is_whole:
                        everywhere |= levels
                    for level in levels if possibility.decision != "no" else ():
                        resources[resource] = None
                        decisions[level] = max(
                            decisions.get(level, "no"), possibility.decision, key=_DECISIONS.index
                        )
        if not decisions and not self.is_wide:
            return None
        return Cell(
            service,
            {level: decisions[level] for level in (*LEVELS, UNKNOWN_LEVEL) if level in decisions},
            found.rules,
            found.denying,
            found.limiting,
            found.keys if "depends" in decisions.values() else (),
            tuple(resources)[:_SHOWN_RESOURCES],
            frozenset(everywhere),
        )

    def _targets(self, kinds: _Kinds, service: str, resource: str) -> dict[_Target, set[str]]:
        """Return the resources to evaluate for a resource of a statement, each with the levels of the actions evaluated on it."""
        targets: dict[_Target, set[str]] = {}
        if service == EVERY_SERVICE and _names_service(resource):
            return targets
        for types, levels in kinds.items():
            for target in _targets(types, service, resource, self._context, self._catalogue):
                targets[target] = targets.get(target, set()) | levels
        return targets

    def _groups(self, service: str, layers: Sequence[Layer]) -> dict[tuple[Rule, ...], list[ServiceAction]]:
        """Group the actions to evaluate for a service by the statements that apply to them."""
        rules = dict.fromkeys(rule for layer in layers for rule in layer.rules)
        universe = self._universe(service, rules)
        applying: dict[str, list[Rule]] = {}
        for rule in rules:
            for name in self._action_names(rule, service, universe):
                applying.setdefault(name, []).append(rule)
        groups: dict[tuple[Rule, ...], list[ServiceAction]] = {}
        for name in filter(applying.__contains__, universe):
            groups.setdefault(tuple(applying[name]), []).append(universe[name])
        return groups

    def _universe(self, service: str, rules: Iterable[Rule]) -> dict[str, ServiceAction]:
        """Return the actions to evaluate for a service, by name: the actions in the catalogue and others in Allow statements.

        If there are none, return a pattern that matches all actions of the service.
        """
        if service == EVERY_SERVICE:
            patterns = {pattern for rule in rules for pattern in self._catalogue.by_service(rule).get("", ())}
            if not patterns - _ANY_ACTION:
                # No statement distinguishes the actions of these services, so an example of each access level is sufficient.
                return self._catalogue.examples(self._unnamed) or {"*": ServiceAction("*")}
            return {
                name: action
                for unnamed in self._unnamed
                for name, action in self._catalogue.service(unnamed).actions.items()
            }
        catalogued = self._catalogue.service(service).actions
        actions = dict(catalogued)
        for rule in rules:
            for name in self._catalogue.by_service(rule).get(service, ()) if rule.allow else ():
                if name not in actions and (is_name(name) or not catalogued):
                    actions[name] = ServiceAction(name)
        return actions or {f"{service}:*": ServiceAction(f"{service}:*")}

    def _action_names(
        self, rule: Rule, service: str, universe: Mapping[str, ServiceAction]
    ) -> Collection[str]:
        """Return the names of the actions in ``universe`` to which a statement applies."""
        if not self._catalogue.services:
            return [name for name in universe if rule.matches_action(Request(name))]
        services = self._unnamed if service == EVERY_SERVICE else (service,)
        patterns = self._catalogue.by_service(rule)
        named: set[str] = set()
        for pattern in (*patterns.get(service, ()), *patterns.get("", ())):
            if pattern in _ANY_ACTION:
                named |= universe.keys()
            elif is_name(pattern):
                named |= {pattern} & universe.keys()
            else:
                for prefix in services:
                    named |= self._catalogue.service(prefix).matching(pattern)
                unlisted = [name for name, action in universe.items() if action.types is None]
                named |= {name for name in unlisted if action_expression(pattern).fullmatch(name)}
        return universe.keys() - named if rule.statement.not_action else named


def _filter_layers(layers: Iterable[Layer], keep: Callable[[Rule], bool]) -> tuple[Layer, ...]:
    """Return the layers with only some of their statements."""
    return tuple(Layer(layer.name, tuple(filter(keep, layer.rules))) for layer in layers)


@dataclass(frozen=True, slots=True)
class _Target:
    """The resource of a request. ``is_whole`` is true if it represents all resources of a service, or of all services."""

    resource: str
    is_whole: bool = False


def _decide(layers: Sequence[Layer], action: str, target: _Target, context: Context) -> Possibility:
    """Decide whether the layers allow an action on at least one of the resources that ``target`` represents."""
    request = Request(action, target.resource)
    verdict = evaluate(layers, request, context)
    most = {rule: rule.cover(request, context)[1] for layer in layers for rule in layer.rules}
    allowing = tuple(rule for rule, cover in most.items() if cover is not Cover.NONE and rule.allow)
    denying = tuple(rule for rule, cover in most.items() if cover is not Cover.NONE and not rule.allow)
    limiting = tuple(
        layer.name
        for layer in layers
        if not any(rule.allow and most[rule] is Cover.ALL for rule in layer.rules)
    )
    if verdict.decision != CONDITIONAL and not verdict.allows_part:
        return Possibility("no", (), denying, limiting)
    if not verdict.allows_part:
        return Possibility("depends", allowing, denying, limiting, verdict.conditional_on)
    granting = tuple(rule for rule in verdict.rules if rule.allow)
    return Possibility("yes", granting, denying, limiting, is_whole=verdict.allowed)


def _merge(first: Possibility, second: Possibility) -> Possibility:
    return Possibility(
        max(first.decision, second.decision, key=_DECISIONS.index),
        _union(first.rules, second.rules),
        _union(first.denying, second.denying),
        _union(first.limiting, second.limiting),
        _union(first.keys, second.keys),
    )


def _union(first: tuple[_Item, ...], second: tuple[_Item, ...]) -> tuple[_Item, ...]:
    return first if second == first else tuple(dict.fromkeys((*first, *second)))


def _resources(rule: Rule) -> tuple[str, ...]:
    """Return the resources of an Allow statement, or ``*`` for a statement with NotResource."""
    statement = rule.statement
    resources = ("*",) if statement.not_resource else statement.resources or ("*",)
    return resources if rule.allow else ()


def _targets(
    types: _Types, service: str, resource: str, context: Context, catalogue: Catalogue
) -> Iterator[_Target]:
    """Yield the resources to evaluate for an action with these resource types and a resource in a policy.

    There are none if the action cannot apply to the resource.
    """
    if types == ():
        if resource == "*" or _WHOLE_SERVICE.fullmatch(resource):
            yield _Target("*")
    elif resource == "*":
        # In a request, "*" means an action without a resource. So an ARN with wildcards represents all resources.
        for part in sorted(catalogue.service(service).arn_services(types or ())) or ("*",):
            yield _Target(f"arn:{_role_partition(context)}:{part}:*:*:*", is_whole=True)
    else:
        fitting = catalogue.service(service).fitting_types(resource)
        if types is None or service == EVERY_SERVICE or not fitting.isdisjoint(types):
            yield from _with_values(resource, context)


def _role_partition(context: Context) -> str:
    """Return the partition of the role, or ``_PARTITION`` if it is unknown.

    The ARNs in the requests have this partition, so that a Deny for all ARNs of the partition matches them.
    """
    state = context.get("aws:principalarn")
    return _PARTITION if isinstance(state, Unknown) else state[0].split(":")[1]


def _with_values(resource: str, context: Context) -> Iterator[_Target]:
    """Replace the policy variables in a resource with their values or defaults, or with ``*`` if a value is unknown.

    There is no target if a variable has several values, or neither a value nor a default. The resource then matches no ARN.
    """
    tokens = tokenize(resource, variables=True, wildcards=True)
    keys = [variable.key for variable in policy_variables(tokens)]
    unknown = [key for key in keys if isinstance(context.get(key), Unknown)]
    resolved = resolve(tokens, context.assume(dict.fromkeys(unknown, ("*",))))
    if isinstance(resolved, tuple):
        yield _Target("".join(token.value if isinstance(token, Wild) else token for token in resolved))


def _names_service(resource: str) -> bool:
    """Return whether a resource in a policy has a service part without wildcards."""
    service = arn_service(resource)
    return bool(service) and is_name(service)
