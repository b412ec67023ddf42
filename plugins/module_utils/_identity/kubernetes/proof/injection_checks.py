# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The check of the injection probe, and its findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...._findings.severities import Severity
from ...model.checks import PASS, UNKNOWN, Check, conclude
from .injection_run import IN_A_ROW, InjectionRun, Series
from .webhook import NAME, WebhookState

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
        return Finding(code, f"{subject} {fault.what}.", fault.remedy, key, raised_as=severity)
    if webhook.is_missing:
        return Finding(
            Code.INJECTION_NO_WEBHOOK,
            f"{subject} {fault.what}: the cluster has no mutating webhook {NAME}.",
            "EKS makes it. Find out who removed it, and ask AWS Support to bring it back. The webhooks that are there: "
            "kubectl get mutatingwebhookconfigurations",
            key,
        )
    if webhook.excludes(key.namespace):
        return Finding(
            Code.INJECTION_NAMESPACE_EXCLUDED,
            f"{subject} {fault.what}: the namespaceSelector of webhook {NAME} leaves out namespace {key.namespace}.",
            f"Change the labels of the namespace. Show the selector: kubectl get mutatingwebhookconfiguration {NAME} "
            "-o yaml",
            key,
        )
    count = f"{series.misses} of {series.probes} times"
    if series.is_young:
        return Finding(
            Code.INJECTION_NOT_YET,
            f"{subject} {fault.what} ({count}): not every API server of the cluster knows the young association yet.",
            "Start no Pods before it does: verify again in a minute. pod_identity_injection_timeout lets a "
            "run wait longer.",
            key,
        )
    return Finding(
        Code.INJECTION_MISSING,
        f"{subject} {fault.what} ({count}), although the association is not young: EKS's webhook fails, or another "
        "one undoes its work.",
        "Look at the mutating webhooks: kubectl get mutatingwebhookconfigurations",
        key,
    )
