# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which Pods to restart, and what that takes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.key import WorkloadKey
from ...model.checks import FAIL, UNKNOWN, Check
from ..api.cluster import Reads
from ..model.aws_result import Verification, VerifiedWorkload
from ..model.objects import Object
from ..model.times import shown_time
from .owners import restart
from .pod_checks import find_stale
from .pods import Owner
from .reads import state_of


@dataclass(frozen=True, slots=True)
class Restarts:
    """``manifests`` are patches of the owners, ``names`` theirs; ``unmanaged`` are Pods that no restart reaches.

    ``withheld`` are owners whose new Pods would not get the role either, ``workloads`` are those of the others.
    ``wait`` is how many seconds pass until the youngest association is old enough: the webhook learns of it with a
    delay, and a Pod admitted earlier would be stale again.
    """

    manifests: Sequence[Object] = ()
    names: Sequence[str] = ()
    unmanaged: Sequence[str] = ()
    withheld: Sequence[str] = ()
    workloads: Sequence[WorkloadKey] = ()
    wait: int = 0


@dataclass(frozen=True, slots=True)
class Injection:
    """What the injection probe says of new Pods: ``proven`` get the role, ``failing`` do not. Of others nothing is
    known, and time has to do: their association is to be ``settle`` seconds old."""

    proven: Collection[WorkloadKey] = ()
    failing: Collection[WorkloadKey] = ()
    settle: int = 15


def plan_restarts(
    verification: Verification, reads: Reads, now: datetime, injection: Injection | None = None
) -> Restarts:
    """What a restart of stale Pods takes.

    A workload that is not right in AWS is left alone, and so is one whose new Pods would not get the role either.
    """
    injection = injection or Injection()
    state = state_of(verification, reads, now)
    right = right_in_aws(verification)
    workloads = [workload for workload in right if workload.key not in injection.failing]
    failing = [workload for workload in right if workload.key in injection.failing]
    owners, others = find_stale(workloads, state)
    stale = [workload for workload in workloads if find_stale([workload], state)[0]]
    created = [
        workload.association_created
        for workload in stale
        if workload.association_created and workload.key not in injection.proven
    ]
    wait = injection.settle - (now - max(created)).total_seconds() if created else 0
    return Restarts(
        [restart(owner, shown_time(now)) for owner in owners],
        _names(owners),
        sorted({f"{faulty.pod.namespace}/{faulty.pod.name}" for faulty in others}),
        _names(find_stale(failing, state)[0]),
        [workload.key for workload in stale],
        int(min(max(wait, 0), injection.settle)),
    )


def _names(owners: Sequence[Owner]) -> list[str]:
    return [f"{owner.kind} {owner.namespace}/{owner.name}" for owner in owners]


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
