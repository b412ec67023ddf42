# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Probe the workloads, in rounds, until each is decided or the time is up. Pure: the cluster and the clock are given.

A cluster has several API servers, each with a webhook of its own that learns of an association by itself. Which of them
answers is not the caller's to choose, so that a young association has to be known several times in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...._findings.key import WorkloadKey
from ..api.cluster import Clock, Cluster
from ..model.aws_result import AwsResult, VerifiedWorkload
from ..model.objects import Object
from ..pods.pod_faults import SETTLED_AFTER
from ..pods.restarts import right_in_aws
from .injection import ProbeSettings, Seen, judge_trial, probe_pod

# Of more workloads than that, a sample of so many is probed unless all are asked for.
SAMPLE = 50
PAUSE = 1
LONGEST_PAUSE = 10
# A client has no more dry runs under way at once.
AT_ONCE = 8
IN_A_ROW = 3
# Of an association that is old enough to be known everywhere, so many probes without injection are no accident.
MISSES = 3


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """``timeout`` is in seconds; of more than ``sample`` workloads only so many are probed, with 0 all."""

    probe: ProbeSettings
    timeout: int = 60
    sample: int = SAMPLE


@dataclass(frozen=True, slots=True)
class Series:
    """The probes of one workload: how many, how many in a row with injection, how many without, and what the last of
    those showed. ``pause`` is how many seconds an API server is to be left alone, after ``failures`` in a row.
    ``is_young`` says that the cluster may not know its association yet."""

    is_young: bool
    probes: int = 0
    in_a_row: int = 0
    misses: int = 0
    fault: Seen = field(default_factory=Seen)
    pause: int = PAUSE
    failures: int = 0

    def after(self, seen: Seen) -> Series:
        tried = replace(self, probes=self.probes + 1, pause=PAUSE, failures=0)
        if seen.is_injected:
            return replace(tried, in_a_row=self.in_a_row + 1)
        if seen.retry:
            pause = max(seen.retry_after, min(LONGEST_PAUSE, PAUSE * 2**self.failures))
            tried = replace(tried, pause=pause, failures=self.failures + 1)
        if seen.busy:
            # It shows nothing, so what was seen before still counts.
            is_seen = not (self.fault.is_injected or self.fault.is_unknown)
            return replace(tried, fault=self.fault if is_seen else seen)
        return replace(tried, in_a_row=0, misses=self.misses + 1, fault=seen)

    @property
    def is_proven(self) -> bool:
        return self.in_a_row >= (IN_A_ROW if self.is_young or self.misses else 1)

    @property
    def is_decided(self) -> bool:
        if self.is_proven:
            return True
        if self.in_a_row or self.fault.is_injected:
            return False
        if self.fault.is_unknown:
            return not self.fault.retry or (self.misses >= MISSES and not self.fault.busy)
        return not self.is_young and self.misses >= MISSES


InjectionRun: TypeAlias = Mapping[WorkloadKey, Series]


def choose_workloads(
    aws: AwsResult,
    accounts: Collection[WorkloadKey],
    sample: int,
    first: Collection[WorkloadKey] = (),
) -> list[VerifiedWorkload]:
    """Those that are right in AWS and have a service account; of more than ``sample`` first ``first`` and those that
    this run associated, then others from the whole list at equal distances."""
    able = [workload for workload in right_in_aws(aws.verification) if workload.key in accounts]
    if not sample or len(able) <= sample:
        return able
    new = _associated_now(aws)
    urgent = [workload for workload in able if workload.key in first or str(workload.key) in new][:sample]
    others = [workload for workload in able if workload not in urgent]
    room = sample - len(urgent)
    spread = [others[index * len(others) // room] for index in range(room)]
    chosen = {workload.key for workload in (*urgent, *spread)}
    return [workload for workload in able if workload.key in chosen]


def run_probes(
    cluster: Cluster,
    aws: AwsResult,
    workloads: Sequence[VerifiedWorkload],
    settings: InjectionSettings,
    clock: Clock,
) -> InjectionRun:
    began = clock.now()
    new = _associated_now(aws)
    series = {
        workload.key: Series(
            str(workload.key) in new
            or (
                workload.association_created is not None
                and began - workload.association_created < SETTLED_AFTER
            )
        )
        for workload in workloads
    }
    manifests = {key: probe_pod(key, settings.probe, aws.verification.region) for key in series}

    def is_late(pause: float = 0) -> bool:
        return (clock.now() - began).total_seconds() + pause > settings.timeout

    width = len(series)
    while pending := [key for key, probed in series.items() if not probed.is_decided]:
        if any(probed.probes for probed in series.values()):
            pause = max(series[key].pause for key in pending)
            if is_late(pause):
                break
            clock.sleep(pause)
        least_probed = sorted(pending, key=lambda key: series[key].probes)
        width = _run_round(cluster, least_probed, manifests, series, width, is_late)
    return series


def _run_round(
    cluster: Cluster,
    keys: Sequence[WorkloadKey],
    manifests: Mapping[WorkloadKey, Object],
    series: dict[WorkloadKey, Series],
    width: int,
    is_late: Callable[[], bool],
) -> int:
    """Try ``width`` Pods at once, until the API server is too busy. Return the width of the next round."""
    start = 0
    while start < len(keys) and not (start and is_late()):
        part = keys[start : start + width]
        trials = cluster.try_pods([manifests[key] for key in part])
        seen = [judge_trial(trial, key) for key, trial in zip(part, trials, strict=True)]
        series.update({key: series[key].after(each) for key, each in zip(part, seen, strict=True)})
        if any(each.busy for each in seen):
            return max(1, min(width, AT_ONCE) // 2)
        start += width
        width += 1
    return width


def _associated_now(aws: AwsResult) -> set[object]:
    """By the change, not by the clock: AWS's may differ from the one here."""
    return {
        change.get("workload")
        for change in aws.changes
        if change.get("resource") == "association" and change.get("action") in ("create", "replace")
    }


def unproven(run: InjectionRun) -> list[WorkloadKey]:
    """Those whose new Pods would not get the role."""
    return [key for key, probed in run.items() if not probed.is_proven and not probed.fault.is_unknown]


def proven(run: InjectionRun) -> list[WorkloadKey]:
    return [key for key, probed in run.items() if probed.is_proven]
