# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real kube-apiserver and etcd from the folder that KUBEBUILDER_ASSETS names.

``setup-envtest`` downloads these programs (https://book.kubebuilder.io/reference/envtest). The admission plugin ServiceAccount is
off, because only kube-controller-manager, which does not run, creates the service accounts that it needs.
"""

from __future__ import annotations

import http.client
import os
import ssl
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.errors import SandboxError
from sandbox.kube.tls import create_server_files
from sandbox.processes import LOOPBACK, Kubernetes, Server, free_port

ADMIN_USER = "sandbox-admin"


def start(stack: ExitStack, folder: Path, assets: Path, token: str) -> Kubernetes:
    """Start the servers. Raise SandboxError if a program is missing, or a server does not become ready."""
    for program in ("etcd", "kube-apiserver"):
        if not os.access(assets / program, os.X_OK):
            raise SandboxError(
                f"KUBEBUILDER_ASSETS ({assets}) has no program {program}.",
                "Set it to the folder that `setup-envtest use -p path` prints.",
            )
    files = folder / "kubernetes"
    _create_files(files, token)
    etcd_port, port = free_port(), free_port()
    etcd = Server(stack, folder, "etcd", _etcd(assets, files, etcd_port))
    etcd.wait_until(lambda: _is_ok(etcd_port, "/health", None, ""))
    endpoint, authority = f"https://{LOOPBACK}:{port}", files / "ca.crt"
    api = Server(stack, folder, "kubernetes", _api_server(assets, files, etcd_port, port))
    api.wait_until(lambda: _is_ok(port, "/readyz", authority, token))
    return Kubernetes(endpoint, authority, f"kube-apiserver from {assets}")


def _create_files(files: Path, token: str) -> None:
    """Create certificates, keys and the token of the administrator."""
    create_server_files(files)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    users = f'{token},{ADMIN_USER},{ADMIN_USER},"system:masters"\n'
    for name, content in (
        ("accounts.key", private),
        ("accounts.pub", public),
        ("tokens.csv", users.encode()),
    ):
        path = files / name
        path.touch(mode=0o600)
        path.write_bytes(content)


def _etcd(assets: Path, files: Path, port: int) -> list[str]:
    client, peer = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{free_port()}"
    return [
        str(assets / "etcd"),
        f"--data-dir={files / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def _api_server(assets: Path, files: Path, etcd_port: int, port: int) -> list[str]:
    return [
        str(assets / "kube-apiserver"),
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={files / 'tls.crt'}",
        f"--tls-private-key-file={files / 'tls.key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--service-account-issuer=https://{LOOPBACK}:{port}",
        f"--service-account-key-file={files / 'accounts.pub'}",
        f"--service-account-signing-key-file={files / 'accounts.key'}",
        f"--token-auth-file={files / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
    ]


def _is_ok(port: int, path: str, authority: Path | None, token: str) -> bool:
    """Return whether a GET request returns status 200."""
    connection = (
        http.client.HTTPConnection(LOOPBACK, port, timeout=2)
        if authority is None
        else http.client.HTTPSConnection(
            LOOPBACK, port, timeout=2, context=ssl.create_default_context(cafile=str(authority))
        )
    )
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
