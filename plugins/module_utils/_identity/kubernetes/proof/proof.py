# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runtime proof: run a short-lived Job under each service account. The Job reports its IAM identity. Pure.

The Job writes the result of ``aws sts get-caller-identity`` to the termination message of its container. So one list of Pods
in each namespace returns the results, and no permission to read logs is needed. The cause of a failure is recognised by the error
text of the AWS CLI, an SDK or EKS; docs/troubleshooting.md explains such texts. All Jobs are deleted at the end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, SKIPPED, UNKNOWN, Check, conclude
from ...model.errors import listed, sentence
from ...model.rows import FailureRow
from ..api.api_errors import ALLOW, FORBIDDEN, UNAUTHORIZED, ApiError, manifest_failure, object_failure
from ..api.cluster import Clock, KubernetesCluster, Query, WriteResult
from ..model.aws_result import Verification, VerifiedWorkload
from ..model.objects import (
    MANAGED_BY_LABELS,
    PROOF_LABEL,
    Object,
    as_objects,
    as_text,
    as_texts,
    member,
    object_name,
)
from ..pods.pod_checks import SHOW_AGENTS
from ..pods.restarts import passed_aws_checks, poll

CONTAINER = "proof"
RESULT_PATH = "/dev/termination-log"
# With runAsNonRoot, the Pod must set a user ID if the image does not.
USER = 65532


def pod_template(
    key: WorkloadKey, image: str, command: str, pod: Object, region: str, labels: Mapping[str, str]
) -> Object:
    """Return a Pod template that satisfies the Pod Security Standard "restricted", unless ``pod`` violates it.

    :arg command: a shell command.
    :arg pod: the members "metadata" and "spec" of a Pod template, whose labels, annotations and fields are added to the Pod or
        replace its fields. The first of its containers is merged with the container of the Pod.
    :arg region: the region for the AWS CLI, or "".
    :arg labels: the labels that this collection sets. They override the labels of ``pod``.
    """
    variables = {"HOME": "/tmp", **({"AWS_REGION": region} if region else {})}
    fields, metadata = member(pod, "spec"), member(pod, "metadata")
    first, *others = as_objects(fields.get("containers")) or [{}]
    spec = {
        "serviceAccountName": key.service_account,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "command": ["/bin/sh", "-c", command],
                "env": [{"name": name, "value": value} for name, value in variables.items()],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                },
                "terminationMessagePath": RESULT_PATH,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                **{name: value for name, value in first.items() if name != "name"},
            },
            *others,
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        **{name: value for name, value in fields.items() if name != "containers"},
    }
    # A sidecar of Istio would keep the Pod running after the container has ended.
    added = {"sidecar.istio.io/inject": "false", **as_texts(metadata.get("labels")), **labels}
    return {
        "metadata": {"labels": added, "annotations": as_texts(metadata.get("annotations"))},
        "spec": spec,
    }


# The seconds from the last read of the Pods to the deadline of the Job, at which Kubernetes deletes its Pod. A Pod that was not
# scheduled must be read before that, because its status shows the reason.
DEADLINE_MARGIN = 60
# The seconds from the end of a Job until Kubernetes deletes it, if the run has not deleted it.
TTL = 300
COMMAND = f"aws sts get-caller-identity --query Arn --output text > {RESULT_PATH}"


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """The settings of the Jobs.

    ``run`` identifies the run in the names and labels of its Jobs. ``timeout`` is the time to wait for results, in seconds. The
    other fields are as in ``pod_template``; labels and annotations are set on the Job as well.
    """

    run: str
    image: str
    timeout: int = 120
    pod: Object = field(default_factory=dict)


def proof_job(key: WorkloadKey, settings: ProofSettings, region: str) -> Object:
    """Return the manifest of the Job for a workload. ``region`` is the region for the AWS CLI, or ""."""
    labels = {**MANAGED_BY_LABELS, PROOF_LABEL: settings.run}
    template = pod_template(key, settings.image, COMMAND, settings.pod, region, labels)
    metadata = member(settings.pod, "metadata")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": key.namespace,
            "name": job_name(key, settings.run),
            "labels": {**as_texts(metadata.get("labels")), **labels},
            "annotations": as_texts(metadata.get("annotations")),
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": settings.timeout + DEADLINE_MARGIN,
            "ttlSecondsAfterFinished": TTL,
            "template": template,
        },
    }


def job_name(key: WorkloadKey, run: str) -> str:
    """Return the name of the Job for a workload.

    The name contains a digest instead of the namespace and the service account, because Kubernetes also sets the name as a label
    of the Pod, and the value of a label has at most 63 characters.
    """
    digest = hashlib.sha256(f"{key.namespace}/{key.service_account}".encode()).hexdigest()[:8]
    return f"pod-identity-proof-{run}-{digest}"


def plan_proofs(
    verification: Verification, accounts: Collection[WorkloadKey], settings: ProofSettings
) -> Mapping[WorkloadKey, Object]:
    """Return the Jobs of the workloads that pass the checks in AWS and have a service account.

    :arg accounts: the workloads with an existing service account.
    """
    return {
        workload.key: proof_job(workload.key, settings, verification.region)
        for workload in passed_aws_checks(verification)
        if workload.key in accounts
    }


_ADDRESS = r"(169\.254\.170\.23|\[?fd00:ec2::23\]?)"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A cause of a failed proof, or of a rejected dry run, for a finding.

    ``pattern`` is a regular expression for the error text. ``description`` is a clause in which "it" is the Pod, such as "it
    could not reach AWS STS".
    """

    code: Code
    pattern: str
    description: str
    remedy: str


# The first match counts, so specific texts precede texts that can have several causes.
PROOF_CAUSES = (
    FailureCause(
        Code.PROOF_OTHER_ROLE,
        r"No OpenIDConnect provider found|AssumeRoleWithWebIdentity",
        "it tried IAM roles for service accounts instead of EKS Pod Identity",
        "Remove the remaining IRSA settings: the service account's annotation eks.amazonaws.com/role-arn and, if the Pod "
        "template sets them, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE.",
    ),
    FailureCause(
        Code.PROOF_NOT_RUN,
        r"only loopback hosts are allowed|Host should resolve to a loopback address"
        r"|is not a valid container metadata service hostname|Unsupported host '169\.254\.170\.23'",
        "its SDK is too old to know the agent's address",
        "Use an image with a newer SDK: docs/troubleshooting.md has the oldest versions that support EKS Pod Identity.",
    ),
    FailureCause(
        Code.PROOF_NOT_RUN,
        r"Service account token cannot be parsed|token is malformed",
        "the agent could not read the token in the request",
        'Use an image with a newer AWS CLI or SDK, which sends the token without the prefix "Bearer".',
    ),
    FailureCause(
        Code.PROOF_FAILED,
        r"not authorized to perform: sts:TagSession",
        "the request is not allowed to tag the session",
        "Allow sts:TagSession in addition to sts:AssumeRole in the trust policy. If the association has a target role, also "
        "allow both in a policy of the role.",
    ),
    FailureCause(
        Code.PROOF_FAILED,
        r"PackedPolicyTooLarge|Packed size of session tags consumes",
        "session tags and session policy together are too large",
        "Shorten the session policy, or set disable_session_tags: true.",
    ),
    FailureCause(
        Code.PROOF_FAILED,
        rf"(?i)(timeout|timed out|could not connect|connection refused|failed to connect).{{0,200}}{_ADDRESS}"
        rf"|{_ADDRESS}.{{0,200}}(timeout|timed out|connection refused|unreachable)",
        "the EKS Pod Identity Agent did not respond on its node",
        f"Check the agent there: {SHOW_AGENTS}",
    ),
    FailureCause(
        Code.PROOF_FAILED,
        r"AccessDenied|not authorized to perform|Received non 200 response",
        "the agent or AWS denied it the role's credentials",
        "Check the agent's log on the Pod's node, and the role's trust policy (iam_trust_policy_check).",
    ),
    FailureCause(
        Code.PROOF_FAILED,
        r"Unable to locate credentials|NoCredentialsError|no EC2 IMDS role found|NoCredentialProviders",
        "it found no credentials, so EKS injected none",
        "A new association reaches the cluster after some seconds: run again. If the error persists, check the mutating "
        "webhooks.",
    ),
    FailureCause(
        Code.PROOF_NOT_RUN,
        r"(?i)(could not connect to the endpoint|connect timeout on endpoint url|could not resolve host"
        r"|name or service not known|failed to establish a new connection)",
        "it could not reach AWS STS",
        "Let its namespace reach the STS endpoint of the region (network policy, VPC endpoint, NAT, DNS).",
    ),
)


def find_cause(text: str) -> FailureCause | None:
    """Return the cause of a failure by its termination message, or None if it is unknown."""
    flat = " ".join(text.split())
    return next((cause for cause in PROOF_CAUSES if re.search(cause.pattern, flat)), None)


# The waiting reasons of a container whose image cannot be pulled.
_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True, slots=True)
class ProofRun:
    """The result of the Jobs.

    ``jobs`` are the workloads with a planned Job. ``pods`` are the Pods of the Jobs. ``skipped`` is the reason why the proof was
    skipped, or "". ``unknown`` are the workloads whose Job could not be created or whose Pods could not be read. ``failures``
    has the errors of ``unknown``, and the Jobs that could not be deleted. ``timeout`` is the maximum time to wait for results,
    in seconds.
    """

    run: str = ""
    timeout: int = 0
    jobs: Collection[WorkloadKey] = ()
    pods: Sequence[Object] = ()
    skipped: str = ""
    unknown: Collection[WorkloadKey] = ()
    failures: Sequence[FailureRow] = ()


def emulator_reason(version: Object) -> str:
    """Return the reason why no Pod can run in the cluster, or "".

    :arg version: the response of GET /version.
    """
    git_version = as_text(version.get("gitVersion"))
    is_emulator = "emulat" in as_text(version.get("platform")) or "+sandbox" in git_version
    return (
        f"this Kubernetes API ({git_version}) is an emulator, where no Pod ever runs" if is_emulator else ""
    )


def judge_proofs(workloads: Sequence[VerifiedWorkload], proof: ProofRun) -> dict[WorkloadKey, Check]:
    """Return the check of each workload with a Job, which passes if its Pod ran with the expected role.

    If the proof was skipped, all workloads have the status "skipped".
    """
    if proof.skipped:
        message = f"the runtime proof was skipped: {proof.skipped}."
        finding = Finding(Code.PROOF_SKIPPED, message, "Run it on a cluster with nodes.")
        return {workload.key: Check("proof", SKIPPED, findings=(finding,)) for workload in workloads}
    checks = {}
    pods: Mapping[str, Object] = {_pod_job_name(pod): pod for pod in proof.pods}
    for workload in workloads:
        key = workload.key
        if key in proof.unknown:
            checks[key] = Check("proof", UNKNOWN)
        elif key in proof.jobs:
            fault = _judge(workload, pods.get(job_name(key, proof.run)), proof)
            checks[key] = conclude("proof", fault) if fault else Check("proof", PASS)
    return checks


def _judge(workload: VerifiedWorkload, pod: Object | None, proof: ProofRun) -> Finding | None:
    """Return the finding about the Job of a workload, or None if it proved the role. ``pod`` is None if the Job has no Pod."""
    code, key = Code.PROOF_NOT_RUN, workload.key
    status, state = member(pod or {}, "status"), _state(pod or {})
    terminated, waiting = member(state, "terminated"), member(state, "waiting")
    text, reason = as_text(terminated.get("message")).strip(), as_text(waiting.get("reason"))
    excerpt = sentence(_excerpt(text if terminated else as_text(waiting.get("message"))))
    conditions = as_objects(status.get("conditions"))
    unscheduled = [entry for entry in conditions if entry.get("reason") == "Unschedulable"]
    if pod is None:
        message, remedy = (
            f"did not run: its Job did not create a Pod within {proof.timeout} seconds.",
            "Check the events of the namespace (quota, admission): kubectl get events -n "
            f"{key.namespace} --field-selector involvedObject.kind=Job",
        )
    elif terminated and terminated.get("exitCode") == 0:
        # A Pod has the credentials of the target role or, without one, of the role.
        role_arn = workload.target_role_arn or workload.role_arn
        if is_role_session(text, role_arn):
            return None
        code, message, remedy = (
            Code.PROOF_OTHER_ROLE,
            f"ran as {text or '(no answer)'}, not as role {role_arn}.",
            "If this is the node's role, EKS did not inject credentials: a new association reaches the cluster after some "
            "seconds, so run again. If it is the workload's former role, the change takes effect within six hours.",
        )
    elif terminated and (cause := find_cause(text)):
        code, message, remedy = cause.code, f"failed, as {cause.description}: {excerpt}", cause.remedy
    elif terminated:
        code, message, remedy = (
            Code.PROOF_FAILED,
            f"failed with exit code {terminated.get('exitCode')}: {excerpt}",
            "Resolve the error in the text; see docs/troubleshooting.md.",
        )
    elif reason in _IMAGE_REASONS:
        message, remedy = (
            f"did not run: {reason}: {excerpt}",
            "Set pod_identity_proof_image to an image with sh and aws that the nodes can pull.",
        )
    else:
        phase = reason or as_text(status.get("phase")) or "no status"
        message = f"did not finish: Pod {object_name(pod).name} had no result after {proof.timeout} seconds ({phase})."
        if unscheduled:
            message = (
                f"did not run: {sentence(as_text(unscheduled[0].get('message')) or 'no node accepts it')}"
            )
        remedy = "Set tolerations or a node selector in pod_identity_proof_pod, or run again when the nodes have started."
    return Finding(code, f"the runtime proof {message}", remedy, key)


def is_role_session(identity: str, role_arn: str) -> bool:
    """Return whether an identity is a session of the role. The ARN of a session does not have the path of the role."""
    role = role_arn.split(":")
    name = role_arn.rpartition("/")[2]
    return len(role) == 6 and identity.startswith(f"arn:{role[1]}:sts::{role[4]}:assumed-role/{name}/")


def _pod_job_name(pod: Object) -> str:
    labels = member(pod, "metadata", "labels")
    return as_text(labels.get("batch.kubernetes.io/job-name") or labels.get("job-name"))


def _state(pod: Object) -> Object:
    statuses = as_objects(member(pod, "status").get("containerStatuses"))
    return next((member(entry, "state") for entry in statuses if entry.get("name") == CONTAINER), {})


def _excerpt(text: str) -> str:
    flat = " ".join(text.split()) or "no text"
    return flat if len(flat) <= 400 else f"…{flat[-400:]}"


_REMOVE = (
    f"Kubernetes deletes the Job {TTL} seconds after it finishes. For a 403, allow the caller to delete Jobs: "
    "docs/iam-permissions.md has the manifests."
)


class Ending(Protocol):
    """The cleanup of an interrupted run, which must end within seconds."""

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        """Delete objects within a few seconds. Return errors in the result, never raise."""

    def tell(self, text: str) -> None:
        """Print a warning. An interrupted run does not return a result that could contain it."""


def run_proof(
    cluster: KubernetesCluster,
    verification: Verification,
    accounts: Collection[WorkloadKey],
    settings: ProofSettings,
    clock: Clock,
    skip_reason: str | None = None,
    ending: Ending | None = None,
) -> ProofRun:
    """Create the Jobs, wait for their results, and delete them, even if the run is interrupted.

    :arg accounts: the workloads with an existing service account.
    :arg skip_reason: the reason to skip the proof, or "" to run it. With None, the proof is skipped on an emulator.
    :arg ending: deletes the Jobs of an interrupted run. Without it, ``cluster`` deletes them as in any other run.
    """
    if skip_reason is None:
        skip_reason = emulator_reason(cluster.read_version())
    jobs = plan_proofs(verification, accounts, settings)
    if skip_reason or not jobs:
        return ProofRun(settings.run, settings.timeout, tuple(jobs), skipped=skip_reason)
    keys, manifests = list(jobs), list(jobs.values())
    removed: WriteResult | None = None
    try:
        refused = cluster.apply(manifests).refused
        running = [key for index, key in enumerate(keys) if index not in refused]
        pods, unread = _wait_for_results(cluster, running, settings, clock)
        removed = cluster.remove(manifests)
    finally:
        if removed is None:
            _end_early(cluster, manifests, settings.run, verification.cluster, ending)
    kept = {index: reason for index, reason in removed.refused.items() if index not in refused}
    failures = [
        *(
            manifest_failure(manifests[index], "create", reason, str(keys[index]), ALLOW)
            for index, reason in refused.items()
        ),
        *(
            object_failure("Pods of namespace", namespace, "list", reason, remedy=ALLOW)
            for namespace, reason in unread.items()
        ),
        *(
            manifest_failure(manifests[index], "remove", reason, remedy=_REMOVE)
            for index, reason in kept.items()
        ),
    ]
    unknown = {key for index, key in enumerate(keys) if index in refused or key.namespace in unread}
    return ProofRun(settings.run, settings.timeout, tuple(jobs), pods, "", unknown, failures)


def _end_early(
    cluster: KubernetesCluster, manifests: Sequence[Object], run: str, name: str, ending: Ending | None
) -> None:
    """Delete the Jobs of an interrupted run, and print a warning about those that may still exist."""
    remaining = (ending or cluster).remove(manifests).refused
    if ending is None or not remaining:
        return
    jobs = [object_name(manifests[index]) for index in remaining]
    namespaces = {job.namespace for job in jobs}
    scope = f"-n {jobs[0].namespace}" if len(namespaces) == 1 else "--all-namespaces"
    number, them = (f"{len(jobs)} Jobs", "them") if len(jobs) > 1 else ("1 Job", "it")
    reason = sentence(next(iter(remaining.values())).text)
    ending.tell(
        f"{name}: the run was interrupted, and {number} of the runtime proof may still exist ({listed(map(str, jobs))}): "
        f"{reason} Kubernetes deletes a Job {TTL} seconds after it finishes. To delete {them} now: kubectl delete jobs {scope} "
        f"-l {PROOF_LABEL}={run}"
    )


def _wait_for_results(
    cluster: KubernetesCluster, keys: Sequence[WorkloadKey], settings: ProofSettings, clock: Clock
) -> tuple[list[Object], dict[str, ApiError]]:
    """Read the Pods of the Jobs until each Job has a final state or the caller may not list its Pods, or the timeout expires.

    Return the Pods, and the errors of failed lists by namespace.
    """
    jobs: dict[str, set[str]] = {}
    for key in keys:
        jobs.setdefault(key.namespace, set()).add(job_name(key, settings.run))
    pods: dict[str, Sequence[Object]] = {}
    refused: dict[str, ApiError] = {}
    for _attempt in poll(settings.timeout, clock):
        for namespace, names in list(jobs.items()):
            query = Query("v1", "Pod", namespace, label_selectors=(f"{PROOF_LABEL}={settings.run}",))
            listing = cluster.list_objects(query)
            if listing.error is not None:
                refused[namespace] = listing.error
            else:
                refused.pop(namespace, None)
                pods[namespace] = listing.items
            is_denied = listing.error is not None and listing.error.status in (UNAUTHORIZED, FORBIDDEN)
            # A Job whose image cannot be pulled gets no result.
            finished = {
                _pod_job_name(pod)
                for pod in pods.get(namespace, ())
                if member(_state(pod), "terminated")
                or member(_state(pod), "waiting").get("reason") in _IMAGE_REASONS
            }
            if is_denied or finished.issuperset(names):
                del jobs[namespace]
        if not jobs:
            break
    return [pod for items in pods.values() for pod in items], refused
