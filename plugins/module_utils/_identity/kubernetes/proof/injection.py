# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Injection probe of one workload: build the Pod for a dry-run create request, and examine the Pod in the response. Pure.

The API server also sends dry runs to the mutating webhook of EKS (amazon-eks-pod-identity-webhook), because the configuration of
the webhook declares that it has no side effects. So the response shows which credentials a new Pod would get, but no Pod is
created.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from ...._findings.codes import Code
from ...._findings.finding import WorkloadKey
from ...model.errors import sentence
from ..api.api_errors import ApiError
from ..api.cluster import BUSY, DryRun, is_transient
from ..model.objects import MANAGED_BY_LABELS, Object, member
from ..pods.environment import find_source, is_injected
from ..pods.pods import SKIP_CONTAINERS, SKIP_WEBHOOK, Container, parse_pod
from .proof import CONTAINER, pod_template


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """The settings of the Pod in a dry run. It never runs, but admission policies may inspect its image and other fields."""

    image: str
    pod: Object = field(default_factory=dict)


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

    @property
    def is_busy(self) -> bool:
        """Return whether an overloaded API server rejected the dry run, without examining the Pod."""
        return self.error is not None and self.error.status == BUSY


def probe_pod(key: WorkloadKey, settings: ProbeSettings, region: str) -> Object:
    """Return the manifest of the Pod for a dry run: the Pod of the runtime proof with the command "true"."""
    template = pod_template(key, settings.image, "true", settings.pod, region, MANAGED_BY_LABELS)
    digest = hashlib.sha256(f"{key.namespace}/{key.service_account}".encode()).hexdigest()[:8]
    metadata = {
        **member(template, "metadata"),
        "namespace": key.namespace,
        "name": f"pod-identity-probe-{digest}",
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def evaluate_dry_run(dry_run: DryRun, key: WorkloadKey) -> ProbeResult:
    """Return the cause of a rejected dry run or the first fault of the Pod in the response; without these, a passed result."""
    if dry_run.error is not None:
        return explain_rejection(dry_run.error)
    pod = parse_pod(dry_run.pod, key.cluster)
    container = next((result for result in pod.containers if result.name == CONTAINER), Container("", {}))
    source, injected = find_source(container, pod.volumes), is_injected(container.env)
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


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A cause of a rejected dry run.

    ``pattern`` is a regular expression for the status and the error text, such as "403: …", with texts of Kubernetes 1.36,
    Kyverno and Gatekeeper. ``description`` may refer to the groups of the pattern (``\\g<name>``).
    """

    pattern: str
    description: str
    remedy: str


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
