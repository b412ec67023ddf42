# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change new Pods as the admission plugin ServiceAccount and the EKS Pod Identity webhook do.

Sources for environment variables, volume and annotation: EKS User Guide, "EKS Pod Identity: how it works" and
"Configure pods to use a service account with EKS Pod Identity".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sandbox.kube.errors import forbidden
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import PODS, SERVICE_ACCOUNTS
from sandbox.kube.store import Store, object_key

SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
CREDENTIALS_URI = "http://169.254.170.23/v1/credentials"
TOKEN_VOLUME = "eks-pod-identity-token"
TOKEN_DIRECTORY = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
AUDIENCE = "pods.eks.amazonaws.com"
_API_ACCESS = "/var/run/secrets/kubernetes.io/serviceaccount"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

Suffix = Callable[[], str]


def random_suffix() -> str:
    """Return five random characters, which the API server appends to ``metadata.generateName``."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def admit_service_account(store: Store, namespace: str, pod: Json, suffix: Suffix) -> None:
    """Check that the service account of a Pod exists, and add the volume with its token unless this is disabled.

    Raise ApiError 403 if the service account does not exist. ``suffix`` returns the end of the volume's name.
    """
    spec = pod["spec"]
    name = spec["serviceAccountName"]
    account = store.get(object_key(SERVICE_ACCOUNTS, namespace, name))
    if account is None:
        reason = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden(PODS, pod["metadata"]["name"], reason)
    automount = spec.get("automountServiceAccountToken")
    if automount is None:
        automount = account.get("automountServiceAccountToken", True)
    if not automount:
        return
    volume = f"kube-api-access-{suffix()}"
    mounted = False
    for container in _containers(pod):
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == _API_ACCESS for mount in mounts):
            mounts.append({"mountPath": _API_ACCESS, "name": volume, "readOnly": True})
            mounted = True
    if mounted:
        spec.setdefault("volumes", []).append(_api_access_volume(volume))


def inject_pod_identity(pod: Json) -> None:
    """Add the environment variables and the token volume of EKS Pod Identity to the containers of a Pod.

    Containers in the annotation eks.amazonaws.com/skip-containers are left out.
    """
    skip = str(lookup(pod, "metadata", "annotations", SKIP_CONTAINERS) or "")
    skipped = {name.strip() for name in skip.split(",") if name.strip()}
    injected = False
    for container in _containers(pod):
        if container.get("name") in skipped:
            continue
        injected = True
        environment = container.setdefault("env", [])
        present = {variable.get("name") for variable in environment}
        variables = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": CREDENTIALS_URI,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{TOKEN_DIRECTORY}/{TOKEN_VOLUME}",
        }
        # If a container has one of the two variables already, the webhook adds neither.
        if present.isdisjoint(variables):
            environment += [{"name": name, "value": value} for name, value in variables.items()]
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("name") == TOKEN_VOLUME for mount in mounts):
            mounts.append({"mountPath": TOKEN_DIRECTORY, "name": TOKEN_VOLUME, "readOnly": True})
    volumes = pod["spec"].setdefault("volumes", [])
    if injected and not any(volume.get("name") == TOKEN_VOLUME for volume in volumes):
        token = {"audience": AUDIENCE, "expirationSeconds": 86400, "path": TOKEN_VOLUME}
        volumes.append(
            {
                "name": TOKEN_VOLUME,
                "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": token}]},
            }
        )
    if not volumes:
        del pod["spec"]["volumes"]


def inject_irsa(pod: Json, role: str) -> None:
    """Add the environment variables and the token volume of IRSA (IAM roles for service accounts) to a Pod.

    ``role`` is the ARN in the annotation eks.amazonaws.com/role-arn of the service account.
    """
    directory = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    for container in _containers(pod):
        container.setdefault("env", []).extend(
            [
                {"name": "AWS_ROLE_ARN", "value": role},
                {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{directory}/token"},
            ]
        )
        container.setdefault("volumeMounts", []).append(
            {"mountPath": directory, "name": "aws-iam-token", "readOnly": True}
        )
    token = {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}
    projected = {"defaultMode": 420, "sources": [{"serviceAccountToken": token}]}
    pod["spec"].setdefault("volumes", []).append({"name": "aws-iam-token", "projected": projected})


def _containers(pod: Json) -> list[Json]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _api_access_volume(name: str) -> Json:
    root = {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "name": name,
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": root},
                {"downwardAPI": {"items": [{"fieldRef": field, "path": "namespace"}]}},
            ],
        },
    }
