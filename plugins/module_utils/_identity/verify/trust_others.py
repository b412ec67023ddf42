# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whom else the roles let in: told beside the check of the trust policy. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.finding import Finding
from ..._findings.key import WorkloadKey
from ..model.checks import FAIL, Check, conclude, join_checks
from ..model.desired import Desired
from ..model.observed import Observed
from ..model.shared import shared_roles
from ..plan.let_in import everyone_let_in, others_let_in


def let_in_beside(desired: Desired, observed: Observed) -> dict[WorkloadKey, list[Finding]]:
    """By each workload of a role. Everyone is told of every role, others of those alone that were made here and whose
    trust policy is not given as a whole."""
    findings: dict[WorkloadKey, list[Finding]] = {}
    for shared in shared_roles(observed.account, desired.workloads):
        spec = shared.spec
        role = observed.roles.get(spec.name.lower())
        if role is None or role.arn != observed.account.role_arn(spec):
            continue
        is_ours = not spec.existing and role.owned and spec.trust_policy is None
        for key in shared.keys:
            others = others_let_in(role, key) if is_ours else ()
            findings[key] = [*everyone_let_in(role, key), *others]
    return findings


def with_others(check: Check, findings: Sequence[Finding]) -> Check:
    """What keeps the workload out comes first, and only errors are told beside it."""
    shown = [finding for finding in findings if check.status != FAIL or finding.severity == "error"]
    return (
        join_checks(check.name, [check, *(conclude(check.name, finding) for finding in shown)])
        if shown
        else check
    )
