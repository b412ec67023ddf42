# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates, keys and tokens for the kubebuilder backend."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

CONTROLLER_MANAGER_USER = "system:kube-controller-manager"
ADMIN_USER = "sandbox-admin"
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class KubebuilderFiles:
    """The paths of the files for the servers: certificates, keys, tokens, a kubeconfig and the data of etcd."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        return self.folder / "tls.key"

    @property
    def service_account_key(self) -> Path:
        return self.folder / "service-account.key"

    @property
    def service_account_public_key(self) -> Path:
        return self.folder / "service-account.pub"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def controller_kubeconfig(self) -> Path:
        return self.folder / "controller-manager.kubeconfig"

    @property
    def etcd_data(self) -> Path:
        return self.folder / "etcd"

    def create(self, admin_token: str) -> str:
        """Create the certificates, keys and tokens, and return the bearer token for kube-controller-manager."""
        # Import cryptography only here, because the import is slow and the other backends do not need it.
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        from sandbox.kube.tls import ensure_server_files

        ensure_server_files(self.folder)
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write(self.service_account_key, private)
        _write(self.service_account_public_key, public)
        controller_token = secrets.token_hex(24)
        _write(self.tokens, _token_file(admin_token, controller_token).encode())
        return controller_token


def _token_file(admin_token: str, controller_token: str) -> str:
    """Return the content of the file for --token-auth-file of kube-apiserver. A line is token,user,uid,"groups"."""
    return (
        f'{admin_token},{ADMIN_USER},{ADMIN_USER},"system:masters"\n'
        f"{controller_token},{CONTROLLER_MANAGER_USER},{CONTROLLER_MANAGER_USER}\n"
    )


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
