# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Kubernetes half after the AWS half: apply, look at the Pods, restart stale ones, run the proof. Pure.

How the cluster is reached, and what time it is, are the caller's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.key import WorkloadKey
from .account_findings import AccountState
from .account_plan import Accounts, describe_plan, plan_absent, without_failed
from .applied import carry_out
from .aws_result import AwsResult, is_pending
from .cluster import Clock, Cluster, Reads
from .injection_checks import InjectionVerdict, judge_injection, missing_in
from .injection_run import InjectionRun, InjectionSettings, choose_workloads, proven, run_probes, unproven
from .last_look import look_before_removal
from .objects import Object
from .outcome import KubernetesOutcome, judge_cluster
from .pod_checks import verify_pods
from .preflight import Preflight
from .proof import ProofRun, judge_proofs
from .proof_job import ProofSettings
from .proof_run import run_proof
from .read_back import ReadBack, read_back
from .reads import read_cluster, state_of
from .restart_run import RestartRun, RestartSettings, restart_stale
from .restarts import Injection, Restarts, plan_restarts
from .webhook import WebhookState, has_webhook, read_webhook


@dataclass(frozen=True, slots=True)
class HalfSettings:
    """What is done beside applying service accounts; ``injection``, ``restart`` and ``proof`` are None when not asked
    for.

    ``why_no_proof`` replaces the cluster's own word on whether Pods can run. With ``injects`` new Pods are taken to
    be injected whatever the API server is, else only those of EKS's own.
    """

    check_mode: bool = False
    verify_pods: bool = True
    injection: InjectionSettings | None = None
    injects: bool = False
    restart: RestartSettings | None = None
    proof: ProofSettings | None = None
    why_no_proof: str | None = None


@dataclass(frozen=True, slots=True)
class HalfRun:
    """``outcome`` is for the report; the rest is for those who look at the run itself."""

    outcome: KubernetesOutcome
    changed: bool = False
    diffs: Sequence[Object] = ()
    restarts: Restarts = field(default_factory=Restarts)
    jobs: int = 0
    warnings: Sequence[str] = ()


_NOTHING_DONE = (
    "No Pod was restarted and no proof was run: the Kubernetes API of the kubeconfig is not proven to be that of the "
    "cluster, as the findings say."
)


def run_half(
    cluster: Cluster, aws: AwsResult, preflight: Preflight, settings: HalfSettings, clock: Clock
) -> HalfRun:
    """What Kubernetes refuses is for the report to say, and stops nothing else."""
    removes = aws.state == "absent"
    plan = (
        plan_absent(preflight.accounts, aws, preflight.owner, preflight.adopt)
        if removes
        else without_failed(preflight.plan, aws)
    )
    plan, unread = look_before_removal(cluster, aws.cluster, plan, preflight, removes=removes)
    applied = carry_out(
        cluster, plan, removes=removes, purges=not aws.failures, check_mode=settings.check_mode
    )
    back = ReadBack(applied, preflight.accounts)
    if not settings.check_mode:
        back = read_back(cluster, aws.cluster, preflight.accounts, plan, applied, removes=removes)
    applied, accounts = back.applied, back.accounts
    changes, failures = describe_plan(applied.plan, removes), [*unread, *applied.failures]
    if settings.check_mode and is_pending(aws, changes, failures):
        aws = aws.without_verification()
    verification = aws.verification
    reads = read_cluster(cluster, verification, clock.now()) if settings.verify_pods else {}
    # In check mode nothing is restarted or run.
    acts = bool(verification.workloads) and not settings.check_mode
    warnings = []
    if acts and preflight.server.required and _may_be_another(aws) and (settings.restart or settings.proof):
        acts = False
        warnings.append(_NOTHING_DONE)
    probes = _probe(cluster, aws, accounts, reads, settings, clock)
    restarted = RestartRun(reads)
    if acts and settings.restart and settings.verify_pods:
        injection = Injection(proven(probes), unproven(probes))
        restarted = restart_stale(cluster, verification, reads, settings.restart, clock, injection)
    proof = ProofRun()
    if acts and settings.proof:
        proof = run_proof(cluster, verification, accounts, settings.proof, clock, settings.why_no_proof)
    pods = verify_pods(
        verification.workloads, state_of(verification, restarted.reads, clock.now()), aws.cluster
    )
    outcome = judge_cluster(
        verification,
        AccountState(accounts, preflight.namespaces, preflight.going, preflight.wanted),
        pods,
        judge_proofs(verification.workloads, proof),
        {**back.unread, **_elsewhere(aws, preflight)},
        _judge_probes(cluster, probes),
    )
    return HalfRun(
        replace(
            outcome,
            changes=[
                *changes,
                *(f"restart {name}" for name in restarted.restarts.names if restarted.changed),
            ],
            failures=[*failures, *restarted.failures, *proof.failures],
            error=applied.error.text if applied.error else "",
            findings=[*plan.findings, *outcome.findings],
        ),
        applied.changed or restarted.changed,
        applied.diffs,
        restarted.restarts,
        len(proof.jobs),
        [*warnings, *restarted.warnings],
    )


def _probe(
    cluster: Cluster,
    aws: AwsResult,
    accounts: Accounts,
    reads: Reads,
    settings: HalfSettings,
    clock: Clock,
) -> InjectionRun:
    """Also in check mode: nothing is made."""
    if settings.injection is None:
        return {}
    stale: list[WorkloadKey] = []
    if settings.restart and settings.verify_pods:
        stale = list(plan_restarts(aws.verification, reads, clock.now()).workloads)
    workloads = choose_workloads(aws, accounts, settings.injection.sample, stale)
    if not workloads or not (settings.injects or has_webhook(cluster.read_version())):
        return {}
    return run_probes(cluster, aws, workloads, settings.injection, clock)


def _judge_probes(cluster: Cluster, probes: InjectionRun) -> InjectionVerdict:
    missing = missing_in(probes)
    return judge_injection(probes, read_webhook(cluster, missing) if missing else WebhookState())


def _elsewhere(aws: AwsResult, preflight: Preflight) -> dict[WorkloadKey, Finding]:
    """What another cluster has, and what it lacks, says nothing of the service accounts of this one."""
    findings = (*aws.findings, *aws.verification.findings)
    differs = next((one for one in findings if one.code == Code.KUBERNETES_API_DIFFERS), None)
    if differs is None or not preflight.server.required:
        return {}
    return {workload.key: differs for workload in aws.verification.workloads}


def _may_be_another(aws: AwsResult) -> bool:
    findings = (*aws.findings, *aws.verification.findings)
    return any(
        finding.code in (Code.KUBERNETES_API_DIFFERS, Code.KUBERNETES_API_UNKNOWN) for finding in findings
    )
