# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check by dry runs whether new Pods get the credentials of their role. Pure: cluster and clock are arguments.

The API server also sends dry runs to the mutating webhook of EKS (amazon-eks-pod-identity-webhook), because the configuration of
the webhook declares that it has no side effects. So the response shows which credentials a new Pod would get, but no Pod is
created.

A cluster has several API servers, each with its own webhook. A webhook knows a new association only after a delay, and a client
cannot choose the API server. Therefore one dry run with injection does not prove that all webhooks know a new association.
Several dry runs in a row count as proof.

Sources: amazon-eks-pod-identity-webhook, and the configuration ``pod-identity-webhook`` that EKS creates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from ...._findings.codes import Code, Severity
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, UNKNOWN, Check, conclude
from ...model.errors import sentence
from ..api.api_errors import ApiError
from ..api.cluster import BUSY, Clock, DryRun, KubernetesCluster, is_transient
from ..model.aws_result import AwsResult, VerifiedWorkload
from ..model.objects import MANAGED_BY_LABELS, Object, member
from ..pods.environment import find_source, is_injected
from ..pods.pod_checks import SETTLED_AFTER
from ..pods.pods import SKIP_CONTAINERS, SKIP_WEBHOOK, Container, parse_pod
from ..pods.restarts import passed_aws_checks
from .proof import CONTAINER, FailureCause, pod_template

# The number of workloads to probe by default.
SAMPLE = 50
# The maximum time for all probes of a run, in seconds.
PROBE_SECONDS = 60
# In seconds: the pause before another probe, and after a probe without an answer, unless the API server requests a longer one.
PROBE_PAUSE = 1
RETRY_PAUSE = 5
# The number of probes with injection in a row that count as proof that all API servers know a new association.
REQUIRED_SUCCESSES = 3
# The approximate number of probes over the time ``InjectionSettings.observe``.
OBSERVATIONS = 6
# The number of probes without injection after which a workload fails. With a young association, probes go on until the timeout.
MISSES = 3


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The settings of all probes.

    ``image`` and ``pod`` describe the Pod of a dry run, see ``pod_template``. It never runs, but admission policies may inspect
    these fields. ``timeout`` is the maximum time for all probes together, in seconds. ``sample`` is the maximum number of
    workloads to probe; 0 for all. ``observe`` is the minimum time in seconds over which workloads with a new association are
    probed, because the injection may fail again after it has worked.
    """

    image: str
    pod: Object = field(default_factory=dict)
    timeout: int = PROBE_SECONDS
    sample: int = SAMPLE
    observe: int = 0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one dry run.

    ``code`` is None if the Pod gets the credentials of the role. Otherwise ``code`` and ``remedy`` belong to a finding, and
    ``description`` continues its message "a Pod that starts now under service account my-app …". ``remedy`` is "" for a
    missing injection without a visible cause, because it depends on the age of the association. ``error`` is the error of the
    request, and ``retry`` is true if another dry run may succeed.
    """

    code: Code | None = None
    description: str = ""
    remedy: str = ""
    error: ApiError | None = None
    retry: bool = False

    @property
    def is_injected(self) -> bool:
        return self.code is None

    @property
    def is_unknown(self) -> bool:
        return self.code == Code.INJECTION_UNKNOWN


def probe_pod(key: WorkloadKey, settings: InjectionSettings, region: str) -> Object:
    """Return the manifest of the Pod for a dry run: the Pod of the runtime proof with the command "true"."""
    template = pod_template(key, settings.image, "true", settings.pod, region, MANAGED_BY_LABELS)
    digest = hashlib.sha256(f"{key.namespace}/{key.service_account}".encode()).hexdigest()[:8]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **member(template, "metadata"),
            "namespace": key.namespace,
            "name": f"pod-identity-probe-{digest}",
        },
        "spec": template["spec"],
    }


def evaluate_dry_run(dry_run: DryRun, key: WorkloadKey) -> ProbeResult:
    """Return the cause of a rejected dry run or the first fault of the Pod in the response; without these, a passed result."""
    if dry_run.error is not None:
        return explain_rejection(dry_run.error)
    pod = parse_pod(dry_run.pod, key.cluster)
    container = next((result for result in pod.containers if result.name == CONTAINER), Container("", {}))
    source, injected = find_source(container, pod.tokens), is_injected(container.env)
    # An admission policy may replace the service account.
    if pod.workload != key:
        return ProbeResult(
            Code.INJECTION_OTHER_IDENTITY,
            f"gets service account {pod.workload.service_account} instead, to which the association does not apply",
            "Remove serviceAccountName from pod_identity_proof_pod, if it is set there. Otherwise find the admission webhook or "
            "policy that sets the service account, and exclude the namespace from it.",
        )
    # The webhook of EKS injects either EKS Pod Identity or IRSA (IAM roles for service accounts). If another webhook adds the
    # variables of IRSA, the Pod has both, and SDKs prefer IRSA.
    if "AWS_ROLE_ARN" in source.names and source.kind != "unknown":
        role = container.env.get("AWS_ROLE_ARN") or "another role"
        suffix = " as well, which SDKs prefer" if injected else " instead of EKS Pod Identity"
        return ProbeResult(
            Code.INJECTION_OTHER_IDENTITY,
            f"gets {role} by IRSA{suffix}",
            "Keep the annotation eks.amazonaws.com/role-arn, which gives these Pods their access, and verify again in some "
            "minutes. If later Pods get this role too, check the association, and remove an IRSA webhook that you installed.",
        )
    # The options reject this label and annotation, so an admission webhook or policy has added it.
    mark = f"the annotation {SKIP_CONTAINERS}" if CONTAINER in pod.skipped else ""
    mark = f"the label {SKIP_WEBHOOK}" if SKIP_WEBHOOK in pod.labels else mark
    if source.kind == "none" and mark:
        return ProbeResult(
            Code.INJECTION_MISSING,
            f"gets {mark}, so the webhook skips it",
            f"Find the admission webhook or policy that adds {mark} to new Pods, and exclude the namespace from it.",
        )
    if source.kind == "none" or (injected and not pod.has_token):
        part = "complete " if pod.has_token or injected else ""
        text = f"does not get the {part}environment and token of EKS Pod Identity"
        return ProbeResult(Code.INJECTION_MISSING, text)
    if source.kind == "agent":
        return ProbeResult()
    return ProbeResult(
        Code.INJECTION_UNKNOWN if source.kind == "unknown" else Code.INJECTION_OTHER_IDENTITY,
        f"gets {source.description}",
        f"Find the admission webhook or policy that adds {source.removal.rstrip(',')}, and exclude the namespace from it.",
    )


# A cause of a rejected dry run. The pattern is for the status and the error text, such as "403: …", with texts of Kubernetes
# 1.36, Kyverno and Gatekeeper. The description may refer to the groups of the pattern.
_Refusal = partial(FailureCause, Code.INJECTION_UNKNOWN)
_ADMISSION = (
    "Set pod_identity_proof_pod (labels, annotations, resources and other fields) or pod_identity_proof_image to values that the "
    "policy allows."
)
_CLASS = "Correct pod_identity_proof_pod, or create the class."
_NO_TIME = _Refusal(
    r"the deadline of \S+ s has passed",
    "no time was left before the deadline",
    "Run again with a greater pod_identity_deadline.",
)
_REFUSALS = (
    _Refusal(
        r'cannot create resource "pods"',
        "the caller is not allowed to create it",
        "Allow the caller to create pods with a dry run: docs/iam-permissions.md has the manifest.",
    ),
    _Refusal(
        r"(?:exceeded|failed) quota: (?P<name>[\w.-]+)",
        r"quota \g<name> of the namespace rejects it",
        "Raise the quota, or set resources in pod_identity_proof_pod that fit into the quota.",
    ),
    _Refusal(
        r'violates PodSecurity "(?P<name>[^"]+)"',
        r"Pod Security Standard \g<name> of the namespace rejects it",
        "Set pod_identity_proof_pod to values that the namespace allows.",
    ),
    _Refusal(
        r"(minimum|maximum) \S+ usage per|limit to request ratio|LimitRange",
        "a LimitRange of the namespace rejects it",
        "Set resources in pod_identity_proof_pod that the namespace allows.",
    ),
    _Refusal(
        r"no PriorityClass with name (?P<name>\S+) was found",
        r"PriorityClass \g<name> does not exist",
        _CLASS,
    ),
    _Refusal(r'RuntimeClass "(?P<name>[^"]+)" not found', r"RuntimeClass \g<name> does not exist", _CLASS),
    _Refusal(
        r"because it is being terminated",
        "the namespace is being deleted",
        "Remove the workload from the list, or recreate the namespace after its deletion.",
    ),
    _Refusal(
        r'admission webhook "(?P<name>[^"]+)" does not support dry run',
        r"admission webhook \g<name> does not support dry runs",
        "Have that webhook declare sideEffects: None, or accept the finding with pod_identity_ignore.",
    ),
    _Refusal(
        r'failed calling webhook "(?P<name>[^"]+)"',
        r"admission webhook \g<name> fails",
        "Repair that webhook: with failurePolicy Fail it prevents all new Pods. To see its service: kubectl get "
        "mutatingwebhookconfigurations,validatingwebhookconfigurations -o yaml",
    ),
    _Refusal(
        r"ValidatingAdmissionPolicy '(?P<name>[^']+)' with binding '(?P<binding>[^']+)' denied",
        r"ValidatingAdmissionPolicy \g<name> (binding \g<binding>) rejects it",
        _ADMISSION,
    ),
    _Refusal(
        r'admission webhook "(?P<name>[^"]+)" denied the request: (?:\[|.*following policies:? )(?P<policy>[\w.-]+)[\]:]',
        r"policy \g<policy> of admission webhook \g<name> rejects it",
        _ADMISSION,
    ),
    _Refusal(
        r'admission webhook "(?P<name>[^"]+)" denied the request',
        r"admission webhook \g<name> rejects it",
        _ADMISSION,
    ),
    _Refusal(
        r"ValidatingAdmissionPolicy|denied the request",
        "an admission webhook or policy rejects it",
        _ADMISSION,
    ),
    _Refusal(
        r'error looking up service account|namespaces? "[^"]*" not found',
        "its service account does not exist",
        "Create the service account, or apply the workload, which creates it.",
    ),
    _Refusal(
        r'^\d+: Pod "[^"]*" is invalid|cannot be handled as a Pod|unknown field',
        "the Pod is not valid",
        "Correct pod_identity_proof_pod or pod_identity_proof_image.",
    ),
    _NO_TIME,
    _Refusal("^0:", "the API server did not respond", "Verify again, which repeats the dry run."),
    _Refusal(f"^{BUSY}:", "the API server was too busy", "Verify again when it is less busy."),
    _Refusal("^50[0234]:", "the API server failed", "Verify again when the API server is available."),
    _Refusal(
        "",
        "the API server rejects it",
        "Resolve the cause, or accept the finding with pod_identity_ignore.",
    ),
)


def explain_rejection(error: ApiError) -> ProbeResult:
    """Return the result of a rejected dry run: the injection is unknown, and ``description`` has the cause."""
    text = f"{error.status}: {error.text}"
    refusal, match = next(
        (refusal, match) for refusal in _REFUSALS if (match := re.search(refusal.pattern, text))
    )
    status = f" ({error.status})" if error.status else ""
    reason = f"{match.expand(refusal.description)}{status}: {sentence(error.text)}"
    return ProbeResult(
        Code.INJECTION_UNKNOWN,
        f"could not be created with a dry run, as {reason}".removesuffix("."),
        refusal.remedy,
        error,
        # A dry run creates nothing, so a retry is safe.
        retry=(not error.status or is_transient(error)) and refusal is not _NO_TIME,
    )


WEBHOOK = "pod-identity-webhook"


@dataclass(frozen=True, slots=True)
class ProbeSeries:
    """The results of the probes of one workload.

    ``is_young`` is true if some API servers may not know the association yet. ``probes`` is the number of all probes.
    ``misses`` is the number of probes without injection, except those without an answer, and ``successes`` the number of probes
    with injection since the last miss. ``fault`` is the result of the last probe without injection; a probe without an answer
    does not replace an earlier fault of the Pod. ``pause`` is the time until the next probe in seconds.
    """

    is_young: bool
    probes: int = 0
    successes: int = 0
    misses: int = 0
    fault: ProbeResult = field(default_factory=ProbeResult)
    pause: int = PROBE_PAUSE

    def add(self, result: ProbeResult) -> ProbeSeries:
        """Return the series with the result of another probe added."""
        tried = replace(self, probes=self.probes + 1, pause=PROBE_PAUSE)
        if result.is_injected:
            return replace(tried, successes=self.successes + 1)
        if result.retry and result.error is not None:
            # An API server that has not answered has not examined the Pod, so an earlier fault still counts.
            has_fault = not (self.fault.is_injected or self.fault.is_unknown)
            pause = max(result.error.retry_after, RETRY_PAUSE)
            return replace(tried, fault=self.fault if has_fault else result, pause=pause)
        return replace(tried, successes=0, misses=self.misses + 1, fault=result)

    @property
    def is_proven(self) -> bool:
        """Return whether the results count as proof that new Pods get the credentials of the role."""
        return self.successes >= (REQUIRED_SUCCESSES if self.is_young or self.misses else 1)

    @property
    def injects(self) -> bool | None:
        """Return whether new Pods get the credentials of the role, or None if this is unknown. Too few successes are a no."""
        return self.is_proven if self.is_proven or not self.fault.is_unknown else None

    @property
    def is_decided(self) -> bool:
        """Return whether no further probes are needed."""
        if self.is_proven:
            return True
        if self.successes or self.fault.is_injected:
            return False
        if self.fault.is_unknown:
            return not self.fault.retry
        return not self.is_young and self.misses >= MISSES


InjectionRun: TypeAlias = Mapping[WorkloadKey, ProbeSeries]


def choose_workloads(
    aws: AwsResult,
    accounts: Collection[WorkloadKey],
    sample: int,
    first: Collection[WorkloadKey] = (),
) -> list[VerifiedWorkload]:
    """Return the workloads to probe, in the order of the verification: at most ``sample``, or all if ``sample`` is 0.

    Only workloads that pass the checks in AWS and have a service account are probed. The workloads in ``first``, and those
    whose association this run created, have priority. The rest of the sample is spread evenly over the other workloads.

    :arg accounts: the workloads with an existing service account.
    """
    eligible = [workload for workload in passed_aws_checks(aws.verification) if workload.key in accounts]
    if not sample or len(eligible) <= sample:
        return eligible
    new = _associated_now(aws)
    urgent = [workload for workload in eligible if workload.key in first or str(workload.key) in new][:sample]
    rest = [workload for workload in eligible if workload not in urgent]
    remaining = sample - len(urgent)
    spread = [rest[index * len(rest) // remaining] for index in range(remaining)]
    chosen = {workload.key for workload in (*urgent, *spread)}
    return [workload for workload in eligible if workload.key in chosen]


def run_probes(
    cluster: KubernetesCluster,
    aws: AwsResult,
    workloads: Sequence[VerifiedWorkload],
    settings: InjectionSettings,
    clock: Clock,
) -> InjectionRun:
    """Send dry runs for the workloads until none needs another one, or the timeout expires. Return the results."""
    began = clock.now()
    observed = began + timedelta(seconds=settings.observe)
    new = _associated_now(aws)
    series = {
        workload.key: ProbeSeries(
            str(workload.key) in new
            or (
                workload.association_created is not None
                and began - workload.association_created < SETTLED_AFTER
            )
        )
        for workload in workloads
    }
    manifests = {key: probe_pod(key, settings, aws.verification.region) for key in series}

    while pending := [
        key
        for key, probed in series.items()
        if not probed.is_decided or (probed.is_young and probed.is_proven and clock.now() < observed)
    ]:
        if any(probed.probes for probed in series.values()):
            pause = max(series[key].pause for key in pending)
            if all(series[key].is_proven for key in pending):
                pause = max(pause, settings.observe // OBSERVATIONS)
            if (clock.now() - began).total_seconds() + pause > settings.timeout:
                break
            clock.sleep(pause)
        dry_runs = cluster.dry_run_pods([manifests[key] for key in pending])
        for key, dry_run in zip(pending, dry_runs, strict=True):
            series[key] = series[key].add(evaluate_dry_run(dry_run, key))
    return series


def _associated_now(aws: AwsResult) -> set[object]:
    # Creation times alone do not show which associations are new, because the clock of AWS may differ from the local clock.
    return {
        change.get("workload")
        for change in aws.changes
        if change.get("resource") == "association" and change.get("action") == "create"
    }


def judge_injection(key: WorkloadKey, series: ProbeSeries) -> Check:
    """Return the check of a probed workload."""
    fault, successes = series.fault, series.successes
    if series.is_proven:
        return Check("injection", PASS, f"{successes}x" if successes > 1 else "")
    subject = f"a Pod that starts now under service account {key.service_account}"
    count = f"({series.misses} of {series.probes} times)"
    severity: Severity | None = None
    if fault.code is None:
        code, text, remedy = (
            Code.INJECTION_UNKNOWN,
            f"got EKS Pod Identity in {successes} of the {REQUIRED_SUCCESSES} required dry runs in a row, so it is unknown "
            "whether all API servers of the cluster know the new association.",
            "Verify again.",
        )
    elif fault.code != Code.INJECTION_MISSING or fault.remedy:
        code, text, remedy = fault.code, f"{fault.description}.", fault.remedy
        if fault.error is not None and (not fault.error.status or is_transient(fault.error)):
            severity = "error"
    elif series.is_young:
        code, text, remedy = (
            Code.INJECTION_NOT_YET,
            f"{fault.description} {count}: perhaps not every API server of the cluster knows the new association yet.",
            "Verify again in a minute. Start Pods only when the check passes.",
        )
    else:
        code, text, remedy = (
            Code.INJECTION_MISSING,
            f"{fault.description} {count}, although the association is not new: the EKS webhook does not change the Pod, or "
            "another webhook reverts the change.",
            f"Check that {WEBHOOK}, which EKS creates, exists, and that its namespaceSelector does not exclude namespace "
            f"{key.namespace}. To see the mutating webhooks: kubectl get mutatingwebhookconfigurations -o yaml",
        )
    finding = Finding(code, f"{subject} {text}", remedy, key, raised_as=severity)
    if code == Code.INJECTION_UNKNOWN:
        return Check("injection", UNKNOWN, findings=(finding,))
    return conclude("injection", finding)
