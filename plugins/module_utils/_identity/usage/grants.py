# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Compare the permissions of a role with their use: used, unused and unseen actions. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..._policy.evaluation.evaluate import Layer, evaluate
from ..._policy.evaluation.request import Subject
from ..._policy.evaluation.rules import Request, Rule
from ..._policy.language.context import Context
from ..._policy.language.document import document_statements, load_document, parse_policy
from ..._policy.permissions.catalogue import Catalogue, is_name
from ..._policy.permissions.permissions import NamedPolicy, permission_layers, pod_context
from .actions import is_unseen

_ESCAPE = re.compile(r"\$\{([*?$])\}")


@dataclass(frozen=True)
class RoleGrants:
    """The policies of a role, for one service account that uses it.

    ``session`` is the session policy of its association. ``subject`` and ``role_tags`` are the values of condition keys in
    its requests.
    """

    role_arn: str
    identity: tuple[NamedPolicy, ...]
    boundary: NamedPolicy | None = None
    session: NamedPolicy | None = None
    subject: Subject = field(default_factory=Subject)
    role_tags: Mapping[str, str] = field(default_factory=dict)

    # The class has no slots, because cached properties need a __dict__.
    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Return the compiled policies. Raises PolicyError."""
        return permission_layers(self.identity, self.boundary, self.session)

    @cached_property
    def context(self) -> Context:
        return pod_context(self.subject, self.role_tags)

    def decision(self, action: str, resource: str) -> str:
        """Return the decision on a request: "allowed", "conditional", "implicit_deny" or "explicit_deny"."""
        return evaluate(self.layers, use_request(action, resource), self.context).decision


def use_request(action: str, resource: str) -> Request:
    """Return the request for an action on a resource. The resource is in the syntax of policies.

    Escaped wildcards become literal characters, unless the resource also has wildcards.
    """
    is_pattern = not is_name(_ESCAPE.sub("", resource))
    return Request(action, _ESCAPE.sub(r"\1", resource), literal=not is_pattern and resource != "*")


@dataclass(frozen=True, slots=True)
class GrantStatement:
    """A statement of a policy as its author wrote it, with its compiled form.

    ``policy`` is the name of the policy. ``legacy`` means that the policy does not have Version 2012-10-17, so
    "${...}" in it is literal.
    """

    policy: str
    content: Mapping[str, Any]
    rule: Rule
    legacy: bool

    @property
    def label(self) -> str:
        return self.rule.statement.label

    @property
    def allow(self) -> bool:
        return self.rule.allow

    @property
    def resources(self) -> list[str]:
        """Return the resources for a report; an exclamation mark means NotResource."""
        statement = self.rule.statement
        mark = "!" if statement.not_resource else ""
        return [f"{mark}{resource}" for resource in statement.resources or ()]

    def matches(self, action: str) -> bool:
        return self.rule.matches_action(Request(action, "*", literal=True))

    def grants(self, action: str, resource: str, context: Context) -> bool:
        """Return whether the statement allows a request, at least under its conditions."""
        request = use_request(action, resource)
        return self.allow and self.rule.concerns(request) and self.rule.applies(request, context) is not False

    def certainly_includes(self, action: str, resource: str, context: Context) -> bool:
        """Return whether the statement certainly includes the resource, whatever the values of unknown policy variables are."""
        return self.rule.matches_resource(use_request(action, resource), context) is True


def grant_statements(policies: Sequence[NamedPolicy], kind: str = "identity") -> list[GrantStatement]:
    """Return the statements of policies. Raises PolicyError.

    :arg kind: "identity" or "session".
    """
    found = []
    for policy in policies:
        parsed = parse_policy(policy.document, kind)
        contents = document_statements(load_document(policy.document))
        for statement, content in zip(parsed.statements, contents, strict=True):
            rule = Rule(statement, parsed.has_variables, policy.name, kind != "session")
            # parse_policy has refused statements that are not mappings.
            if isinstance(content, Mapping):
                found.append(GrantStatement(policy.name, content, rule, not parsed.has_variables))
    return found


@dataclass(frozen=True, slots=True)
class ActionGrant:
    """An action pattern of an Allow statement, with the actions that it matches.

    ``pattern`` is "NotAction" for a statement with NotAction. ``unseen`` are actions that can be in use although no event
    shows it (see ``is_unseen``).
    """

    statement: GrantStatement
    pattern: str
    used: tuple[str, ...]
    unused: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def too_wide(self) -> bool:
        """Return whether the pattern is not limited to one service, so that a suggestion does not keep its unseen actions."""
        return self.pattern == "NotAction" or not is_name(self.pattern.partition(":")[0])


def find_grants(
    statements: Sequence[GrantStatement],
    used: Collection[str],
    data_services: frozenset[str],
    catalogue: Catalogue,
) -> Iterator[ActionGrant]:
    """Yield the granted action patterns, in the order of the statements.

    :arg used: the actions that were used with the role.
    """
    for statement in statements:
        if not statement.allow:
            continue
        for pattern, actions in _patterns(statement, catalogue):
            seen = tuple(action for action in actions if action in used)
            rest = [action for action in actions if action not in used]
            unseen = tuple(action for action in rest if is_unseen(action, data_services))
            unused = tuple(action for action in rest if action not in unseen)
            yield ActionGrant(statement, pattern, seen, unused, unseen)


def _patterns(statement: GrantStatement, catalogue: Catalogue) -> Iterator[tuple[str, list[str]]]:
    """Yield the action patterns of a statement, each with the actions that it matches. NotAction counts as one pattern."""
    parsed = statement.rule.statement
    if parsed.not_action:
        every = (action for name in catalogue.service_names for action in catalogue.service_actions(name))
        yield "NotAction", [action for action in every if statement.matches(action)]
        return
    for pattern in parsed.actions:
        service, _colon, name = pattern.lower().partition(":")
        if is_name(pattern):
            spelling = catalogue.spelling(pattern)
            yield pattern, [spelling or pattern]
            continue
        services = [service] if is_name(service) else catalogue.service_names
        # The pattern "*" has no colon, so ``name`` is empty.
        expression = re.compile(_as_expression(f"{service}:{name}" if name else "*:*"))
        every = (action for service_name in services for action in catalogue.service_actions(service_name))
        yield pattern, [action for action in every if expression.fullmatch(action.lower())]


def _as_expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
