# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Restart the owners of stale Pods, and wait until those are gone. Pure: the cluster and the clock are given."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ...model.rows import FailureRow
from ..api.cluster import Clock, Cluster, Reads, Written
from ..api.refusals import ALLOW, refusal
from ..model.aws_result import Verification
from .reads import pods_query, read_cluster
from .restarts import Injection, Restarts, plan_restarts

# Seconds between two looks at the cluster.
PAUSE = 2


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """In seconds: how long to wait for the new Pods, and how old an association must be before, unless it is proven
    that new Pods get the role."""

    timeout: int = 300
    settle: int = 15


@dataclass(frozen=True, slots=True)
class RestartRun:
    """``reads`` are those after the restart. Pods that stay are findings of the report; ``failures`` what was refused."""

    reads: Reads
    restarts: Restarts = field(default_factory=Restarts)
    changed: bool = False
    warnings: Sequence[str] = ()
    failures: Sequence[FailureRow] = ()


def restart_stale(
    cluster: Cluster,
    verification: Verification,
    reads: Reads,
    settings: RestartSettings,
    clock: Clock,
    injection: Injection | None = None,
) -> RestartRun:
    """``injection`` is what the probe of it says; its time to settle is that of the settings."""
    injection = replace(injection or Injection(), settle=settings.settle)
    restarts = plan_restarts(verification, reads, clock.now(), injection)
    warnings = list(restarts.held)
    if restarts.withheld:
        warnings.append(
            f"{', '.join(restarts.withheld)} not restarted: new Pods would not get the role either, as the findings say."
        )
    if not (restarts.manifests or restarts.rolling):
        return RestartRun(reads, restarts, warnings=warnings)
    if restarts.wait:
        clock.sleep(restarts.wait)
    written = cluster.patch(restarts.manifests) if restarts.manifests else Written()
    refused = dict(written.refused)
    if written.error is not None:
        refused = dict.fromkeys(range(len(restarts.manifests)), written.error)
    failures = [
        refusal(restarts.manifests[index], "restart", reason, remedy=ALLOW)
        for index, reason in refused.items()
    ]
    restarts = _without(restarts, refused)
    replacing = [*restarts.names, *restarts.rolling]
    left = _wait_until_gone(cluster, verification, reads, settings.timeout, clock, replacing)
    warnings += [
        f"{sentence}, but stale Pods are still there after {settings.timeout} seconds. kubectl rollout status and kubectl "
        "get events say why."
        for sentence in _sentences(restarts, left)
    ]
    after = read_cluster(cluster, verification, clock.now()) if replacing else reads
    return RestartRun(after, restarts, written.changed, warnings, failures)


def _sentences(restarts: Restarts, left: Collection[str]) -> Iterator[str]:
    """Name only the owners whose Pods are not replaced."""
    if names := [name for name in restarts.names if name in left]:
        yield f"Restarted {', '.join(names)}"
    if names := [name for name in restarts.rolling if name in left]:
        yield f"{', '.join(names)} not restarted: a rollout that replaces the stale Pods is under way"


def _without(restarts: Restarts, places: Collection[int]) -> Restarts:
    kept = [index for index in range(len(restarts.manifests)) if index not in places]
    return replace(
        restarts,
        manifests=[restarts.manifests[index] for index in kept],
        names=[restarts.names[index] for index in kept],
    )


def attempts_within(timeout: float) -> int:
    """How often to look, with a pause after each; once at least."""
    return max(1, math.ceil(timeout / PAUSE))


def _wait_until_gone(
    cluster: Cluster,
    verification: Verification,
    reads: Reads,
    timeout: int,
    clock: Clock,
    names: Sequence[str],
) -> Collection[str]:
    """Return the owners that still have stale Pods to replace; all of them while Pods cannot be read."""
    query = pods_query(verification)
    left: Collection[str] = names
    for attempt in range(attempts_within(timeout)):
        if query is None or not left:
            return ()
        if attempt:
            clock.sleep(PAUSE)
        listing = cluster.list_objects(query)
        if listing.error is None:
            plan = plan_restarts(verification, {**reads, "pods": listing}, clock.now())
            left = {*names} & {*plan.names, *plan.rolling}
    return left
