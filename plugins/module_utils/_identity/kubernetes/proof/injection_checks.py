# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Injection of credentials into new Pods: probe the workloads in rounds, read EKS's webhook, and judge both. Pure.

A cluster has several API servers, each with a webhook that learns of an association by itself. The caller cannot choose
the server, so a young association must be injected several times in a row. Sources: amazon-eks-pod-identity-webhook,
and the configuration ``pod-identity-webhook`` that EKS creates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...._findings.codes import Code, Severity
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, UNKNOWN, Check, conclude
from ..api.cluster import Clock, KubernetesCluster, Query
from ..model.aws_result import AwsResult, VerifiedWorkload
from ..model.objects import Object, member, name_of, objects_of, text_of, texts_of
from ..pods.pod_faults import SETTLED_AFTER
from ..pods.restarts import passed_aws_checks
from .injection import ProbeSettings, Seen, judge_trial, probe_pod

WEBHOOK = "pod-identity-webhook"


@dataclass(frozen=True, slots=True)
class WebhookState:
    """``configurations`` are the mutating webhooks of the cluster, None when they could not be read; ``namespaces``
    are the labels of those that matter, without those that could not be read."""

    configurations: Sequence[Object] | None = None
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def is_missing(self) -> bool:
        return self.configurations is not None and not self._webhooks()

    def excludes(self, namespace: str) -> bool:
        """Whether the webhook is there, and is not asked for new Pods of the namespace."""
        webhooks, labels = self._webhooks(), self.namespaces.get(namespace)
        if not webhooks or labels is None:
            return False
        return not any(selects(member(webhook, "namespaceSelector"), labels) for webhook in webhooks)

    def _webhooks(self) -> list[Object]:
        items = [item for item in self.configurations or () if WEBHOOK in name_of(item).name]
        return [webhook for item in items for webhook in objects_of(item.get("webhooks"))]


def has_webhook(version: Object) -> bool:
    """Whether an API server is one of EKS's, which has the webhook. ``version`` is the answer of GET /version; without
    an answer nothing speaks against it."""
    git_version = text_of(version.get("gitVersion"))
    return not git_version or "-eks-" in git_version


def read_webhook(cluster: KubernetesCluster, namespaces: Iterable[str]) -> WebhookState:
    """Two requests, for workloads without injection only."""
    registered = cluster.list_objects(
        Query("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
    )
    if registered.error is not None:
        return WebhookState()
    listing = cluster.list_objects(Query("v1", "Namespace"))
    wanted = set(namespaces)
    labels = {
        name_of(item).name: texts_of(member(item, "metadata").get("labels"))
        for item in listing.items
        if name_of(item).name in wanted
    }
    return WebhookState(registered.items, labels)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """A label selector as Kubernetes evaluates it; an empty one selects all. An operator that is not known selects."""
    wanted = texts_of(selector.get("matchLabels"))
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_meets(requirement, labels) for requirement in objects_of(selector.get("matchExpressions")))


def _meets(expression: Object, labels: Mapping[str, str]) -> bool:
    name, given = text_of(expression.get("key")), expression.get("values")
    values = [text_of(value) for value in given] if isinstance(given, Sequence) else []
    operator = expression.get("operator")
    if operator == "In":
        return name in labels and labels[name] in values
    if operator == "NotIn":
        return name not in labels or labels[name] not in values
    if operator == "Exists":
        return name in labels
    return name not in labels if operator == "DoesNotExist" else True


# Of more workloads than that, a sample of so many is probed unless all are asked for.
SAMPLE = 50
PROBE_PAUSE = 1
LONGEST_PROBE_PAUSE = 10
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
    pause: int = PROBE_PAUSE
    failures: int = 0

    def after(self, seen: Seen) -> Series:
        tried = replace(self, probes=self.probes + 1, pause=PROBE_PAUSE, failures=0)
        if seen.is_injected:
            return replace(tried, in_a_row=self.in_a_row + 1)
        if seen.retry:
            pause = max(seen.retry_after, min(LONGEST_PROBE_PAUSE, PROBE_PAUSE * 2**self.failures))
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
    able = [workload for workload in passed_aws_checks(aws.verification) if workload.key in accounts]
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
    cluster: KubernetesCluster,
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
    cluster: KubernetesCluster,
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
        trials = cluster.dry_run_pods([manifests[key] for key in part])
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


def unproven_workloads(run: InjectionRun) -> list[WorkloadKey]:
    """Those whose new Pods would not get the role."""
    return [key for key, probed in run.items() if not probed.is_proven and not probed.fault.is_unknown]


def proven(run: InjectionRun) -> list[WorkloadKey]:
    return [key for key, probed in run.items() if probed.is_proven]


_NAME = "injection"


@dataclass(frozen=True, slots=True)
class InjectionVerdict:
    checks: Mapping[WorkloadKey, Check] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        return [finding for check in self.checks.values() for finding in check.findings]


def judge_injection(run: InjectionRun, webhook: WebhookState) -> InjectionVerdict:
    return InjectionVerdict({key: _check(key, series, webhook) for key, series in run.items()})


def missing_in(run: InjectionRun) -> list[str]:
    """The namespaces in which nothing was injected, and nothing in the Pod says why."""
    return sorted(
        {
            key.namespace
            for key, series in run.items()
            if not series.is_proven and series.fault.code == Code.INJECTION_MISSING
        }
    )


def _check(key: WorkloadKey, series: Series, webhook: WebhookState) -> Check:
    if series.is_proven:
        return Check(_NAME, PASS, f"{series.in_a_row}x" if series.in_a_row > 1 else "")
    finding = _finding(key, series, webhook)
    if finding.code == Code.INJECTION_UNKNOWN:
        return Check(_NAME, UNKNOWN, findings=(finding,))
    return conclude(_NAME, finding)


def _finding(key: WorkloadKey, series: Series, webhook: WebhookState) -> Finding:
    fault = series.fault
    subject = f"a Pod that starts now under service account {key.service_account}"
    if fault.is_injected:
        return Finding(
            Code.INJECTION_UNKNOWN,
            f"{subject} came back with EKS Pod Identity {series.in_a_row} of the {IN_A_ROW} times in a row that show that all "
            "API servers of the cluster know the young association.",
            "Verify again, or with a greater pod_identity_injection_timeout.",
            key,
        )
    if fault.code != Code.INJECTION_MISSING:
        code = fault.code or Code.INJECTION_UNKNOWN
        severity: Severity | None = "error" if fault.unanswered else None
        return Finding(code, f"{subject} {fault.description}.", fault.remedy, key, raised_as=severity)
    if webhook.is_missing:
        return Finding(
            Code.INJECTION_NO_WEBHOOK,
            f"{subject} {fault.description}: the cluster has no mutating webhook {WEBHOOK}.",
            "EKS makes it. Find out who removed it, and ask AWS Support to bring it back. The webhooks that are there: "
            "kubectl get mutatingwebhookconfigurations",
            key,
        )
    if webhook.excludes(key.namespace):
        return Finding(
            Code.INJECTION_NAMESPACE_EXCLUDED,
            f"{subject} {fault.description}: the namespaceSelector of webhook {WEBHOOK} leaves out namespace {key.namespace}.",
            f"Change the labels of the namespace. Show the selector: kubectl get mutatingwebhookconfiguration {WEBHOOK} "
            "-o yaml",
            key,
        )
    count = f"{series.misses} of {series.probes} times"
    if series.is_young:
        return Finding(
            Code.INJECTION_NOT_YET,
            f"{subject} {fault.description} ({count}): not every API server of the cluster knows the young association yet.",
            "Start no Pods before it does: verify again in a minute. pod_identity_injection_timeout lets a "
            "run wait longer.",
            key,
        )
    return Finding(
        Code.INJECTION_MISSING,
        f"{subject} {fault.description} ({count}), although the association is not young: EKS's webhook fails, or another "
        "one undoes its work.",
        "Look at the mutating webhooks: kubectl get mutatingwebhookconfigurations",
        key,
    )
