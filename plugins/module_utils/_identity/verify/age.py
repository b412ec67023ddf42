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

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.checks import FAIL, UNKNOWN, Check, Status, Verified
from ..model.observed import Observed
from ..plan.young import Young, in_minutes, youngest

# What a late read can show of a workload that is right by now.
_OF_LATE_READS = frozenset(
    (
        Code.ASSOCIATION_MISSING,
        Code.ASSOCIATION_OTHER_ROLE,
        Code.ASSOCIATION_OTHER_TARGET_ROLE,
        Code.ASSOCIATION_SETTINGS_DIFFER,
        Code.POLICY_CONTENTS_DIFFER,
        Code.POLICY_MISSING,
        Code.POLICY_NOT_ATTACHED,
        Code.POLICY_OTHER_VERSION_DEFAULT,
        Code.ROLE_MISSING,
        Code.TARGET_ROLE_MISSING,
        Code.TRUST_NOT_USABLE,
    )
)
# The state of the cluster's add-on has nothing to do with the age of a workload.
_OF_THE_CLUSTER = "agent"


def consider_age(verified: Sequence[Verified], observed: Observed) -> list[Verified]:
    """The same, where what failed and may only be invisible yet is not known to have failed."""
    considered = []
    for subject in verified:
        young = youngest(subject.workload, observed)
        if young is not None and any(map(_is_explained, subject.findings)):
            checks = tuple(_considered(check, young) for check in subject.checks)
            subject = replace(subject, checks=checks)
        considered.append(subject)
    return considered


def _considered(check: Check, young: Young) -> Check:
    """A check without a finding of its own failed for what another check found."""
    if check.name == _OF_THE_CLUSTER or check.status != FAIL:
        return check
    errors = [finding for finding in check.findings if finding.severity == "error"]
    status: Status = UNKNOWN if all(map(_is_explained, errors)) else FAIL
    findings = (
        _with_age(finding, young) if _is_explained(finding) else finding for finding in check.findings
    )
    return replace(check, status=status, findings=tuple(findings))


def _is_explained(finding: Finding) -> bool:
    return finding.code in _OF_LATE_READS


def _with_age(finding: Finding, young: Young) -> Finding:
    return replace(
        finding,
        message=f"{finding.message} Or that is not visible yet: {young.reason}",
        remedy=f"Run the verification again in {in_minutes(young.minutes_left)}. If it says the same: {finding.remedy}",
    )
