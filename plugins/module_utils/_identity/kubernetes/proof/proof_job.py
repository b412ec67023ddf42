# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The runtime proof: a short-lived Job under each service account says who it is. Pure.

The answer comes back as the container's termination message, so that one list of Pods holds all answers
and no right to read logs is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ...._findings.key import WorkloadKey
from ..model.aws_result import Verification
from ..model.objects import Object
from ..model.ownership import MANAGED_BY_LABELS, PROOF_LABEL
from ..pods.restarts import right_in_aws
from .proof_pod import ANSWER, ProofContainer, pod_template

# Seconds. A Job that ends at its deadline takes its Pod along, and with it the reason why no node took it; so the
# deadline is later than the last look. Whatever happens to the run, Kubernetes removes the Job that long after its end.
MARGIN = 60
TTL = 300
COMMAND = f"aws sts get-caller-identity --query Arn --output text > {ANSWER}"


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """``run`` tells the Jobs of one run from others; ``timeout`` is in seconds; ``pod_spec`` adds fields; ``labels`` and
    ``annotations`` are for Job and Pod."""

    run: str
    image: str
    timeout: int
    resources: Object = field(default_factory=dict)
    pod_spec: Object = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def proof_job(key: WorkloadKey, settings: ProofSettings, region: str) -> Object:
    """The Job for a workload, as restricted as the Pod Security Standard "restricted" asks."""
    labels = {**MANAGED_BY_LABELS, PROOF_LABEL: settings.run}
    container = ProofContainer(
        settings.image,
        COMMAND,
        settings.resources,
        settings.pod_spec,
        settings.labels,
        settings.annotations,
    )
    template = pod_template(key, container, region, labels)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": key.namespace,
            "name": job_name(key, settings.run),
            "labels": {**settings.labels, **labels},
            "annotations": dict(settings.annotations),
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": settings.timeout + MARGIN,
            "ttlSecondsAfterFinished": TTL,
            "template": template,
        },
    }


def job_name(key: WorkloadKey, run: str) -> str:
    """Short enough for a label, whatever the service account is called."""
    digest = hashlib.sha256(f"{key.namespace}/{key.service_account}".encode()).hexdigest()[:8]
    return f"pod-identity-proof-{run}-{digest}"


def plan_proofs(
    verification: Verification, accounts: Collection[WorkloadKey], settings: ProofSettings
) -> Mapping[WorkloadKey, Object]:
    """The Jobs of the runtime proof, for workloads that are right in AWS and have their service account."""
    keys: Sequence[WorkloadKey] = [workload.key for workload in right_in_aws(verification)]
    return {key: proof_job(key, settings, verification.region) for key in keys if key in accounts}
