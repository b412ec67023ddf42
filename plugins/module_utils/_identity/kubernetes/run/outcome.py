# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the Kubernetes half did and found, and how one task hands it to another. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...model.checks import UNKNOWN, Check
from ...model.rows import CheckRow, FailureRow, FindingRow, check_row, finding_row
from ..accounts.account_findings import AccountState, check_account
from ..model.aws_result import (
    Verification,
    by_workload,
    failure_rows,
    key_of_row,
    parse_checks,
    parse_findings,
)
from ..model.objects import Object, objects_of, text_of
from ..pods.pod_checks import PodVerdict
from ..proof.injection_checks import InjectionVerdict
from ..proof.proof import ProofVerdict


@dataclass(frozen=True, slots=True)
class KubernetesOutcome:
    """``changes`` has a line for each object that was applied or removed, ``failures`` what was refused.

    ``error`` is what kubernetes.core said when it ended before its result. ``checks`` are those of each
    verified workload. ``judges_agent`` says that the cluster itself showed whether there is an agent.
    """

    changes: Sequence[str] = ()
    failures: Sequence[FailureRow] = ()
    error: str = ""
    checks: Mapping[WorkloadKey, Sequence[Check]] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    judges_agent: bool = False


class WorkloadChecksRow(TypedDict):
    namespace: str
    service_account: str
    checks: list[CheckRow]


class OutcomeRow(TypedDict):
    """A KubernetesOutcome as one task hands it to another."""

    changes: list[str]
    failures: list[FailureRow]
    error: str
    workloads: list[WorkloadChecksRow]
    findings: list[FindingRow]
    judges_agent: bool


def judge_cluster(
    verification: Verification,
    state: AccountState,
    pods: PodVerdict,
    proofs: ProofVerdict,
    unread: Mapping[WorkloadKey, Finding] | None = None,
    injection: InjectionVerdict | None = None,
) -> KubernetesOutcome:
    """The checks of service account, agent, injection, Pods and proof, in the order in which they are shown.

    ``unread`` is why a service account is not known.
    """
    if state.namespaces is not None:
        inhabited = {*state.namespaces, *(key.namespace for key in state.accounts)}
        state = replace(state, namespaces=inhabited)
    injected = injection or InjectionVerdict()
    checks: dict[WorkloadKey, Sequence[Check]] = {}
    findings: list[Finding] = []
    for workload in verification.workloads:
        finding = (unread or {}).get(workload.key)
        account = (
            Check("service account", UNKNOWN, findings=(finding,))
            if finding
            else check_account(workload.key, state)
        )
        further = (injected.checks.get(workload.key), proofs.checks.get(workload.key))
        checks[workload.key] = [
            account,
            *pods.checks[workload.key],
            *(check for check in further if check is not None),
        ]
        findings += account.findings
    findings += [*injected.findings, *pods.findings, *proofs.findings]
    # One finding may be that of many workloads.
    findings = list(dict.fromkeys(findings))
    return KubernetesOutcome(checks=checks, findings=findings, judges_agent=pods.judges_agent)


def outcome_row(outcome: KubernetesOutcome) -> OutcomeRow:
    return {
        "changes": list(outcome.changes),
        "failures": list(outcome.failures),
        "error": outcome.error,
        "workloads": [
            {
                "namespace": key.namespace,
                "service_account": key.service_account,
                "checks": [check_row(check) for check in checks],
            }
            for key, checks in outcome.checks.items()
        ],
        "findings": [finding_row(finding) for finding in outcome.findings],
        "judges_agent": outcome.judges_agent,
    }


def parse_outcome(row: Object, cluster: str) -> KubernetesOutcome:
    findings = parse_findings(row.get("findings"), cluster)
    known = by_workload(findings)
    changes = row.get("changes")
    checks = {
        (key := key_of_row(workload, cluster)): parse_checks(workload.get("checks"), key, cluster, known)
        for workload in objects_of(row.get("workloads"))
    }
    return KubernetesOutcome(
        [text_of(line) for line in changes] if isinstance(changes, Sequence) else (),
        failure_rows(row.get("failures")),
        text_of(row.get("error")),
        checks,
        findings,
        row.get("judges_agent") is True,
    )
