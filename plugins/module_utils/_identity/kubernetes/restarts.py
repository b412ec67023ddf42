# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which Pods to restart, and what that takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..._findings.codes import Code
from ..model.checks import FAIL, UNKNOWN, Check
from .aws_result import Verification, VerifiedWorkload
from .cluster import Reads
from .objects import Object
from .owners import restart
from .pod_checks import find_stale
from .pods import shown_time
from .reads import state_of


@dataclass(frozen=True, slots=True)
class Restarts:
    """``manifests`` are patches of the owners, ``names`` theirs; ``unmanaged`` are Pods that no restart reaches.

    ``wait`` is how many seconds pass until the youngest association is old enough: the webhook learns of
    it with a delay, and a Pod admitted earlier would be stale again.
    """

    manifests: Sequence[Object] = ()
    names: Sequence[str] = ()
    unmanaged: Sequence[str] = ()
    wait: int = 0


def plan_restarts(verification: Verification, reads: Reads, now: datetime, settle: int = 15) -> Restarts:
    """What a restart of stale Pods takes; an association is to be ``settle`` seconds old by then.

    A workload that is not right in AWS is left alone: new Pods would not get the role either.
    """
    workloads = right_in_aws(verification)
    owners, others = find_stale(workloads, state_of(verification, reads, now))
    created = [workload.association_created for workload in workloads if workload.association_created]
    wait = settle - (now - max(created)).total_seconds() if owners and created else 0
    return Restarts(
        [restart(owner, shown_time(now)) for owner in owners],
        [f"{owner.kind} {owner.namespace}/{owner.name}" for owner in owners],
        sorted({f"{faulty.pod.namespace}/{faulty.pod.name}" for faulty in others}),
        int(min(max(wait, 0), settle)),
    )


def right_in_aws(verification: Verification) -> list[VerifiedWorkload]:
    return [
        workload
        for workload in verification.workloads
        if workload.association_id and not any(map(_blocks, workload.checks))
    ]


def _blocks(check: Check) -> bool:
    """An agent that is no add-on of EKS is judged by what is seen in the cluster."""
    return check.status in (FAIL, UNKNOWN) and [finding.code for finding in check.findings] != [
        Code.AGENT_ADDON_MISSING
    ]
