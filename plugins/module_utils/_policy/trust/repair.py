# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Edit a trust policy to let a workload use the role.

A draft is an edited policy. It may still deny the workload, so suggestions.py evaluates each draft. The Allow statements in
``TrustDraft.admits`` match every request that the edited policy allows and the original policy does not. suggestions.py uses
them to find out which other callers the draft allows.

``mend`` removes elements that IAM rejects, or replaces them with equivalent elements that IAM accepts. An element without an
equivalent remains, and suggestions.py then drops the draft.
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
from ..language.match import compile_glob
from ..language.operators import NEGATED
from .diagnose import lookalikes
from .trust import Inquiry, Remedy

RawDocument: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrustDraft:
    """An edited trust policy.

    ``whole`` is the original document. ``slots`` has one tuple for each original statement, with the statements that replace
    it, and a last tuple with added statements. ``edits`` has a sentence about each edit. ``admits`` has Allow statements that
    match the requests that the edits additionally allow.
    """

    whole: Mapping[str, object]
    slots: tuple[tuple[RawDocument, ...], ...]
    edits: tuple[str, ...] = ()
    admits: tuple[RawDocument, ...] = ()

    @property
    def document(self) -> RawDocument:
        return {**self.whole, "Statement": [statement for slot in self.slots for statement in slot]}

    def current(self, statement: Statement) -> RawDocument | None:
        """Return the edited form of an original statement, or None if it was removed, or split into several statements."""
        slot = self.slots[statement.index - 1]
        return slot[0] if len(slot) == 1 else None

    def put(
        self,
        statement: Statement | None,
        slot: Sequence[RawDocument],
        edit: str,
        admits: Sequence[RawDocument] = (),
    ) -> TrustDraft:
        """Return a draft in which ``slot`` replaces a statement, or is added at the end if ``statement`` is None.

        :arg edit: a sentence that describes the edit.
        :arg admits: Allow statements that match the requests that the edit additionally allows.
        """
        index = statement.index - 1 if statement is not None else len(self.slots) - 1
        placed = (*self.slots[index], *slot) if statement is None else tuple(slot)
        return replace(
            self,
            slots=(*self.slots[:index], placed, *self.slots[index + 1 :]),
            edits=(*self.edits, edit),
            admits=(*self.admits, *admits),
        )

    def unused_sid(self, sid: str) -> str:
        """Return a Sid that no statement has: ``sid``, or ``sid`` followed by the lowest number that makes it unique."""
        used = {statement.get("Sid") for slot in self.slots for statement in slot}
        names = (sid if number == 1 else f"{sid}{number}" for number in range(1, len(used) + 3))
        return next(name for name in names if name not in used)


def _new_draft(document: Mapping[str, object]) -> TrustDraft:
    copied: RawDocument = copy.deepcopy(dict(document))
    statements = as_list(copied["Statement"])
    return TrustDraft(copied, (*((statement,) for statement in statements), ()))


def _add_statement(draft: TrustDraft, remedy: Remedy) -> TrustDraft:
    """Add a statement that allows the workload. Its conditions have all known values of the workload."""
    statement: RawDocument = {
        "Sid": draft.unused_sid(remedy.sid),
        "Effect": "Allow",
        "Principal": dict(remedy.principal),
        "Action": list(ACTIONS),
    }
    if remedy.equals:
        statement["Condition"] = {"StringEquals": dict(remedy.equals)}
    known = "the known values of this workload" if remedy.equals else ", ".join(remedy.principal.values())
    scope = "this workload alone" if remedy.identity else known
    return draft.put(None, [statement], f"Add a statement for {scope}.", [statement])


def _add_actions(draft: TrustDraft, statement: Statement, missing: Sequence[str]) -> TrustDraft | None:
    """Add actions to a statement, or return None if an earlier edit has split or removed it, or no action is missing."""
    present = draft.current(statement)
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
    """Add a value to a condition of a statement.

    An Allow then also matches requests with that value; a Deny with a negated operator no longer matches them.

    :arg condition: the operator and the key of the condition.
    :arg actions: for a Deny, the actions that the edit may additionally allow.
    :returns: None if the statement does not have the condition, or if an earlier edit has split or removed the statement.
    """
    present = draft.current(statement)
    place = _find_condition(present, *condition) if present is not None else None
    if present is None or place is None:
        return None
    operator, key = place
    values = as_list(present["Condition"][operator][key])
    edited = with_condition(present, operator, key, [*values, value])
    gained = with_condition(present, operator, key, value)
    if statement.effect == "Deny":
        # ``released`` matches the requests that the Deny no longer matches after the edit.
        released = require(_without_key(present, operator, key), _positive(condition[0]), key, value)
        gained = {**released, "Effect": "Allow", "Action": list(actions)}
    words = f"Add {value!r} to {operator} {key} of {statement.label}."
    return draft.put(statement, [edited], words, [gained])


def _rename_service(
    draft: TrustDraft, statement: Statement, wrong: Sequence[str], right: str
) -> TrustDraft | None:
    present = draft.current(statement)
    if present is None or not isinstance(present.get("Principal"), dict):
        return None
    principal = present["Principal"]
    services = [right if name in wrong else name for name in as_list(principal.get("Service", []))]
    unique = list(dict.fromkeys(services))
    edited = {**present, "Principal": {**principal, "Service": unique[0] if len(unique) == 1 else unique}}
    words = f"Replace {', '.join(wrong)} with {right} in {statement.label}."
    return draft.put(statement, [edited], words, [{**present, "Principal": {"Service": right}}])


def _drop_principals(
    draft: TrustDraft, statement: Statement, unwanted: Sequence[tuple[str, str]], reason: str
) -> TrustDraft:
    """Remove principals from a statement, or remove the statement if no principal would remain."""
    present = draft.current(statement)
    if present is None or not isinstance(present.get("Principal"), dict):
        return draft
    remaining: RawDocument = {}
    for kind, content in present["Principal"].items():
        values = [value for value in as_list(content) if (kind, value) not in unwanted]
        if values:
            remaining[kind] = (
                content if values == as_list(content) else values[0] if len(values) == 1 else values
            )
    names = ", ".join(value for _kind, value in unwanted)
    if remaining:
        return draft.put(
            statement,
            [{**present, "Principal": remaining}],
            f"Remove {names} from {statement.label}: {reason}.",
        )
    return draft.put(statement, [], f"Remove {statement.label}, which has only {names}: {reason}.")


def _exempt(
    draft: TrustDraft, statement: Statement, pins: Sequence[tuple[str, str, str]], freed: bool
) -> TrustDraft | None:
    """Exempt a workload from a Deny.

    Only requests with all values in ``pins`` must become exempt. So the Deny is replaced with copies: each copy excludes the
    requests with one of the values, and a request is exempt only if all copies exclude it.

    :arg pins: the values that identify the workload, each as negated operator, condition key and value.
    :arg freed: whether requests of other workloads may have all these values, so that the edit may allow them.
    :returns: None if ``pins`` is empty, or if an earlier edit has split or removed the statement.
    """
    present = draft.current(statement)
    if present is None or not pins:
        return None
    copies: list[RawDocument] = []
    keys: list[str] = []
    released = present
    for operator, key, value in pins:
        released = require(released, _positive(operator), key, value)
        condition = _find_listed(present, key, value)
        if condition is not None:
            rest = [
                item for item in as_list(present["Condition"][condition[0]][condition[1]]) if item != value
            ]
            if rest:
                copies.append(with_condition(present, *condition, rest[0] if len(rest) == 1 else rest))
                keys.append(key)
            continue
        keys.append(key)
        negated = _find_condition(present, operator, key)
        if negated is not None:
            values = as_list(present["Condition"][negated[0]][negated[1]])
            copies.append(with_condition(present, *negated, [*values, value]))
        else:
            copies.append(with_condition(present, operator, key, value))
    named = [_named(draft, copy, number) for number, copy in enumerate(copies)]
    if not named:
        scope = "the known values of this workload" if freed else "this workload"
        words = f"Remove {statement.label}, which applies to {scope} only."
    else:
        words = f"Exclude this workload from {statement.label}"
        words += (
            f", which becomes {len(named)} statements, one for each of {', '.join(keys)}."
            if len(named) > 1
            else "."
        )
    admits = [{**released, "Effect": "Allow", "Action": list(ACTIONS)}] if freed else []
    return draft.put(statement, named, words, admits)


def require(statement: Mapping[str, Any], operator: str, key: str, value: str) -> RawDocument:
    """Return a copy of a statement with an additional condition, which replaces a condition with the same operator and key."""
    place = _find_condition(statement, operator, key) or (operator, key)
    return with_condition(statement, *place, value)


def _find_condition(statement: Mapping[str, Any], operator: str, key: str) -> tuple[str, str] | None:
    """Return the operator and the key of a condition as the author spells them, or None if there is no such condition."""
    for name, keys in statement.get("Condition", {}).items():
        if name.lower() == operator.lower():
            return next(((name, spelling) for spelling in keys if spelling.lower() == key.lower()), None)
    return None


def with_condition(statement: Mapping[str, Any], operator: str, key: str, value: object) -> RawDocument:
    """Return a copy of a statement in which ``value``, a text or a list, replaces the values of a condition.

    If the statement does not have the condition, it is added.
    """
    block = statement.get("Condition", {})
    name = next((spelling for spelling in block if spelling.lower() == operator.lower()), operator)
    return {**statement, "Condition": {**block, name: {**block.get(name, {}), key: value}}}


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _find_listed(statement: Mapping[str, Any], key: str, value: str) -> tuple[str, str] | None:
    """Return the operator and the key of a condition on ``key`` that lists a value and has no patterns, or None.

    Without patterns, the removal of the value from the list certainly excludes it.
    """
    for operator in ("StringEquals", "StringLike"):
        place = _find_condition(statement, operator, key)
        if place is not None:
            values = as_list(statement["Condition"][place[0]][place[1]])
            plain = operator == "StringEquals" or not any(sign in "".join(values) for sign in "*?$")
            return place if plain and value in values else None
    return None


def _positive(operator: str) -> str:
    """Return the operator that requires an exact value: ArnEquals for an operator on ARNs, otherwise StringEquals."""
    return "ArnEquals" if operator.startswith("Arn") else "StringEquals"


def _named(draft: TrustDraft, statement: RawDocument, number: int) -> RawDocument:
    """Return a copy of a Deny with an unused Sid. The first copy, with number 0, keeps the Sid of the original."""
    if number == 0 or "Sid" not in statement:
        return statement
    return {**statement, "Sid": draft.unused_sid(f"{statement['Sid']}Unless{number}")}


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
    """Remove elements that IAM certainly rejects, or replace them with equivalent elements that IAM accepts."""
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
    """Remove a Sid that is null, and condition operators without keys. They have no effect, but IAM rejects them."""
    present = draft.current(statement)
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
        removed.extend(f"{name}, which has no condition key," for name in without_keys)
    if not removed:
        return draft
    return draft.put(statement, [edited], f"Remove {' and '.join(removed)} from {statement.label}.")


def _actions(draft: TrustDraft, statement: Statement) -> TrustDraft:
    present = draft.current(statement)
    foreign = [action for action in statement.actions if is_refused_in_trust(action)]
    if present is None or not (foreign or statement.not_action):
        return draft
    refused = ", ".join(map(describe_action, foreign))
    if statement.not_action:
        excluded = [compile_glob(action.lower()) for action in statement.actions]
        actions = [
            _SPELLING[action]
            for action in sorted(TRUST_ACTIONS)
            if not any(glob.matches(action) for glob in excluded)
        ]
        edited = {name: value for name, value in present.items() if name != "NotAction"}
        if not actions:
            return draft.put(
                statement,
                [],
                f"Remove {statement.label}, whose NotAction excludes all actions of a trust policy.",
            )
        words = f"List the actions of {statement.label}: IAM rejects NotAction in a trust policy."
        return draft.put(statement, [{**edited, "Action": actions}], words)
    actions = [action for action in statement.actions if action not in foreign]
    if actions:
        words = f"Remove {refused} from {statement.label}, because IAM rejects {_pronoun(foreign)}."
        return draft.put(statement, [{**present, "Action": actions}], words)
    return draft.put(statement, [], f"Remove {statement.label}, which has only {refused}.")


def _pronoun(items: Sequence[object]) -> str:
    return "it" if len(items) == 1 else "them"


def _not_principal(draft: TrustDraft, statement: Statement) -> TrustDraft:
    present = draft.current(statement)
    if present is None or not statement.not_principal:
        return draft
    if statement.effect == "Allow":
        return draft.put(
            statement,
            [],
            f"Remove {statement.label}: NotPrincipal with Allow grants nothing, and IAM rejects it.",
        )
    edited: RawDocument = {name: value for name, value in present.items() if name != "NotPrincipal"}
    edited["Principal"] = {"AWS": "*"}
    for kind, value in statement.principals or ():
        account = value.removesuffix(":root").rpartition(":")[2]
        if kind == "Service":
            edited = _with_value_added(edited, "StringNotEquals", "aws:PrincipalServiceName", value)
        elif kind == "AWS" and account.isdigit():
            edited = _with_value_added(edited, "StringNotEquals", "aws:PrincipalAccount", account)
        elif kind == "AWS" and ":role/" in value:
            edited = _with_value_added(edited, "ArnNotEquals", "aws:PrincipalArn", value)
        else:
            return draft
    return draft.put(
        statement,
        [edited],
        f"Replace the NotPrincipal of {statement.label}, which IAM rejects, with conditions.",
    )


def _with_value_added(statement: RawDocument, operator: str, key: str, value: str) -> RawDocument:
    values = statement.get("Condition", {}).get(operator, {}).get(key, [])
    return with_condition(statement, operator, key, [*as_list(values), value])


def _principals(draft: TrustDraft, statement: Statement) -> TrustDraft:
    """Remove principals that cannot exist from an Allow statement. They have no effect, but IAM rejects them.

    A Deny remains unchanged, because its author meant a principal that does exist.
    """
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
    if not impossible:
        return draft
    return _drop_principals(draft, statement, impossible, f"IAM rejects {_pronoun(impossible)}")


def _sid(draft: TrustDraft, statement: Statement) -> TrustDraft:
    present = draft.current(statement)
    if present is None or statement.sid is None:
        return draft
    previous_sids = [
        other.get("Sid")
        for slot in draft.slots[: statement.index - 1]
        for other in slot
        if other is not present
    ]
    if statement.sid not in previous_sids:
        return draft
    sid = draft.unused_sid(statement.sid)
    return draft.put(
        statement,
        [{**present, "Sid": sid}],
        f"Change the Sid of {statement.label} to {sid!r}: Sids must be unique.",
    )


# The operators with which a condition matches more requests if it has more values. With the negated operators in ``_CLOSED``,
# it matches fewer requests if it has more values.
_OPEN_ENDED = ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike")
_CLOSED = ("StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike")
# The maximum number of drafts that edit existing Allow statements.
_TRIED = 6


def drafts(document: dict[str, object], rules: tuple[Rule, ...], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """Yield edited policies that may allow the workload, first the edits that probably allow the fewest other principals.

    At most ``_TRIED`` drafts edit existing Allow statements, because the evaluation of each draft takes time.
    """
    mended = mend(_new_draft(document), rules)
    bases = [mended]
    exempted = _exempted(mended, rules, inquiry)
    if exempted is not mended:
        bases = [exempted, *_with_value_in_denies(mended, rules, inquiry)]
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
    """Count the identifying values of the workload that the statements in ``admits`` do not require."""
    return sum(
        place is None or as_list(statement["Condition"][place[0]][place[1]]) != [value]
        for statement in draft.admits
        for key, value in (inquiry.remedy.identity or inquiry.remedy.equals).items()
        for place in (_find_condition(statement, "StringEquals", key),)
    )


def _exempted(draft: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> TrustDraft:
    """Exempt the workload from every Deny that applies, or may apply, to it.

    If the identity of the workload is not completely known, the edits may also exempt other workloads.
    """
    remedy = inquiry.remedy
    caller = set(remedy.principal.items())
    allowed = {pair for rule in rules if rule.allow for pair in rule.statement.principals or ()}
    for rule in _blocking(rules, inquiry):
        statement = rule.statement
        pins = [("StringNotEquals", key, value) for key, value in (remedy.identity or remedy.equals).items()]
        # Other callers that the policy allows could send the same request tags, so limit the exemption to the caller as well.
        if not pins or (allowed - caller and set(statement.principals or ()) - caller):
            pins.insert(0, remedy.caller)
        draft = _exempt(draft, statement, pins, freed=not remedy.identity) or draft
    return draft


def _with_value_in_denies(draft: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """Yield a draft that adds the workload's value to a negated condition, such as StringNotEquals, of every blocking Deny.

    There is no draft if one of these statements does not have such a condition. The policy is shorter than the result of
    ``_exempted``, but may exempt other workloads with the same value.
    """
    for rule in _blocking(rules, inquiry):
        choices = (_with_value(draft, rule, test, inquiry.context) for test in rule.tests)
        edited = next((choice for choice in choices if choice is not None), None)
        if edited is None:
            return
        draft = edited
    yield draft


def _blocking(rules: Sequence[Rule], inquiry: Inquiry) -> list[Rule]:
    """Return the Deny statements that apply, or may apply, to the workload."""
    context = inquiry.context
    return [
        rule
        for rule in rules
        if not rule.allow
        and any(rule.concerns(r) and rule.applies(r, context) is not False for r in inquiry.needed)
    ]


def _completed(base: TrustDraft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[TrustDraft]:
    """Yield drafts that add missing actions, a missing condition value, or both to an Allow statement for the caller."""
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
    """Yield drafts that correct misspelt service principals, or replace them with a statement for the workload.

    The name of another existing service remains, because that service may use the role.
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
            _drop_principals(base, rule.statement, unwanted, f"the service of EKS Pod Identity is {SERVICE}"),
            inquiry.remedy,
        )


def _missing(rule: Rule, inquiry: Inquiry) -> list[str]:
    """Return the actions that the workload needs and a statement does not have."""
    # ``inquiry.needed`` has the order of ``ACTIONS``. It may lack sts:TagSession, the last of ``ACTIONS``.
    pairs = zip(ACTIONS, inquiry.needed, strict=False)
    return [action for action, request in pairs if not rule.matches_action(request)]


def _with_value(base: TrustDraft, rule: Rule, test: Test, context: Context) -> TrustDraft | None:
    """Add the workload's value to a condition.

    :returns: None if the value is unknown, or if an additional value would not make the condition allow the workload.
    """
    condition = test.condition
    state = context.get(test.key)
    open_ended = _CLOSED if condition.base in NEGATED else _OPEN_ENDED
    if condition.base not in open_ended or condition.quantifier or rule.allow is (condition.base in NEGATED):
        return None
    if not isinstance(state, tuple) or len(state) != 1:
        return None
    return _add_value(base, rule.statement, (condition.operator, condition.key), state[0], ACTIONS)
