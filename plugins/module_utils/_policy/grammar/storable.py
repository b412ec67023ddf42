# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check whether IAM would store a policy document: its size, its characters, and each of its elements.

The answers "yes" and "no" follow from the documentation or the error messages of AWS. The answer is "unknown" if AWS does not
document a case, or if it depends on a quota or principal that is not known.

Sources: IAM User Guide, "IAM and AWS STS quotas" (the quotas do not count white space); IAM API Reference (the characters
that a policy document may have); Amazon EKS and AWS STS API References (session policies). The quota for trust policies can be
increased to 4,096 characters according to one guide, and to 8,192 according to another. This module uses the higher number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..._findings.text import visible
from ..language.document import (
    LEGACY_VERSION,
    Policy,
    PolicyError,
    Statement,
    load_document,
    parse_policy,
    to_json,
)
from .elements import (
    Reason,
    action_reasons,
    condition_reasons,
    principal_reasons,
    resource_reasons,
)

# The maximum sizes in characters. TRUST is the default quota for trust policies, TRUST_RAISED the highest possible quota.
MANAGED = 6_144
INLINE = 10_240
SESSION = 2_048
TRUST = 2_048
TRUST_RAISED = 8_192
# The last character in Unicode order that IAM accepts in a policy document.
_LAST_CHARACTER = "\u00ff"


def size_reasons(text: str, kind: str, trust_limit: int | None = None) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the size or a character of a document.

    :arg text: the document as JSON without white space between its tokens.
    :arg kind: one of ``STORED_KINDS``.
    :arg trust_limit: the account's quota for trust policies in characters, or None if it is unknown.
    """
    foreign = next((character for character in text if character > _LAST_CHARACTER), None)
    if foreign is not None:
        yield Reason(
            True,
            "",
            f"the character {foreign!r} is not allowed in policy documents (U+0020 to U+00FF are)",
            "Replace the character.",
        )
    size = len(text)
    # AWS does not document whether white space in values counts, so IAM counts between ``least`` and ``size`` characters.
    least = size - sum(text.count(blank) for blank in " \t\r\n")
    if kind == "trust":
        yield from _trust(size, least, trust_limit)
    elif kind == "session":
        # A session policy is sent to AWS STS unchanged, so white space in its values counts.
        yield from _over(size, size, SESSION, "a session policy", "Shorten it.")
    elif kind == "identity":
        yield from _over(
            size, least, INLINE, "the inline policies of a role together", "Split it into several policies."
        )
        if least <= INLINE and size > MANAGED:
            yield Reason(
                False,
                "",
                f"the document has {_length(size, least, MANAGED)}; a managed policy may have {MANAGED:,}, the inline policies of"
                f" a role together {INLINE:,}",
                "Split it into several managed policies.",
            )
    else:
        # A role has at most one permissions boundary, so it cannot be split.
        remedy = "Shorten it." if kind == "boundary" else "Split it into several policies."
        yield from _over(size, least, MANAGED, "a managed policy", remedy)


def _trust(size: int, least: int, limit: int | None) -> Iterator[Reason]:
    can_rise = (limit or TRUST) < TRUST_RAISED and least <= TRUST_RAISED
    increase = ", or request an increase of the quota 'Role trust policy length'" if can_rise else ""
    remedy = f"Use a wider scope with fewer statements{increase}."
    if limit is not None or least > TRUST_RAISED:
        yield from _over(size, least, limit or TRUST_RAISED, "a trust policy", remedy)
    elif size > TRUST:
        yield Reason(
            False,
            "",
            f"the document has {_length(size, least, TRUST)}; the default quota for trust policies is {TRUST:,}",
            remedy,
        )


def _over(size: int, least: int, limit: int, noun: str, remedy: str) -> Iterator[Reason]:
    if size > limit:
        yield Reason(
            least > limit,
            "",
            f"the document has {_length(size, least, limit)}; {noun} may have {limit:,}",
            remedy,
        )


def _length(size: int, least: int, limit: int) -> str:
    if least > limit:
        return f"{least:,} characters without white space"
    return f"{least:,} to {size:,} characters, depending on whether IAM counts white space in values"


# "identity" is a permissions policy that may become either a managed or an inline policy.
STORED_KINDS = ("trust", "managed", "boundary", "identity", "session")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")


@dataclass(frozen=True, slots=True)
class Storability:
    """The result of ``storability``. ``answer`` is "yes", "no" or "unknown"; ``reasons`` is empty if it is "yes"."""

    reasons: tuple[Reason, ...] = ()

    @property
    def answer(self) -> str:
        if not self.reasons:
            return "yes"
        return "no" if self.refusals else "unknown"

    @property
    def refusals(self) -> tuple[Reason, ...]:
        """Return the reasons why IAM certainly rejects the document."""
        return tuple(reason for reason in self.reasons if reason.certain)

    @property
    def rows(self) -> list[dict[str, object]]:
        """Return the reasons as rows of a module result. If at least one reason is certain, only certain reasons are included."""
        return [reason.as_row() for reason in self.refusals or self.reasons]


def together(judged: Sequence[tuple[str, Storability]]) -> tuple[str, list[dict[str, object]]]:
    """Combine the results for several documents.

    :arg judged: pairs of a document's name and the result of ``storability``.
    :returns: the worst answer ("no", then "unknown", then "yes"), and the reasons for it.
    """
    answers = [verdict.answer for _name, verdict in judged]
    answer = next((worst for worst in ("no", "unknown") if worst in answers), "yes")
    rows = [
        {"policy": visible(name), **row}
        for name, verdict in judged
        if verdict.answer == answer
        for row in verdict.rows
    ]
    return answer, rows


def storability(
    document: object, kind: str, *, existing: Collection[str] = (), trust_limit: int | None = None
) -> Storability:
    """Check whether IAM would store a document.

    :arg document: a dict, JSON text, or URL-encoded JSON text. The answer is "no" for a document that is not a policy.
    :arg kind: one of ``STORED_KINDS``.
    :arg existing: account IDs, services and principals that are known to exist.
    :arg trust_limit: the account's quota for trust policies in characters, or None if it is unknown.
    :raises ValueError: when ``kind`` is not one of ``STORED_KINDS``.
    """
    if kind not in STORED_KINDS:
        raise ValueError(f"kind must be one of {', '.join(STORED_KINDS)}, got {kind!r}")
    try:
        content = load_document(document)
        policy = parse_policy(content, kind if kind in ("trust", "session") else "identity")
        text = to_json(content)
    except PolicyError as error:
        return Storability((Reason(True, "", str(error), ""),))
    return Storability(
        (
            *_document_reasons(policy, content, kind),
            *_statements(policy, content, kind, existing),
            *size_reasons(text, kind, trust_limit),
        )
    )


def _document_reasons(policy: Policy, content: Mapping[str, object], kind: str) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the Version or the Id of a document.

    Source: IAM User Guide, "IAM JSON policy elements: Id".
    """
    if policy.version == LEGACY_VERSION and kind != "trust":
        version = "has version 2008-10-17" if "Version" in content else "has no version"
        managed = kind in ("managed", "boundary")
        yield Reason(
            managed,
            "",
            f"the document {version}, and a managed policy must have 2012-10-17"
            + ("" if managed else "; AWS does not document whether this applies to other policies"),
            'Set "Version": "2012-10-17".',
        )
    if "Id" in content and kind != "trust":
        yield Reason(True, "", "only resource-based policies may have an Id", "Remove the Id.")
    elif "Id" in content and content["Id"] is None:
        yield Reason(True, "", "the Id is null, and it must be text", "Remove the Id, or set a value.")


def _statements(
    policy: Policy, content: Mapping[str, object], kind: str, existing: Collection[str]
) -> Iterator[Reason]:
    content_statements = content["Statement"]
    items = content_statements if isinstance(content_statements, list | tuple) else [content_statements]
    sids: dict[str, Statement] = {}
    for statement, item in zip(policy.statements, items, strict=True):
        element: Mapping[str, object] = item if isinstance(item, Mapping) else {}
        if "Sid" in element and element["Sid"] is None:
            yield Reason(
                True,
                statement.label,
                "the Sid is null, and it must be text",
                "Remove the Sid, or set a value.",
            )
        yield from _sid(statement, sids, kind == "trust")
        yield from action_reasons(statement, kind == "trust")
        if kind == "trust":
            yield from principal_reasons(statement, existing)
        else:
            yield from resource_reasons(statement, kind == "session")
        yield from condition_reasons(statement, element.get("Condition"))


def _sid(statement: Statement, sids: dict[str, Statement], trust: bool) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the Sid of a statement.

    Sources: IAM User Guide, "IAM JSON policy elements: Sid"; the Amazon EKS User Guide shows a trust policy with spaces in
    a Sid.

    :arg sids: the statements that were checked before, by Sid. The function adds ``statement`` if its Sid is new.
    """
    sid = statement.sid
    if sid is None:
        return
    first = sids.setdefault(sid, statement)
    if first is not statement:
        yield Reason(
            True,
            statement.label,
            f"the Sid is already used by statement {first.index}; Sids must be unique",
            "Use a different Sid for each statement, or remove the Sid.",
        )
    allowed = _LETTERS | {" "} if trust else _LETTERS
    if not allowed.issuperset(sid):
        yield Reason(
            not trust,
            statement.label,
            "the Sid has characters other than A-Z, a-z, 0-9 and spaces; AWS does not document whether IAM accepts them in a "
            "trust policy"
            if trust
            else "the Sid may only have the characters A-Z, a-z and 0-9",
            "Use letters and digits only.",
        )
