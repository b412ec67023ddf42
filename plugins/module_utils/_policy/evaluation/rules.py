# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Statements prepared for evaluation, and the request that they are asked about.

A request may itself have wildcards in its action or resource: it then asks about everything that
they stand for. An Allow must cover all of it, a Deny needs to cover some of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from ..language.conditions import Test
from ..language.context import Context
from ..language.document import Policy, Statement
from ..language.match import ArnGlob, Cover, Glob, WildText, arn_parts
from ..language.principals import Caller, PrincipalTest
from ..language.resources import OpenResource, ResourceTest
from ..language.template import Literal, Wild, tokenize, variable_keys

_INVERSE = {Cover.NONE: Cover.ALL, Cover.SOME: Cover.SOME, Cover.ALL: Cover.NONE}


class Request:
    """An action on a resource by a caller. ``resource`` is an ARN, ``*`` for actions that have no
    resource, or None where the policy has no Resource element (trust). ``literal``: without wildcards. ``made_up``: the action
    stands for others."""

    __slots__ = (
        "action",
        "action_wild",
        "caller",
        "made_up",
        "parts",
        "resource",
        "resource_wild",
        "service",
    )

    def __init__(
        self,
        action: str,
        resource: str | None = None,
        caller: Caller | None = None,
        literal: bool = False,
        made_up: bool = False,
    ) -> None:
        self.action = action.lower()
        self.made_up = made_up
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
        """Return whether the service of the action has no wildcard."""
        return ":" in self.action and not ("*" in self.service or "?" in self.service)


class Rule:
    """One statement. ``source`` is the name of the policy it comes from."""

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
        # Under Version 2008-10-17 what looks like a variable is literal text.
        self.literal_variables = not variables
        self.allow = statement.effect == "Allow"
        actions = [action.lower() for action in statement.actions]
        wild = [action for action in actions if "*" in action or "?" in action]
        self._actions = frozenset(actions).difference(wild)
        self._action_globs = tuple(map(_glob, wild))
        self._principals = (
            PrincipalTest(statement.principals, statement.not_principal, self.allow)
            if statement.principals is not None
            else None
        )
        # Matching more resources grants less in a Deny, and as an exception of an Allow.
        wide = self.allow is statement.not_resource
        self._resources = (
            ResourceTest(statement.resources, variables, wide, complete) if statement.resources else None
        )
        self.tests = tuple(Test(condition, variables) for condition in statement.conditions)
        # How much work it is to look at, in values of the document.
        self.weight = 1 + sum(test.weight for test in self.tests)
        if self._resources is not None:
            self.weight += self._resources.weight

    @property
    def open_resources(self) -> tuple[OpenResource, ...]:
        """The Resource values that have policy variables."""
        return self._resources.open if self._resources is not None else ()

    @property
    def often(self) -> tuple[str, ...]:
        """The keys that it asks about, if it asks several things."""
        names = [test.key for test in self.tests]
        for test in self.tests:
            names.extend(test.variables)
        for value in self.open_resources:
            names.extend(variable_keys(value.tokens))
        return tuple(dict.fromkeys(names)) if len(names) > 1 else ()

    def means_caller(self, caller: Caller | None) -> bool:
        """Whether the principal is meant; a statement without principals means everyone."""
        return self._principals is None or (caller is not None and self._principals.means(caller))

    def means_action(self, request: Request) -> bool:
        """Whether the action is meant."""
        return self._effective(self._action_cover(request))

    def speaks_of(self, request: Request) -> bool:
        """Whether principal and action are meant, whatever the keys of the request."""
        return self.means_caller(request.caller) and self.means_action(request)

    def means_resource(self, request: Request, context: Context) -> bool | None:
        """Whether the resource is meant; None when that turns on a policy variable."""
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
        """Generate the patterns of actions that match a part of a request with wildcards."""
        pattern = _glob(request.action)
        yield from ((action,) for action in self._actions if pattern.matches(action))
        for glob in self._action_globs:
            if glob.covers(request.action, True) is Cover.SOME:
                yield glob.tokens

    def partial_resources(self, request: Request, context: Context) -> Iterator[ArnGlob | None]:
        """Generate the patterns of resources that match a part of a request; None for one with an unknown variable."""
        if self._resources is not None:
            yield from self._resources.partial(request.parts, context)

    @property
    def needs_all(self) -> bool:
        """Whether its Resource values have to cover all of a request with wildcards to count; else some is enough."""
        return self.allow is not self.statement.not_resource

    def resource_question(self, request: Request) -> object:
        """What an unknown variable in the Resource leaves open, the same for statements that ask the same."""
        early = self._resources is not None and self._resources.early
        return (
            self.statement.resources,
            request.resource,
            self.needs_all and (request.resource_wild or early),
        )

    def applies(self, request: Request, context: Context) -> bool | None:
        """Whether a statement that ``speaks_of`` the request takes effect; None when unknown."""
        answer = self.means_resource(request, context)
        if answer is False:
            return False
        for test in self.tests:
            holds = test.holds(context)
            if holds is False:
                return False
            if holds is None:
                answer = None
        return answer

    def open_part(self, request: Request, context: Context) -> Rule | None:
        """Return the statement with only those conditions that are not certain to hold, or None if it never applies."""
        if self.means_resource(request, context) is False:
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
                pattern = _glob(request.action)
                if any(pattern.matches(action) for action in self._actions):
                    cover = Cover.SOME
        return self._turn(cover, self.statement.not_action)


def rules_of(policy: Policy, source: str = "") -> tuple[Rule, ...]:
    """Prepare every statement of a policy."""
    complete = policy.kind != "session"
    return tuple(Rule(s, policy.has_variables, source, complete) for s in policy.statements)


def _glob(text: str) -> Glob:
    tokens = tokenize(text, variables=False, wildcards=True)
    return Glob(token for token in tokens if isinstance(token, str | Wild))
