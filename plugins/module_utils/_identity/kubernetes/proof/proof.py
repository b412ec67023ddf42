# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the Jobs of the runtime proof answered, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...model.checks import FAIL, PASS, SKIPPED, UNKNOWN, Check
from ...model.rows import FailureRow
from ..model.aws_result import VerifiedWorkload
from ..model.objects import Object, member, name_of, objects_of, text_of
from .proof_causes import cause_of
from .proof_job import job_name

_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True, slots=True)
class ProofRun:
    """What a run of the proof gave. ``jobs`` are the workloads that got one, ``pods`` those of the Jobs.

    ``skipped`` says why nothing was run; of the workloads in ``unknown`` the Job or its Pods were refused, as
    ``failures`` says, which has what could not be removed as well. ``timeout`` is in seconds.
    """

    run: str = ""
    timeout: int = 0
    jobs: Collection[WorkloadKey] = ()
    pods: Sequence[Object] = ()
    skipped: str = ""
    unknown: Collection[WorkloadKey] = ()
    failures: Sequence[FailureRow] = ()


@dataclass(slots=True)
class ProofVerdict:
    checks: dict[WorkloadKey, Check] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def is_finished(jobs: Collection[str], pods: Sequence[Object]) -> bool:
    """Whether every Job has an answer, or never will. ``jobs`` are their names."""
    ended = {_job_of(pod) for pod in pods if _terminated(pod) or _never_starts(pod)}
    return ended.issuperset(jobs)


def why_no_pod_runs(version: Object) -> str:
    """Why Pods cannot run in a cluster; "" when they can. ``version`` is the answer of GET /version."""
    git_version = text_of(version.get("gitVersion"))
    if "emulat" in text_of(version.get("platform")) or "+sandbox" in git_version:
        return f"this Kubernetes API ({git_version}) is an emulator, where no Pod ever runs"
    return ""


def judge_proofs(workloads: Sequence[VerifiedWorkload], proof: ProofRun) -> ProofVerdict:
    if proof.skipped:
        message = f"the runtime proof was skipped: {proof.skipped}."
        finding = Finding(Code.PROOF_SKIPPED, message, "Run it on a cluster with nodes.")
        check = Check("proof", SKIPPED, findings=(finding,))
        return ProofVerdict({workload.key: check for workload in workloads}, [finding])
    verdict = ProofVerdict()
    pods: Mapping[str, Object] = {_job_of(pod): pod for pod in proof.pods}
    for workload in workloads:
        if workload.key not in proof.jobs:
            continue
        if workload.key in proof.unknown:
            verdict.checks[workload.key] = Check("proof", UNKNOWN)
            continue
        fault = _judge(workload, pods.get(job_name(workload.key, proof.run)), proof)
        verdict.checks[workload.key] = Check("proof", FAIL if fault else PASS, findings=fault)
        verdict.findings += fault
    return verdict


def _judge(workload: VerifiedWorkload, pod: Object | None, proof: ProofRun) -> tuple[Finding, ...]:
    """At most one finding."""
    key = workload.key
    if pod is None:
        reason = f"its Job made no Pod within {proof.timeout} seconds"
        remedy = (
            "See the events of the namespace (quota, admission): kubectl get events -n "
            f"{key.namespace} --field-selector involvedObject.kind=Job"
        )
        return (Finding(Code.PROOF_NOT_STARTED, f"the runtime proof did not run: {reason}.", remedy, key),)
    ended = _terminated(pod)
    if not ended:
        return (_judge_unfinished(key, pod, proof),)
    text = text_of(ended.get("message")).strip()
    if ended.get("exitCode") == 0:
        return _judge_answer(key, text, expected_role(workload))
    cause = cause_of(text)
    if cause is None:
        message = f"the runtime proof failed with exit code {ended.get('exitCode')}: {_shown(text)}"
        remedy = "The text is all that is known; see docs/troubleshooting.md."
        return (Finding(Code.PROOF_FAILED, message, remedy, key),)
    message = f"the runtime proof failed, as {cause.what}: {_shown(text)}"
    return (Finding(cause.code, message, cause.remedy, key),)


def expected_role(workload: VerifiedWorkload) -> str:
    """The ARN of the role that the Pod must have: the last of the chain."""
    return workload.target_role_arn or workload.role_arn


def is_session_of(answer: str, role_arn: str) -> bool:
    """Whether an assumed-role ARN is a session of a role; it holds the role's name without its path."""
    got, want = answer.split(":"), role_arn.split(":")
    if len(got) != 6 or len(want) != 6 or got[1] != want[1] or got[4] != want[4]:
        return False
    kind, _slash, rest = got[5].partition("/")
    return kind == "assumed-role" and rest.partition("/")[0] == want[5].rpartition("/")[2]


def _judge_answer(key: WorkloadKey, answer: str, role_arn: str) -> tuple[Finding, ...]:
    if is_session_of(answer, role_arn):
        return ()
    finding = Finding(
        Code.PROOF_OTHER_ROLE,
        f"the runtime proof ran as {answer or '(no answer)'}, not as role {role_arn}.",
        "If it is the node's role, nothing was injected: an association needs some seconds until the cluster "
        "knows it, so run again. If it is the workload's former role, the agent sees the change after up to "
        "six hours.",
        key,
    )
    return (finding,)


def _judge_unfinished(key: WorkloadKey, pod: Object, proof: ProofRun) -> Finding:
    status, waiting = member(pod, "status"), _waiting(pod)
    reason = text_of(waiting.get("reason"))
    if reason in _IMAGE_REASONS:
        message = f"the runtime proof did not run: {reason}: {_shown(text_of(waiting.get('message')))}"
        remedy = "Set pod_identity_proof_image to an image with sh and aws that the nodes can pull."
        return Finding(Code.PROOF_IMAGE, message, remedy, key)
    conditions = objects_of(status.get("conditions"))
    unscheduled = next((entry for entry in conditions if entry.get("reason") == "Unschedulable"), None)
    if unscheduled is not None:
        cause = text_of(unscheduled.get("message")) or "no node takes it"
    else:
        phase = reason or text_of(status.get("phase")) or "no status"
        cause = f"Pod {name_of(pod).name} had no result after {proof.timeout} seconds ({phase})"
    remedy = (
        "pod_identity_proof_pod_spec takes tolerations and a node selector, pod_identity_proof_timeout more "
        "time."
    )
    return Finding(Code.PROOF_NOT_STARTED, f"the runtime proof did not run: {cause}.", remedy, key)


def _job_of(pod: Object) -> str:
    labels = member(pod, "metadata", "labels")
    return text_of(labels.get("batch.kubernetes.io/job-name") or labels.get("job-name"))


def _states(pod: Object) -> Sequence[Object]:
    statuses = objects_of(member(pod, "status").get("containerStatuses"))
    return [member(entry, "state") for entry in statuses if entry.get("name") == "proof"]


def _terminated(pod: Object) -> Object:
    """How the container ended; empty when it did not."""
    return next((ended for state in _states(pod) if (ended := member(state, "terminated"))), {})


def _waiting(pod: Object) -> Object:
    return next((waiting for state in _states(pod) if (waiting := member(state, "waiting"))), {})


def _never_starts(pod: Object) -> bool:
    return _waiting(pod).get("reason") in _IMAGE_REASONS


def _shown(text: str) -> str:
    flat = " ".join(text.split()) or "no text"
    return flat if len(flat) <= 400 else f"…{flat[-400:]}"
