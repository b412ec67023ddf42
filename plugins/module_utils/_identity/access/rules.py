# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reduce the policies of a role to plain rules, and answer questions with them.

A rule allows or denies actions on resources, and is open if it also depends on condition keys with unknown values. A question is
an action on a resource, with or without wildcards. The rules allow a share of its requests: none, some or all. The least share is
the one if no open Allow and every open Deny applies, and the greatest share the one if every open Allow and no open Deny applies.
Both are estimates, because each statement counts alone: some may in fact be none or all. But all as the least share, and none as
the greatest one, are proven.

The script of the page (``templates/audit.js``) answers questions with the same rules in the same way. Therefore this module does
not use ``evaluate``, which needs the statements and the values of condition keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..._policy.evaluation.evaluate import Layer
from ..._policy.evaluation.rules import Request, Rule
from ..._policy.language.context import Context, Unknown
from ..._policy.language.match import (
    ArnGlob,
    Cover,
    Glob,
    Variable,
    Wild,
    compile_glob,
)
from ..._policy.permissions.levels import context_signature

Answer = Literal["yes", "part", "depends", "obtain", "unknown", "no"]
ANSWERS: Final[Sequence[Answer]] = ("yes", "part", "depends", "obtain", "unknown", "no")
# The resource of a question about any resource, which includes requests without a resource.
ANY_RESOURCE: Final = "*"
# The name, among condition keys, of unknown conditions under which a service account can use its role.
USE_OF_ROLE: Final = "use of the role"
_EVERY_ARN: Final = ArnGlob((Wild.ANY,))
_SPECIAL = re.compile(r"[\\*?]")


@dataclass(frozen=True, slots=True, eq=False)
class AccessRule:
    """A reduced statement: it allows or denies ``actions`` on ``resources``, or all except these.

    ``keys`` are the condition keys whose unknown values decide whether the rule applies. ``statement`` is None for a rule that
    represents policies that could not be read.
    """

    allow: bool
    actions: tuple[Glob, ...]
    resources: tuple[ArnGlob, ...]
    other_actions: bool = False
    other_resources: bool = False
    keys: tuple[str, ...] = ()
    statement: Rule | None = None

    def cover(self, question: Request) -> Cover:
        """Return whether the rule is about none, some or all requests of a question."""
        action = max(
            (glob.covers(question.action, question.action_wild) for glob in self.actions), default=Cover.NONE
        )
        resource = max((_resource_cover(glob, question) for glob in self.resources), default=Cover.NONE)
        return min(
            _inverse(action) if self.other_actions else action,
            _inverse(resource) if self.other_resources else resource,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the rule for JSON. A backslash in a pattern precedes a literal ``*``, ``?`` or backslash."""
        actions = "except_actions" if self.other_actions else "actions"
        resources = "except_resources" if self.other_resources else "resources"
        return {
            "effect": "Allow" if self.allow else "Deny",
            actions: [_pattern(glob) for glob in self.actions],
            resources: [arn_pattern(arn) for arn in self.resources],
            **({"keys": list(self.keys)} if self.keys else {}),
        }


# The rule of identity policies that could not be read: they may allow everything.
UNREAD_RULE: Final = AccessRule(True, (compile_glob("*"),), (_EVERY_ARN,), keys=("unread policies",))


@dataclass(frozen=True, slots=True)
class RoleRules:
    """The rules of a role. Each of ``layers`` must allow a request: the identity policies, a boundary, a session policy.

    ``unread`` has the names of the policies that could not be read.
    """

    layers: tuple[tuple[str, tuple[AccessRule, ...]], ...]
    denies: tuple[AccessRule, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """The answer to a question for one role or service account.

    "yes": all requests of the question are allowed. "part": single statements allow only a part of them; together they may allow
    all, or none if several policies limit each other. "depends": some or all of them, but only under conditions. "obtain": none
    of them, but the role can obtain the permission through the actions and roles in ``keys``. "unknown": a policy, the
    credentials, or the roles in ``keys`` could not be read. "no": none of them. For the other answers, ``keys`` are the condition
    keys on which the remaining requests depend. ``rules`` are the rules about the question, and for "no" those that deny it.
    """

    answer: Answer
    keys: tuple[str, ...] = ()
    rules: tuple[AccessRule, ...] = ()


def reduce_layers(
    layers: Iterable[Layer],
    context: Context,
    unread: Sequence[tuple[str, str]],
    memo: dict[object, tuple[AccessRule, ...]],
) -> RoleRules:
    """Reduce the policies of a role.

    :arg context: the condition keys of the requests of the role.
    :arg unread: the policies that could not be read, as pairs of a layer's name and a policy's name.
    :arg memo: a cache of reduced statements. Reuse it for further roles while the layers of the earlier roles exist.
    """
    reduced: list[tuple[str, tuple[AccessRule, ...]]] = []
    denies: list[AccessRule] = []
    for layer in layers:
        allows = [UNREAD_RULE] if layer.name in {name for name, _policy in unread} else []
        for rule in layer.rules:
            key = id(rule), context_signature([rule], context)
            if key not in memo:
                memo[key] = tuple(_reduce(rule, context))
            (allows if rule.allow else denies).extend(memo[key])
        reduced.append((layer.name, tuple(allows)))
    return RoleRules(tuple(reduced), tuple(denies), tuple(name for _layer, name in unread))


def answer(role: RoleRules, cover: Callable[[AccessRule], Cover]) -> Access:
    """Answer a question for a role.

    :arg cover: the share of the question that a rule is about: ``AccessRule.cover``, or a cache of its results.
    """
    least = greatest = Cover.ALL
    keys: list[str] = []
    found: list[AccessRule] = []
    for _name, allows in role.layers:
        rules = [rule for rule in allows if cover(rule) is not Cover.NONE]
        certain = max((cover(rule) for rule in rules if not rule.keys), default=Cover.NONE)
        least = min(least, certain)
        greatest = min(greatest, max(map(cover, rules), default=Cover.NONE))
        found += rules
        keys += [key for rule in rules for key in rule.keys if certain is not Cover.ALL]
    denying = [rule for rule in role.denies if cover(rule) is not Cover.NONE]
    least = min([least, *(_inverse(cover(rule)) for rule in denying)])
    greatest = min([greatest, *(_inverse(cover(rule)) for rule in denying if not rule.keys)])
    keys += [key for rule in denying for key in rule.keys]
    if greatest is Cover.NONE:
        whole = (rule for rule in denying if not rule.keys and cover(rule) is Cover.ALL)
        return Access("no", (), tuple(whole))
    if role.unread:
        return Access("unknown")
    word: Answer = "yes" if least is Cover.ALL else "part" if least or not keys else "depends"
    return Access(word, () if word == "yes" else tuple(dict.fromkeys(keys)), (*found, *denying))


def _reduce(rule: Rule, context: Context) -> Iterator[AccessRule]:
    """Yield the rules of a statement: one that certainly applies, if there is one, and one that depends on unknown keys."""
    keys: dict[str, None] = {}
    for test in rule.tests:
        holds = test.holds(context)
        if holds is False:
            return
        if holds is None:
            names = {test.key: test.condition.key, **test.variable_names}
            unknown = [name for key, name in names.items() if isinstance(context.get(key), Unknown)]
            keys |= dict.fromkeys(unknown or names.values())
    certain, possible, variables = _resources(rule, context)
    negated = rule.statement.not_resource

    def make_rule(resources: Sequence[ArnGlob], *names: str) -> AccessRule:
        return AccessRule(
            rule.allow,
            tuple(compile_glob(action.lower()) for action in rule.statement.actions),
            tuple(resources),
            rule.statement.not_action,
            negated,
            tuple(dict.fromkeys((*keys, *names))),
            rule,
        )

    # An unknown value makes a list of exceptions shorter than "possible", and another list longer than "certain".
    if certain or negated:
        yield make_rule(possible if negated else certain)
    if variables:
        yield make_rule(certain if negated else possible, *variables)


def _resources(rule: Rule, context: Context) -> tuple[list[ArnGlob], list[ArnGlob], list[str]]:
    """Return the resources that a statement certainly names, those that it may name, and the unknown keys between these."""
    certain, possible = list(rule.closed_resources), []
    variables: list[str] = []
    for value in rule.open_resources:
        resolved = value.resolved(context)
        if isinstance(resolved, ArnGlob):
            certain.append(resolved)
        elif resolved is None:
            possible.append(value.widest)
            names = [token for token in value.tokens if isinstance(token, Variable)]
            variables += [token.name for token in names if isinstance(context.get(token.key), Unknown)]
    return certain, [*certain, *possible], variables


def _inverse(cover: Cover) -> Cover:
    return Cover(Cover.ALL - cover)


def _resource_cover(pattern: ArnGlob, question: Request) -> Cover:
    if question.resource != ANY_RESOURCE:
        return pattern.covers(question.parts, question.resource_wild)
    return Cover.ALL if all(part.tokens == (Wild.ANY,) for part in pattern.parts[2:]) else Cover.SOME


def _pattern(glob: Glob) -> str:
    return "".join(
        token.value if isinstance(token, Wild) else _SPECIAL.sub(r"\\\g<0>", token) for token in glob.tokens
    )


def arn_pattern(arn: ArnGlob) -> str:
    parts = [_pattern(part) for part in arn.parts]
    return ANY_RESOURCE if set(parts) == {ANY_RESOURCE} else ":".join(parts)
