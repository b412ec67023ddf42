# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is something missing, or merely too young to be seen? Pure.

For a verification on its own: a run that verifies knows what it has changed, and waits for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..._findings.codes import REPAIRED, Code
from ..._findings.finding import Finding
from ..model.checks import FAIL, UNKNOWN, Check, Status, Verified
from ..model.errors import as_clause
from ..model.observed import Observed
from ..plan.young import Young, in_minutes, youngest
from .trust_policy import is_foreign

# What a late read can show of a workload that a run has made right. Not what no run repairs, as an inline policy; and not
# what is told from documents that are as asked for by other checks, as what the role is allowed to do.
_OF_LATE_READS = REPAIRED | {Code.POLICY_ATTACHED_EXTRA, Code.TARGET_ROLE_MISSING}
# The state of the cluster's add-on has nothing to do with the age of a workload.
_OF_THE_CLUSTER = "agent"


def consider_age(verified: Sequence[Verified], observed: Observed) -> list[Verified]:
    """The same, where what failed and may only be invisible yet is not known to have failed."""
    considered = []
    for subject in verified:
        young = youngest(subject.workload, observed)
        # A role of another account is refused for what was asked, not for what was read.
        if young is not None and not is_foreign(subject.workload, observed.account):
            explained = any(_is_explained(finding) for finding in _errors(subject.findings))
            checks = tuple(_considered(check, young, explained) for check in subject.checks)
            subject = replace(subject, checks=checks)
        considered.append(subject)
    return considered


def _considered(check: Check, young: Young, explained: bool) -> Check:
    """A check without a finding of its own failed for what another check found; ``explained`` says whether any of those
    has to do with the age."""
    if check.name == _OF_THE_CLUSTER:
        return check
    status: Status = check.status
    if status == FAIL and explained and all(map(_is_explained, _errors(check.findings))):
        status = UNKNOWN
    findings = (
        _with_age(finding, young) if _is_explained(finding) else finding for finding in check.findings
    )
    return replace(check, status=status, findings=tuple(findings))


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def _is_explained(finding: Finding) -> bool:
    # As an error it is a policy that administers the account, which no run attached.
    if finding.code == Code.POLICY_ATTACHED_EXTRA and finding.severity == "error":
        return False
    return finding.code in _OF_LATE_READS


def _with_age(finding: Finding, young: Young) -> Finding:
    return replace(
        finding,
        message=f"{finding.message} Or AWS does not show the last change yet: {young.reason}",
        remedy=f"Run the verification again in {in_minutes(young.minutes_left)}. If it says the same: "
        f"{as_clause(finding.remedy)}",
    )
