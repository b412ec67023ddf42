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
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .pod_checks import key_of
from .reads import verification_of
from .restarts import _right_in_aws
from .service_accounts import MANAGED_BY_LABEL, MANAGED_BY_LABEL_VALUE
from .state import Key

RUN_LABEL = "workload-identity/proof"
ANSWER = "/dev/termination-log"
COMMAND = f"aws sts get-caller-identity --query Arn --output text > {ANSWER}"
# The image has no user of its own.
USER = 65532
RESOURCES = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"cpu": "500m", "memory": "256Mi"},
}

Row = Mapping[str, Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """``run`` tells the Jobs of one run from others; ``timeout`` is in seconds; ``pod_spec`` adds fields."""

    run: str
    image: str
    timeout: int
    region: str = ""
    resources: Row = field(default_factory=dict)
    pod_spec: Row = field(default_factory=dict)


def job(row: Row, settings: Settings) -> Json:
    """The Job for a workload, as restricted as the Pod Security Standard "restricted" asks."""
    namespace, account = key_of(row)
    labels = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE, RUN_LABEL: settings.run}
    environment = [{"name": "HOME", "value": "/tmp"}]
    if settings.region:
        environment.append({"name": "AWS_REGION", "value": settings.region})
    container = {
        "name": "proof",
        "image": settings.image,
        "command": ["/bin/sh", "-c", COMMAND],
        "env": environment,
        "resources": dict(settings.resources or RESOURCES),
        "terminationMessagePath": ANSWER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "serviceAccountName": account,
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
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        **settings.pod_spec,
    }
    # A mesh's proxy would not end with the Job.
    template = {"metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}}, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": namespace, "name": job_name(row, settings.run), "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": settings.timeout,
            "ttlSecondsAfterFinished": 300,
            "template": template,
        },
    }


def job_name(row: Row, run: str) -> str:
    """Short enough for a label, whatever the service account is called."""
    digest = hashlib.sha256("/".join(key_of(row)).encode()).hexdigest()[:8]
    return f"pod-identity-proof-{run}-{digest}"


def proofs(result: Row, service_accounts: Collection[Key], settings: Settings) -> list[dict[str, Any]]:
    """The Jobs of the runtime proof, for workloads that are right in AWS and have their service account."""
    verification = verification_of(result)
    region = str(verification.get("cluster_arn", ":::")).split(":")[3]
    return [
        job(row, replace(settings, region=region))
        for row in _right_in_aws(verification)
        if key_of(row) in service_accounts
    ]
