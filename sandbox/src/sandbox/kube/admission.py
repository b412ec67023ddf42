# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check and change new Pods as the admission plugin ServiceAccount and the EKS Pod Identity webhook do.

Sources for environment variables, volumes and annotations: EKS User Guide, "EKS Pod Identity: how it works" and "Configure
pods to use a service account with EKS Pod Identity"; README of amazon-eks-pod-identity-webhook for IRSA.
"""

from __future__ import annotations

import secrets

from sandbox.kube.errors import forbidden
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import PODS, SERVICE_ACCOUNTS
from sandbox.kube.store import Store, object_key

SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
CREDENTIALS_URI = "http://169.254.170.23/v1/credentials"
TOKEN_VOLUME = "eks-pod-identity-token"
TOKEN_DIRECTORY = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
AUDIENCE = "pods.eks.amazonaws.com"
INJECTED_LABEL = "eks.amazonaws.com/pod-identity"
IRSA_VOLUME = "aws-iam-token"
IRSA_DIRECTORY = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
STS_AUDIENCE = "sts.amazonaws.com"
EXPIRATION_SECONDS = 86400
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def random_suffix() -> str:
    """Return five random characters, which the API server appends to ``metadata.generateName``."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def check_service_account(store: Store, namespace: str, pod: Json) -> None:
    """Raise ApiError 403 if the service account of a Pod does not exist."""
    name = pod["spec"]["serviceAccountName"]
    if store.get(object_key(SERVICE_ACCOUNTS, namespace, name)) is None:
        reason = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden(PODS, pod["metadata"]["name"], reason)


def inject_pod_identity(pod: Json) -> None:
    """Add the environment variables and the token volume of EKS Pod Identity to the containers of a Pod.

    Containers in the annotation eks.amazonaws.com/skip-containers are left out. The Pod gets a label unless the annotation
    excludes all containers.
    """
    variables = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": CREDENTIALS_URI,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{TOKEN_DIRECTORY}/{TOKEN_VOLUME}",
    }
    mount = {"mountPath": TOKEN_DIRECTORY, "name": TOKEN_VOLUME, "readOnly": True}
    token = {"audience": AUDIENCE, "expirationSeconds": EXPIRATION_SECONDS, "path": TOKEN_VOLUME}
    if _inject(pod, variables, mount, token):
        meta = pod["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), INJECTED_LABEL: "enabled"}


def inject_irsa(pod: Json, role: str, audience: str = STS_AUDIENCE) -> None:
    """Add the environment variables and the token volume of IRSA (IAM roles for service accounts) to a Pod.

    ``role`` (an ARN) and ``audience`` are values of annotations of the service account.
    """
    variables = {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": f"{IRSA_DIRECTORY}/token"}
    mount = {"mountPath": IRSA_DIRECTORY, "name": IRSA_VOLUME, "readOnly": True}
    token = {"audience": audience, "expirationSeconds": EXPIRATION_SECONDS, "path": "token"}
    _inject(pod, variables, mount, token)


def _inject(pod: Json, variables: dict[str, str], mount: Json, token: Json) -> bool:
    """Add two environment variables and the mount of a token to the containers of a Pod, and the volume to the Pod.

    A container that already has one of the two variables gets only the mount. Return False if the annotation excludes all
    containers.
    """
    skip = str(lookup(pod, "metadata", "annotations", SKIP_CONTAINERS) or "")
    skipped = {name.strip() for name in skip.split(",") if name.strip()}
    containers = [container for container in _containers(pod) if container.get("name") not in skipped]
    for container in containers:
        environment = container.setdefault("env", [])
        present = {variable.get("name") for variable in environment}
        if present.isdisjoint(variables):
            environment += [{"name": name, "value": value} for name, value in variables.items()]
        mounts = container.setdefault("volumeMounts", [])
        if not any(item.get("name") == mount["name"] for item in mounts):
            mounts.append(dict(mount))
    if not containers:
        return False
    volumes = pod["spec"].setdefault("volumes", [])
    if not any(volume.get("name") == mount["name"] for volume in volumes):
        projected = {"defaultMode": 420, "sources": [{"serviceAccountToken": token}]}
        volumes.append({"name": mount["name"], "projected": projected})
    return True


def _containers(pod: Json) -> list[Json]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
