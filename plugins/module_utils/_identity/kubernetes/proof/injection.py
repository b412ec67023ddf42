# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The injection probe: would a Pod that starts now get the role? What comes back of one dry run means. Pure.

A Pod that is created with a dry run passes the mutating webhooks, as EKS's declares no side effects
(amazon-eks-pod-identity-webhook), and comes back with what was injected. No Pod is made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from ...._findings.codes import Code
from ...._findings.key import WorkloadKey
from ...model.messages import sentence
from ..api.api_errors import ApiError
from ..api.cluster import Trial
from ..api.patience import is_transient
from ..model.objects import Object, member
from ..model.ownership import MANAGED_BY_LABELS
from ..pods.environment import Source, find_source, is_injected
from ..pods.pods import SKIP_CONTAINERS, SKIP_WEBHOOK, Container, Pod, parse_pod
from .proof_pod import CONTAINER, ProofContainer, pod_template


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """The Pod that is tried. It never runs, so that its image is never pulled; an admission policy may look at it."""

    image: str
    resources: Object
    pod_spec: Object


@dataclass(frozen=True, slots=True)
class Seen:
    """What one probe showed. ``code`` is None when the role's credentials came back with the Pod.

    ``what`` is the rest of a sentence about the Pod. ``retry`` says that asking again may help at once, ``unanswered`` that
    the API server did not say no: it did not answer.
    """

    code: Code | None = None
    what: str = ""
    remedy: str = ""
    retry: bool = False
    retry_after: int = 0
    unanswered: bool = False

    @property
    def is_injected(self) -> bool:
        return self.code is None

    @property
    def is_unknown(self) -> bool:
        return self.code == Code.INJECTION_UNKNOWN


def probe_pod(key: WorkloadKey, settings: ProbeSettings, region: str) -> Object:
    """The Pod of the runtime proof, with nothing to do."""
    container = ProofContainer(settings.image, "true", settings.resources, settings.pod_spec)
    template = pod_template(key, container, region, MANAGED_BY_LABELS)
    digest = hashlib.sha256(f"{key.namespace}/{key.service_account}".encode()).hexdigest()[:8]
    metadata = {
        **member(template, "metadata"),
        "namespace": key.namespace,
        "name": f"pod-identity-probe-{digest}",
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def judge_trial(trial: Trial, key: WorkloadKey) -> Seen:
    """The first reason that holds. Without one, SDKs in the Pod find the role's credentials."""
    if trial.error is not None:
        return judge_refusal(trial.error)
    pod = parse_pod(trial.pod, key.cluster)
    container = next((each for each in pod.containers if each.name == CONTAINER), Container("", {}))
    probe = _Probe(key, pod, container, find_source(container, pod.volumes))
    seen = (look(probe) for look in _LOOKS)
    return next((each for each in seen if each is not None), Seen())


@dataclass(frozen=True, slots=True)
class _Probe:
    """A Pod as the API server returned it, with the source of credentials of its container."""

    key: WorkloadKey
    pod: Pod
    container: Container
    source: Source


def _other_account(probe: _Probe) -> Seen | None:
    """An admission policy may set another service account, whose association then counts."""
    if probe.pod.workload == probe.key:
        return None
    return Seen(
        Code.INJECTION_OTHER_IDENTITY,
        f"comes back under service account {probe.pod.workload.service_account}, whose association it would get",
        "Find the admission webhook or policy that sets serviceAccountName, and except the namespace from it.",
    )


def _irsa(probe: _Probe) -> Seen | None:
    """EKS's webhook injects one of both; beside EKS Pod Identity, SDKs prefer the web identity."""
    if "AWS_ROLE_ARN" not in probe.source.names or probe.source.kind == "unknown":
        return None
    env = probe.container.env
    role = env.get("AWS_ROLE_ARN") or "another role"
    also = " as well, which SDKs prefer" if is_injected(env) else " instead of EKS Pod Identity"
    return Seen(
        Code.INJECTION_IRSA,
        f"gets {role} by IRSA{also}",
        "If it stays so, remove the annotation eks.amazonaws.com/role-arn of the service account, and the webhook of "
        "IRSA if you installed one.",
    )


def _skipped(probe: _Probe) -> Seen | None:
    """The probe has neither of them: another webhook or policy, or pod_identity_proof_pod_spec, gave it."""
    if probe.source.kind != "none":
        return None
    if SKIP_WEBHOOK in probe.pod.labels:
        mark = f"the label {SKIP_WEBHOOK}"
    elif CONTAINER in probe.pod.skipped:
        mark = f"the annotation {SKIP_CONTAINERS}"
    else:
        return None
    return Seen(
        Code.INJECTION_SKIPPED,
        f"comes back with {mark}, so nothing is injected",
        "Find the admission webhook or policy that adds it to new Pods, and except the namespace from it.",
    )


def _missing(probe: _Probe) -> Seen | None:
    injected = is_injected(probe.container.env)
    if probe.source.kind != "none" and (probe.pod.has_token or not injected):
        return None
    part = " whole" if probe.pod.has_token or injected else ""
    return Seen(
        Code.INJECTION_MISSING, f"comes back without the{part} environment and token of EKS Pod Identity"
    )


def _other_credentials(probe: _Probe) -> Seen | None:
    """Something adds them to new Pods, also where it is only not known which of them an SDK takes."""
    if probe.source.kind == "agent":
        return None
    unknown = probe.source.kind == "unknown"
    return Seen(
        Code.INJECTION_UNKNOWN if unknown else Code.INJECTION_OTHER_IDENTITY,
        f"comes back with {probe.source.what}",
        f"Find the admission webhook or policy that adds {probe.source.removal}, and except the namespace from it.",
    )


_LOOKS: tuple[Callable[[_Probe], Seen | None], ...] = (
    _other_account,
    _irsa,
    _skipped,
    _missing,
    _other_credentials,
)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """``pattern`` is looked for in the text of the API server; the texts are those of Kubernetes 1.36."""

    pattern: str
    what: str
    remedy: str


_NO_TIME = _Refusal(
    r"the deadline of \S+ s has passed",
    "there was no time left for it",
    "Run again with a greater pod_identity_deadline.",
)
_REFUSALS = (
    _Refusal(
        r'cannot create resource "pods"',
        "the caller is not allowed to try it",
        "Allow it to create pods with a dry run: docs/iam-permissions.md has the manifest.",
    ),
    _Refusal(
        r"exceeded quota|must specify",
        "a quota of the namespace refuses it",
        "Raise the quota, or set pod_identity_proof_resources to what is left of it.",
    ),
    _Refusal(
        r"violates PodSecurity",
        "the Pod Security Standard of the namespace refuses it",
        "Set pod_identity_proof_pod_spec to what the namespace allows.",
    ),
    _Refusal(
        r"(minimum|maximum) \S+ usage per|LimitRange",
        "a LimitRange of the namespace refuses it",
        "Set pod_identity_proof_resources to what the namespace allows.",
    ),
    _Refusal(
        r"does not support dry run",
        "a webhook of the cluster does not support dry runs",
        "Have that webhook declare sideEffects: None, or set pod_identity_verify_injection: none.",
    ),
    _Refusal(
        r"admission webhook|ValidatingAdmissionPolicy|denied the request",
        "an admission webhook or policy refuses it",
        "Set pod_identity_proof_image, _resources or _pod_spec to what it allows.",
    ),
    _Refusal(
        r'error looking up service account|namespaces? "[^"]*" not found',
        "it has no service account to run under",
        "Create the service account, or apply the workload, which does.",
    ),
    _NO_TIME,
)
_ANY = _Refusal("", "it was not answered", "Verify again, which tries it again.")


def judge_refusal(error: ApiError) -> Seen:
    """Nothing is known of the injection then."""
    refusal = next((each for each in _REFUSALS if re.search(each.pattern, error.text)), _ANY)
    status = f" ({error.status})" if error.status else ""
    what = f"could not be tried, as {refusal.what}{status}: {sentence(error.text)}"
    unanswered = not error.status or is_transient(error)
    # A dry run makes nothing, so it may be asked for again.
    retry = unanswered and refusal is not _NO_TIME
    return Seen(
        Code.INJECTION_UNKNOWN,
        what.removesuffix("."),
        refusal.remedy,
        retry,
        error.retry_after,
        unanswered,
    )
