# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whom else the roles let in that were made here: told beside the check of the trust policy. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..._findings.finding import Finding
from ..._findings.key import WorkloadKey
from ..model.checks import FAIL, Check
from ..model.desired import Desired
from ..model.observed import Observed
from ..model.shared import shared_roles
from ..plan import retained
from ..plan.trust import foreign_principals


def others_let_in(desired: Desired, observed: Observed) -> dict[WorkloadKey, list[Finding]]:
    """By the first workload of each role that is not given by its ARN."""
    findings: dict[WorkloadKey, list[Finding]] = {}
    for shared in shared_roles(observed.cluster, desired.workloads):
        role = observed.roles.get(shared.spec.name.lower())
        if role is None or shared.spec.existing or not role.owned or shared.spec.trust_policy is not None:
            continue
        if foreign := foreign_principals(role.trust):
            findings[shared.keys[0]] = [retained.lets_in_others(role, shared.keys[0], foreign)]
    return findings


def with_others(check: Check, findings: Sequence[Finding]) -> Check:
    """What keeps the workload out comes first."""
    return check if check.status == FAIL else replace(check, findings=(*check.findings, *findings))
