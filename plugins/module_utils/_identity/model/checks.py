# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of the verification: their status, their findings, and checks that a failed read leaves unknown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..._findings.codes import CheckName, Code, Severity
from ..._findings.finding import Finding, WorkloadKey
from .desired import Workload
from .errors import sentence
from .targets import Failure

# The status "accepted" replaces another status if the user accepts the findings of the check. A check that was not performed
# has the status "skipped".
Status = Literal["pass", "fail", "warning", "unknown", "accepted", "skipped"]
PASS: Final = "pass"
FAIL: Final = "fail"
WARNING: Final = "warning"
UNKNOWN: Final = "unknown"
ACCEPTED: Final = "accepted"
SKIPPED: Final = "skipped"
_STATUSES: Mapping[Severity, Status] = {"error": FAIL, "warning": WARNING, "info": PASS}
_WORST_FIRST: tuple[Status, ...] = (FAIL, UNKNOWN, WARNING, ACCEPTED, PASS, SKIPPED)


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check of one workload.

    ``detail`` supplements the status, like "v1". ``follows`` has findings that are consequences of findings of other checks.
    They count only if the user accepts those other findings. A failed check without findings follows from another check, such as
    "trust" with a missing role (see ``find_observed_role``).
    """

    name: CheckName
    status: Status
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    follows: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """All checks of one workload, in the order in which they are shown."""

    workload: Workload
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        return worst(check.status for check in self.checks)

    @property
    def findings(self) -> list[Finding]:
        """Return the findings without duplicates, because one failed read may affect several checks."""
        return list(dict.fromkeys(finding for check in self.checks for finding in check.findings))


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of some statuses; "pass" without any."""
    return min(statuses, key=_WORST_FIRST.index, default=PASS)


def join_checks(name: CheckName, checks: Sequence[Check]) -> Check:
    """Join several outcomes of the same check."""
    details = ",".join(check.detail for check in checks[:3] if check.detail)
    findings = tuple(finding for check in checks for finding in check.findings)
    follows = tuple(finding for check in checks for finding in check.follows)
    return Check(name, worst(check.status for check in checks), details, findings, follows)


def conclude(name: CheckName, finding: Finding) -> Check:
    """Return a check with one finding, and with the status that follows from its severity; "info" is a pass."""
    return Check(name, _STATUSES[finding.severity], findings=(finding,))


def conclude_unread(name: CheckName, failure: Failure, workload: WorkloadKey | None = None) -> Check:
    """Return a check with the status unknown, for a resource that could not be read or is not yet visible."""
    label, error = failure.target.label, failure.error
    unread = f"{label} could not be read: {error.operation}: {error.code}: {sentence(error.text)}"
    code, text = (
        (Code.NOT_YET_VISIBLE, f"{label}: {error.text}")
        if error.code == Code.NOT_YET_VISIBLE
        else (Code.NOT_READABLE, unread)
    )
    return Check(name, UNKNOWN, findings=(Finding(code, text, error.remedy, workload),))
