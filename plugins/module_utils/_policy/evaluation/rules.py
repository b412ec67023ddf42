# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements compiled for evaluation, and requests.

A request with wildcards in its action or resource represents every request that the wildcards match. A statement applies to
``Cover.ALL``, ``SOME`` or ``NONE`` of them. These are numbers: NONE is 0 and therefore false, and ALL is the greatest.
``Rule.cover`` returns two of them, the least and the most for all values of the unknown condition keys:

=====================  ===================================  =================================
conditions             least                                most
=====================  ===================================  =================================
hold (True)            min(least actions, least resources)  min(most actions, most resources)
depend on keys (None)  NONE                                 min(most actions, most resources)
do not hold (False)    NONE                                 NONE
=====================  ===================================  =================================

Both are NONE for a caller that the principals of the statement do not include. The conditions of a statement are combined by
Kleene's AND: one False is False; otherwise one None is None; otherwise True. Conditions are False, too, if no state of one
condition key meets all of them. This is found by a comparison of at most ``_COMPARED`` values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

from ..language.conditions import Test
from ..language.context import Context, Part, Unknown
from ..language.document import Policy, Statement
from ..language.match import (
    ARN_PARTS,
    ArnGlob,
    Cover,
    Wild,
    WildText,
    arn_parts,
    compile_glob,
    literal_tokens,
    policy_variables,
    resolve,
    tokenize,
)
from ..language.resources import Caller, OpenResource, PrincipalTest, ResourceTest

# The largest number of values of a condition times the conditions of its statement that are compared with each other.
_COMPARED = 60
# The maximum length of the ARN of an AWS resource. Source: IAM API Reference, type arnType.
_ARN_LENGTH = 2_048
# The most and the least that NotAction or NotResource cover, by the cover of their values. Values with the cover SOME may in fact
# cover ALL, because ``Glob.covers`` does not recognise every pattern that includes another one. So at least NONE is left.
_MOST_OUTSIDE = {Cover.NONE: Cover.ALL, Cover.SOME: Cover.SOME, Cover.ALL: Cover.NONE}
_LEAST_OUTSIDE = {Cover.NONE: Cover.ALL, Cover.SOME: Cover.NONE, Cover.ALL: Cover.NONE}


class Request:
    """An action on a resource by a caller.

    ``parts`` are the parts of the ARN. Texts with wildcards are ``WildText``, which is a text prepared for comparisons.

    :arg resource: an ARN, ``*`` for an action without a resource, or None for trust policies, which have no resources.
    """

    __slots__ = ("action", "action_wild", "caller", "parts", "resource", "resource_wild", "service")

    def __init__(
        self,
        action: str,
        resource: str | None = None,
        caller: Caller | None = None,
    ) -> None:
        self.action = action.lower()
        self.action_wild = "*" in action or "?" in action
        self.service = self.action.partition(":")[0]
        self.resource = resource
        self.caller = caller
        self.parts: tuple[str, ...] = arn_parts(resource) if resource is not None else ()
        self.resource_wild = resource not in (None, "*") and ("*" in resource or "?" in resource)
        if self.action_wild:
            self.action = WildText(self.action)
        if self.resource_wild:
            self.parts = tuple(map(WildText, self.parts))

    @property
    def is_wild(self) -> bool:
        """Return whether the request represents several requests."""
        return self.action_wild or self.resource_wild

    def replace(self, action: str | None = None, resource: str | None = None) -> Request:
        """Return the request with another action, another resource, or both."""
        return Request(action or self.action, resource or self.resource, self.caller)


def fill_wildcards(pattern: str, fill: str = "x") -> str:
    """Return a literal text that matches a pattern of an action or ARN: ``fill`` replaces each ``*``, and "x" each ``?``."""
    return ("*:*" if pattern == "*" else pattern).replace("*", fill).replace("?", "x")


class Rule:
    """A statement, compiled for evaluation.

    :arg variables: whether the version of the document supports policy variables.
    :arg source: the name of the policy.
    :arg complete: whether missing parts of an ARN count as ``*`` (see ``ArnGlob``).
    """

    __slots__ = (
        "_action_globs",
        "_actions",
        "_decided",
        "_principals",
        "_resources",
        "allow",
        "literal_variables",
        "source",
        "statement",
        "tests",
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
        wide = statement.not_resource if self.allow else not statement.not_resource
        self._resources = (
            ResourceTest(statement.resources, variables, wide, complete) if statement.resources else None
        )
        self.tests = tuple(Test(condition, variables) for condition in statement.conditions)
        # The context of the last evaluation, and whether the conditions hold in it.
        self._decided: tuple[Context | None, bool | None] = None, None

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

    def cover(self, request: Request, context: Context) -> tuple[Cover, Cover]:
        """Return whether the statement applies to all, some or none of the requests that a request with wildcards represents.

        :returns: the least and the most for all values of the unknown keys. SOME as the least may be all.
        """
        action = self._action_cover(request)
        if action[1] is Cover.NONE or not self.matches_caller(request.caller):
            return Cover.NONE, Cover.NONE
        conditions = self._conditions_hold(context)
        if conditions is False:
            return Cover.NONE, Cover.NONE
        least, most = map(min, action, self._resource_cover(request, context))
        return least if conditions else Cover.NONE, most

    def applies(self, request: Request, context: Context) -> bool | None:
        """Return whether the statement applies to a request, or None if that depends on unknown keys.

        This is ``cover`` as one answer, for messages: an Allow applies to a request with wildcards if it covers ALL of it, a Deny
        if it covers SOME or ALL of it. The three methods below give the answer for one element of the statement.
        """
        return self._answer(self.cover(request, context))

    def matches_caller(self, caller: Caller | None) -> bool:
        """Return whether the principals of the statement include the caller.

        A permissions policy has no principals and applies to every caller.
        """
        return self._principals is None or (caller is not None and self._principals.matches(caller))

    def matches_action(self, request: Request) -> bool:
        """Return whether the action of a request matches, or may match if it has wildcards that NotAction matches partly."""
        return self._answer(self._action_cover(request)) is not False

    def matches_resource(self, request: Request, context: Context) -> bool | None:
        """Return whether the resource of a request matches, or None if that depends on an unknown policy variable."""
        return self._answer(self._resource_cover(request, context))

    def _answer(self, cover: tuple[Cover, Cover]) -> bool | None:
        least, most = (share is Cover.ALL if self.allow else share is not Cover.NONE for share in cover)
        return least if least is most else None

    def unknown_keys(self, request: Request, context: Context) -> Iterator[str]:
        """Yield the unknown keys, as the policy spells them, on which it depends whether the statement applies."""
        for test in self.tests:
            if test.holds(context) is None:
                yield from _unknown_names({test.key: test.condition.key, **test.variable_names}, context)
        if self.open_resources:
            least, most = self._resource_cover(request, context)
            for value in self.open_resources if least is not most else ():
                yield from _unknown_names(
                    {token.key: token.name for token in policy_variables(value.tokens)}, context
                )

    def exceptions(self, request: Request, context: Context) -> list[Request] | None:
        """Return requests that include the part of a request to which the statement does not apply.

        These are the values of NotAction and NotResource that overlap the request. The result is None if requests cannot describe
        that part. It is empty only if there is no such part, because an element whose cover is not ALL has an overlapping value.
        """
        statement = self.statement
        exceptions: list[Request] = []
        if not (statement.not_action or statement.not_resource) or not self._conditions_hold(context):
            return None
        if self._action_cover(request)[0] is not Cover.ALL:
            if not statement.not_action:
                return None
            exceptions += [
                request.replace(action=action)
                for action in statement.actions
                if compile_glob(action.lower()).covers(request.action, request.action_wild)
            ]
        if self._resource_cover(request, context)[0] is not Cover.ALL:
            values = statement.resources or ()
            is_open = request.resource == "*" or any("${" in value or value == "*" for value in values)
            if is_open or not statement.not_resource:
                return None
            exceptions += [
                request.replace(resource=value)
                for value in values
                if ArnGlob(literal_tokens(value)).covers(request.parts, request.resource_wild)
            ]
        return exceptions

    def samples(self, request: Request, context: Context) -> Iterator[Request]:
        """Yield literal requests that match a request with wildcards and, where possible, values of the statement.

        For NotAction and NotResource these are requests to which the statement does not apply.
        """
        actions = [request.action]
        if request.action_wild:
            glob = compile_glob(request.action)
            texts = (fill_wildcards(action.lower()) for action in self.statement.actions)
            actions = [text for text in texts if glob.matches(text)] or [fill_wildcards(request.action)]
        resources = [request.resource]
        if request.resource_wild:
            wild = str(request.resource)
            pattern = _compile_arn(wild)
            texts = (fill_wildcards(value) for value in self._resolved_resources(context))
            resources = [t for t in texts if len(t) <= _ARN_LENGTH and pattern.matches(arn_parts(t))]
            resources = resources or [fill_wildcards(wild)]
        for action, resource in product(actions, resources):
            yield Request(action, resource, request.caller)

    def find_parts(self, request: Request, context: Context) -> list[Request]:
        """Return requests that include the part of a request to which the statement applies, one for each value of Resource.

        The list is empty if requests cannot describe that part: for NotResource, for an unknown value of a policy variable, and
        for a value such as "*" that is not an ARN with all its parts.
        """
        resources = list(self._resolved_resources(context))
        is_open = self.statement.not_resource or len(resources) < len(self.statement.resources or ())
        if is_open or any(value.count(":") < ARN_PARTS - 1 for value in resources):
            return []
        return [request.replace(resource=resource) for resource in resources]

    def _resolved_resources(self, context: Context) -> Iterator[str]:
        """Yield the values of Resource or NotResource with the values of their policy variables, if these are known."""
        for value in self.statement.resources or ():
            if "${" not in value or self.literal_variables:
                yield value
                continue
            tokens = resolve(tokenize(value, variables=True, wildcards=True), context)
            if isinstance(tokens, tuple):
                yield "".join(token if isinstance(token, str) else token.value for token in tokens)

    def _conditions_hold(self, context: Context) -> bool | None:
        """Return Kleene's AND of the conditions: None if that depends on unknown keys."""
        if self._decided[0] is not context:
            results = [test.holds(context) for test in self.tests]
            fails = False in results or (results.count(None) > 1 and self._is_contradictory(context))
            open_answer = None if None in results else True
            self._decided = context, False if fails else open_answer
        return self._decided[1]

    def _is_contradictory(self, context: Context) -> bool:
        """Return whether a condition fails for each possible state, or each required value, of the key of a condition."""
        keys = Counter(test.key for test in self.tests)
        for test in self.tests:
            if keys[test.key] < 2 and not isinstance(context.keys.get(test.key), Part):
                continue
            values = test.required_values
            alternatives = [context.with_value(test.key, value) for value in values]
            if len(values) * len(self.tests) <= _COMPARED and all(
                any(other.holds(assumed) is False for other in self.tests)
                for assumed in alternatives or context.alternatives(test.key)
            ):
                return True
        return False

    def _resource_cover(self, request: Request, context: Context) -> tuple[Cover, Cover]:
        """Return the least and the most of the resources to which the statement applies."""
        if self._resources is None:
            return Cover.ALL, Cover.ALL
        if request.resource == "*":
            least = most = self._resources.covers_service(request.service, request.action_wild)
        else:
            least, most = self._resources.covers(request.parts, request.resource_wild, context)
        if self.statement.not_resource:
            return _LEAST_OUTSIDE[most], _MOST_OUTSIDE[least]
        return least, most

    def _action_cover(self, request: Request) -> tuple[Cover, Cover]:
        """Return the least and the most of the actions to which the statement applies."""
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
        return (_LEAST_OUTSIDE[cover], _MOST_OUTSIDE[cover]) if self.statement.not_action else (cover, cover)


def build_rules(policy: Policy, source: str = "") -> tuple[Rule, ...]:
    """Compile the statements of a policy.

    :arg source: the name of the policy, for messages.
    """
    complete = policy.kind != "session"
    return tuple(Rule(s, policy.has_variables, source, complete) for s in policy.statements)


@lru_cache(4)
def _compile_arn(resource: str) -> ArnGlob:
    """Compile the resource of a request. The result is cached, because all statements are compared with the same request."""
    return ArnGlob(literal_tokens(resource))


def _unknown_names(names: Mapping[str, str], context: Context) -> Iterator[str]:
    for key, name in names.items():
        if isinstance(context.get(key), Unknown):
            yield name
