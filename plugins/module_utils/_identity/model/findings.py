# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a check of the verification is, and the ways it can end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from .desired import Workload
from .messages import sentence
from .observed import Observed, ReadFailure

PASS, FAIL, WARNING, UNKNOWN = "pass", "fail", "warning", "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check of one workload. ``detail`` is shown beside a pass, like "v1".

    ``follows`` are findings that go away with those of the other checks: they matter only to someone
    who accepts those.
    """

    name: str
    status: str
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    follows: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """All checks of one workload, in the order in which they are shown."""

    workload: Workload
    checks: tuple[Check, ...]

    @property
    def status(self) -> str:
        return worst(self.checks)

    @property
    def findings(self) -> list[Finding]:
        """Each once: what cannot be read keeps several checks from being made."""
        return list(dict.fromkeys(finding for check in self.checks for finding in check.findings))


def worst(checks: Sequence[Check]) -> str:
    found = {check.status for check in checks}
    return next((status for status in (FAIL, UNKNOWN, WARNING) if status in found), PASS)


def joined(name: str, checks: Sequence[Check]) -> Check:
    """Several outcomes of the same check as one."""
    details = ",".join(check.detail for check in checks[:3] if check.detail)
    findings = tuple(finding for check in checks for finding in check.findings)
    follows = tuple(finding for check in checks for finding in check.follows)
    return Check(name, worst(checks), details, findings, follows)


def ended(key: WorkloadKey | None, name: str, status: str, code: str, message: str, remedy: str) -> Check:
    """A check that ends with one finding."""
    severity = {WARNING: "warning", PASS: "note"}.get(status, "error")
    return Check(name, status, "", (Finding(code, severity, key, message, remedy),))


def unreadable(key: WorkloadKey | None, name: str, failure: ReadFailure) -> Check:
    return ended(
        key,
        name,
        UNKNOWN,
        Code.NOT_READABLE,
        f"{failure.target.label} could not be read: {failure.error.operation}: "
        f"{failure.error.code}: {sentence(failure.error.text)}",
        failure.error.remedy,
    )


def unread(observed: Observed, resource: str, name: str) -> ReadFailure | None:
    return next(
        (
            failure
            for failure in observed.failures
            if failure.target.resource == resource and failure.target.name == name
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the user should know. ``severity`` is "error", "warning" or "note"."""

    code: str
    severity: str
    workload: WorkloadKey | None
    message: str
    remedy: str
