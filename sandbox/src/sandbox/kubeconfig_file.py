# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the cluster from the kubeconfig of the user, without a Kubernetes client."""

from __future__ import annotations

import base64
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sandbox.errors import SandboxError

CONNECT_SECONDS = 5.0
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster of the current context in a kubeconfig.

    ``certificate_authority`` is PEM, or empty. ``proxied`` is true if clients may use a proxy; then a direct
    connection attempt does not show whether clients can connect.
    """

    context: str
    server: str
    certificate_authority: bytes
    proxied: bool

    def accepts_connections(self) -> bool:
        parts = urlsplit(self.server)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        try:
            with socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS):
                return True
        except OSError:
            return False


def read_target(kubeconfig: str) -> Target:
    """Read the cluster from the files in a value of KUBECONFIG. If several files set a value, the first one is used.

    Raise SandboxError if a file cannot be read, or the current context is incomplete.
    """
    files = [(Path(path), _load(Path(path))) for path in kubeconfig.split(os.pathsep)]
    current = [str(document.get("current-context") or "") for _, document in files]
    context_name = next(filter(None, current), "")
    contexts = [_named(document, "context", context_name) for _, document in files]
    context = next(filter(None, contexts), None)
    if context is None:
        raise SandboxError(
            f"KUBECONFIG ({kubeconfig}) has no usable current-context (it is {context_name!r}).",
            "Choose one with `kubectl config use-context NAME`.",
        )
    cluster_name = str(context.get("cluster"))
    for path, document in files:
        cluster = _named(document, "cluster", cluster_name)
        if cluster and cluster.get("server"):
            return Target(
                context=context_name,
                server=str(cluster["server"]),
                certificate_authority=_certificate_authority(cluster, path),
                proxied="proxy-url" in cluster or any(map(os.environ.get, PROXY_VARIABLES)),
            )
    raise SandboxError(
        f"The context {context_name!r} of KUBECONFIG ({kubeconfig}) names the cluster "
        f"{cluster_name!r}, which has no server.",
        "Repair the kubeconfig, or choose another context.",
    )


def _load(path: Path) -> Document:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SandboxError(f"KUBECONFIG names {path}, which cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise SandboxError(f"KUBECONFIG names {path}, which is not a kubeconfig.")
    return document


def _named(document: Document, kind: str, name: str) -> Document | None:
    """Return the context or cluster with this name (``kind`` is "context" or "cluster"), or None if it does not exist."""
    for entry in document.get(f"{kind}s") or []:
        if isinstance(entry, dict) and entry.get("name") == name:
            content: Document | None = entry.get(kind)
            return content
    return None


def _certificate_authority(cluster: Document, kubeconfig: Path) -> bytes:
    """Return the certificate authority of a cluster in PEM, or b"".

    A path is relative to the folder of the kubeconfig, as in kubectl.
    """
    try:
        if "certificate-authority-data" in cluster:
            return base64.b64decode(cluster["certificate-authority-data"])
        if "certificate-authority" in cluster:
            return (kubeconfig.parent / str(cluster["certificate-authority"])).read_bytes()
    except (OSError, ValueError) as error:
        raise SandboxError(
            f"KUBECONFIG names {kubeconfig}, whose certificate authority cannot be read: {error}",
            "Repair the kubeconfig.",
        ) from error
    return b""
