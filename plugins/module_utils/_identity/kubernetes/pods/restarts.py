# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restart the owners of stale Pods, and wait until these Pods are replaced. Pure: cluster and clock are arguments.

A Pod is stale if EKS did not inject credentials because the Pod was created before the association of its service account, or
so shortly after it that the webhook did not know the association yet. A new Pod from the same template gets the credentials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from ...._findings.codes import Code
from ...._findings.finding import WorkloadKey
from ...model.checks import FAIL, UNKNOWN, Check
from ...model.errors import listed, sentence
from ...model.rows import FailureRow
from ..api.api_errors import ALLOW, FORBIDDEN, manifest_failure, remedy_for
from ..api.cluster import Clock, KubernetesCluster, Listing, Reads, WriteResult
from ..model.aws_result import Verification, VerifiedWorkload
from ..model.objects import ObjectName, format_time, object_name
from .pod_checks import find_stale
from .pods import Hold, KubeState, Owner, Pod, describe_hold, restart_patch
from .reads import build_state, live_pods_query, read_pod_state


@dataclass(frozen=True, slots=True)
class Restarts:
    """The planned restarts. Owners in texts are like "Deployment shop/web", Pods like "shop/web-1".

    ``owners``: the owners to restart. ``unmanaged``: the stale Pods without an owner that can be restarted. ``rolling``: the
    other owners with a rollout under way that replaces stale Pods. ``replaced``: the Pods that restarts and rollouts replace.
    ``blocked``: a sentence about each group of stale Pods that a restart would not replace, and about each owner that could not
    be read. ``withheld``: the owners that are not restarted, because their new Pods might not get the role either. ``workloads``:
    the workloads of the owners to restart. ``wait``: the seconds to wait before the restart. The webhook knows a new association
    only after a delay, and a Pod that is created during this delay would be stale again.
    """

    owners: Sequence[Owner] = ()
    unmanaged: Sequence[str] = ()
    rolling: Sequence[str] = ()
    replaced: Sequence[Pod] = ()
    blocked: Sequence[str] = ()
    withheld: Sequence[str] = ()
    workloads: Sequence[WorkloadKey] = ()
    wait: int = 0

    @property
    def shown_owners(self) -> list[str]:
        return owner_names(self.owners)


# The default age, in seconds, that an association must have before a restart.
SETTLE_SECONDS = 15


# By workload, whether new Pods get credentials of the role as the injection probe shows, or None if the probe does not show it.
# The restart of a workload without a proof waits until its association is SETTLE_SECONDS old.
Injection: TypeAlias = Mapping[WorkloadKey, "bool | None"]


def plan_restarts(
    verification: Verification, reads: Reads, now: datetime, injection: Injection | None = None
) -> Restarts:
    """Plan to restart the owners of stale Pods.

    Skip Pods that a restart would not replace, workloads without an association or with a check in AWS that blocks restarts, and
    workloads whose new Pods do not get the role.

    :arg reads: the lists that were read, by their names in RESOURCES.
    """
    injection = injection or {}
    state = build_state(verification, reads, now)
    # In check mode, the association may be a planned one.
    passed = [
        workload
        for workload in verification.workloads
        if (workload.association_id or workload.association_created)
        and not any(map(_blocks, workload.checks))
    ]
    failing = [workload for workload in passed if injection.get(workload.key) is False]
    workloads = [workload for workload in passed if injection.get(workload.key) is not False]
    stale, unmanaged = find_stale(workloads, state)
    groups = {owner: group_by_hold(pods, state) for owner, pods in stale.items()}
    owners = [owner for owner, holds in groups.items() if "" in holds and state.find_rollout(owner)]
    keys = {pod.workload for owner in owners for pod in groups[owner][""]}
    restarted = [workload for workload in workloads if workload.key in keys]
    created = [
        workload.association_created
        for workload in restarted
        if workload.association_created and not injection.get(workload.key)
    ]
    wait = SETTLE_SECONDS - (now - max(created)).total_seconds() if created else 0
    rolling = [owner for owner, holds in groups.items() if "rolling" in holds and owner not in owners]
    return Restarts(
        owners,
        sorted({f"{pod.workload.namespace}/{pod.name}" for pod in unmanaged}),
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
    if rollout is None and error is not None:
        allow = f"Allow the caller of the Kubernetes API to list {owner.kind.lower()}s.apps."
        remedy = allow if error.status == FORBIDDEN else remedy_for(error)
        yield (
            f"{name} not restarted: it could not be read, so the Pods that a restart would replace are unknown: "
            f"{sentence(error.text)} {remedy}"
        )
    for hold, pods in holds.items():
        if rollout is not None and hold not in REPLACING:
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


def _blocks(check: Check) -> bool:
    # A missing add-on does not block restarts, because the agent may be installed without the add-on.
    return check.status in (FAIL, UNKNOWN) and [finding.code for finding in check.findings] != [
        Code.AGENT_MISSING
    ]


# Seconds between two reads of the Pods.
RESTART_PAUSE = 2


def poll(timeout: float, clock: Clock) -> Iterator[None]:
    """Yield at least once, and then every RESTART_PAUSE seconds until the timeout."""
    for attempt in range(max(1, math.ceil(timeout / RESTART_PAUSE))):
        if attempt:
            clock.sleep(RESTART_PAUSE)
        yield


def restart_owners(
    cluster: KubernetesCluster, owners: Sequence[Owner], now: datetime
) -> tuple[bool, list[Owner], list[FailureRow]]:
    """Restart owners. Return whether any changed, the restarted owners, and the failures of the others."""
    manifests = [restart_patch(owner, format_time(now)) for owner in owners]
    written = cluster.patch(manifests) if manifests else WriteResult()
    errors = dict.fromkeys(range(len(owners)), written.error) if written.error else written.refused
    failures = [
        manifest_failure(manifests[index], "restart", error, remedy=ALLOW) for index, error in errors.items()
    ]
    return written.changed, [owner for index, owner in enumerate(owners) if index not in errors], failures


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
    *,
    check_mode: bool = False,
) -> RestartRun:
    """Restart the owners of stale Pods, and wait until these Pods are replaced.

    In check mode, return the result that the restarts would have. Its ``reads`` lack the Pods that would be replaced.

    :arg reads: the lists that were read before the restarts.
    :arg timeout: the maximum time in seconds to wait for the new Pods.
    :arg injection: the result of the injection probe.
    """
    restarts = plan_restarts(verification, reads, clock.now(), injection)
    warnings = [*restarts.blocked]
    if restarts.withheld:
        reason = "not restarted: new Pods might not get the role either, see the findings."
        warnings.append(f"{', '.join(restarts.withheld)} {reason}")
    if not (restarts.owners or restarts.rolling):
        return RestartRun(reads, restarts, warnings=warnings)
    if check_mode:
        replaced = {ObjectName(pod.workload.namespace, pod.name) for pod in restarts.replaced}
        items = [item for item in reads["pods"].items if object_name(item) not in replaced]
        predicted = {**reads, "pods": Listing(items)}
        return RestartRun(predicted, restarts, bool(restarts.owners), warnings)
    if restarts.wait:
        clock.sleep(restarts.wait)
    changed, owners, failures = restart_owners(cluster, restarts.owners, clock.now())
    restarts = replace(restarts, owners=owners)
    remaining = {*restarts.shown_owners, *restarts.rolling}
    if not remaining:
        return RestartRun(reads, restarts, changed, warnings, failures)
    query = live_pods_query([workload.key for workload in verification.workloads])
    for _attempt in poll(timeout, clock):
        listing = cluster.list_objects(query)
        if listing.error is None:
            plan = plan_restarts(verification, {**reads, "pods": listing}, clock.now())
            remaining = {*restarts.shown_owners, *restarts.rolling} & {*plan.shown_owners, *plan.rolling}
        if not remaining:
            break
    current = read_pod_state(cluster, verification, clock.now())
    problem = f"stale Pods still exist after {timeout} seconds"
    if current.get("pods", Listing()).error is not None:
        problem = "stale Pods may still exist, as the Pods could not be read"
    late, rolling = (
        [name for name in names if name in remaining] for names in (restarts.shown_owners, restarts.rolling)
    )
    texts = [f"Restarted {', '.join(late)}"] if late else []
    if rolling:
        texts.append(
            f"{', '.join(rolling)} not restarted: a rollout that replaces the stale Pods is under way"
        )
    warnings += [
        f"{text}, but {problem}. Check kubectl rollout status and kubectl get events." for text in texts
    ]
    return RestartRun(current, restarts, changed, warnings, failures)
