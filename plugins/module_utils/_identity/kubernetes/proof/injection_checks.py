# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Check by dry runs whether new Pods get the credentials of their role. Pure: cluster and clock are arguments.

A cluster has several API servers, each with its own webhook. A webhook knows a new association only after a delay, and a client
cannot choose the API server. Therefore one dry run with injection does not prove that all webhooks know a new association.
Several dry runs in a row count as proof.

Sources: amazon-eks-pod-identity-webhook, and the configuration ``pod-identity-webhook`` that EKS creates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeAlias

from ...._findings.codes import Code, Severity
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, UNKNOWN, Check, conclude
from ..api.cluster import Clock, KubernetesCluster, is_transient
from ..model.aws_result import AwsResult, VerifiedWorkload
from ..model.objects import Object, as_text
from ..pods.pod_faults import SETTLED_AFTER
from ..pods.restarts import passed_aws_checks
from .injection import ProbeResult, ProbeSettings, evaluate_dry_run, probe_pod

WEBHOOK = "pod-identity-webhook"


def may_have_webhook(version: Object) -> bool:
    """Return whether the cluster may have the webhook: the API server is one of EKS, or its version is unknown.

    :arg version: the response of GET /version.
    """
    git_version = as_text(version.get("gitVersion"))
    return not git_version or "-eks-" in git_version


# The number of workloads to probe by default.
SAMPLE = 50
# The maximum time for all probes of a run, in seconds.
PROBE_SECONDS = 60
# In seconds: the shortest pause before another probe, and the longest one unless the API server requests more.
PROBE_PAUSE = 1
LONGEST_PROBE_PAUSE = 10
# The maximum number of dry runs that a client sends concurrently.
AT_ONCE = 8
# The number of probes with injection in a row that count as proof that all API servers know a new association.
REQUIRED_SUCCESSES = 3
# The approximate number of probes over the time ``InjectionSettings.observe``.
OBSERVATIONS = 6
# The number of probes without injection after which a workload fails. With a young association, probes go on until the timeout.
MISSES = 3


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The settings of all probes.

    ``timeout`` is the maximum time for all probes together, in seconds. ``sample`` is the maximum number of workloads to
    probe; 0 for all. ``observe`` is the minimum time in seconds over which workloads with a new association are probed,
    because the injection may fail again after it has worked.
    """

    probe: ProbeSettings
    timeout: int = PROBE_SECONDS
    sample: int = SAMPLE
    observe: int = 0


@dataclass(frozen=True, slots=True)
class ProbeSeries:
    """The results of the probes of one workload.

    ``is_young`` is true if some API servers may not know the association yet. ``probes`` is the number of all probes.
    ``misses`` is the number of probes without injection, except those that a busy API server rejected, and ``successes`` the
    number of probes with injection since the last miss. ``fault`` is the result of the last probe without injection; a rejection
    by a busy API server does not replace an earlier fault of the Pod. ``pause`` is the time until the next probe in seconds. It
    grows with ``failures``, the number of transient errors in a row.
    """

    is_young: bool
    probes: int = 0
    successes: int = 0
    misses: int = 0
    fault: ProbeResult = field(default_factory=ProbeResult)
    pause: int = PROBE_PAUSE
    failures: int = 0

    def add(self, result: ProbeResult) -> ProbeSeries:
        """Return the series with the result of another probe added."""
        tried = replace(self, probes=self.probes + 1, pause=PROBE_PAUSE, failures=0)
        if result.is_injected:
            return replace(tried, successes=self.successes + 1)
        if result.retry and result.error is not None:
            pause = max(result.error.retry_after, min(LONGEST_PROBE_PAUSE, PROBE_PAUSE * 2**self.failures))
            tried = replace(tried, pause=pause, failures=self.failures + 1)
        if result.is_busy:
            # A busy API server has not examined the Pod, so an earlier fault still counts.
            has_fault = not (self.fault.is_injected or self.fault.is_unknown)
            return replace(tried, fault=self.fault if has_fault else result)
        return replace(tried, successes=0, misses=self.misses + 1, fault=result)

    @property
    def is_proven(self) -> bool:
        """Return whether the results count as proof that new Pods get the credentials of the role."""
        return self.successes >= (REQUIRED_SUCCESSES if self.is_young or self.misses else 1)

    @property
    def injects(self) -> bool | None:
        """Return whether new Pods get the credentials of the role, or None if this is unknown. Too few successes are a no."""
        return self.is_proven if self.is_proven or not self.fault.is_unknown else None

    @property
    def is_decided(self) -> bool:
        """Return whether no further probes are needed."""
        if self.is_proven:
            return True
        if self.successes or self.fault.is_injected:
            return False
        if self.fault.is_unknown:
            return not self.fault.retry or (self.misses >= MISSES and not self.fault.is_busy)
        return not self.is_young and self.misses >= MISSES


InjectionRun: TypeAlias = Mapping[WorkloadKey, ProbeSeries]


def choose_workloads(
    aws: AwsResult,
    accounts: Collection[WorkloadKey],
    sample: int,
    first: Collection[WorkloadKey] = (),
) -> list[VerifiedWorkload]:
    """Return the workloads to probe, in the order of the verification: at most ``sample``, or all if ``sample`` is 0.

    Only workloads that pass the checks in AWS and have a service account are probed. The workloads in ``first``, and those
    whose association this run created, have priority. The rest of the sample is spread evenly over the other workloads.

    :arg accounts: the workloads with an existing service account.
    """
    eligible = [workload for workload in passed_aws_checks(aws.verification) if workload.key in accounts]
    if not sample or len(eligible) <= sample:
        return eligible
    new = _associated_now(aws)
    urgent = [workload for workload in eligible if workload.key in first or str(workload.key) in new][:sample]
    rest = [workload for workload in eligible if workload not in urgent]
    remaining = sample - len(urgent)
    spread = [rest[index * len(rest) // remaining] for index in range(remaining)]
    chosen = {workload.key for workload in (*urgent, *spread)}
    return [workload for workload in eligible if workload.key in chosen]


def run_probes(
    cluster: KubernetesCluster,
    aws: AwsResult,
    workloads: Sequence[VerifiedWorkload],
    settings: InjectionSettings,
    clock: Clock,
) -> InjectionRun:
    """Send dry runs for the workloads until none needs another one, or the timeout expires. Return the results."""
    began = clock.now()
    observed = began + timedelta(seconds=settings.observe)
    new = _associated_now(aws)
    series = {
        workload.key: ProbeSeries(
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

    def is_pending(probed: ProbeSeries) -> bool:
        return not probed.is_decided or (probed.is_young and probed.is_proven and clock.now() < observed)

    width = len(series)
    while pending := [key for key, probed in series.items() if is_pending(probed)]:
        if any(probed.probes for probed in series.values()):
            pause = max(series[key].pause for key in pending)
            if all(series[key].is_proven for key in pending):
                pause = max(pause, settings.observe // OBSERVATIONS)
            if is_late(pause):
                break
            clock.sleep(pause)
        least_probed = sorted(pending, key=lambda key: series[key].probes)
        width = _run_round(cluster, least_probed, manifests, series, width, is_late)
    return series


def _run_round(
    cluster: KubernetesCluster,
    keys: Sequence[WorkloadKey],
    manifests: Mapping[WorkloadKey, Object],
    series: dict[WorkloadKey, ProbeSeries],
    width: int,
    is_late: Callable[[], bool],
) -> int:
    """Send one dry run for each workload, in groups of ``width``. Return the width for the next round.

    Each group increases the width by one. If the API server is busy, the round ends early, and the next width is half of the
    present one: at least 1, and at most half of AT_ONCE. The round also ends when the timeout expires.

    :arg keys: the workloads to probe, those with the fewest probes first.
    :arg series: the results of each workload, to which the results of this round are added.
    :arg is_late: returns whether the timeout has expired.
    """
    start = 0
    while start < len(keys) and not (start and is_late()):
        part = keys[start : start + width]
        dry_runs = cluster.dry_run_pods([manifests[key] for key in part])
        results = [evaluate_dry_run(dry_run, key) for key, dry_run in zip(part, dry_runs, strict=True)]
        series.update({key: series[key].add(result) for key, result in zip(part, results, strict=True)})
        if any(result.is_busy for result in results):
            return max(1, min(width, AT_ONCE) // 2)
        start += width
        width += 1
    return width


def _associated_now(aws: AwsResult) -> set[object]:
    # Creation times alone do not show which associations are new, because the clock of AWS may differ from the local clock.
    return {
        change.get("workload")
        for change in aws.changes
        if change.get("resource") == "association" and change.get("action") in ("create", "replace")
    }


def judge_injection(key: WorkloadKey, series: ProbeSeries) -> Check:
    """Return the check of a probed workload."""
    fault, successes = series.fault, series.successes
    if series.is_proven:
        return Check("injection", PASS, f"{successes}x" if successes > 1 else "")
    subject = f"a Pod that starts now under service account {key.service_account}"
    count = f"({series.misses} of {series.probes} times)"
    severity: Severity | None = None
    if fault.code is None:
        code, remedy = Code.INJECTION_UNKNOWN, "Verify again."
        text = (
            f"got EKS Pod Identity in {successes} of the {REQUIRED_SUCCESSES} required dry runs in a row, so it is unknown "
            "whether all API servers of the cluster know the new association."
        )
    elif fault.code != Code.INJECTION_MISSING or fault.remedy:
        code, text, remedy = fault.code, f"{fault.description}.", fault.remedy
        if fault.error is not None and (not fault.error.status or is_transient(fault.error)):
            severity = "error"
    elif series.is_young:
        code = Code.INJECTION_NOT_YET
        text = f"{fault.description} {count}: perhaps not every API server of the cluster knows the new association yet."
        remedy = "Verify again in a minute. Start Pods only when the check passes."
    else:
        code = Code.INJECTION_MISSING
        text = (
            f"{fault.description} {count}, although the association is not new: the EKS webhook does not change the Pod, or "
            "another webhook reverts the change."
        )
        remedy = (
            f"Check that {WEBHOOK}, which EKS creates, exists, and that its namespaceSelector does not exclude namespace "
            f"{key.namespace}. To see the mutating webhooks: kubectl get mutatingwebhookconfigurations -o yaml"
        )
    finding = Finding(code, f"{subject} {text}", remedy, key, raised_as=severity)
    if code == Code.INJECTION_UNKNOWN:
        return Check("injection", UNKNOWN, findings=(finding,))
    return conclude("injection", finding)
