# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Deny statements of a trust policy, and their effect on one workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..evaluation.request import Subject
from ..evaluation.rules import Rule
from ..language.document import Statement
from ..language.phrases import describe_action, describe_condition
from .inquiry import Inquiry, pod_identity_inquiry
from .trust import TrustPolicy


@dataclass(frozen=True, slots=True)
class Denial:
    """A Deny statement of a trust policy.

    ``label`` has its position and Sid, ``text`` describes it in a clause, and ``statement`` is the statement as it is stored.
    ``applies`` is None where that depends on values that are not known.
    """

    label: str
    text: str
    statement: Mapping[str, object]
    applies: bool | None


def find_denials(trust: TrustPolicy, subject: Subject) -> list[Denial]:
    """Return each Deny statement, and whether it denies a request without which the workload cannot use the role."""
    stored = trust.document["Statement"]
    statements = stored if isinstance(stored, list) else [stored]
    inquiry = pod_identity_inquiry(subject)
    return [
        Denial(rule.statement.label, _describe(rule.statement), dict(statement), _applies(rule, inquiry))
        for rule, statement in zip(trust.rules, statements, strict=True)
        if not rule.allow
    ]


def _applies(rule: Rule, inquiry: Inquiry) -> bool | None:
    context = inquiry.context
    answers = {rule.applies(request, context) for request in inquiry.needed if rule.speaks_of(request)}
    return True if True in answers else None if None in answers else False


def _describe(statement: Statement) -> str:
    actions = ", ".join(map(describe_action, statement.actions))
    principals = dict.fromkeys(
        "everyone" if value == "*" else value for _kind, value in statement.principals or ()
    )
    names = ", ".join(principals)
    conditions = " and ".join(map(describe_condition, statement.conditions))
    return (
        f"denies {'everything except ' if statement.not_action else ''}{actions} to "
        f"{'everyone except ' if statement.not_principal else ''}{names}"
        f"{f' where {conditions}' if conditions else ''}"
    )
