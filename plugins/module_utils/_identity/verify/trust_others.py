# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whom else the roles let in, and what restricts them: told beside the check of the trust policy. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.finding import Finding, WorkloadKey
from ..model.checks import FAIL, Check, conclude, join_checks
from ..model.desired import Desired, Workload
from ..model.observed import Observed, ObservedRole
from ..model.shared import shared_roles
from ..plan.let_in import everyone_let_in, others_let_in
from ..plan.trust_usability import find_restrictions, subject_of
from .trust_policy import tags_disabled


def let_in_beside(desired: Desired, observed: Observed) -> dict[WorkloadKey, list[Finding]]:
    """By each workload of a role. Everyone, and what keeps the workload out, is told of every role; others of those alone that
    were made here and whose trust policy is not given as a whole."""
    findings: dict[WorkloadKey, list[Finding]] = {}
    for shared in shared_roles(observed.account, desired.workloads):
        spec = shared.spec
        role = observed.roles.get(spec.name.lower())
        if role is None or role.arn != observed.account.role_arn(spec):
            continue
        is_ours = not spec.existing and role.owned
        for workload in shared.users:
            key = workload.key
            others = others_let_in(role, key) if is_ours and spec.trust_policy is None else ()
            restrictions = [
                finding
                for finding in _restrictions(workload, observed, role)
                if is_ours or finding.severity != "info"
            ]
            findings[key] = [*everyone_let_in(role, key), *others, *restrictions]
    return findings


def _restrictions(workload: Workload, observed: Observed, role: ObservedRole) -> list[Finding]:
    key = workload.key
    if key not in observed.clusters:
        return []
    subject = subject_of(observed.cluster_of(key), key, role.arn, tags_disabled(workload, observed))
    given = workload.role.trust_policy if workload.role is not None else None
    return find_restrictions(role.arn, role.trust, given, {key: subject})


def with_others(check: Check, findings: Sequence[Finding]) -> Check:
    """What keeps the workload out comes first, and only errors are told beside it."""
    shown = [finding for finding in findings if check.status != FAIL or finding.severity == "error"]
    return (
        join_checks(check.name, [check, *(conclude(check.name, finding) for finding in shown)])
        if shown
        else check
    )
