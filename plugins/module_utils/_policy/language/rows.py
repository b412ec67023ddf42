# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Findings on policies as modules return them."""

from __future__ import annotations

from typing import TypedDict

from ..._findings.codes import Severity
from ..._findings.finding import Finding
from ..._findings.text import visible


class PolicyFindingRow(TypedDict):
    """``statement`` names the statement; it is empty when the finding concerns the whole policy."""

    code: str
    severity: Severity
    statement: str
    message: str
    remedy: str


def policy_finding_row(finding: Finding) -> PolicyFindingRow:
    return {
        "code": finding.code.value,
        "severity": finding.severity,
        "statement": visible(finding.statement),
        "message": visible(finding.message),
        "remedy": visible(finding.remedy),
    }
