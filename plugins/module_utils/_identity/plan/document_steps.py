# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a policy document gives and takes beside another one, statement by statement. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TypeAlias

from ..._policy.evaluation.rules import Request, Rule, rules_of
from ..._policy.language.context import Context
from ..._policy.language.document import PolicyError, parse_policy
from ..model.targets import Step

Statement: TypeAlias = Mapping[str, object]
# What may grow in a statement without anything being lost.
_LISTS = ("Action", "Resource")
# Of actions with resources that are compared by their wildcards; above it by their text.
_MOST_PAIRS = 4096


def gives(present: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Whether the wanted document allows something that the present one does not, as far as statements tell."""
    return allows_more(present, wanted) or denies_more(present=wanted, wanted=present)


def allows_more(present: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Return whether an Allow of the wanted document is not covered by the present one, whatever is denied."""
    return any(not _is_covered(statement, _allows(present)) for statement in _allows(wanted))


def denies_more(present: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Return whether the wanted document has a Deny that the present one does not have."""
    return any(statement not in _denies(present) for statement in _denies(wanted))


def denies(document: Mapping[str, object]) -> bool:
    """Return whether a document denies something."""
    return bool(_denies(document))


def only_denies(document: Mapping[str, object]) -> bool:
    """Return whether a document allows nothing and denies something."""
    return bool(_denies(document)) and not _allows(document)


def takes(present: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Whether the wanted document lacks something that the present one allows."""
    return gives(present=wanted, wanted=present)


def steps(
    present: Mapping[str, object], wanted: Mapping[str, object]
) -> list[tuple[Step, Mapping[str, object]]]:
    """Return the documents on the way to the wanted one, the last of which it is: first all that either denies, then all that
    either allows, then no more than the wanted one allows, and at the end no more than it denies. Where policy variables mean
    something else in the two documents, there is one step.
    """
    if present.get("Version") != wanted.get("Version"):
        return [("", wanted)]
    allowed = _allows(wanted)
    sids = {statement.get("Sid") for statement in _statements(wanted)} - {None}
    kept_allows = [
        _without_sid(statement, sids) for statement in _allows(present) if not _is_covered(statement, allowed)
    ]
    kept_denies = [
        _without_sid(statement, sids) for statement in _denies(present) if statement not in _denies(wanted)
    ]
    new_denies = [statement for statement in _denies(wanted) if statement not in _denies(present)]
    own = {statement.get("Sid") for statement in new_denies} - {None}
    restricted = [_without_sid(statement, own) for statement in _statements(present)]
    documents: list[tuple[Step, Mapping[str, object]]] = []
    if denies_more(present, wanted):
        documents.append(("restricts", {**wanted, "Statement": [*restricted, *new_denies]}))
    if allows_more(present, wanted):
        documents.append(
            ("", {**wanted, "Statement": [*allowed, *_denies(wanted), *kept_allows, *kept_denies]})
        )
    if allows_more(present=wanted, wanted=present):
        documents.append(("takes", {**wanted, "Statement": [*allowed, *_denies(wanted), *kept_denies]}))
    if denies_more(present=wanted, wanted=present):
        documents.append(("lifts", wanted))
    if not documents:
        return [("", wanted)]
    last, _document = documents[-1]
    return [*documents[:-1], (last, wanted)]


def _statements(document: Mapping[str, object]) -> list[Statement]:
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return [statement for statement in listed if isinstance(statement, Mapping)]


def _allows(document: Mapping[str, object]) -> list[Statement]:
    return [statement for statement in _statements(document) if statement.get("Effect") == "Allow"]


def _denies(document: Mapping[str, object]) -> list[Statement]:
    return [statement for statement in _statements(document) if statement.get("Effect") != "Allow"]


def _is_covered(statement: Statement, others: Iterable[Statement]) -> bool:
    """Whether one of the others is the same, or the same with more actions or resources."""
    return any(_rest(statement) == _rest(other) and _is_within(statement, other) for other in others)


def _rest(statement: Statement) -> dict[str, object]:
    return {name: value for name, value in statement.items() if name not in (*_LISTS, "Sid")}


def _is_within(statement: Statement, other: Statement) -> bool:
    as_text = all(
        (name in statement) == (name in other) and _listed(statement, name) <= _listed(other, name)
        for name in _LISTS
    )
    return as_text or _is_within_wildcards(statement, other)


def _is_within_wildcards(statement: Statement, other: Statement) -> bool:
    """Whether the other one's wildcards cover each action on each resource: ``sqs:*`` covers ``sqs:SendMessage``."""
    if any(name not in each for name in _LISTS for each in (statement, other)):
        return False
    actions, resources = (_listed(statement, name) for name in _LISTS)
    if len(actions) * len(resources) > _MOST_PAIRS or any("${" in resource for resource in resources):
        return False
    try:
        [rule] = rules_of(parse_policy({"Version": "2012-10-17", "Statement": [_plain(other)]}))
    except PolicyError:
        return False
    everywhere = "*" in _listed(other, "Resource")
    return all(
        _covers(rule, action, resource, everywhere) for action, resource in product(actions, resources)
    )


def _plain(statement: Statement) -> dict[str, object]:
    return {"Effect": "Allow", **{name: statement[name] for name in _LISTS}}


def _covers(rule: Rule, action: str, resource: str, everywhere: bool) -> bool:
    request = Request(action, resource)
    if not rule.means_action(request):
        return False
    # "*" asks a rule for what has no resource; here it stands for every one.
    return everywhere if resource == "*" else rule.means_resource(request, Context()) is True


def _listed(statement: Statement, name: str) -> set[str]:
    value = statement.get(name, [])
    return set(map(str, value)) if isinstance(value, list) else {str(value)}


def _without_sid(statement: Statement, taken: set[object]) -> Statement:
    """IAM wants every Sid once."""
    if statement.get("Sid") not in taken:
        return statement
    return {name: value for name, value in statement.items() if name != "Sid"}
