# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Suggest a policy with the permissions that a service account used, and check that it keeps all observed calls. Pure.

A suggested policy never allows more than the present policies: each of its statements has the conditions of a present
statement that allows the same requests, and all present Deny statements are copied. A suggested session policy is evaluated
together with the present policies, so it cannot allow more either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._policy.evaluation.evaluate import ALLOWED, Layer, evaluate
from ..._policy.evaluation.rules import CONDITIONAL
from ..._policy.grammar.storable import storability
from ..._policy.permissions.catalogue import Catalogue
from ..._policy.permissions.permissions import NamedPolicy, permission_layers
from ..model.usage import UsageForm
from .events import parent_pattern
from .grants import ActionGrant, GrantStatement, RoleGrants, find_grants, grant_statements, use_request
from .totals import NO_RESOURCE, ActionUse

SUGGESTED = "suggested policy"
NO_CALL = "No policy is suggested: no event shows an allowed action with this role."
NO_USE = (
    "No policy is suggested: the current policies of the role allow none of the observed calls. Other policies may allow them, "
    "such as a bucket policy."
)
LEGACY_VARIABLES = (
    "No policy is suggested: {policy} has ${{...}} and no Version 2012-10-17, so its text would have a different meaning in "
    "the suggested policy. Set Version to 2012-10-17 in that policy, check its variables, and run again."
)
NOT_PROVEN = (
    "No policy is suggested: it would not allow {action} on {resource}, which the service account used. Report this to the "
    "maintainers of workload_identity.aws, with the policies of the role."
)
TOO_WIDE = (
    "{policy}: {statement} allows {pattern}, which includes actions that no event shows, such as {example}. The suggested policy "
    "does not keep them. Before you use it, add the actions that the service account needs, or switch on data events and run "
    "again."
)


@dataclass(frozen=True, slots=True)
class UsageProof:
    """The result of evaluating the observed calls, each an action on a resource, with the suggested policy.

    ``allowed`` counts the calls that the suggested policy allows. ``conditional`` counts the calls that it allows under the
    conditions of the present policies. ``as_granted`` counts the calls whose exact resource is unknown; the policy keeps the
    present resources for their actions. ``elsewhere`` has the calls that the present policies of the role do not allow, such as
    those that a bucket policy allows. The suggested policy does not affect these calls.
    """

    allowed: int = 0
    conditional: int = 0
    as_granted: int = 0
    elsewhere: tuple[tuple[str, str], ...] = ()

    @property
    def calls(self) -> int:
        return self.allowed + self.conditional + self.as_granted + len(self.elsewhere)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A present statement, and the resources that the suggested policy keeps for its used actions."""

    statement: GrantStatement
    actions: tuple[str, ...]
    kept_resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicySuggestion:
    """A suggested policy. If no policy is suggested, ``document`` is None, and ``notes`` have the reason.

    ``removed`` has the granted actions that the policy no longer allows, ``narrowed`` the statements with fewer resources.
    ``refusals`` are reasons why IAM or EKS would not store the document.
    """

    form: UsageForm
    document: Mapping[str, object] | None
    proof: UsageProof = UsageProof()
    removed: tuple[ActionGrant, ...] = ()
    narrowed: tuple[Narrowing, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuggestionOptions:
    """The options of a suggestion.

    ``generalise`` replaces several resources with a pattern, if a present statement allows the pattern. ``keep_unseen`` keeps
    the actions that can be in use although no event shows them. ``data_services`` are the services with data events.
    """

    form: UsageForm = "policy"
    generalise: bool = False
    keep_unseen: bool = True
    data_services: frozenset[str] = frozenset()


class _Statements:
    """The statements of a suggested policy: the actions by resources and conditions."""

    def __init__(self) -> None:
        self._actions: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, action: str, resource: Mapping[str, object], condition: object) -> None:
        key = json.dumps(resource, sort_keys=True), json.dumps(condition, sort_keys=True)
        self._actions.setdefault(key, {})[action] = None

    def grouped(self) -> Iterator[dict[str, object]]:
        """Yield the statements. Resources with the same actions and conditions are in one statement."""
        groups: dict[tuple[tuple[str, ...], str], list[dict[str, Any]]] = {}
        for (resource, condition), actions in sorted(self._actions.items()):
            groups.setdefault((tuple(sorted(actions)), condition), []).append(json.loads(resource))
        for (names, condition), resources in sorted(groups.items(), key=lambda item: item[0]):
            plain = list(dict.fromkeys(text for item in resources for text in _texts(item.get("Resource"))))
            further = [item for item in resources if "Resource" not in item]
            parts: list[dict[str, object]] = [{"Resource": plain}] if plain else []
            for part in (*parts, *further):
                statement: dict[str, object] = {"Effect": "Allow", "Action": list(names), **part}
                if (content := json.loads(condition)) is not None:
                    statement["Condition"] = content
                yield statement


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(text) for text in value] if isinstance(value, list) else []


def suggest_policy(
    grants: RoleGrants, uses: Sequence[ActionUse], options: SuggestionOptions, catalogue: Catalogue
) -> PolicySuggestion:
    """Suggest a policy or session policy for the uses of a role.

    :raises PolicyError: when a policy of the role is malformed.
    """
    draft = _Draft(grants, options, catalogue)
    if legacy := draft.legacy:
        return PolicySuggestion(options.form, None, notes=(LEGACY_VARIABLES.format(policy=legacy),))
    for use in uses:
        draft.add(use)
    granted = list(find_grants(draft.sources, {use.action for use in uses}, options.data_services, catalogue))
    notes = draft.add_unseen(granted) if options.keep_unseen else []
    document = draft.document() if uses else None
    if document is None:
        return PolicySuggestion(
            options.form, None, removed=tuple(granted), notes=(NO_USE if uses else NO_CALL,)
        )
    proof = _prove(grants, uses, document, draft)
    if isinstance(proof, str):
        return PolicySuggestion(options.form, None, notes=(proof,))
    kind = "session" if options.form == "session_policy" else "managed"
    refusals = tuple(f"{reason.text}. {reason.remedy}" for reason in storability(document, kind).reasons)
    return PolicySuggestion(
        options.form,
        document,
        proof,
        tuple(grant for grant in granted if draft.loses(grant)),
        tuple(draft.narrowings(granted)),
        refusals,
        tuple(notes),
    )


class _Draft:
    """A policy under construction.

    ``sources`` are the statements of the session policy, if the draft replaces one, and otherwise of the identity policies.
    ``replaces`` is False for a first session policy, which is added to the present policies.
    ``whole`` has the actions that keep all present resources.
    """

    def __init__(self, grants: RoleGrants, options: SuggestionOptions, catalogue: Catalogue) -> None:
        self._grants = grants
        self._options = options
        self._catalogue = catalogue
        self.is_session = options.form == "session_policy"
        replaced = grants.session if self.is_session else None
        self.sources = (
            grant_statements([replaced], "session") if replaced else grant_statements(grants.identity)
        )
        # A first session policy only limits the present policies, which still apply, so its statements need no conditions.
        self.replaces = not self.is_session or replaced is not None
        self._statements = _Statements()
        self._resources: dict[str, set[str]] = {}
        self.whole: set[str] = set()
        self._kept_unseen: set[str] = set()

    @property
    def legacy(self) -> str:
        """Return the name of a policy with "${" and without Version 2012-10-17, or "".

        In the suggested policy, this literal text would become a policy variable.
        """
        marked = (item for item in self.sources if item.legacy and "${" in json.dumps(dict(item.content)))
        return next((item.policy for item in marked), "")

    def add(self, use: ActionUse) -> None:
        for resource in self._chosen(use):
            if resource == NO_RESOURCE:
                self._keep_whole(use.action)
            elif not self.replaces:
                self._add_call(use.action, resource, [None])
            else:
                self._add_granted(use.action, resource)

    def _add_granted(self, action: str, resource: str) -> None:
        """Add an action on a resource to the draft, with the conditions of the present statements that allow it."""
        context = self._grants.context
        granting = self._granting(action, resource)
        certain = [item for item in granting if item.certainly_includes(action, resource, context)]
        conditions = [item.content.get("Condition") or None for item in certain]
        if conditions:
            self._add_call(action, resource, conditions)
        if None not in conditions:
            # A policy variable decides whether these statements allow the resource, so their resources are kept.
            for item in granting:
                if item not in certain:
                    self._resources.setdefault(action, set()).update(item.resources)
                    self._copy(action, item)
        if not granting and not _is_literal(resource):
            # The present statements allow at most a part of the pattern.
            self._keep_whole(action)

    def _add_call(self, action: str, resource: str, conditions: Sequence[object]) -> None:
        self._resources.setdefault(action, set()).add(resource)
        # A statement without conditions includes the same statement with conditions.
        for condition in [None] if None in conditions else conditions:
            self._statements.add(action, {"Resource": resource}, condition)

    def _chosen(self, use: ActionUse) -> list[str]:
        """Return the resources of a use. With ``generalise``, replace several of them with a pattern that a statement allows."""
        resources = sorted(use.resources)
        if not self._options.generalise:
            return resources
        groups: dict[str, list[str]] = {}
        for resource in resources:
            groups.setdefault(parent_pattern(resource) if resource else "", []).append(resource)
        chosen: list[str] = []
        for pattern, members in groups.items():
            granting = [
                item
                for item in (self._granting(use.action, pattern) if pattern not in ("", "*") else ())
                if item.certainly_includes(use.action, pattern, self._grants.context)
            ]
            if len(members) < 2 or not granting:
                chosen += members
                continue
            unconditional = any(not item.content.get("Condition") for item in granting)
            chosen.append(pattern)
            # Keep a resource that a further statement allows, perhaps under other conditions.
            chosen += [
                member
                for member in members
                if not unconditional
                and any(item not in granting for item in self._granting(use.action, member))
            ]
        return chosen

    def _granting(self, action: str, resource: str) -> list[GrantStatement]:
        return [item for item in self.sources if item.grants(action, resource, self._grants.context)]

    def _keep_whole(self, action: str) -> None:
        """Keep the present statements for an action, because its used resources are not exactly known."""
        self.whole.add(action)
        granting = [item for item in self.sources if item.allow and item.matches(action)]
        for source in granting:
            self._copy(action, source)
        if not granting and not self.replaces:
            self._statements.add(action, {"Resource": "*"}, None)

    def _copy(self, action: str, source: GrantStatement) -> None:
        name = "NotResource" if source.rule.statement.not_resource else "Resource"
        resource = {name: _texts(source.content[name])}
        condition = source.content.get("Condition") or None
        self._statements.add(action, resource, condition if self.replaces else None)

    def add_unseen(self, granted: Iterable[ActionGrant]) -> list[str]:
        """Keep unseen actions. Return a note for each pattern that is too wide for its unseen actions to be kept."""
        notes = []
        for grant in granted:
            if not grant.unseen:
                continue
            if grant.too_wide:
                place = grant.statement
                notes.append(
                    TOO_WIDE.format(
                        policy=place.policy,
                        statement=place.label,
                        pattern="all actions except its NotAction"
                        if grant.pattern == "NotAction"
                        else grant.pattern,
                        example=grant.unseen[0],
                    )
                )
                continue
            self._kept_unseen.update(grant.unseen)
            whole = not grant.used and not grant.unused
            for action in [grant.pattern] if whole else grant.unseen:
                self._copy(action, grant.statement)
        return notes

    def document(self) -> dict[str, object] | None:
        """Return the policy document, or None without an Allow statement."""
        statements = list(self._statements.grouped())
        if not statements:
            return None
        denies = [
            {name: part for name, part in item.content.items() if name != "Sid"}
            for item in self.sources
            if not item.allow and self.replaces
        ]
        return {"Version": "2012-10-17", "Statement": [*statements, *denies]}

    def loses(self, grant: ActionGrant) -> bool:
        return bool(grant.unused) or not set(grant.unseen) <= self._kept_unseen

    def narrowings(self, granted: Iterable[ActionGrant]) -> Iterator[Narrowing]:
        """Yield the statements of which the policy does not keep all resources."""
        used: dict[int, dict[str, None]] = {}
        statements: dict[int, GrantStatement] = {}
        for grant in granted:
            place = id(grant.statement)
            statements[place] = grant.statement
            used.setdefault(place, {}).update(dict.fromkeys(grant.used))
        for place, statement in statements.items():
            actions = tuple(action for action in used[place] if action not in self.whole)
            kept_resources = {
                resource
                for action in actions
                for resource in self._resources.get(action, ())
                if resource in statement.resources or statement.grants(action, resource, self._grants.context)
            }
            if actions and kept_resources != set(statement.resources):
                yield Narrowing(statement, actions, tuple(sorted(kept_resources)))


def _is_literal(resource: str) -> bool:
    return resource == "*" or use_request("x:x", resource).resource_wild is False


def _prove(
    grants: RoleGrants,
    uses: Iterable[ActionUse],
    document: Mapping[str, object],
    draft: _Draft,
) -> UsageProof | str:
    """Evaluate the observed calls with the suggested policy. Return a message if it does not keep a call."""
    policy = NamedPolicy(SUGGESTED, document)
    if draft.is_session:
        layers: Sequence[Layer] = permission_layers(grants.identity, grants.boundary, policy)
    else:
        layers = permission_layers((policy,), grants.boundary, grants.session)
    allowed = conditional = as_granted = 0
    elsewhere: list[tuple[str, str]] = []
    for use in uses:
        is_granted = any(item.allow and item.matches(use.action) for item in draft.sources)
        for resource in sorted(use.resources):
            if resource == NO_RESOURCE or (use.action in draft.whole and not _is_literal(resource)):
                as_granted += is_granted
                elsewhere += [] if is_granted else [(use.action, resource)]
                continue
            request = use_request(use.action, resource)
            new_decision = evaluate(layers, request, grants.context).decision
            old_decision = grants.decision(use.action, resource)
            if new_decision == ALLOWED:
                allowed += 1
            elif new_decision == old_decision == CONDITIONAL:
                conditional += 1
            elif old_decision in (ALLOWED, CONDITIONAL) or (
                # A first session policy also limits calls that only a resource-based policy allows.
                not draft.replaces
                and evaluate(layers[-1:], request, grants.context).decision not in (ALLOWED, CONDITIONAL)
            ):
                return NOT_PROVEN.format(action=use.action, resource=resource)
            else:
                elsewhere.append((use.action, resource))
    return UsageProof(allowed, conditional, as_granted, tuple(elsewhere))
