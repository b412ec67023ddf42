# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Restart the owners of stale Pods, and wait until these Pods are replaced. Pure: cluster and clock are arguments.

A Pod is stale if EKS did not inject credentials because the Pod was created before the association of its service account, or
so shortly after it that the webhook did not know the association yet. A new Pod from the same template gets the credentials.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.finding import WorkloadKey
from ...model.checks import FAIL, UNKNOWN, Check
from ...model.errors import listed, sentence
from ...model.rows import FailureRow
from ..api.api_errors import ALLOW, FORBIDDEN, manifest_failure, remedy_for
from ..api.cluster import Clock, KubernetesCluster, Listing, Reads, WriteResult
from ..model.aws_result import Verification, VerifiedWorkload
from ..model.objects import Object, ObjectName, format_time, object_name
from .pod_checks import find_stale
from .pods import Hold, KubeState, Owner, Pod, describe_hold, restart_patch
from .reads import build_state, pods_query, read_pod_state


@dataclass(frozen=True, slots=True)
class Restarts:
    """The planned restarts. Owners are strings like "Deployment shop/web", Pods like "shop/web-1".

    ``names``: the owners to restart. ``manifests``: their patches, in the same order. ``unmanaged``: the stale Pods without an
    owner that can be restarted. ``rolling``: the other owners with a rollout under way that replaces stale Pods.
    ``replaced``: the Pods that restarts and rollouts replace. ``blocked``: a sentence about each group of stale Pods that a
    restart would not replace, and about each owner that could not be read. ``withheld``: the owners that are not restarted,
    because their new Pods might not get the role either. ``workloads``: the workloads of the owners to restart. ``wait``: the
    seconds to wait before the restart. The webhook knows a new association only after a delay, and a Pod that is created during
    this delay would be stale again.
    """

    manifests: Sequence[Object] = ()
    names: Sequence[str] = ()
    unmanaged: Sequence[str] = ()
    rolling: Sequence[str] = ()
    replaced: Sequence[Pod] = ()
    blocked: Sequence[str] = ()
    withheld: Sequence[str] = ()
    workloads: Sequence[WorkloadKey] = ()
    wait: int = 0


# The default age, in seconds, that an association must have before a restart.
SETTLE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Injection:
    """The result of the injection probe, for the restarts.

    New Pods of the workloads in ``proven`` get credentials of the role. New Pods of the workloads in ``failing`` do not, or not
    reliably. For all other workloads, a restart waits until their association is SETTLE_SECONDS old.
    """

    proven: Collection[WorkloadKey] = ()
    failing: Collection[WorkloadKey] = ()


def plan_restarts(
    verification: Verification, reads: Reads, now: datetime, injection: Injection | None = None
) -> Restarts:
    """Plan to restart the owners of stale Pods.

    Skip Pods that a restart would not replace, workloads without an association or with a check in AWS that blocks restarts, and
    workloads in ``injection.failing``.

    :arg reads: the lists that were read, by their names in RESOURCES.
    """
    injection = injection or Injection()
    state = build_state(verification, reads, now)
    passed = [workload for workload in verification.workloads if _may_restart(workload)]
    workloads = [workload for workload in passed if workload.key not in injection.failing]
    failing = [workload for workload in passed if workload.key in injection.failing]
    stale, unmanaged = find_stale(workloads, state)
    groups = {owner: group_by_hold(pods, state) for owner, pods in stale.items()}
    owners = [owner for owner, holds in groups.items() if "" in holds and state.find_rollout(owner)]
    keys = {pod.workload for owner in owners for pod in groups[owner][""]}
    restarted = [workload for workload in workloads if workload.key in keys]
    created = [
        workload.association_created
        for workload in restarted
        if workload.association_created and workload.key not in injection.proven
    ]
    wait = SETTLE_SECONDS - (now - max(created)).total_seconds() if created else 0
    rolling = [owner for owner, holds in groups.items() if "rolling" in holds and owner not in owners]
    return Restarts(
        [restart_patch(owner, format_time(now)) for owner in owners],
        owner_names(owners),
        sorted({f"{pod.namespace}/{pod.name}" for pod in unmanaged}),
        owner_names(rolling),
        [pod for owner in (*owners, *rolling) for hold in REPLACING for pod in groups[owner].get(hold, ())],
        [sentence for owner, holds in groups.items() for sentence in describe_holds(owner, holds, state)],
        owner_names(find_stale(failing, state)[0]),
        [workload.key for workload in restarted],
        int(min(max(wait, 0), SETTLE_SECONDS)),
    )


# The holds with which a Pod is replaced: by a restart, or by a rollout that is under way.
REPLACING: tuple[Hold, ...] = ("", "rolling")


def group_by_hold(pods: Sequence[Pod], state: KubeState) -> dict[Hold, list[Pod]]:
    groups: dict[Hold, list[Pod]] = {}
    for pod in pods:
        groups.setdefault(state.find_hold(pod), []).append(pod)
    return groups


def describe_holds(owner: Owner, holds: Mapping[Hold, Sequence[Pod]], state: KubeState) -> Iterator[str]:
    """Yield a sentence for each reason why Pods of an owner are not replaced, or one sentence if the owner could not be read."""
    [name] = owner_names([owner])
    rollout, error = state.find_rollout(owner), state.owner_errors.get(owner.kind)
    if rollout is None:
        if error is not None:
            allow = f"Allow the caller of the Kubernetes API to list {owner.kind.lower()}s.apps."
            remedy = allow if error.status == FORBIDDEN else remedy_for(error)
            yield (
                f"{name} not restarted: it could not be read, so the Pods that a restart would replace are unknown: "
                f"{sentence(error.text)} {remedy}"
            )
        return
    for hold, pods in holds.items():
        if hold not in REPLACING:
            names = sorted(pod.name for pod in pods)
            subject = f"Pod{'' if len(names) == 1 else 's'} {listed(names)} of " if "" in holds else ""
            yield f"{subject}{name} not restarted: it {describe_hold(hold, owner, names, rollout)}"


def owner_names(owners: Iterable[Owner]) -> list[str]:
    return [f"{owner.kind} {owner.namespace}/{owner.name}" for owner in owners]


def passed_aws_checks(verification: Verification) -> list[VerifiedWorkload]:
    """Return the workloads with an association and without a check in AWS that blocks restarts."""
    return [
        workload
        for workload in verification.workloads
        if workload.association_id and not any(map(_blocks, workload.checks))
    ]


def _may_restart(workload: VerifiedWorkload) -> bool:
    """Return whether a workload has an association (in check mode, possibly a planned one) and no check that blocks restarts."""
    exists = workload.association_id or workload.association_created
    return bool(exists) and not any(map(_blocks, workload.checks))


def _blocks(check: Check) -> bool:
    # A missing add-on does not block restarts, because the agent may be installed without the add-on.
    return check.status in (FAIL, UNKNOWN) and [finding.code for finding in check.findings] != [
        Code.AGENT_MISSING
    ]


# Seconds between two reads of the Pods.
RESTART_PAUSE = 2


@dataclass(frozen=True, slots=True)
class RestartRun:
    """The result of the restarts.

    ``reads`` are the lists after the restarts; in check mode, they are predicted. ``failures`` has the patches that were
    rejected or ended without a result.
    """

    reads: Reads
    restarts: Restarts = field(default_factory=Restarts)
    changed: bool = False
    warnings: Sequence[str] = ()
    failures: Sequence[FailureRow] = ()


def restart_stale(
    cluster: KubernetesCluster,
    verification: Verification,
    reads: Reads,
    timeout: int,
    clock: Clock,
    injection: Injection | None = None,
) -> RestartRun:
    """Restart the owners of stale Pods, and wait until these Pods are replaced.

    :arg reads: the lists that were read before the restarts.
    :arg timeout: the maximum time in seconds to wait for the new Pods.
    :arg injection: the result of the injection probe.
    """
    restarts = plan_restarts(verification, reads, clock.now(), injection)
    warnings = _warnings(restarts)
    if not (restarts.manifests or restarts.rolling):
        return RestartRun(reads, restarts, warnings=warnings)
    if restarts.wait:
        clock.sleep(restarts.wait)
    written = cluster.patch(restarts.manifests) if restarts.manifests else WriteResult()
    failures = [
        manifest_failure(restarts.manifests[index], "restart", reason, remedy=ALLOW)
        for index, reason in written.refused.items()
    ]
    restarts = _without_refused(restarts, written.refused)
    replacing = [*restarts.names, *restarts.rolling]
    remaining = _wait_for_rollouts(cluster, verification, reads, timeout, clock, replacing)
    current = read_pod_state(cluster, verification, clock.now()) if replacing else reads
    problem = f"stale Pods still exist after {timeout} seconds"
    if current.get("pods", Listing()).error is not None:
        problem = "stale Pods may still exist, as the Pods could not be read"
    warnings += [
        f"{sentence}, but {problem}. Check kubectl rollout status and kubectl get events."
        for sentence in _sentences(restarts, remaining)
    ]
    return RestartRun(current, restarts, written.changed, warnings, failures)


def predict_restart(
    verification: Verification, reads: Reads, clock: Clock, injection: Injection | None = None
) -> RestartRun:
    """Return the result that the restarts would have, for check mode.

    Its ``reads`` lack the Pods that restarts and rollouts would replace.
    """
    restarts = plan_restarts(verification, reads, clock.now(), injection)
    replaced = {ObjectName(pod.namespace, pod.name) for pod in restarts.replaced}
    current = dict(reads)
    if pods := reads.get("pods"):
        current["pods"] = replace(
            pods, items=[item for item in pods.items if object_name(item) not in replaced]
        )
    return RestartRun(current, restarts, bool(restarts.manifests), _warnings(restarts))


def _warnings(restarts: Restarts) -> list[str]:
    warnings = list(restarts.blocked)
    if restarts.withheld:
        warnings.append(
            f"{', '.join(restarts.withheld)} not restarted: new Pods might not get the role either, see the findings."
        )
    return warnings


def _sentences(restarts: Restarts, remaining: Collection[str]) -> Iterator[str]:
    """Yield the beginnings of sentences about the owners in ``remaining``, which may still have stale Pods."""
    if names := [name for name in restarts.names if name in remaining]:
        yield f"Restarted {', '.join(names)}"
    if names := [name for name in restarts.rolling if name in remaining]:
        yield f"{', '.join(names)} not restarted: a rollout that replaces the stale Pods is under way"


def _without_refused(restarts: Restarts, refused: Collection[int]) -> Restarts:
    indexes = [index for index in range(len(restarts.manifests)) if index not in refused]
    return replace(
        restarts,
        manifests=[restarts.manifests[index] for index in indexes],
        names=[restarts.names[index] for index in indexes],
    )


def poll_attempts(timeout: float) -> int:
    """Return how many times to read within ``timeout`` seconds, with a pause of RESTART_PAUSE between two reads; at least 1."""
    return max(1, math.ceil(timeout / RESTART_PAUSE))


def _wait_for_rollouts(
    cluster: KubernetesCluster,
    verification: Verification,
    reads: Reads,
    timeout: int,
    clock: Clock,
    names: Sequence[str],
) -> Collection[str]:
    """Wait until the owners have replaced their stale Pods. Return the owners that have not, or may not have."""
    query = pods_query(verification)
    remaining: Collection[str] = names
    for attempt in range(poll_attempts(timeout)):
        if query is None or not remaining:
            return ()
        if attempt:
            clock.sleep(RESTART_PAUSE)
        listing = cluster.list_objects(query)
        if listing.error is None:
            plan = plan_restarts(verification, {**reads, "pods": listing}, clock.now())
            remaining = {*names} & {*plan.names, *plan.rolling}
    return remaining
