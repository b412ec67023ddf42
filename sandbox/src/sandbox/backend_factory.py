# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the backends that the settings select."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.backends import AwsBackend, KubernetesBackend
from sandbox.backends_aws import EmbeddedAws, RealAws
from sandbox.backends_kube import EmbeddedKubernetes, ExternalKubernetes
from sandbox.backends_kubebuilder import KubebuilderKubernetes
from sandbox.servers import Servers
from sandbox.settings import Settings


def make_backends(
    settings: Settings, ports: Mapping[str, int], token: str, servers: Servers
) -> tuple[AwsBackend, KubernetesBackend]:
    """Return the backends for AWS and Kubernetes.

    ``ports`` has the port of each server by name. It may be empty if the caller only needs ``Backend.port_names``.
    """
    return _aws(settings, ports, servers), _kubernetes(settings, ports, token, servers)


def _aws(settings: Settings, ports: Mapping[str, int], servers: Servers) -> AwsBackend:
    if settings.aws == "real":
        return RealAws()
    return EmbeddedAws(settings, ports.get("aws", 0), servers)


def _kubernetes(
    settings: Settings, ports: Mapping[str, int], token: str, servers: Servers
) -> KubernetesBackend:
    if settings.kubernetes == "kubeconfig":
        return ExternalKubernetes(settings.kubernetes_source)
    if settings.kubernetes == "kubebuilder":
        return KubebuilderKubernetes(settings, ports, token, servers)
    return EmbeddedKubernetes(settings, ports.get("kubernetes", 0), token, servers, ports.get("aws", 0))
