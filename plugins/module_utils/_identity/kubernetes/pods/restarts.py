# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which Pods to restart, and what that takes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.key import WorkloadKey
from ...model.checks import FAIL, UNKNOWN, Check
from ...model.messages import listed, sentence
from ..api.cluster import Reads
from ..api.connection import FORBIDDEN, remedy_of
from ..model.aws_result import Verification, VerifiedWorkload
from ..model.objects import Object
from ..model.times import shown_time
from .owners import restart
from .pod_checks import find_stale
from .pods import Owner, Pod
from .reads import state_of
from .rollouts import Hold, why_held
from .state import KubeState


@dataclass(frozen=True, slots=True)
class Restarts:
    """``manifests`` are patches of the owners, ``names`` theirs; ``unmanaged`` are Pods that no restart reaches.

    ``rolling`` are owners that replace their stale Pods already, without another restart. ``held`` has a sentence for
    stale Pods that a restart of their owner would not replace. ``withheld`` are owners whose new Pods would not get the
    role either, ``workloads`` are those of the owners to restart.
    ``wait`` is how many seconds pass until the youngest association is old enough: the webhook learns of it with a
    delay, and a Pod admitted earlier would be stale again.
    """

    manifests: Sequence[Object] = ()
    names: Sequence[str] = ()
    unmanaged: Sequence[str] = ()
    rolling: Sequence[str] = ()
    held: Sequence[str] = ()
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
    """Restart owners with stale Pods that their rollout would replace.

    A workload that is not right in AWS is left alone, and so is one whose new Pods would not get the role either.
    """
    injection = injection or Injection()
    state = state_of(verification, reads, now)
    right = right_in_aws(verification)
    workloads = [workload for workload in right if workload.key not in injection.failing]
    failing = [workload for workload in right if workload.key in injection.failing]
    stale, unmanaged = find_stale(workloads, state)
    groups = {owner: _by_hold(pods, state) for owner, pods in stale.items()}
    owners = [owner for owner, holds in groups.items() if "" in holds and state.rollout_of(owner)]
    keys = {pod.workload for owner in owners for pod in groups[owner][""]}
    restarted = [workload for workload in workloads if workload.key in keys]
    created = [
        workload.association_created
        for workload in restarted
        if workload.association_created and workload.key not in injection.proven
    ]
    wait = injection.settle - (now - max(created)).total_seconds() if created else 0
    return Restarts(
        [restart(owner, shown_time(now)) for owner in owners],
        _names(owners),
        sorted({f"{faulty.pod.namespace}/{faulty.pod.name}" for faulty in unmanaged}),
        _names([owner for owner, holds in groups.items() if "rolling" in holds and owner not in owners]),
        [sentence for owner, holds in groups.items() for sentence in _held(owner, holds, state)],
        _names(find_stale(failing, state)[0]),
        [workload.key for workload in restarted],
        int(min(max(wait, 0), injection.settle)),
    )


def _by_hold(pods: Sequence[Pod], state: KubeState) -> dict[Hold, list[Pod]]:
    groups: dict[Hold, list[Pod]] = {}
    for pod in pods:
        groups.setdefault(state.hold_of(pod), []).append(pod)
    return groups


def _held(owner: Owner, holds: Mapping[Hold, Sequence[Pod]], state: KubeState) -> Iterator[str]:
    """A sentence for each reason why Pods of an owner are not replaced."""
    [name] = _names([owner])
    rollout, error = state.rollout_of(owner), state.owner_errors.get(owner.kind)
    if rollout is None:
        if error is not None:
            allow = f"Allow the caller of the Kubernetes API to list {owner.kind.lower()}s.apps."
            remedy = allow if error.status == FORBIDDEN else remedy_of(error)
            yield (
                f"{name} not restarted: it could not be read, so it is not known which Pods it would replace: "
                f"{sentence(error.text)} {remedy}"
            )
        return
    for hold, pods in holds.items():
        # A rollout that is under way is waited for.
        if hold not in ("", "rolling"):
            names = sorted(pod.name for pod in pods)
            pods_of = f"Pod{'' if len(names) == 1 else 's'} {listed(names)} of " if "" in holds else ""
            yield f"{pods_of}{name} not restarted: it {why_held(hold, owner, names, rollout)}"


def _names(owners: Iterable[Owner]) -> list[str]:
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
