# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Run the Kubernetes part after the AWS part. Pure: cluster and clock are arguments.

The steps are: apply or delete service accounts, probe the injection of credentials into new Pods, restart the owners of stale
Pods, run the runtime proof, and verify the workloads. A Pod is stale if it was created before the association of its service
account, or too shortly after it to get its credentials. The runtime proof is a Job under each service account that reports its
IAM identity. If the Kubernetes API may belong to another cluster, the results of the verification are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...._findings.codes import CheckName, Code
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
    judge_injection,
    may_have_webhook,
    namespaces_without_injection,
    proven_workloads,
    read_webhook,
    run_probes,
)
from ..proof.proof import Ending, ProofRun, ProofSettings, ProofVerdict, judge_proofs, run_proof
from .usage import find_losing_pods, keep_used_accounts


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
    state: AccountState,
    pods: PodVerdict,
    proofs: ProofVerdict,
    unread: Mapping[WorkloadKey, Finding] | None = None,
    injection: InjectionVerdict | None = None,
) -> KubernetesOutcome:
    """Combine the checks of service account, agent, Pods, injection and proof of each workload.

    :arg unread: a finding for each service account that could not be read.
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
        optional = (injected.checks.get(workload.key), proofs.checks.get(workload.key))
        checks[workload.key] = [
            account,
            *pods.checks[workload.key],
            *(check for check in optional if check is not None),
        ]
        findings += account.findings
    findings += [*injected.findings, *pods.findings, *proofs.findings]
    # Several workloads may have the same finding.
    findings = list(dict.fromkeys(findings))
    return KubernetesOutcome(checks=checks, findings=findings, judges_agent=pods.judges_agent)


# The codes with which the AWS part reports that the Kubernetes API belongs, or may belong, to another cluster.
_DOUBTS = (Code.KUBERNETES_API_DIFFERS, Code.KUBERNETES_API_UNKNOWN)


def _unknown_outcome(
    verification: Verification, doubt: Finding, names: Sequence[CheckName]
) -> KubernetesOutcome:
    """Return unknown checks for a Kubernetes API that may belong to another cluster.

    The check of the agent in AWS still counts, because EKS reports about the right cluster.

    :arg doubt: the finding about the API.
    :arg names: the checks that are unknown in addition to service account and agent.
    """
    all_names: tuple[CheckName, ...] = ("service account", "agent", *names)
    checks = [Check(name, UNKNOWN, findings=(doubt,)) for name in all_names]
    return KubernetesOutcome(
        checks={workload.key: checks for workload in verification.workloads},
        findings=[doubt] if verification.workloads else [],
    )


def _skip_warning(restart: bool, proof: bool) -> str:
    """Return a warning about requested steps that were skipped, or "" if there are none.

    :arg restart: whether requested restarts were skipped.
    :arg proof: whether a requested runtime proof was skipped.
    """
    steps = (("no Pod was restarted", restart), ("no proof was run", proof))
    skipped = [text for text, is_skipped in steps if is_skipped]
    if not skipped:
        return ""
    text = " and ".join(skipped)
    return (
        f"{text[0].upper()}{text[1:]}: the Kubernetes API of the kubeconfig is not proven to belong to the cluster, see the "
        "findings."
    )


READING_PODS = "reading the Pods"


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


def ignore_step(_step: str) -> None:
    """Do nothing. This is the default ``on_step`` of ``converge_kubernetes``."""


def converge_kubernetes(
    cluster: KubernetesCluster,
    aws: AwsResult,
    preflight: Preflight,
    settings: KubernetesSettings,
    clock: Clock,
    on_step: Callable[[str], None] = ignore_step,
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
    if removes or plan.unlisted:
        on_step("reading the objects to delete")
    recheck = recheck_removal(cluster, aws.cluster, plan, preflight, removes=removes)
    plan, unknown = keep_used_accounts(cluster, aws.cluster, recheck, removes=removes)
    losing = find_losing_pods(cluster, aws, clock.now())
    unread = [*recheck.failures, *unknown]
    if step := describe_step(plan, removes=removes, check_mode=settings.check_mode):
        on_step(step)
    applied = apply_account_plan(
        cluster, plan, removes=removes, purges=not aws.failures, check_mode=settings.check_mode
    )
    read = ReadBack(applied, preflight.accounts)
    if not settings.check_mode:
        on_step("reading back the service accounts")
        read = read_back(cluster, aws.cluster, preflight.accounts, plan, applied, removes=removes)
    applied = read.applied
    changes, failures = describe_plan(applied.plan, removes), [*unread, *applied.failures]
    if settings.check_mode and is_pending(aws, changes, failures):
        aws = aws.as_planned(_unpredictable(applied.plan, failures, preflight), clock.now())
        read = replace(read, accounts=_planned_accounts(read.accounts, preflight, applied.plan))
    doubts = (*aws.findings, *aws.verification.findings)
    doubt = next((finding for finding in doubts if finding.code in _DOUBTS), None)
    verified = (
        _verify(cluster, aws, preflight, read, settings, clock, on_step, ending)
        if doubt is None
        else _skip_verification(aws, settings, doubt)
    )
    restarts = verified.restarted.restarts
    return KubernetesRun(
        replace(
            verified.outcome,
            changes=[
                *changes,
                *(f"restart {name}" for name in restarts.names if verified.restarted.changed),
            ],
            failures=[*failures, *verified.restarted.failures, *verified.proof.failures],
            error=applied.error.text if applied.error else "",
            findings=[*plan.findings, *losing, *verified.outcome.findings],
        ),
        applied.changed or verified.restarted.changed,
        applied.diffs,
        restarts,
        len(verified.proof.jobs),
        [*verified.warnings, *verified.restarted.warnings],
    )


def _unpredictable(plan: AccountPlan, failures: Sequence[FailureRow], preflight: Preflight) -> set[str]:
    """Return the workloads, as "namespace/service_account", whose checks cannot be predicted in check mode.

    These are workloads whose service account would be created, or deleted as unlisted, and workloads with a failure.
    """
    planned = {*map(affected_workload, (*plan.manifests, *plan.waiting))}
    new = planned.difference(map(str, preflight.accounts)) | {*map(affected_workload, plan.unlisted)}
    return new | {failure["workload"] for failure in failures}


def _planned_accounts(accounts: Accounts, preflight: Preflight, plan: AccountPlan) -> Accounts:
    """Return existing service accounts with the labels and annotations that they would have after the plan."""
    applied = {affected_workload(item) for item in plan.manifests}
    return {
        key: replace(
            account,
            labels={**account.labels, **desired.labels},
            annotations={**account.annotations, **desired.annotations},
        )
        if (desired := preflight.desired.get(key)) is not None and str(key) in applied
        else account
        for key, account in accounts.items()
    }


@dataclass(frozen=True, slots=True)
class _VerificationRun:
    outcome: KubernetesOutcome
    restarted: RestartRun
    proof: ProofRun = field(default_factory=ProofRun)
    warnings: Sequence[str] = ()


def _verify(
    cluster: KubernetesCluster,
    aws: AwsResult,
    preflight: Preflight,
    read: ReadBack,
    settings: KubernetesSettings,
    clock: Clock,
    on_step: Callable[[str], None],
    ending: Ending | None,
) -> _VerificationRun:
    verification, accounts = aws.verification, read.accounts
    if settings.verify_pods:
        on_step(READING_PODS)
    reads = read_pod_state(cluster, verification, clock.now()) if settings.verify_pods else {}
    probes = _probe(cluster, aws, accounts, reads, settings, clock, on_step)
    restarted = _restart(cluster, aws, reads, probes, settings, clock, on_step)
    proof = ProofRun()
    if settings.proof and _may_act(aws, settings):
        on_step("running the proof in Pods")
        proof = run_proof(
            cluster, verification, accounts, settings.proof, clock, settings.proof_skip_reason, ending
        )
    state = build_state(verification, restarted.reads, clock.now())
    if settings.check_mode and aws.installs_agent:
        # The Pods of the agent do not exist yet.
        state = replace(state, agents=None)
    pods = verify_pods(verification.workloads, state, aws.cluster)
    if settings.check_mode:
        _drop_passed_pod_checks(pods, restarted.restarts)
    outcome = judge_cluster(
        verification,
        AccountState(accounts, preflight.namespaces, preflight.terminating, preflight.desired),
        pods,
        judge_proofs(verification.workloads, proof),
        read.unread,
        _judge_probes(cluster, probes),
    )
    return _VerificationRun(outcome, restarted, proof)


def _drop_passed_pod_checks(pods: PodVerdict, restarts: Restarts) -> None:
    """Drop the passed check "pods" of workloads whose Pods a restart would replace: the new Pods do not exist yet."""
    for key in {pod.workload for pod in restarts.replaced}:
        pods.checks[key] = [
            check for check in pods.checks[key] if (check.name, check.status) != ("pods", PASS)
        ]


def _skip_verification(aws: AwsResult, settings: KubernetesSettings, doubt: Finding) -> _VerificationRun:
    """Return unknown checks, because the Kubernetes API may belong to another cluster.

    :arg doubt: the finding about the API.
    """
    checks: dict[CheckName, bool] = {
        "pods": settings.verify_pods,
        "injection": settings.injection is not None,
        "proof": settings.proof is not None,
    }
    outcome = _unknown_outcome(aws.verification, doubt, [name for name, enabled in checks.items() if enabled])
    skipped = _skip_warning(settings.restart is not None, settings.proof is not None)
    return _VerificationRun(
        outcome, RestartRun({}), warnings=[skipped] if skipped and _may_act(aws, settings) else []
    )


def _may_act(aws: AwsResult, settings: KubernetesSettings) -> bool:
    return bool(aws.verification.workloads) and not settings.check_mode


def _restart(
    cluster: KubernetesCluster,
    aws: AwsResult,
    reads: Reads,
    probes: InjectionRun,
    settings: KubernetesSettings,
    clock: Clock,
    on_step: Callable[[str], None],
) -> RestartRun:
    if settings.restart is None or not (settings.verify_pods and aws.verification.workloads):
        return RestartRun(reads)
    injection = Injection(proven_workloads(probes), failing_workloads(probes))
    if settings.check_mode:
        return predict_restart(aws.verification, reads, clock, injection)
    on_step("restarting the owners of stale Pods")
    return restart_stale(cluster, aws.verification, reads, settings.restart, clock, injection)


def _probe(
    cluster: KubernetesCluster,
    aws: AwsResult,
    accounts: Accounts,
    reads: Reads,
    settings: KubernetesSettings,
    clock: Clock,
    on_step: Callable[[str], None],
) -> InjectionRun:
    # A dry run creates no object, so the probes also run in check mode.
    if settings.injection is None:
        return {}
    stale: list[WorkloadKey] = []
    if settings.restart is not None and settings.verify_pods:
        stale = list(plan_restarts(aws.verification, reads, clock.now()).workloads)
    workloads = choose_workloads(aws, accounts, settings.injection.sample, stale)
    if not workloads or not may_have_webhook(cluster.read_version()):
        return {}
    on_step("probing new Pods with a dry run")
    return run_probes(cluster, aws, workloads, settings.injection, clock)


def _judge_probes(cluster: KubernetesCluster, probes: InjectionRun) -> InjectionVerdict:
    missing = namespaces_without_injection(probes)
    return judge_injection(probes, read_webhook(cluster, missing) if missing else WebhookState())
