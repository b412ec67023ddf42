# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Repairs of an unusable trust policy: evaluated, with whom else each lets in, the narrowest first."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.evaluate import Layer, evaluate_together
from ..evaluation.rules import rules_of
from ..grammar.sizes import size_reasons
from ..grammar.storable import Storability, storability
from ..language.document import parse_policy
from ..language.rows import policy_finding_row
from ..language.text import Document, policy_size, to_json
from .admission import also_lets_in
from .edits import Draft
from .exposure import reach
from .inquiry import Inquiry
from .lint import lint
from .repair import drafts
from .trust import TrustPolicy

MAX_SUGGESTIONS = 4
# What IAM shows in the place of a role or user that was deleted.
_UNIQUE_ID = re.compile(r"\bA(?:ROA|IDA)[A-Z0-9]{12,}\b")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A trust policy that the workload can use. ``edits`` says what changes, ``also_lets_in`` whom else that admits (empty:
    nobody), ``findings`` what remains to be known about the policy."""

    trust_policy: Document
    edits: tuple[str, ...]
    also_lets_in: tuple[str, ...]
    storable: Storability
    findings: tuple[Finding, ...]
    width: int = 0

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {
            "trust_policy": self.trust_policy,
            "edits": list(map(visible, self.edits)),
            "also_lets_in": list(map(visible, self.also_lets_in)),
            "storable": self.storable.answer,
            "storable_reasons": self.storable.rows,
            "findings": [policy_finding_row(finding) for finding in self.findings],
        }


def suggest(trust: TrustPolicy, inquiry: Inquiry, stored: bool = False) -> tuple[Suggestion, ...]:
    """Repairs for a policy that is not usable, or that IAM refuses. One that is too long has none: what its author wrote is
    kept. Nor has one that could only be repaired without the condition on sts:ExternalId that keeps others out.

    :arg stored: the policy comes from IAM, so that what it has already is stored again.
    """
    if inquiry.remedy.unsafe:
        return ()
    if any(reason.certain for reason in size_reasons(to_json(trust.document), "trust")):
        return ()
    accepted = (
        _messages(storability(trust.document, "trust", known=known_to(inquiry))) if stored else frozenset()
    )
    by_text: dict[str, Suggestion] = {}
    for draft in drafts(trust.document, trust.rules, inquiry):
        document = Document(draft.document)
        text = json.dumps(document, sort_keys=True, default=str)
        if text not in by_text and draft.edits:
            suggestion = _judge(trust, document, draft, inquiry, accepted)
            if suggestion is not None:
                by_text[text] = suggestion
    ordered = sorted(by_text.values(), key=lambda suggestion: _rank(suggestion, trust))
    return tuple(_distinct(ordered))[:MAX_SUGGESTIONS]


def known_to(inquiry: Inquiry) -> frozenset[str]:
    """Account and principals of an inquiry, which exist."""
    names = {inquiry.subject.account, inquiry.subject.role_arn}
    return frozenset(name for name in names if name)


def _judge(
    trust: TrustPolicy, document: Document, draft: Draft, inquiry: Inquiry, accepted: frozenset[str]
) -> Suggestion | None:
    if not document["Statement"]:
        return None
    rules = rules_of(parse_policy(document, "trust"))
    _verdicts, answer = evaluate_together((Layer("trust", rules),), inquiry.needed, inquiry.context)
    if not answer.proven:
        return None
    judged = storability(document, "trust", known=known_to(inquiry))
    stored = Storability(tuple(reason for reason in judged.reasons if reason.message not in accepted))
    if stored.answer == "no":
        return None
    findings = [*lint(rules), *reach(rules, inquiry)]
    admission = also_lets_in(trust.rules, rules, draft, inquiry)
    return Suggestion(document, draft.edits, admission.others, stored, tuple(findings), admission.width)


def _messages(judged: Storability) -> frozenset[str]:
    return frozenset(reason.message for reason in judged.reasons if not _UNIQUE_ID.search(reason.message))


def _rank(suggestion: Suggestion, trust: TrustPolicy) -> tuple[object, ...]:
    """Return the sort key of a suggestion: the fewest others let in, then certainly storable, then the smaller edit."""
    grown = policy_size(suggestion.trust_policy) - policy_size(trust.document)
    return (
        suggestion.width,
        suggestion.storable.answer != "yes",
        len(suggestion.edits),
        abs(grown),
    )


def _distinct(ordered: Sequence[Suggestion]) -> list[Suggestion]:
    """The first of those that let in the same others."""
    kept: dict[tuple[str, ...], Suggestion] = {}
    for suggestion in ordered:
        kept.setdefault(suggestion.also_lets_in, suggestion)
    return list(kept.values())
