# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A Pod under the service account of a workload, as restricted as the Pod Security Standard "restricted" asks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...._findings.key import WorkloadKey
from ..model.objects import Object

CONTAINER = "proof"
ANSWER = "/dev/termination-log"
# The image has no user of its own.
USER = 65532
RESOURCES: Object = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"cpu": "500m", "memory": "256Mi"},
}


@dataclass(frozen=True, slots=True)
class ProofContainer:
    """The container of a probe or proof. Empty ``resources`` are small ones, ``pod_spec`` adds or replaces fields. ``labels`` and
    ``annotations`` are for admission policies."""

    image: str
    command: str
    resources: Object = field(default_factory=dict)
    pod_spec: Object = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def pod_template(
    key: WorkloadKey, container: ProofContainer, region: str, labels: Mapping[str, str]
) -> Object:
    """The metadata and the spec of the Pod."""
    environment = [{"name": "HOME", "value": "/tmp"}]
    if region:
        environment.append({"name": "AWS_REGION", "value": region})
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
                "image": container.image,
                "command": ["/bin/sh", "-c", container.command],
                "env": environment,
                "resources": dict(container.resources or RESOURCES),
                "terminationMessagePath": ANSWER,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        **container.pod_spec,
    }
    # A mesh's proxy would not end with the Pod.
    added = {"sidecar.istio.io/inject": "false", **container.labels}
    metadata = {"labels": {**added, **labels}, "annotations": dict(container.annotations)}
    return {"metadata": metadata, "spec": spec}
