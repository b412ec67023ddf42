# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Edits of a trust policy as data. Each keeps all that it does not speak of as the author wrote it.

With every edit comes what it admits: statements that together match every request that the edited policy may let in
and the policy before did not. Who can make such requests is worked out in admission.py.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..evaluation.request import ACTIONS
from ..language.document import Statement
from .inquiry import Remedy

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A document under edit. ``slots`` has, for each statement of the original, what stands in its place now, and a last
    slot for what is added. ``edits`` says in words what was done; ``admits`` are the statements described above."""

    whole: Mapping[str, object]
    slots: tuple[tuple[Document, ...], ...]
    edits: tuple[str, ...] = ()
    admits: tuple[Document, ...] = ()

    @property
    def document(self) -> Document:
        return {**self.whole, "Statement": [statement for slot in self.slots for statement in slot]}

    def at(self, statement: Statement) -> Document | None:
        """What stands in the place of one statement, when that is one statement still."""
        slot = self.slots[statement.index - 1]
        return slot[0] if len(slot) == 1 else None

    def put(
        self,
        statement: Statement | None,
        slot: Sequence[Document],
        edit: str,
        admits: Sequence[Document] = (),
    ) -> Draft:
        """Replace a statement (None: add to the end)."""
        at = statement.index - 1 if statement is not None else len(self.slots) - 1
        placed = (*self.slots[at], *slot) if statement is None else tuple(slot)
        return replace(
            self,
            slots=(*self.slots[:at], placed, *self.slots[at + 1 :]),
            edits=(*self.edits, edit),
            admits=(*self.admits, *admits),
        )

    def free_sid(self, wanted: str) -> str:
        """The Sid, or with the first number behind it that no statement has."""
        taken = {statement.get("Sid") for slot in self.slots for statement in slot}
        names = (wanted if number == 1 else f"{wanted}{number}" for number in range(1, len(taken) + 3))
        return next(name for name in names if name not in taken)


def draft_of(document: Mapping[str, object]) -> Draft:
    copied: Document = copy.deepcopy(dict(document))
    given = copied["Statement"]
    statements = list(given) if isinstance(given, list | tuple) else [given]
    return Draft(copied, (*((statement,) for statement in statements), ()))


def add_statement(draft: Draft, remedy: Remedy) -> Draft:
    """A statement for the workload, as narrow as what is known of it allows."""
    statement: Document = {
        "Sid": draft.free_sid(remedy.sid),
        "Effect": "Allow",
        "Principal": dict(remedy.principal),
        "Action": list(ACTIONS),
    }
    if remedy.equals:
        statement["Condition"] = {"StringEquals": dict(remedy.equals)}
    whom = "this workload alone" if remedy.identity else "what is known of this workload"
    return draft.put(None, [statement], f"Add a statement for {whom}.", [statement])


def add_actions(draft: Draft, statement: Statement, missing: Sequence[str]) -> Draft | None:
    """The actions that a statement lacks."""
    present = draft.at(statement)
    if present is None or not missing:
        return None
    names = " and ".join(missing)
    edited = {**present, "Action": [*as_list(present["Action"]), *missing]}
    words = f"Add {names} to the actions of {statement.label}."
    gained = {**present, "Action": list(missing)}
    return draft.put(statement, [edited], words, [gained])


def add_value(
    draft: Draft, statement: Statement, condition: tuple[str, str], value: str, actions: Sequence[str]
) -> Draft | None:
    """A value beside those that a condition (operator, key) asks for; with it the statement matches also for it."""
    present = draft.at(statement)
    place = find_condition(present, *condition) if present is not None else None
    if present is None or place is None:
        return None
    operator, key = place
    given = as_list(present["Condition"][operator][key])
    edited = with_condition(present, operator, key, [*given, value])
    gained = with_condition(present, operator, key, value)
    if statement.effect == "Deny":
        released = require(_without_key(present, operator, key), _positive(condition[0]), key, value)
        gained = {**released, "Effect": "Allow", "Action": list(actions)}
    words = f"Add {value!r} to {operator} {key} of {statement.label}."
    return draft.put(statement, [edited], words, [gained])


def rename_service(draft: Draft, statement: Statement, wrong: Sequence[str], right: str) -> Draft | None:
    """The right service in the place of misspelt ones, with the statement's conditions."""
    present = draft.at(statement)
    if present is None or not isinstance(present.get("Principal"), dict):
        return None
    principal = present["Principal"]
    services = [right if name in wrong else name for name in as_list(principal.get("Service", []))]
    named = list(dict.fromkeys(services))
    edited = {**present, "Principal": {**principal, "Service": named[0] if len(named) == 1 else named}}
    words = f"Write {right} in the place of {', '.join(wrong)} in {statement.label}."
    return draft.put(statement, [edited], words, [{**present, "Principal": {"Service": right}}])


def drop_principals(
    draft: Draft, statement: Statement, unwanted: Sequence[tuple[str, str]], why: str
) -> Draft:
    """Principals that mean nobody taken out, and the statement with its last one."""
    present = draft.at(statement)
    if present is None or not isinstance(present.get("Principal"), dict):
        return draft
    kept: Document = {}
    for kind, given in present["Principal"].items():
        values = [value for value in as_list(given) if (kind, value) not in unwanted]
        if values:
            kept[kind] = given if values == as_list(given) else values[0] if len(values) == 1 else values
    names = ", ".join(value for _kind, value in unwanted)
    if kept:
        return draft.put(
            statement, [{**present, "Principal": kept}], f"Take {names} out of {statement.label}: {why}."
        )
    return draft.put(statement, [], f"Remove {statement.label}, which only names {names}: {why}.")


def exempt(
    draft: Draft, statement: Statement, pins: Sequence[tuple[str, str, str]], freed: bool
) -> Draft | None:
    """A Deny that no longer concerns requests in which all ``pins`` hold: one copy a pin, in which it does not hold.

    :arg pins: negated operator, key and value of each.
    :arg freed: whether requests with all pins may be others than the workload's.
    """
    present = draft.at(statement)
    if present is None or not pins:
        return None
    copies: list[Document] = []
    released = present
    for operator, key, value in pins:
        released = require(released, _positive(operator), key, value)
        listed = _listed(present, key, value)
        if listed is not None:
            rest = [each for each in as_list(present["Condition"][listed[0]][listed[1]]) if each != value]
            if rest:
                copies.append(with_condition(present, *listed, rest[0] if len(rest) == 1 else rest))
            continue
        negated = find_condition(present, operator, key)
        if negated is not None:
            held = as_list(present["Condition"][negated[0]][negated[1]])
            copies.append(with_condition(present, *negated, [*held, value]))
        else:
            copies.append(with_condition(present, operator, key, value))
    named = [_named(draft, copy, number) for number, copy in enumerate(copies)]
    keys = ", ".join(key for _operator, key, _value in pins)
    if not named:
        words = f"Remove {statement.label}, which only concerns this workload."
    else:
        words = f"Leave this workload out of {statement.label}"
        words += (
            f", which becomes {len(named)} statements, one for each of {keys}." if len(named) > 1 else "."
        )
    admits = [{**released, "Effect": "Allow", "Action": list(ACTIONS)}] if freed else []
    return draft.put(statement, named, words, admits)


def require(statement: Mapping[str, Any], operator: str, key: str, value: str) -> Document:
    """The statement with one more condition."""
    place = find_condition(statement, operator, key) or (operator, key)
    return with_condition(statement, *place, value)


def find_condition(statement: Mapping[str, Any], operator: str, key: str) -> tuple[str, str] | None:
    """Where a condition stands, in the author's letter case."""
    for name, keys in statement.get("Condition", {}).items():
        if name.lower() == operator.lower():
            return next(((name, each) for each in keys if each.lower() == key.lower()), None)
    return None


def with_condition(statement: Mapping[str, Any], operator: str, key: str, value: object) -> Document:
    """The statement with these values for a condition, in the place of any before."""
    block = statement.get("Condition", {})
    name = next((each for each in block if each.lower() == operator.lower()), operator)
    return {**statement, "Condition": {**block, name: {**block.get(name, {}), key: value}}}


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _listed(statement: Mapping[str, Any], key: str, value: str) -> tuple[str, str] | None:
    """Where a condition asks for the value among others, so that it can be taken out of the list."""
    for operator in ("StringEquals", "StringLike"):
        place = find_condition(statement, operator, key)
        if place is not None:
            values = as_list(statement["Condition"][place[0]][place[1]])
            plain = operator == "StringEquals" or not any(sign in "".join(values) for sign in "*?$")
            return place if plain and value in values else None
    return None


def _positive(operator: str) -> str:
    """The operator that asks for exactly what a negated one excludes."""
    return "ArnEquals" if operator.startswith("Arn") else "StringEquals"


def _named(draft: Draft, statement: Document, number: int) -> Document:
    if number == 0 or "Sid" not in statement:
        return statement
    return {**statement, "Sid": draft.free_sid(f"{statement['Sid']}Unless{number}")}


def _without_key(statement: Mapping[str, Any], operator: str, key: str) -> Document:
    block = {name: dict(keys) for name, keys in statement.get("Condition", {}).items()}
    del block[operator][key]
    return {**statement, "Condition": {name: keys for name, keys in block.items() if keys}}
