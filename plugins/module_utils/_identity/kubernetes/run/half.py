# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Kubernetes half after the AWS half: apply, verify the Pods, restart stale Pods, run the proof. Pure.

Cluster and clock are arguments. Data of an API that is not proven to be the cluster's API prove nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, UNKNOWN, Check
from ...model.rows import FailureRow
from ..accounts.account_findings import AccountState, check_account
from ..accounts.account_plan import (
    AccountPlan,
    Accounts,
    Preflight,
    affected_workload,
    describe_plan,
    drop_failed_workloads,
    plan_removal,
)
from ..accounts.account_writes import ReadBack, apply_account_plan, describe_step, read_back, recheck_removal
from ..api.cluster import Clock, KubernetesCluster, Reads
from ..model.aws_result import AwsResult, Verification, is_pending
from ..model.objects import Object
from ..pods.pod_checks import PodVerdict, verify_pods
from ..pods.reads import build_state, read_pod_state
from ..pods.restarts import (
    Injection,
    RestartRun,
    Restarts,
    RestartSettings,
    plan_restarts,
    predict_restart,
    restart_stale,
)
from ..proof.injection_checks import (
    InjectionRun,
    InjectionSettings,
    InjectionVerdict,
    WebhookState,
    choose_workloads,
    failing_workloads,
    has_webhook,
    judge_injection,
    namespaces_without_injection,
    proven_workloads,
    read_webhook,
    run_probes,
)
from ..proof.proof import Ending, ProofRun, ProofSettings, ProofVerdict, judge_proofs, run_proof
from .usage import keep_used


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


_DOUBTS = (Code.KUBERNETES_API_DIFFERS, Code.KUBERNETES_API_UNKNOWN)


def _find_doubt(aws: AwsResult) -> Finding | None:
    """Why the API may be another cluster's. The AWS half says it, which knows what EKS says of the cluster."""
    findings = (*aws.findings, *aws.verification.findings)
    return next((finding for finding in findings if finding.code in _DOUBTS), None)


def _leave_open(verification: Verification, doubt: Finding, names: Sequence[str]) -> KubernetesOutcome:
    """Every check of Kubernetes unknown; ``names`` are those beside service account and agent. What EKS says of the
    agent's add-on is of the right cluster, and counts."""
    checks = [Check(name, UNKNOWN, findings=(doubt,)) for name in ("service account", "agent", *names)]
    return KubernetesOutcome(
        checks={workload.key: checks for workload in verification.workloads},
        findings=[doubt] if verification.workloads else [],
    )


def _what_is_left_out(restart: bool, proof: bool) -> str:
    """A warning for what was asked for and not done; "" when there is nothing of the kind."""
    left_out = [
        text for text, asked in (("no Pod was restarted", restart), ("no proof was run", proof)) if asked
    ]
    if not left_out:
        return ""
    text = " and ".join(left_out)
    return (
        f"{text[0].upper()}{text[1:]}: the Kubernetes API of the kubeconfig is not proven to be that of the cluster, as "
        "the findings say."
    )


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
    cluster: KubernetesCluster,
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
        plan_removal(preflight.accounts, aws, preflight.owner, preflight.adopt)
        if removes
        else drop_failed_workloads(preflight.plan, aws)
    )
    if removes or plan.unlisted:
        on_step("looking at what is to be removed")
    look = recheck_removal(cluster, aws.cluster, plan, preflight, removes=removes)
    plan, unknown = keep_used(cluster, aws.cluster, look, removes=removes)
    unread = [*look.failures, *unknown]
    if step := describe_step(plan, removes=removes, check_mode=settings.check_mode):
        on_step(step)
    applied = apply_account_plan(
        cluster, plan, removes=removes, purges=not aws.failures, check_mode=settings.check_mode
    )
    back = ReadBack(applied, preflight.accounts)
    if not settings.check_mode:
        on_step("reading the service accounts back")
        back = read_back(cluster, aws.cluster, preflight.accounts, plan, applied, removes=removes)
    applied = back.applied
    changes, failures = describe_plan(applied.plan, removes), [*unread, *applied.failures]
    if settings.check_mode and is_pending(aws, changes, failures):
        aws = aws.as_planned(_unforeseeable(applied.plan, failures, preflight), clock.now())
        back = replace(back, accounts=_accounts_after(back.accounts, preflight, applied.plan))
    doubt = _find_doubt(aws)
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


def _unforeseeable(plan: AccountPlan, failures: Sequence[FailureRow], preflight: Preflight) -> set[str]:
    """Return the workloads, as "namespace/service account", of which a plan cannot say what a run finds: a service account
    that is not there has no Pods."""
    planned = {*map(affected_workload, (*plan.manifests, *plan.waiting))}
    new = planned.difference(map(str, preflight.accounts)) | {*map(affected_workload, plan.unlisted)}
    return new | {failure["workload"] for failure in failures}


def _accounts_after(accounts: Accounts, preflight: Preflight, plan: AccountPlan) -> Accounts:
    """Return the service accounts with the labels and annotations that a plan applies to them."""
    applied = {affected_workload(item) for item in plan.manifests}
    return {
        key: replace(
            account,
            labels={**account.labels, **asked.labels},
            annotations={**account.annotations, **asked.annotations},
        )
        if (asked := preflight.wanted.get(key)) is not None and str(key) in applied
        else account
        for key, account in accounts.items()
    }


@dataclass(frozen=True, slots=True)
class _View:
    """What was seen of the verified workloads, and what was done about it."""

    outcome: KubernetesOutcome
    restarted: RestartRun
    proof: ProofRun = field(default_factory=ProofRun)
    warnings: Sequence[str] = ()


def _look(
    cluster: KubernetesCluster,
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
    reads = read_pod_state(cluster, verification, clock.now()) if settings.verify_pods else {}
    probes = _probe(cluster, aws, accounts, reads, settings, clock, on_step)
    restarted = _restart(cluster, aws, reads, probes, settings, clock, on_step)
    proof = ProofRun()
    if settings.proof and _acts(aws, settings):
        on_step("running the proof in Pods")
        proof = run_proof(
            cluster, verification, accounts, settings.proof, clock, settings.why_no_proof, ending
        )
    pods = verify_pods(
        verification.workloads, build_state(verification, restarted.reads, clock.now()), aws.cluster
    )
    if settings.check_mode:
        _leave_out_new_pods(pods, restarted.restarts)
    outcome = judge_cluster(
        verification,
        AccountState(accounts, preflight.namespaces, preflight.going, preflight.wanted),
        pods,
        judge_proofs(verification.workloads, proof),
        back.unread,
        _judge_probes(cluster, probes),
    )
    return _View(outcome, restarted, proof)


def _leave_out_new_pods(pods: PodVerdict, restarts: Restarts) -> None:
    """Remove the check of workloads whose Pods a restart would replace, unless other Pods fail it: of the new Pods nothing
    is known yet."""
    for key in {pod.workload for pod in restarts.replaced}:
        pods.checks[key] = [
            check for check in pods.checks[key] if (check.name, check.status) != ("pods", PASS)
        ]


def _look_away(
    cluster: KubernetesCluster,
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
        reads = read_pod_state(cluster, aws.verification, clock.now())
        probes = _probe(cluster, aws, accounts, reads, settings, clock, on_step)
        restarted = _restart(cluster, aws, reads, probes, settings, clock, on_step)
    checks = {
        "pods": settings.verify_pods,
        "injection": settings.injection is not None,
        "proof": settings.proof is not None,
    }
    outcome = _leave_open(aws.verification, doubt, [name for name, asked in checks.items() if asked])
    left_out = _what_is_left_out(settings.restart is not None and not may_restart, settings.proof is not None)
    return _View(outcome, restarted, warnings=[left_out] if left_out and _acts(aws, settings) else [])


def _acts(aws: AwsResult, settings: HalfSettings) -> bool:
    """In check mode nothing is restarted or run."""
    return bool(aws.verification.workloads) and not settings.check_mode


def _restart(
    cluster: KubernetesCluster,
    aws: AwsResult,
    reads: Reads,
    probes: InjectionRun,
    settings: HalfSettings,
    clock: Clock,
    on_step: Callable[[str], None],
) -> RestartRun:
    if not (settings.restart and settings.verify_pods and aws.verification.workloads):
        return RestartRun(reads)
    injection = Injection(proven_workloads(probes), failing_workloads(probes))
    if settings.check_mode:
        return predict_restart(aws.verification, reads, clock, injection)
    on_step("restarting what has stale Pods")
    return restart_stale(cluster, aws.verification, reads, settings.restart, clock, injection)


def _probe(
    cluster: KubernetesCluster,
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


def _judge_probes(cluster: KubernetesCluster, probes: InjectionRun) -> InjectionVerdict:
    missing = namespaces_without_injection(probes)
    return judge_injection(probes, read_webhook(cluster, missing) if missing else WebhookState())
