# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The columns of the table of workloads, and the column of each code of a finding. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.checks import ACCEPTED, FAIL, PASS, SKIPPED, UNKNOWN, WARNING, Check, Status, conclude

# In the order of the table; a column without any check is left out.
COLUMNS = (
    ("trust", "TRUST"),
    ("attachment", "ATTACHED"),
    ("version", "VERSION"),
    ("contents", "CONTENTS"),
    ("permissions", "ALLOWED"),
    ("association", "ASSOCIATED"),
    ("service account", "ACCOUNT"),
    ("agent", "AGENT"),
    ("injection", "INJECTED"),
    ("pods", "PODS"),
    ("proof", "PROOF"),
)
WORST_FIRST: tuple[Status, ...] = (FAIL, UNKNOWN, WARNING, ACCEPTED, PASS, SKIPPED)
_ORDER = [name for name, _title in COLUMNS]
# The first that matches.
_BY_START: Mapping[str, str] = {
    "AGENT_": "agent",
    "INJECTION_": "injection",
    "IRSA_": "service account",
    "NAMESPACE_": "service account",
    "PERMISSION_": "permissions",
    "POD_": "pods",
    "POLICY_": "attachment",
    "PROOF_": "proof",
    "ROLE_INLINE_": "attachment",
    "ROLE_POLICIES_": "attachment",
    "ROLE_RESTRICTED": "attachment",
    "ROLE_": "trust",
    "SERVICE_ACCOUNT": "service account",
    "TRUST_": "trust",
}


def column_of(code: Code) -> str:
    """The check that a finding belongs to. Of codes that concern a workload as a whole it is its association."""
    return next((name for start, name in _BY_START.items() if code.startswith(start)), "association")


def with_unchecked(
    checks: Sequence[Check], findings: Iterable[Finding], ignore: Collection[str]
) -> list[Check]:
    """Add the findings of a workload that no check has, such as a warning of the plan, to their checks.

    No row passes above a warning. Information stays below the table.
    """
    named = {finding.code for check in checks for finding in check.findings}
    joined = {check.name: check for check in checks}
    for finding in findings:
        if finding.code in named or finding.severity == "info":
            continue
        own = conclude(column_of(finding.code), finding)
        if finding.code in ignore:
            own = replace(own, status=ACCEPTED)
        check = joined.get(own.name, own)
        worst = min((check, own), key=lambda one: WORST_FIRST.index(one.status)).status
        joined[own.name] = replace(
            check, status=worst, findings=tuple(dict.fromkeys((*check.findings, finding)))
        )
    known = [check.name for check in checks]
    for name in joined:
        if name not in known:
            place = next((at for at, other in enumerate(known) if _comes_after(other, name)), len(known))
            known.insert(place, name)
    return [joined[name] for name in known]


def _comes_after(other: str, name: str) -> bool:
    return other in _ORDER and _ORDER.index(other) > _ORDER.index(name)
