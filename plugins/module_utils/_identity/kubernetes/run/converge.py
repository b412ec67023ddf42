# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the Kubernetes part after the AWS part. Pure: cluster and clock are arguments.

The steps are: apply or delete service accounts, probe the injection of credentials into new Pods, restart the owners of stale
Pods, run the runtime proof, and verify the workloads. A Pod is stale if it was created before the association of its service
account, or too shortly after it to get its credentials. The runtime proof is a Job under each service account that reports its
IAM identity. If the Kubernetes API may belong to another cluster, the results of the verification are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...._findings.codes import CheckName, Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.addons import AGENT_ADDON
from ...model.checks import PASS, UNKNOWN, Check
from ...model.rows import FailureRow
from ..accounts.account_plan import (
    AccountPlan,
    Accounts,
    Preflight,
    affected_workload,
    check_account,
    drop_failed_workloads,
    plan_removal,
)
from ..accounts.account_writes import (
    AppliedPlan,
    describe_step,
    judge_writes,
    read_back,
    write_plan,
)
from ..api.cluster import Clock, KubernetesCluster, Reads
from ..model.aws_result import AwsResult, Verification, is_pending
from ..model.objects import Object, as_text
from ..pods.pod_checks import PodVerdict, verify_pods
from ..pods.reads import build_state, read_pod_state
from ..pods.restarts import (
    RestartRun,
    Restarts,
    plan_restarts,
    restart_stale,
)
from ..proof.injection import (
    InjectionRun,
    InjectionSettings,
    choose_workloads,
    judge_injection,
    run_probes,
)
from ..proof.proof import Ending, ProofRun, ProofSettings, judge_proofs, run_proof
from .losing_pods import find_losing_pods
from .removal import recheck_removal


@dataclass(frozen=True, slots=True)
class KubernetesOutcome:
    """The result of the Kubernetes part for the report.

    ``changes`` has a line for each changed object. ``failures`` has the failed changes and reads. ``error`` is the error of
    writes that ended without a result, or "". ``checks`` are the checks of each verified workload. ``judges_agent`` is
    as in ``PodVerdict``.
    """

    changes: Sequence[str] = ()
    failures: Sequence[FailureRow] = ()
    error: str = ""
    checks: Mapping[WorkloadKey, Sequence[Check]] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    judges_agent: bool = False


def judge_cluster(
    verification: Verification,
    state: Preflight,
    pods: PodVerdict,
    injection: Mapping[WorkloadKey, Check],
    proofs: Mapping[WorkloadKey, Check],
    unread: Mapping[WorkloadKey, Finding],
) -> KubernetesOutcome:
    """Combine the checks of service account, agent, Pods, injection and proof of each workload.

    :arg injection: the check "injection" of each probed workload.
    :arg proofs: the check "proof" of each workload that has one.
    :arg unread: a finding for each service account that could not be read.
    """
    checks: dict[WorkloadKey, Sequence[Check]] = {}
    findings: list[Finding] = []
    for workload in verification.workloads:
        finding = unread.get(workload.key)
        account = (
            Check("service account", UNKNOWN, findings=(finding,))
            if finding
            else check_account(workload.key, state)
        )
        optional = [part[workload.key] for part in (injection, proofs) if workload.key in part]
        checks[workload.key] = [account, *pods.checks[workload.key], *optional]
        findings += account.findings
    findings += [finding for check in injection.values() for finding in check.findings]
    findings += [*pods.findings, *(finding for check in proofs.values() for finding in check.findings)]
    # Several workloads may have the same finding.
    findings = list(dict.fromkeys(findings))
    return KubernetesOutcome(checks=checks, findings=findings, judges_agent=pods.judges_agent)


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """The options of the Kubernetes part.

    ``injection``, ``restart`` and ``proof`` are None if that step is turned off. ``restart`` is the maximum time in seconds
    to wait until stale Pods are replaced. ``proof_skip_reason`` is the reason to skip the runtime proof, or "" to run it. With
    None, the proof is skipped on an emulator.
    """

    check_mode: bool = False
    verify_pods: bool = True
    injection: InjectionSettings | None = None
    restart: int | None = None
    proof: ProofSettings | None = None
    proof_skip_reason: str | None = None


@dataclass(frozen=True, slots=True)
class KubernetesRun:
    """The result of ``converge_kubernetes``.

    ``outcome`` is for the report. ``diffs`` are shown with ``--diff``. ``jobs`` is the number of planned Jobs of the proof.
    """

    outcome: KubernetesOutcome
    changed: bool = False
    diffs: Sequence[Object] = ()
    restarts: Restarts = field(default_factory=Restarts)
    jobs: int = 0
    warnings: Sequence[str] = ()


def converge_kubernetes(
    cluster: KubernetesCluster,
    aws: AwsResult,
    preflight: Preflight,
    settings: KubernetesSettings,
    clock: Clock,
    on_step: Callable[[str], None] = lambda _step: None,
    ending: Ending | None = None,
) -> KubernetesRun:
    """Apply or delete service accounts, restart the owners of stale Pods, run the proof, and verify the workloads.

    A rejected write is a failure in the result, and does not prevent the later steps.

    :arg aws: the result of the AWS part.
    :arg preflight: the service accounts and the plan, as read before the AWS part.
    :arg on_step: called before each step with its progress line, like "applying 40 objects".
    :arg ending: deletes the Jobs of the proof if the run is interrupted.
    """
    removes = aws.state == "absent"
    plan = (
        plan_removal(preflight.accounts, aws, preflight.owner, preflight.adopt)
        if removes
        else drop_failed_workloads(preflight.plan, aws)
    )
    if plan.removed or plan.released:
        on_step("reading the objects to delete")
    plan, unread = recheck_removal(cluster, aws.cluster, plan, preflight)
    losing = find_losing_pods(cluster, aws, clock.now())
    if step := describe_step(plan, check_mode=settings.check_mode):
        on_step(step)
    # A failure in AWS prevents a purge. A teardown removes the other workloads.
    writes = write_plan(cluster, plan, removes=removes or not aws.failures, check_mode=settings.check_mode)
    if settings.check_mode:
        applied = judge_writes(writes, preflight.accounts)
    else:
        on_step("reading back the service accounts")
        applied = read_back(cluster, aws.cluster, preflight.accounts, writes)
    changes, failures = applied.plan.lines, [*unread, *applied.failures]
    if settings.check_mode and is_pending(aws, changes, failures):
        aws = aws.as_planned(_unpredictable(applied.plan, failures, preflight), clock.now())
        applied = replace(applied, accounts=_planned_accounts(applied.accounts, preflight))
    # The AWS part reports whether the Kubernetes API belongs, or may belong, to another cluster.
    doubts = (
        finding
        for finding in (*aws.findings, *aws.verification.findings)
        if finding.code in (Code.KUBERNETES_API_DIFFERS, Code.KUBERNETES_API_UNKNOWN)
    )
    doubt = next(doubts, None)
    context = _Context(cluster, aws, settings, clock, on_step)
    outcome, restarted, proof = (
        _verify(context, preflight, applied, ending) if doubt is None else _skip_verification(context, doubt)
    )
    restarts = restarted.restarts
    return KubernetesRun(
        replace(
            outcome,
            changes=[*changes, *(f"restart {name}" for name in restarts.shown_owners if restarted.changed)],
            failures=[*failures, *restarted.failures, *proof.failures],
            error=applied.error.text if applied.error else "",
            findings=[*plan.findings, *losing, *outcome.findings],
        ),
        applied.changed or restarted.changed,
        applied.diffs,
        restarts,
        len(proof.jobs),
        restarted.warnings,
    )


def _unpredictable(plan: AccountPlan, failures: Sequence[FailureRow], preflight: Preflight) -> set[str]:
    """Return the workloads, as "namespace/service_account", whose checks cannot be predicted in check mode.

    These are workloads whose service account would be created, or deleted as unlisted, and workloads with a failure.
    """
    planned = {*map(affected_workload, (*plan.manifests, *plan.waiting))}
    new = planned.difference(map(str, preflight.accounts)) | {*map(affected_workload, plan.removed)}
    return new | {failure["workload"] for failure in failures}


def _planned_accounts(accounts: Accounts, preflight: Preflight) -> Accounts:
    """Return existing service accounts with the labels and annotations that they would have after the plan."""
    return {
        key: replace(
            account,
            labels={**account.labels, **desired.labels},
            annotations={**account.annotations, **desired.annotations},
        )
        if (desired := preflight.desired.get(key)) is not None
        else account
        for key, account in accounts.items()
    }


@dataclass(frozen=True, slots=True)
class _Context:
    """The cluster, the result of the AWS part, and the options with which the steps of the verification run."""

    cluster: KubernetesCluster
    aws: AwsResult
    settings: KubernetesSettings
    clock: Clock
    on_step: Callable[[str], None]


# The outcome of the verification, and the restarts and the proof that it included.
_VerificationRun: TypeAlias = tuple[KubernetesOutcome, RestartRun, ProofRun]


def _verify(
    context: _Context, preflight: Preflight, applied: AppliedPlan, ending: Ending | None
) -> _VerificationRun:
    cluster, settings, clock = context.cluster, context.settings, context.clock
    verification, accounts = context.aws.verification, applied.accounts
    if settings.verify_pods:
        context.on_step("reading the Pods")
    reads = read_pod_state(cluster, verification, clock.now()) if settings.verify_pods else {}
    probes = _probe(context, accounts, reads)
    restarted = _restart(context, reads, probes)
    proof = ProofRun()
    if settings.proof and verification.workloads and not settings.check_mode:
        context.on_step("running the proof in Pods")
        proof = run_proof(
            cluster, verification, accounts, settings.proof, clock, settings.proof_skip_reason, ending
        )
    state = build_state(verification, restarted.reads, clock.now())
    changes = [(row.get("resource"), row.get("action"), row.get("name")) for row in context.aws.changes]
    if settings.check_mode and ("addon", "create", AGENT_ADDON) in changes:
        # The Pods of the agent do not exist yet.
        state = replace(state, agents=None)
    pods = verify_pods(verification.workloads, state, context.aws.cluster)
    if settings.check_mode:
        # The Pods with which a restart would replace the present ones do not exist yet.
        for key in {pod.workload for pod in restarted.restarts.replaced}:
            pods.checks[key] = [
                check for check in pods.checks[key] if (check.name, check.status) != ("pods", PASS)
            ]
    outcome = judge_cluster(
        verification,
        replace(preflight, accounts=accounts),
        pods,
        {key: judge_injection(key, series) for key, series in probes.items()},
        judge_proofs(verification.workloads, proof),
        applied.unread,
    )
    return outcome, restarted, proof


def _skip_verification(context: _Context, doubt: Finding) -> _VerificationRun:
    """Return unknown checks for a Kubernetes API that may belong to another cluster, to which no further request is sent.

    The check of the agent in AWS still counts, because EKS reports about the right cluster.

    :arg doubt: the finding about the API.
    """
    settings, workloads = context.settings, context.aws.verification.workloads
    names: dict[CheckName, bool] = {
        "service account": True,
        "agent": True,
        "pods": settings.verify_pods,
        "injection": settings.injection is not None,
        "proof": settings.proof is not None,
    }
    checks = [Check(name, UNKNOWN, findings=(doubt,)) for name, is_enabled in names.items() if is_enabled]
    outcome = KubernetesOutcome(
        checks={workload.key: checks for workload in workloads}, findings=[doubt] if workloads else []
    )
    return outcome, RestartRun({}), ProofRun()


def _restart(context: _Context, reads: Reads, probes: InjectionRun) -> RestartRun:
    settings, verification = context.settings, context.aws.verification
    if settings.restart is None or not (settings.verify_pods and verification.workloads):
        return RestartRun(reads)
    injection = {key: series.injects for key, series in probes.items()}
    if not settings.check_mode:
        context.on_step("restarting the owners of stale Pods")
    return restart_stale(
        context.cluster,
        verification,
        reads,
        settings.restart,
        context.clock,
        injection,
        check_mode=settings.check_mode,
    )


def _probe(context: _Context, accounts: Accounts, reads: Reads) -> InjectionRun:
    # A dry run creates no object, so the probes also run in check mode.
    settings, aws = context.settings, context.aws
    if settings.injection is None:
        return {}
    stale: list[WorkloadKey] = []
    if settings.restart is not None:
        stale = list(plan_restarts(aws.verification, reads, context.clock.now()).workloads)
    workloads = choose_workloads(aws, accounts, settings.injection.sample, stale)
    version = as_text(context.cluster.read_version().get("gitVersion")) if workloads else ""
    # The webhook belongs to EKS. If the version is unknown, the cluster may be one of EKS.
    if not workloads or (version and "-eks-" not in version):
        return {}
    context.on_step("probing new Pods with a dry run")
    return run_probes(context.cluster, aws, workloads, settings.injection, context.clock)
