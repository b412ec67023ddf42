# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real kube-apiserver and etcd from the folder that KUBEBUILDER_ASSETS names.

``setup-envtest`` downloads these programs (https://book.kubebuilder.io/reference/envtest). If the folder also has
kube-controller-manager, the sandbox starts that program as well. Then new namespaces get a ``default`` service account, and
deleted namespaces do not remain in the phase Terminating. Without kube-controller-manager, the admission plugin ServiceAccount,
which needs these service accounts, is off.
"""

from __future__ import annotations

import http.client
import os
import secrets
import ssl
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.errors import SandboxError
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.tls import ensure_server_files
from sandbox.processes import LOOPBACK, Kubernetes, Server, free_port

ADMIN_USER = "sandbox-admin"
MANAGER_USER = "system:kube-controller-manager"
MANAGER = "kube-controller-manager"
DEFAULT_SERVICE_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def start(stack: ExitStack, folder: Path, assets: Path, token: str) -> Kubernetes:
    """Start the servers. Raise SandboxError if a program is missing, or a server does not become ready."""
    for program in ("etcd", "kube-apiserver"):
        if not os.access(assets / program, os.X_OK):
            raise SandboxError(
                f"KUBEBUILDER_ASSETS ({assets}) has no program {program}.",
                "Set it to the folder that `setup-envtest use -p path` prints.",
            )
    files = folder / "kubernetes"
    manager_token = _create_files(files, token)
    etcd_port, port = free_port(), free_port()
    etcd = Server(stack, folder, "etcd", _etcd(assets, files, etcd_port))
    etcd.wait_until(lambda: _is_ok(etcd_port, "/health", None, ""))
    endpoint, authority = f"https://{LOOPBACK}:{port}", files / "ca.crt"
    has_manager = os.access(assets / MANAGER, os.X_OK)
    api = Server(stack, folder, "kubernetes", _api_server(assets, files, etcd_port, port, has_manager))
    api.wait_until(lambda: _is_ok(port, "/readyz", authority, token))
    if has_manager:
        kubeconfig = files / "manager.kubeconfig"
        text = authority.read_text(encoding="ascii")
        write_kubeconfig(kubeconfig, endpoint, text, manager_token, user=MANAGER_USER)
        manager = Server(stack, folder, MANAGER, _manager(assets, files, kubeconfig))
        manager.wait_until(lambda: _is_ok(port, DEFAULT_SERVICE_ACCOUNT, authority, token))
    return Kubernetes(endpoint, authority, f"kube-apiserver from {assets}")


def _create_files(files: Path, token: str) -> str:
    """Create certificates, keys and tokens. Return the token of kube-controller-manager."""
    ensure_server_files(files)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    manager = secrets.token_hex(24)
    users = f'{token},{ADMIN_USER},{ADMIN_USER},"system:masters"\n{manager},{MANAGER_USER},{MANAGER_USER}\n'
    for name, content in (
        ("accounts.key", private),
        ("accounts.pub", public),
        ("tokens.csv", users.encode()),
    ):
        path = files / name
        path.touch(mode=0o600)
        path.write_bytes(content)
    return manager


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


def _api_server(assets: Path, files: Path, etcd_port: int, port: int, has_manager: bool) -> list[str]:
    command = [
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
    ]
    # This admission plugin rejects a Pod whose service account does not exist, and only kube-controller-manager creates the
    # service accounts `default`.
    return command if has_manager else [*command, "--disable-admission-plugins=ServiceAccount"]


def _manager(assets: Path, files: Path, kubeconfig: Path) -> list[str]:
    return [
        str(assets / MANAGER),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={free_port()}",
        f"--root-ca-file={files / 'ca.crt'}",
        f"--service-account-private-key-file={files / 'accounts.key'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
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
