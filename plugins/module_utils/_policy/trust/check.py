# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""All that is said of one trust policy: who can use it, whether IAM stores it, and what would help."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..evaluation.request import Subject
from ..grammar.storable import Storability, storability
from .chain import chain_inquiry, check_chain
from .inquiry import pod_identity_inquiry
from .suggestions import Suggestion, known_to, suggest
from .trust import TrustVerdict, check_trust, is_foreign, prepare_trust


@dataclass(frozen=True, slots=True)
class TrustCheck:
    """``suggestions`` are there only when ``verdict.usable`` is "no" and an edit helps."""

    verdict: TrustVerdict
    storable: Storability
    suggestions: tuple[Suggestion, ...]

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        first = self.suggestions[0].trust_policy if self.suggestions else None
        return {
            **self.verdict.as_dict(),
            "storable": self.storable.answer,
            "storable_reasons": self.storable.rows,
            "suggestions": [suggestion.as_dict() for suggestion in self.suggestions],
            "suggested_trust_policy": first,
        }


def check_policy(
    document: object,
    subject: Subject,
    *,
    chained: bool = False,
    target_role_arn: str | None = None,
    external_id: str | None = None,
    stored: bool = False,
) -> TrustCheck:
    """Judge a trust policy for a workload.

    :arg chained: the role is the target role of the association, whose role is ``subject.role_arn``.
    :arg stored: IAM has the document; otherwise it is not usable unless IAM would store it.
    :raises PolicyError: when it is not a trust policy document.
    """
    trust = prepare_trust(document)
    if chained:
        inquiry = chain_inquiry(subject, target_role_arn, external_id)
        verdict = check_chain(trust, subject, target_role_arn=target_role_arn, external_id=external_id)
    else:
        inquiry = pod_identity_inquiry(subject)
        verdict = check_trust(trust, subject)
    judged = Storability() if stored else storability(trust.document, "trust", known=known_to(inquiry))
    if judged.answer == "no":
        verdict = _refused(verdict, judged)
    helps = verdict.usable == "no" and (chained or not is_foreign(subject))
    return TrustCheck(verdict, judged, suggest(trust, inquiry, stored) if helps else ())


def _refused(verdict: TrustVerdict, judged: Storability) -> TrustVerdict:
    findings = tuple(
        Finding(
            Code.TRUST_NOT_STORABLE,
            f"IAM refuses the document: {reason.text}.",
            reason.remedy,
            statement=reason.statement,
        )
        for reason in judged.refusals
    )
    return replace(
        verdict,
        usable="no",
        conditional_on=(),
        allowed_when=None,
        denied_when=None,
        undecided=False,
        findings=(*findings, *verdict.findings),
    )
