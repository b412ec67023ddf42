# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What IAM refuses in a trust policy, put right where that changes nothing of what the policy means.

Each of these grants nothing or says the same in a form that IAM stores. What has no such form stays, and the document
stays refused.
"""

from __future__ import annotations

from dataclasses import replace

from ..evaluation.rules import Rule
from ..grammar.actions import TRUST_ACTIONS, is_refused_in_trust
from ..grammar.principals import principal_reasons
from ..language.document import Statement
from ..language.match import Glob
from ..language.phrases import describe_action
from ..language.template import Wild, tokenize
from .edits import Document, Draft, as_list, drop_principals, with_condition

_SPELLING = {
    "sts:assumerole": "sts:AssumeRole",
    "sts:assumerolewithsaml": "sts:AssumeRoleWithSAML",
    "sts:assumerolewithwebidentity": "sts:AssumeRoleWithWebIdentity",
    "sts:tagsession": "sts:TagSession",
    "sts:setsourceidentity": "sts:SetSourceIdentity",
    "sts:setcontext": "sts:SetContext",
}


def mend(draft: Draft, rules: tuple[Rule, ...]) -> Draft:
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


def _empty(draft: Draft, statement: Statement) -> Draft:
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


def _actions(draft: Draft, statement: Statement) -> Draft:
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


def _not_principal(draft: Draft, statement: Statement) -> Draft:
    present = draft.at(statement)
    if present is None or not statement.not_principal:
        return draft
    if statement.effect == "Allow":
        return draft.put(
            statement,
            [],
            f"Remove {statement.label}: NotPrincipal with Allow grants nothing, and IAM refuses it.",
        )
    edited: Document = {name: value for name, value in present.items() if name != "NotPrincipal"}
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


def _besides(statement: Document, operator: str, key: str, value: str) -> Document:
    given = statement.get("Condition", {}).get(operator, {}).get(key, [])
    return with_condition(statement, operator, key, [*as_list(given), value])


def _principals(draft: Draft, statement: Statement) -> Draft:
    """An Allow for principals that cannot be grants them nothing. A Deny is left alone."""
    if statement.not_principal or statement.effect != "Allow":
        return draft
    impossible = [
        pair
        for pair in statement.principals or ()
        if any(
            reason.certain
            for reason in principal_reasons(
                Statement(statement.index, None, "Allow", (), principals=(pair,)), known=()
            )
        )
    ]
    return drop_principals(draft, statement, impossible, "IAM refuses it") if impossible else draft


def _sid(draft: Draft, statement: Statement) -> Draft:
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
