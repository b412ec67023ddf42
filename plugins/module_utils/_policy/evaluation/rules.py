# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Statements compiled for evaluation, requests, and the question whether the statements allow a request.

A request with wildcards in its action or resource represents every request that the wildcards match. An Allow takes effect
only if it covers all of these requests, a Deny if it covers some of them.

If condition keys are unknown, the outcome may depend on their values. A "witness" is an example of such values that leads to a
particular outcome. An answer is either proven for all values, or has a witness for which the request is allowed and a witness
for which it is denied.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..language.conditions import Test
from ..language.context import Context, Unknown
from ..language.document import Policy, Statement
from ..language.match import (
    ARN_PARTS,
    ArnGlob,
    Cover,
    Literal,
    Wild,
    WildText,
    arn_parts,
    compile_glob,
    variable_keys,
)
from ..language.resources import Caller, OpenResource, PrincipalTest, ResourceTest

_INVERSE = {Cover.NONE: Cover.ALL, Cover.SOME: Cover.SOME, Cover.ALL: Cover.NONE}


class Request:
    """An action on a resource by a caller.

    :arg resource: an ARN, ``*`` for an action without a resource, or None for trust policies, which have no resources.
    :arg literal: treat ``*`` and ``?`` as literal characters.
    :arg sampled: whether the action is only an example of the actions that a wildcard matches.
    """

    __slots__ = (
        "action",
        "action_wild",
        "caller",
        "parts",
        "resource",
        "resource_wild",
        "sampled",
        "service",
    )

    def __init__(
        self,
        action: str,
        resource: str | None = None,
        caller: Caller | None = None,
        literal: bool = False,
        sampled: bool = False,
    ) -> None:
        self.action = action.lower()
        self.sampled = sampled
        self.action_wild = not literal and ("*" in action or "?" in action)
        self.service = self.action.partition(":")[0]
        self.resource = resource
        self.caller = caller
        self.parts: tuple[str, ...] = arn_parts(resource) if resource is not None else ()
        self.resource_wild = (
            not literal and resource not in (None, "*") and ("*" in resource or "?" in resource)
        )
        if self.action_wild:
            self.action = WildText(self.action)
        if self.resource_wild:
            self.parts = tuple(map(WildText, self.parts))

    @property
    def service_is_text(self) -> bool:
        """Return whether the action has a service without wildcards."""
        return ":" in self.action and not ("*" in self.service or "?" in self.service)


class Rule:
    """A statement, compiled for evaluation.

    :arg variables: whether the version of the document supports policy variables.
    :arg source: the name of the policy.
    :arg complete: whether missing parts of an ARN count as ``*`` (see ``ArnGlob``).
    """

    __slots__ = (
        "_action_globs",
        "_actions",
        "_principals",
        "_resources",
        "allow",
        "literal_variables",
        "source",
        "statement",
        "tests",
        "weight",
    )

    def __init__(self, statement: Statement, variables: bool, source: str, complete: bool = True) -> None:
        self.statement = statement
        self.source = source
        # In Version 2008-10-17 variables are literal text.
        self.literal_variables = not variables
        self.allow = statement.effect == "Allow"
        actions = [action.lower() for action in statement.actions]
        wild = [action for action in actions if "*" in action or "?" in action]
        self._actions = frozenset(actions).difference(wild)
        self._action_globs = tuple(map(compile_glob, wild))
        self._principals = (
            PrincipalTest(statement.principals, statement.not_principal, self.allow)
            if statement.principals is not None
            else None
        )
        # A Deny with Resource and an Allow with NotResource grant less if their values match more resources.
        wide = self.allow is statement.not_resource
        self._resources = (
            ResourceTest(statement.resources, variables, wide, complete) if statement.resources else None
        )
        self.tests = tuple(Test(condition, variables) for condition in statement.conditions)
        # The cost of evaluating the statement once, in steps (see ``Budget``): about one step for each value of the statement.
        self.weight = 1 + sum(test.weight for test in self.tests)
        if self._resources is not None:
            self.weight += self._resources.weight

    @property
    def open_resources(self) -> tuple[OpenResource, ...]:
        """Return the values in Resource or NotResource that contain policy variables."""
        return self._resources.open if self._resources is not None else ()

    @property
    def closed_resources(self) -> tuple[ArnGlob, ...]:
        """Return the patterns in Resource or NotResource without policy variables."""
        if self._resources is None or self._resources.everything:
            return (ArnGlob((Wild.ANY,)),)
        return tuple(glob for glob in self._resources.globs if len(glob.parts) == ARN_PARTS)

    @property
    def joint_keys(self) -> tuple[str, ...]:
        """Return the condition keys that the statement mentions, or an empty tuple if it has only one such mention."""
        names = [test.key for test in self.tests]
        for test in self.tests:
            names.extend(test.variables)
        for value in self.open_resources:
            names.extend(variable_keys(value.tokens))
        return tuple(dict.fromkeys(names)) if len(names) > 1 else ()

    def matches_caller(self, caller: Caller | None) -> bool:
        """Return whether the principals of the statement include the caller.

        A permissions policy has no principals and applies to every caller.
        """
        return self._principals is None or (caller is not None and self._principals.matches(caller))

    def matches_action(self, request: Request) -> bool:
        """Return whether the statement applies to the action."""
        return self._effective(self._action_cover(request))

    def concerns(self, request: Request) -> bool:
        """Return whether the statement applies to the caller and the action."""
        return self.matches_caller(request.caller) and self.matches_action(request)

    def matches_resource(self, request: Request, context: Context) -> bool | None:
        """Return whether the statement applies to the resource, or None if that depends on an unknown policy variable."""
        if request.resource is None or self._resources is None:
            return True
        if request.resource == "*":
            least = most = self._resources.covers_service(request.service, request.action_wild)
        else:
            least, most = self._resources.covers(request.parts, request.resource_wild, context)
        negated = self.statement.not_resource
        answer = self._effective(self._turn(least, negated))
        if least is most or answer is self._effective(self._turn(most, negated)):
            return answer
        if context.decided:
            covered = context.decided.get(self.resource_question(request))
            return covered if covered is None or not negated else not covered
        return None

    def partial_actions(self, request: Request) -> Iterator[tuple[Literal, ...]]:
        """Yield the action patterns that match some but not all actions of a request with wildcards."""
        pattern = compile_glob(request.action)
        yield from ((action,) for action in self._actions if pattern.matches(action))
        for glob in self._action_globs:
            if glob.covers(request.action, True) is Cover.SOME:
                yield glob.tokens

    def partial_resources(self, request: Request, context: Context) -> Iterator[ArnGlob | None]:
        """Yield the resource patterns that match some but not all resources of a request with wildcards.

        A value with policy variables may also match all resources. Its pattern is None if the value of a variable is unknown.
        """
        if self._resources is not None:
            yield from self._resources.partial(request.parts, context)

    @property
    def needs_all(self) -> bool:
        """Return whether Resource or NotResource must cover all resources of a request with wildcards, and not only some."""
        return self.allow is not self.statement.not_resource

    def resource_question(self, request: Request) -> object:
        """Return the key, in ``Context.decided``, of the comparison of the statement with the resource."""
        early = self._resources is not None and self._resources.early
        return (
            self.statement.resources,
            request.resource,
            self.needs_all and (request.resource_wild or early),
        )

    def applies(self, request: Request, context: Context) -> bool | None:
        """Return whether the resource and the conditions of the statement match, or None if that depends on unknown keys.

        The caller and the action of the request must match the statement (see ``concerns``).
        """
        answer = self.matches_resource(request, context)
        if answer is False:
            return False
        for test in self.tests:
            holds = test.holds(context)
            if holds is False:
                return False
            if holds is None:
                answer = None
        return answer

    def undecided_part(self, request: Request, context: Context) -> Rule | None:
        """Return the statement without the conditions that certainly hold, or None if the statement cannot apply."""
        if self.matches_resource(request, context) is False:
            return None
        answers = [test.holds(context) for test in self.tests]
        if False in answers:
            return None
        if True not in answers:
            return self
        part = copy.copy(self)
        part.tests = tuple(
            test for test, answer in zip(self.tests, answers, strict=True) if answer is not True
        )
        part.weight = self.weight - sum(test.weight for test in self.tests if test not in part.tests)
        return part

    def _effective(self, cover: Cover) -> bool:
        return cover is Cover.ALL if self.allow else cover is not Cover.NONE

    @staticmethod
    def _turn(cover: Cover, negated: bool) -> Cover:
        return _INVERSE[cover] if negated else cover

    def _action_cover(self, request: Request) -> Cover:
        if request.action in self._actions:
            cover = Cover.ALL
        else:
            cover = Cover.NONE
            for glob in self._action_globs:
                cover = max(cover, glob.covers(request.action, request.action_wild))
            if request.action_wild and cover is Cover.NONE:
                pattern = compile_glob(request.action)
                if any(pattern.matches(action) for action in self._actions):
                    cover = Cover.SOME
        return self._turn(cover, self.statement.not_action)


def build_rules(policy: Policy, source: str = "") -> tuple[Rule, ...]:
    """Compile the statements of a policy.

    :arg source: the name of the policy, for messages.
    """
    complete = policy.kind != "session"
    return tuple(Rule(s, policy.has_variables, source, complete) for s in policy.statements)


@dataclass(frozen=True, slots=True)
class Question:
    """The question whether a request is allowed, with the statements that match its caller and action.

    ``denies`` has the Deny statements of all layers (see ``Layer`` in evaluate.py). ``allows`` has pairs of a layer's name and
    its Allow statements.
    """

    request: Request
    denies: tuple[Rule, ...]
    allows: tuple[tuple[str, tuple[Rule, ...]], ...]

    def allowed(self, context: Context) -> bool | None:
        """Evaluate the statements once, without values for the unknown keys.

        :returns: True if all values of the unknown keys allow the request, False if no values allow it. None means that one
            evaluation cannot decide; then ``explore`` finds out whether the outcome really depends on the values.
        """
        request = self.request
        answer: bool | None = True
        for rule in self.denies:
            applies = rule.applies(request, context)
            if applies:
                return False
            if applies is None:
                answer = None
        for _name, rules in self.allows:
            best: bool | None = False
            for rule in rules:
                applies = rule.applies(request, context)
                if applies:
                    best = True
                    break
                if applies is None:
                    best = None
            if best is False:
                return False
            if best is None:
                answer = None
        return answer

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return all statements that match the caller and action of the request."""
        return (*self.denies, *(rule for _name, rules in self.allows for rule in rules))

    @property
    def weight(self) -> int:
        """Return the cost of evaluating all statements once, in steps (see ``Budget``)."""
        return sum(rule.weight for rule in self.rules)

    def unknown_keys(self, context: Context) -> Iterator[str]:
        """Yield the unknown keys, in lower case, that decide whether the undecided statements apply."""
        for rule in self.rules:
            if rule.applies(self.request, context) is not None:
                continue
            for test in rule.tests:
                if test.holds(context) is None:
                    yield from _unknown((test.key, *test.variables), context)
            if rule.matches_resource(self.request, context) is None:
                for value in rule.open_resources:
                    yield from _unknown(variable_keys(value.tokens), context)

    def undecided_comparisons(self, context: Context) -> Iterator[object]:
        """Yield the identifiers of the undecided comparisons (see ``Context.decided``)."""
        for rule in self.rules:
            if rule.applies(self.request, context) is not None:
                continue
            for test in rule.tests:
                if test.holds(context) is None:
                    yield test.question(context)[0]
            if rule.matches_resource(self.request, context) is None:
                yield rule.resource_question(self.request)

    def undecided_part(self, context: Context) -> Question:
        """Return the question without the conditions that certainly hold and the statements that cannot apply."""

        def parts(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
            simplified = (rule.undecided_part(self.request, context) for rule in rules)
            return tuple(rule for rule in simplified if rule is not None)

        allows = tuple((name, parts(rules)) for name, rules in self.allows)
        return Question(self.request, parts(self.denies), allows)

    def excluding(self, rules: frozenset[Rule]) -> Question:
        """Return the question without the statements in ``rules``."""
        if not rules:
            return self
        denies = tuple(rule for rule in self.denies if rule not in rules)
        allows = tuple((name, tuple(r for r in allow if r not in rules)) for name, allow in self.allows)
        return Question(self.request, denies, allows)

    def same_as(self, other: Question) -> bool:
        """Return whether another question certainly has the same answer: its statements are the same, and compare no resource."""
        return self.denies == other.denies and self.allows == other.allows and self.request.resource is None

    def without_denies(self) -> Question:
        """Return the question without its Deny statements."""
        return Question(self.request, (), self.allows)


def _unknown(keys: tuple[str, ...], context: Context) -> Iterator[str]:
    for key in keys:
        if isinstance(context.get(key), Unknown):
            yield key


YES = "yes"
NO = "no"
CONDITIONAL = "conditional"

# The values of unknown condition keys, by name, that lead to a particular outcome. An empty tuple means that the key is absent.
Witness: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the question whether a request is allowed.

    ``proven`` is True or False if the outcome is the same for all values of the unknown keys. Otherwise ``proven`` is None:
    then ``keys`` has the keys on which the outcome depends, and ``allowed_when`` and ``denied_when`` have values that lead
    to each outcome. If ``undecided``, the search found neither a proof nor values for both outcomes.
    """

    proven: bool | None
    keys: tuple[str, ...] = ()
    allowed_when: Witness | None = None
    denied_when: Witness | None = None
    undecided: bool = False

    @property
    def decision(self) -> str:
        """Return the answer as in the module result: "yes", "no" or "conditional"."""
        return CONDITIONAL if self.proven is None else YES if self.proven else NO


def witness_row(witness: Witness | None) -> dict[str, object] | None:
    """Return a witness as a dictionary for the module result: one or more values for each key, or None for an absent key."""
    if witness is None:
        return None
    return {
        key: None if not values else values[0] if len(values) == 1 else list(values)
        for key, values in witness.items()
    }
