# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Suggest how a trust policy can let a workload use the role: a statement to add, or an exception from a Deny that blocks it.

The suggested policy has been evaluated, so the workload can use the role with it. Compared with the original policy, it also
allows the requests with the values that the suggestion names, and no others. The added statement requires all of these values.
The exception replaces a Deny with one copy for each value, and each copy applies to the requests without this value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..._findings.text import visible
from ..evaluation.pods import ACTIONS
from ..evaluation.rules import Rule, build_rules
from ..grammar.storable import Storability, storability
from ..language.document import PolicyDocument, document_statements, parse_policy
from .trust import YES, Inquiry, TrustPolicy, find_effect, judge

StatementObject: TypeAlias = Mapping[str, Any]

# The unique ID of a deleted role or user, which IAM rejects also if the stored policy has it.
_UNIQUE_ID = re.compile(r"\bA(?:ROA|IDA)[A-Z0-9]{12,}\b")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A changed trust policy, with which the workload can use the role.

    ``edit`` describes the change, and ``lets_in`` the requests that the policy additionally allows. ``statement`` is the added
    statement, or None if the change only excludes the workload from a Deny.
    """

    edit: str
    lets_in: str
    statement: StatementObject | None
    trust_policy: PolicyDocument
    storable: Storability

    def as_dict(self) -> dict[str, object]:
        """Return the suggestion as a dictionary for the module result."""
        return {
            "edit": visible(self.edit),
            "lets_in": visible(self.lets_in),
            "statement": dict(self.statement) if self.statement else None,
            "trust_policy": self.trust_policy,
            "storable": self.storable.answer,
            "storable_reasons": self.storable.rows,
        }


def suggest(trust: TrustPolicy, inquiry: Inquiry, stored: bool = False) -> Suggestion | None:
    """Suggest a change of a trust policy that the workload cannot use.

    :arg stored: whether the policy was read from IAM. If it was, IAM also accepts its elements in a changed policy, except the
        unique IDs of deleted principals.
    :returns: None if the values that identify the workload are unknown, if several Deny statements block it, or if IAM would
        reject the changed policy.
    """
    pins = list((inquiry.remedy.identity or inquiry.remedy.equals).items())
    blocking = [rule for rule in trust.rules if not rule.allow and find_effect(rule, inquiry) is not False]
    if inquiry.remedy.unsafe or not pins or len(blocking) > 1:
        return None
    statements: list[StatementObject] = [
        statement for statement in document_statements(trust.document) if isinstance(statement, Mapping)
    ]
    edits: list[str] = []
    for rule in blocking:
        place = rule.statement.index - 1
        copies = _exceptions(statements[place], rule, inquiry, pins)
        statements[place : place + 1] = copies
        edits.append(
            f"Replace {rule.statement.label} with {len(copies)} statements that exclude this workload"
        )
    added: StatementObject | None = None
    if judge(_rules(trust, statements), inquiry.needed, inquiry.context).usable != YES:
        used = {statement.get("Sid") for statement in statements}
        names = (f"{inquiry.remedy.sid}{number or ''}" for number in range(len(used) + 1))
        # All known values of the workload.
        added = {
            "Sid": next(sid for sid in names if sid not in used),
            "Effect": "Allow",
            "Principal": dict(inquiry.remedy.principal),
            "Action": list(ACTIONS),
            "Condition": {"StringEquals": dict(inquiry.remedy.equals)},
        }
        statements.append(added)
        edits.append(f"Add the statement {added['Sid']}")
    document = PolicyDocument({**trust.document, "Statement": statements})
    storable = _storability(trust, document, inquiry, stored)
    usable = judge(_rules(trust, statements), inquiry.needed, inquiry.context).usable
    if usable != YES or storable.answer == "no":
        return None
    values = ", ".join(f"{key} {value}" for key, value in pins)
    who = "Only this workload" if inquiry.remedy.identity else "Every workload"
    callers = ", ".join(inquiry.remedy.principal.values())
    lets_in = f"{who}: requests of {callers} with {values}."
    return Suggestion("; ".join(edits) + ".", lets_in, added, document, storable)


def existing_principals(inquiry: Inquiry) -> frozenset[str]:
    """Return the account ID and the role ARN of the workload, if they are known. IAM accepts them as principals."""
    return frozenset(filter(None, (inquiry.subject.account, inquiry.subject.role_arn)))


def _exceptions(
    statement: StatementObject, rule: Rule, inquiry: Inquiry, pins: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Return copies of a Deny, of which none applies to a request with the caller and all values of the workload."""
    pairs = [("StringNotEquals", key, value) for key, value in pins]
    if set(rule.statement.principals or ()) != set(inquiry.remedy.principal.items()):
        pairs.insert(0, inquiry.remedy.caller)
    copies = [_with_value(statement, *pair) for pair in pairs]
    if "Sid" in statement:
        copies = [{**copy, "Sid": f"{statement['Sid']}{number or ''}"} for number, copy in enumerate(copies)]
    return copies


def _with_value(statement: StatementObject, operator: str, key: str, value: str) -> dict[str, Any]:
    """Return a Deny that does not apply to requests with a value of a condition key."""
    block = statement.get("Condition", {})
    name = next((spelling for spelling in block if spelling.lower() == operator.lower()), operator)
    tests = block.get(name, {})
    spelling = next((present for present in tests if present.lower() == key.lower()), key)
    present = tests.get(spelling, [])
    values = [*(present if isinstance(present, list) else [present]), value]
    unique = list(dict.fromkeys(values))
    tests = {**tests, spelling: unique if len(unique) > 1 else unique[0]}
    return {**statement, "Condition": {**block, name: tests}}


def _rules(trust: TrustPolicy, statements: Sequence[StatementObject]) -> tuple[Rule, ...]:
    return build_rules(parse_policy({**trust.document, "Statement": list(statements)}, "trust"))


def _storability(trust: TrustPolicy, document: PolicyDocument, inquiry: Inquiry, stored: bool) -> Storability:
    existing = existing_principals(inquiry)
    judged = storability(document, "trust", existing=existing)
    if not stored:
        return judged
    present = storability(trust.document, "trust", existing=existing).reasons
    accepted = {reason.message for reason in present if not _UNIQUE_ID.search(reason.message)}
    return Storability(tuple(reason for reason in judged.reasons if reason.message not in accepted))
