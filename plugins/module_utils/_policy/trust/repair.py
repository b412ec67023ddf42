# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Edits of a trust policy that may make it usable for a workload, as data. Each keeps the rest as the author wrote it.

With every edit come the requests that it admits: statements that together match every request that the edited policy may
allow and the policy before did not. ``suggestions`` evaluates the results, and finds out who else can send such requests.

Mends replace what IAM rejects by a form with the same meaning that IAM stores. A part without such a form stays, and the
document stays rejected.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..evaluation.request import ACTIONS, SERVICE
from ..evaluation.rules import Rule
from ..grammar.elements import SERVICES, TRUST_ACTIONS, is_refused_in_trust, principal_reasons
from ..language.conditions import Test, describe_action
from ..language.context import Context
from ..language.document import Statement
from ..language.match import Glob, Wild, tokenize
from ..language.operators import NEGATED
from .diagnose import lookalikes
from .trust import Inquiry, Remedy

RawDocument: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrustDraft:
    """A document under edit. ``slots`` has, for each statement of the original, what stands in its place now, and a last
    slot for what is added. ``edits`` says in words what was done; ``admits`` are the statements described above."""

    whole: Mapping[str, object]
    slots: tuple[tuple[RawDocument, ...], ...]
    edits: tuple[str, ...] = ()
    admits: tuple[RawDocument, ...] = ()

    @property
    def document(self) -> RawDocument:
        return {**self.whole, "Statement": [statement for slot in self.slots for statement in slot]}

    def at(self, statement: Statement) -> RawDocument | None:
        """What stands in the place of one statement, when that is one statement still."""
        slot = self.slots[statement.index - 1]
        return slot[0] if len(slot) == 1 else None

    def put(
        self,
        statement: Statement | None,
        slot: Sequence[RawDocument],
        edit: str,
        admits: Sequence[RawDocument] = (),
    ) -> TrustDraft:
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


def _draft_of(document: Mapping[str, object]) -> TrustDraft:
    copied: RawDocument = copy.deepcopy(dict(document))
    given = copied["Statement"]
    statements = list(given) if isinstance(given, list | tuple) else [given]
    return TrustDraft(copied, (*((statement,) for statement in statements), ()))


def _add_statement(draft: TrustDraft, remedy: Remedy) -> TrustDraft:
    """A statement for the workload, as narrow as what is known of it allows."""
    statement: RawDocument = {
        "Sid": draft.free_sid(remedy.sid),
        "Effect": "Allow",
        "Principal": dict(remedy.principal),
        "Action": list(ACTIONS),
    }
    if remedy.equals:
        statement["Condition"] = {"StringEquals": dict(remedy.equals)}
    whom = "this workload alone" if remedy.identity else "what is known of this workload"
    return draft.put(None, [statement], f"Add a statement for {whom}.", [statement])


def _add_actions(draft: TrustDraft, statement: Statement, missing: Sequence[str]) -> TrustDraft | None:
    """The actions that a statement lacks."""
    present = draft.at(statement)
    if present is None or not missing:
        return None
    names = " and ".join(missing)
    edited = {**present, "Action": [*as_list(present["Action"]), *missing]}
    words = f"Add {names} to the actions of {statement.label}."
    gained = {**present, "Action": list(missing)}
    return draft.put(statement, [edited], words, [gained])


def _add_value(
    draft: TrustDraft, statement: Statement, condition: tuple[str, str], value: str, actions: Sequence[str]
) -> TrustDraft | None:
    """A value beside those that a condition (operator, key) asks for; with it the statement matches also for it."""
    present = draft.at(statement)
    place = _find_condition(present, *condition) if present is not None else None
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


def _rename_service(
    draft: TrustDraft, statement: Statement, wrong: Sequence[str], right: str
) -> TrustDraft | None:
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


def _drop_principals(
    draft: TrustDraft, statement: Statement, unwanted: Sequence[tuple[str, str]], why: str
) -> TrustDraft:
    """Principals that mean nobody taken out, and the statement with its last one."""
    present = draft.at(statement)
    if present is None or not isinstance(present.get("Principal"), dict):
        return draft
    kept: RawDocument = {}
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


def _exempt(
    draft: TrustDraft, statement: Statement, pins: Sequence[tuple[str, str, str]], freed: bool
) -> TrustDraft | None:
    """A Deny that no longer concerns requests in which all ``pins`` hold: one copy a pin, in which it does not hold.

    :arg pins: negated operator, key and value of each.
    :arg freed: whether requests with all pins may be others than the workload's.
    """
    present = draft.at(statement)
    if present is None or not pins:
        return None
    copies: list[RawDocument] = []
    released = present
    for operator, key, value in pins:
        released = require(released, _positive(operator), key, value)
        listed = _listed(present, key, value)
        if listed is not None:
            rest = [each for each in as_list(present["Condition"][listed[0]][listed[1]]) if each != value]
            if rest:
                copies.append(with_condition(present, *listed, rest[0] if len(rest) == 1 else rest))
            continue
        negated = _find_condition(present, operator, key)
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


def require(statement: Mapping[str, Any], operator: str, key: str, value: str) -> RawDocument:
    """The statement with one more condition."""
    place = _find_condition(statement, operator, key) or (operator, key)
    return with_condition(statement, *place, value)


def _find_condition(statement: Mapping[str, Any], operator: str, key: str) -> tuple[str, str] | None:
    """Where a condition stands, in the author's letter case."""
    for name, keys in statement.get("Condition", {}).items():
        if name.lower() == operator.lower():
            return next(((name, each) for each in keys if each.lower() == key.lower()), None)
    return None


def with_condition(statement: Mapping[str, Any], operator: str, key: str, value: object) -> RawDocument:
    """The statement with these values for a condition, in the place of any before."""
    block = statement.get("Condition", {})
    name = next((each for each in block if each.lower() == operator.lower()), operator)
    return {**statement, "Condition": {**block, name: {**block.get(name, {}), key: value}}}


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _listed(statement: Mapping[str, Any], key: str, value: str) -> tuple[str, str] | None:
    """Where a condition asks for the value among others, so that it can be taken out of the list."""
    for operator in ("StringEquals", "StringLike"):
        place = _find_condition(statement, operator, key)
        if place is not None:
            values = as_list(statement["Condition"][place[0]][place[1]])
            plain = operator == "StringEquals" or not any(sign in "".join(values) for sign in "*?$")
            return place if plain and value in values else None
    return None


def _positive(operator: str) -> str:
    """The operator that asks for exactly what a negated one excludes."""
    return "ArnEquals" if operator.startswith("Arn") else "StringEquals"


def _named(draft: TrustDraft, statement: RawDocument, number: int) -> RawDocument:
    if number == 0 or "Sid" not in statement:
        return statement
    return {**statement, "Sid": draft.free_sid(f"{statement['Sid']}Unless{number}")}


def _without_key(statement: Mapping[str, Any], operator: str, key: str) -> RawDocument:
    block = {name: dict(keys) for name, keys in statement.get("Condition", {}).items()}
    del block[operator][key]
    return {**statement, "Condition": {name: keys for name, keys in block.items() if keys}}


_SPELLING = {
    "sts:assumerole": "sts:AssumeRole",
    "sts:assumerolewithsaml": "sts:AssumeRoleWithSAML",
    "sts:assumerolewithwebidentity": "sts:AssumeRoleWithWebIdentity",
    "sts:tagsession": "sts:TagSession",
    "sts:setsourceidentity": "sts:SetSourceIdentity",
    "sts:setcontext": "sts:SetContext",
}


def mend(draft: TrustDraft, rules: tuple[Rule, ...]) -> TrustDraft:
    """The same meaning, without what IAM is certain to refuse."""
    if draft.whole.get("Id", "") is None:
        whole = {name: value for name, value in draft.whole.items() if name != "Id"}
        draft = replace(draft, whole=whole, edits=(*draft.edits, "Remove the Id, which is null."))
    for rule in rules:
        draft = _empty(draft, rule.statement)
        draft = _actions(draft, rule.statement)
        draft = _not_principal(draft, rule.statement)
        draft = _principals(draft, rule.statement)
        draft = _sid(draft, rule.statement)
    return draft


def _empty(draft: TrustDraft, statement: Statement) -> TrustDraft:
    """A Sid of null and operators without keys say nothing."""
    present = draft.at(statement)
    if present is None:
        return draft
    edited, removed = dict(present), []
    if edited.get("Sid", "") is None:
        del edited["Sid"]
        removed.append("the Sid, which is null,")
    block = present.get("Condition", {})
    without_keys = [name for name, keys in block.items() if not keys]
    if without_keys:
        edited["Condition"] = {name: keys for name, keys in block.items() if keys}
        removed.append(f"{', '.join(without_keys)}, which has no condition key,")
    if not removed:
        return draft
    return draft.put(statement, [edited], f"Take {' and '.join(removed)} out of {statement.label}.")


def _actions(draft: TrustDraft, statement: Statement) -> TrustDraft:
    present = draft.at(statement)
    foreign = [action for action in statement.actions if is_refused_in_trust(action)]
    if present is None or not (foreign or statement.not_action):
        return draft
    refused = ", ".join(map(describe_action, foreign))
    if statement.not_action:
        left_out = [_glob(action) for action in statement.actions]
        named = [_SPELLING[a] for a in sorted(TRUST_ACTIONS) if not any(glob.matches(a) for glob in left_out)]
        edited = {name: value for name, value in present.items() if name != "NotAction"}
        words = f"Name the actions of {statement.label}: IAM refuses NotAction in a trust policy."
        return draft.put(statement, [{**edited, "Action": named}] if named else [], words)
    kept = [action for action in statement.actions if action not in foreign]
    if kept:
        words = f"Take {refused} out of {statement.label}, where IAM refuses it."
        return draft.put(statement, [{**present, "Action": kept}], words)
    return draft.put(statement, [], f"Remove {statement.label}, which only has {refused}.")


def _not_principal(draft: TrustDraft, statement: Statement) -> TrustDraft:
    present = draft.at(statement)
    if present is None or not statement.not_principal:
        return draft
    if statement.effect == "Allow":
        return draft.put(
            statement,
            [],
            f"Remove {statement.label}: NotPrincipal with Allow grants nothing, and IAM refuses it.",
        )
    edited: RawDocument = {name: value for name, value in present.items() if name != "NotPrincipal"}
    edited["Principal"] = {"AWS": "*"}
    for kind, value in statement.principals or ():
        account = value.removesuffix(":root").rpartition(":")[2]
        if kind == "Service":
            edited = _besides(edited, "StringNotEquals", "aws:PrincipalServiceName", value)
        elif kind == "AWS" and account.isdigit():
            edited = _besides(edited, "StringNotEquals", "aws:PrincipalAccount", account)
        elif kind == "AWS" and ":role/" in value:
            edited = _besides(edited, "ArnNotEquals", "aws:PrincipalArn", value)
        else:
            return draft
    return draft.put(
        statement, [edited], f"Write the NotPrincipal of {statement.label}, which IAM refuses, as conditions."
    )


def _besides(statement: RawDocument, operator: str, key: str, value: str) -> RawDocument:
    given = statement.get("Condition", {}).get(operator, {}).get(key, [])
    return with_condition(statement, operator, key, [*as_list(given), value])


def _principals(draft: TrustDraft, statement: Statement) -> TrustDraft:
    """An Allow for principals that cannot be grants them nothing. A Deny is left alone."""
    if statement.not_principal or statement.effect != "Allow":
        return draft
    impossible = [
        pair
        for pair in statement.principals or ()
        if any(
            reason.certain
            for reason in principal_reasons(
                Statement(statement.index, None, "Allow", (), principals=(pair,)), existing=()
            )
        )
    ]
    return _drop_principals(draft, statement, impossible, "IAM refuses it") if impossible else draft


def _sid(draft: TrustDraft, statement: Statement) -> TrustDraft:
    present = draft.at(statement)
    if present is None or statement.sid is None:
        return draft
    before = [
        other.get("Sid")
        for slot in draft.slots[: statement.index - 1]
        for other in slot
        if other is not present
    ]
    if statement.sid not in before:
        return draft
    sid = draft.free_sid(statement.sid)
    return draft.put(
        statement, [{**present, "Sid": sid}], f"Give {statement.label} the Sid {sid!r}: Sids must be unique."
    )


def _glob(action: str) -> Glob:
    tokens = tokenize(action.lower(), variables=False, wildcards=True)
    return Glob(token for token in tokens if isinstance(token, str | Wild))


_OPEN_ENDED = ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike")
_TRIED = 6
_CLOSED = ("StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike")


def drafts(document: dict[str, object], rules: tuple[Rule, ...], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """Generate the documents to try, the kinds that are likely to let in the fewest others first.

    Wherever a workload can be let in alone, one of them does. Of the edits of single statements, only the first few are tried.
    """
    mended = mend(_draft_of(document), rules)
    bases = [mended]
    exempted = _exempted(mended, rules, inquiry)
    if exempted is not mended:
        bases = [exempted, *_with_own_value(mended, rules, inquiry)]
    for base in bases:
        yield base
        yield _add_statement(base, inquiry.remedy)
    edited = [
        draft
        for base in bases
        for draft in (*_completed(base, rules, inquiry), *_renamed(base, rules, inquiry))
    ]
    yield from sorted(edited, key=lambda draft: (_open_parts(draft, inquiry), len(draft.edits)))[:_TRIED]


def _open_parts(draft: TrustDraft, inquiry: Inquiry) -> int:
    """Count the parts of the workload's identity that the edits leave open."""
    return sum(
        place is None or as_list(statement["Condition"][place[0]][place[1]]) != [value]
        for statement in draft.admits
        for key, value in (inquiry.remedy.identity or inquiry.remedy.equals).items()
        for place in (_find_condition(statement, "StringEquals", key),)
    )


def _exempted(draft: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> TrustDraft:
    """The workload, and nobody else, left out of every Deny that keeps it out."""
    remedy = inquiry.remedy
    own = set(remedy.principal.items())
    allowed = {pair for rule in rules if rule.allow for pair in rule.statement.principals or ()}
    for rule in _in_the_way(rules, inquiry):
        statement = rule.statement
        pins = [("StringNotEquals", key, value) for key, value in (remedy.identity or remedy.equals).items()]
        # Other callers could give themselves the tags.
        if not pins or (allowed - own and set(statement.principals or ()) - own):
            pins.insert(0, remedy.caller)
        draft = _exempt(draft, statement, pins, freed=not remedy.identity) or draft
    return draft


def _with_own_value(draft: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """The workload's own value beside the exceptions that each Deny in the way makes already: shorter, and wider."""
    for rule in _in_the_way(rules, inquiry):
        choices = (_with_value(draft, rule, test, inquiry.context) for test in rule.tests)
        listed = next((choice for choice in choices if choice is not None), None)
        if listed is None:
            return
        draft = listed
    yield draft


def _in_the_way(rules: Sequence[Rule], inquiry: Inquiry) -> list[Rule]:
    context = inquiry.context
    return [
        rule
        for rule in rules
        if not rule.allow
        and any(rule.concerns(r) and rule.applies(r, context) is not False for r in inquiry.needed)
    ]


def _completed(base: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """A statement that means the caller, with the action or the one value that it lacks."""
    context = inquiry.context
    for rule in rules:
        if not rule.allow or not rule.matches_caller(inquiry.needed[0].caller):
            continue
        missing = _missing(rule, inquiry)
        failing = [test for test in rule.tests if test.holds(context) is False]
        if not failing and (completed := _add_actions(base, rule.statement, missing)) is not None:
            yield completed
        if len(failing) == 1 and (joined := _with_value(base, rule, failing[0], context)) is not None:
            yield _add_actions(joined, rule.statement, missing) or joined


def _renamed(base: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """Misspelt names of the service corrected, or taken out beside a statement for the workload alone.

    The name of a service that exists is left alone: others may use the role by it.
    """
    if "Service" not in inquiry.remedy.principal:
        return
    for rule in rules:
        wrong = [name for name in lookalikes(rule.statement) if name not in SERVICES]
        if not rule.allow or not wrong:
            continue
        renamed = _rename_service(base, rule.statement, wrong, SERVICE)
        if renamed is not None:
            yield _add_actions(renamed, rule.statement, _missing(rule, inquiry)) or renamed
        unwanted = [("Service", name) for name in wrong]
        yield _add_statement(
            _drop_principals(base, rule.statement, unwanted, "it is not the service of EKS Pod Identity"),
            inquiry.remedy,
        )


def _missing(rule: Rule, inquiry: Inquiry) -> list[str]:
    """The actions that a statement does not allow."""
    # One by one in the same order; a request without session tags is the first of them alone.
    pairs = zip(ACTIONS, inquiry.needed, strict=False)
    return [action for action, request in pairs if not rule.matches_action(request)]


def _with_value(base: TrustDraft, rule: Rule, test: Test, context: Context) -> TrustDraft | None:
    """The workload's own value beside those that a condition names."""
    condition = test.condition
    state = context.get(test.key)
    open_ended = _CLOSED if condition.base in NEGATED else _OPEN_ENDED
    if condition.base not in open_ended or condition.quantifier or rule.allow is (condition.base in NEGATED):
        return None
    if not isinstance(state, tuple) or len(state) != 1:
        return None
    return _add_value(base, rule.statement, (condition.operator, condition.key), state[0], ACTIONS)
