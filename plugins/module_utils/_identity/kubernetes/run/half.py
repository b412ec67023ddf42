# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Kubernetes half after the AWS half: apply, look at the Pods, restart stale ones, run the proof. Pure.

How the cluster is reached, and what time it is, are the caller's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ..accounts.account_findings import AccountState
from ..accounts.account_plan import Accounts, describe_plan, plan_absent, without_failed
from ..accounts.applied import carry_out, describe_step
from ..accounts.last_look import look_before_removal
from ..accounts.preflight import Preflight
from ..accounts.read_back import ReadBack, read_back
from ..api.cluster import Clock, Cluster, Reads
from ..model.aws_result import AwsResult, is_pending
from ..model.objects import Object
from ..pods.pod_checks import verify_pods
from ..pods.reads import read_cluster, state_of
from ..pods.restart_run import RestartRun, RestartSettings, restart_stale
from ..pods.restarts import Injection, Restarts, plan_restarts
from ..proof.injection_checks import InjectionVerdict, judge_injection, missing_in
from ..proof.injection_run import (
    InjectionRun,
    InjectionSettings,
    choose_workloads,
    proven,
    run_probes,
    unproven,
)
from ..proof.proof import ProofRun, judge_proofs
from ..proof.proof_job import ProofSettings
from ..proof.proof_run import Ending, run_proof
from ..proof.webhook import WebhookState, has_webhook, read_webhook
from .in_use import keep_used
from .outcome import KubernetesOutcome, judge_cluster
from .unproven import find_doubt, leave_open, what_is_left_out

LOOKING = "looking at the Pods"


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


def ignore_step(_step: str) -> None:
    """For runs that nobody looks at."""


def run_half(
    cluster: Cluster,
    aws: AwsResult,
    preflight: Preflight,
    settings: HalfSettings,
    clock: Clock,
    on_step: Callable[[str], None] = ignore_step,
    ending: Ending | None = None,
) -> HalfRun:
    """What Kubernetes refuses is for the report to say, and stops nothing else. ``on_step`` is called with each step that
    begins, like "applying 40 objects"; ``ending`` removes the Jobs of the proof where the run is interrupted."""
    removes = aws.state == "absent"
    plan = (
        plan_absent(preflight.accounts, aws, preflight.owner, preflight.adopt)
        if removes
        else without_failed(preflight.plan, aws)
    )
    if removes or plan.unlisted:
        on_step("looking at what is to be removed")
    look = look_before_removal(cluster, aws.cluster, plan, preflight, removes=removes)
    plan, unknown = keep_used(cluster, aws.cluster, look, removes=removes)
    unread = [*look.failures, *unknown]
    if step := describe_step(plan, removes=removes, check_mode=settings.check_mode):
        on_step(step)
    applied = carry_out(
        cluster, plan, removes=removes, purges=not aws.failures, check_mode=settings.check_mode
    )
    back = ReadBack(applied, preflight.accounts)
    if not settings.check_mode:
        on_step("reading the service accounts back")
        back = read_back(cluster, aws.cluster, preflight.accounts, plan, applied, removes=removes)
    applied = back.applied
    changes, failures = describe_plan(applied.plan, removes), [*unread, *applied.failures]
    if settings.check_mode and is_pending(aws, changes, failures):
        aws = aws.without_verified_workloads()
    doubt = find_doubt(aws)
    view = (
        _look(cluster, aws, preflight, back, settings, clock, on_step, ending)
        if doubt is None
        else _look_away(cluster, aws, preflight, back.accounts, settings, clock, doubt, on_step)
    )
    restarts = view.restarted.restarts
    return HalfRun(
        replace(
            view.outcome,
            changes=[
                *changes,
                *(f"restart {name}" for name in restarts.names if view.restarted.changed),
            ],
            failures=[*failures, *view.restarted.failures, *view.proof.failures],
            error=applied.error.text if applied.error else "",
            findings=[*plan.findings, *view.outcome.findings],
        ),
        applied.changed or view.restarted.changed,
        applied.diffs,
        restarts,
        len(view.proof.jobs),
        [*view.warnings, *view.restarted.warnings],
    )


@dataclass(frozen=True, slots=True)
class _View:
    """What was seen of the verified workloads, and what was done about it."""

    outcome: KubernetesOutcome
    restarted: RestartRun
    proof: ProofRun = field(default_factory=ProofRun)
    warnings: Sequence[str] = ()


def _look(
    cluster: Cluster,
    aws: AwsResult,
    preflight: Preflight,
    back: ReadBack,
    settings: HalfSettings,
    clock: Clock,
    on_step: Callable[[str], None],
    ending: Ending | None,
) -> _View:
    verification, accounts = aws.verification, back.accounts
    if settings.verify_pods:
        on_step(LOOKING)
    reads = read_cluster(cluster, verification, clock.now()) if settings.verify_pods else {}
    probes = _probe(cluster, aws, accounts, reads, settings, clock, on_step)
    restarted = _restart(cluster, aws, reads, probes, settings, clock, on_step)
    proof = ProofRun()
    if settings.proof and _acts(aws, settings):
        on_step("running the proof in Pods")
        proof = run_proof(
            cluster, verification, accounts, settings.proof, clock, settings.why_no_proof, ending
        )
    pods = verify_pods(
        verification.workloads, state_of(verification, restarted.reads, clock.now()), aws.cluster
    )
    outcome = judge_cluster(
        verification,
        AccountState(accounts, preflight.namespaces, preflight.going, preflight.wanted),
        pods,
        judge_proofs(verification.workloads, proof),
        back.unread,
        _judge_probes(cluster, probes),
    )
    return _View(outcome, restarted, proof)


def _look_away(
    cluster: Cluster,
    aws: AwsResult,
    preflight: Preflight,
    accounts: Accounts,
    settings: HalfSettings,
    clock: Clock,
    doubt: Finding,
    on_step: Callable[[str], None],
) -> _View:
    """Of an API that is not proven to be the cluster's. The user's word lets a run act there; it proves nothing."""
    restarted = RestartRun({})
    may_restart = settings.restart is not None and not preflight.server.required
    if may_restart and settings.verify_pods and _acts(aws, settings):
        on_step(LOOKING)
        reads = read_cluster(cluster, aws.verification, clock.now())
        probes = _probe(cluster, aws, accounts, reads, settings, clock, on_step)
        restarted = _restart(cluster, aws, reads, probes, settings, clock, on_step)
    checks = {
        "pods": settings.verify_pods,
        "injection": settings.injection is not None,
        "proof": settings.proof is not None,
    }
    outcome = leave_open(aws.verification, doubt, [name for name, asked in checks.items() if asked])
    left_out = what_is_left_out(settings.restart is not None and not may_restart, settings.proof is not None)
    return _View(outcome, restarted, warnings=[left_out] if left_out and _acts(aws, settings) else [])


def _acts(aws: AwsResult, settings: HalfSettings) -> bool:
    """In check mode nothing is restarted or run."""
    return bool(aws.verification.workloads) and not settings.check_mode


def _restart(
    cluster: Cluster,
    aws: AwsResult,
    reads: Reads,
    probes: InjectionRun,
    settings: HalfSettings,
    clock: Clock,
    on_step: Callable[[str], None],
) -> RestartRun:
    if not (settings.restart and settings.verify_pods and _acts(aws, settings)):
        return RestartRun(reads)
    injection = Injection(proven(probes), unproven(probes))
    on_step("restarting what has stale Pods")
    return restart_stale(cluster, aws.verification, reads, settings.restart, clock, injection)


def _probe(
    cluster: Cluster,
    aws: AwsResult,
    accounts: Accounts,
    reads: Reads,
    settings: HalfSettings,
    clock: Clock,
    on_step: Callable[[str], None],
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
    on_step("trying new Pods by a dry run")
    return run_probes(cluster, aws, workloads, settings.injection, clock)


def _judge_probes(cluster: Cluster, probes: InjectionRun) -> InjectionVerdict:
    missing = missing_in(probes)
    return judge_injection(probes, read_webhook(cluster, missing) if missing else WebhookState())
