# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate the effective permissions of roles, and store each policy and each result only once.

The effective permissions depend on the policies, and on the values of the condition keys that these policies compare. Service
accounts for which both are equal share one ``Profile``, so their permissions are evaluated once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast

from ..._policy.evaluation.evaluate import Layer
from ..._policy.evaluation.rules import Rule, build_rules
from ..._policy.language.context import Context
from ..._policy.language.document import Policy, PolicyError, document_statements, parse_policy
from ..._policy.permissions.catalogue import Catalogue
from ..._policy.permissions.escalation import Escalation, EscalationFinder
from ..._policy.permissions.levels import (
    EVERY_SERVICE,
    Cell,
    CellMemo,
    context_signature,
    summarise_access,
)
from ..._policy.permissions.permissions import IDENTITY
from ..model.access import RoleFacts
from ..model.associations import ObservedAssociation
from ..model.names import is_aws_managed
from ..model.observed import Document
from .rules import UNREAD_RULE, AccessRule, RoleRules, reduce_layers

PolicyKind = Literal["aws", "customer", "inline", "session"]
SESSION_POLICY_NAME = "session policy of the association"
# A Deny of everything under an unknown condition, because a policy that was not read may deny it.
(_UNREAD,) = build_rules(
    parse_policy(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Action": "*",
                    "Resource": "*",
                    "Condition": {"Bool": dict.fromkeys(UNREAD_RULE.keys, "true")},
                },
            ],
        },
        "identity",
    )
)


@dataclass(frozen=True, eq=False)
class CompiledPolicy:
    """A policy of the report, compiled for evaluation.

    ``name`` is the ARN of a managed policy, otherwise a name for messages. ``rules`` are its statements, compiled, and
    ``statements`` the same for a report. If the document cannot be parsed, ``is_parsed`` is false, and both are empty.
    """

    name: str
    kind: PolicyKind
    is_parsed: bool = False
    rules: tuple[Rule, ...] = ()
    statements: Sequence[Mapping[str, Any]] = ()


# The place of a statement: its policy, and its position in this policy, from 0.
StatementPlace: TypeAlias = tuple[CompiledPolicy, int]


@dataclass(eq=False)
class Profile:
    """The effective permissions of a role, which other roles and service accounts can share.

    ``layers`` are the compiled policies: identity policies, then the permissions boundary and the session policy, if they exist
    and could be parsed. ``context`` has the condition keys of the requests. ``policies`` are the identity policies. ``unread``
    has the policies that could not be read or parsed, each as the name of its layer and the name of the policy. Each of them may
    deny every request, so with one of them the first layer has a Deny under an unknown condition. ``tables`` has the caches that
    all profiles share.
    """

    layers: tuple[Layer, ...]
    context: Context
    policies: tuple[CompiledPolicy, ...]
    boundary: CompiledPolicy | None
    session: CompiledPolicy | None
    unread: tuple[tuple[str, str], ...]
    tables: AccessTables = field(repr=False)

    @cached_property
    def rules(self) -> RoleRules:
        return reduce_layers(self.layers, self.context, self.unread, self.tables.reduced)

    @cached_property
    def cells(self) -> list[Cell]:
        return summarise_access(self.layers, self.context, self.tables.catalogue, self.tables.memo)

    @cached_property
    def escalations(self) -> list[Escalation]:
        return EscalationFinder(self.layers, self.context, self.tables.catalogue).find()

    def cell(self, service: str) -> Cell | None:
        """Return the cell of a service, or else the cell for all other services; None without either."""
        found = {cell.service: cell for cell in self.cells}
        return found.get(service, found.get(EVERY_SERVICE))

    def statements(self, service: str) -> tuple[Rule, ...]:
        """Return the statements that give access to a service."""
        cell = self.cell(service)
        return cell.rules if cell is not None else ()


@dataclass
class AccessTables:
    """The compiled policies and the profiles of a report, each of them only once.

    ``_by_document`` has the policies by name, kind and document, ``_places`` the place of each statement by the identity of the
    object, and ``_by_layers`` the profiles by their policies and the states of the condition keys. ``memo`` has cells, and
    ``reduced`` the rules of each statement with these states.
    """

    catalogue: Catalogue
    _by_document: dict[tuple[str, str, str], CompiledPolicy] = field(default_factory=dict)
    _places: dict[int, StatementPlace] = field(default_factory=dict)
    _by_layers: dict[object, Profile] = field(default_factory=dict)
    memo: CellMemo = field(default_factory=dict)
    reduced: dict[object, tuple[AccessRule, ...]] = field(default_factory=dict)

    def profile(
        self, role: RoleFacts, context: Context, association: ObservedAssociation | None = None
    ) -> Profile:
        """Return the effective permissions of a role whose state is "read".

        :arg context: the condition keys of the requests of the role.
        :arg association: the association whose session policy limits the permissions; None for no association.
        """
        identity = tuple(self.policy(title, document, _kind(title)) for title, document in role.policies)
        boundary = self.policy(*role.boundary, _kind(role.boundary[0])) if role.boundary else None
        session_policy = association.session_policy if association is not None else None
        session = self.policy(SESSION_POLICY_NAME, session_policy, "session") if session_policy else None
        limits = [policy for policy in (boundary, session) if policy is not None]
        unread = [(IDENTITY if layer == "identity" else title, title) for layer, title in role.unread]
        unread += [(IDENTITY, policy.name) for policy in identity if not policy.is_parsed]
        unread += [(policy.name, policy.name) for policy in limits if not policy.is_parsed]
        granted = [*(policy.rules for policy in identity), (_UNREAD,) if unread else ()]
        layers = (
            Layer(IDENTITY, tuple(rule for rules in granted for rule in rules)),
            *(Layer(policy.name, policy.rules) for policy in limits if policy.is_parsed),
        )
        signature = context_signature((rule for layer in layers for rule in layer.rules), context)
        key = identity, boundary, session, tuple(unread), signature
        if key not in self._by_layers:
            self._by_layers[key] = Profile(layers, context, identity, boundary, session, tuple(unread), self)
        return self._by_layers[key]

    def policy(self, name: str, document: Document, kind: PolicyKind) -> CompiledPolicy:
        """Compile a policy, or return it if the tables have it. Equal session policies of several associations are one policy."""
        key = "" if kind == "session" else name, kind, json.dumps(document, sort_keys=True, default=str)
        if key not in self._by_document:
            compiled = CompiledPolicy(name, kind)
            with suppress(PolicyError):
                parsed = parse_policy(document, "session" if kind == "session" else "identity")
                rules, rows = build_rules(parsed, name), statement_rows(parsed, document)
                compiled = CompiledPolicy(name, kind, True, rules, rows)
            self._by_document[key] = compiled
            self._places |= {id(rule): (compiled, rule.statement.index - 1) for rule in compiled.rules}
        return self._by_document[key]

    def places(self, rules: Iterable[Rule | None]) -> list[StatementPlace]:
        """Return the places of compiled statements, without duplicates. A statement that is not in the tables has no place."""
        found = (self._places.get(id(rule)) for rule in rules)
        return list(dict.fromkeys(place for place in found if place is not None))


def statement_rows(policy: Policy, document: Document) -> list[dict[str, Any]]:
    """Return the statements of a policy for a report, each with a label instead of its Sid."""
    documents = cast("list[Mapping[str, Any]]", document_statements(document))
    return [
        {"label": statement.label} | {name: value for name, value in row.items() if name != "Sid"}
        for statement, row in zip(policy.statements, documents, strict=True)
    ]


def _kind(name: str) -> PolicyKind:
    if not name.startswith("arn:"):
        return "inline"
    return "aws" if is_aws_managed(name) else "customer"
