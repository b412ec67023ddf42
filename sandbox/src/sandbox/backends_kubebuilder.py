# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend with a real kube-apiserver and etcd from the folder that KUBEBUILDER_ASSETS names.

``setup-envtest`` downloads these programs (https://book.kubebuilder.io/reference/envtest). If the folder also has
kube-controller-manager, the sandbox starts that program as well. Then new namespaces get a ``default`` service account, and
deleted namespaces do not remain in the phase Terminating. Without kube-controller-manager, the admission plugin ServiceAccount,
which needs these service accounts, is off.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.backends_kube import kubernetes_environment
from sandbox.environment import EnvironmentChange
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kubebuilder_files import ADMIN_USER, CONTROLLER_MANAGER_USER, KubebuilderFiles
from sandbox.ports import LOOPBACK
from sandbox.probe import is_ok, request
from sandbox.servers import Servers
from sandbox.settings import Settings

ETCD = "etcd"
ETCD_PEER = "etcd-peer"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SERVICE_CIDR = "10.0.0.0/24"
DEFAULT_SERVICE_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


@dataclass(frozen=True, slots=True)
class KubebuilderKubernetes:
    """A kube-apiserver with etcd, and kube-controller-manager if the folder has that program."""

    settings: Settings
    ports: Mapping[str, int]
    token: str
    servers: Servers

    label = "Kubernetes"

    @property
    def folder(self) -> Path:
        return Path(self.settings.kubernetes_source)

    @property
    def files(self) -> KubebuilderFiles:
        return KubebuilderFiles(self.servers.layout.kubernetes)

    @property
    def has_controller_manager(self) -> bool:
        return os.access(self.folder / CONTROLLER_MANAGER, os.X_OK)

    @property
    def processes(self) -> tuple[str, ...]:
        needed = (ETCD, API_SERVER)
        return (*needed, CONTROLLER_MANAGER) if self.has_controller_manager else needed

    @property
    def port_names(self) -> tuple[str, ...]:
        return (ETCD_PEER, *self.processes)

    @property
    def endpoint(self) -> str:
        return f"https://{LOOPBACK}:{self.ports[API_SERVER]}"

    def certificate_authority(self) -> bytes:
        return self.files.ca.read_bytes()

    async def start(self) -> None:
        if not self.files.ca.exists():
            self._create_files()
        self.servers.spawn(ETCD, self._etcd())
        await self.servers.wait_until(ETCD, self._etcd_ready)
        self.servers.spawn(API_SERVER, self._api_server())
        await self.servers.wait_until(API_SERVER, self._api_server_ready)
        if self.has_controller_manager:
            self.servers.spawn(CONTROLLER_MANAGER, self._controller_manager())
            await self.servers.wait_until(CONTROLLER_MANAGER, self.ready)

    def _create_files(self) -> None:
        layout = self.servers.layout
        controller_token = self.files.create(self.token)
        authority = self.certificate_authority().decode("ascii")
        write_kubeconfig(layout.kubeconfig, self.endpoint, authority, self.token, user=ADMIN_USER)
        write_kubeconfig(
            self.files.controller_kubeconfig,
            self.endpoint,
            authority,
            controller_token,
            user=CONTROLLER_MANAGER_USER,
        )

    def ready(self) -> bool:
        if not self.has_controller_manager:
            return self._api_server_ready()
        return self._is_ok(DEFAULT_SERVICE_ACCOUNT)

    def _etcd_ready(self) -> bool:
        return is_ok(self.ports[ETCD], "/health")

    def _api_server_ready(self) -> bool:
        return self._is_ok("/readyz")

    def _is_ok(self, path: str) -> bool:
        port = self.ports[API_SERVER]
        return is_ok(port, path, ca_file=self.files.ca, token=self.token)

    def stop(self) -> None:
        self.servers.stop((CONTROLLER_MANAGER, API_SERVER, ETCD))

    def reset(self) -> str:
        self.stop()
        shutil.rmtree(self.files.etcd_data)
        asyncio.run(self.start())
        return "Kubernetes: restarted on an empty etcd."

    def describe(self) -> str:
        return f"kube-apiserver {self._version()} from {self.folder} on {self.endpoint}"

    def _version(self) -> str:
        response = request(
            self.ports[API_SERVER],
            "/version",
            headers={"Authorization": f"Bearer {self.token}"},
            ca_file=self.files.ca,
        )
        if response is None or response.status != 200:
            return "(not responding)"
        return str(json.loads(response.body).get("gitVersion", "of unknown version"))

    def environment(self) -> EnvironmentChange:
        return kubernetes_environment(str(self.servers.layout.kubeconfig), local=True)

    def requests(self) -> Mapping[str, Any]:
        return {}

    def _etcd(self) -> list[str]:
        client = f"http://{LOOPBACK}:{self.ports[ETCD]}"
        peer = f"http://{LOOPBACK}:{self.ports[ETCD_PEER]}"
        return [
            str(self.folder / ETCD),
            f"--data-dir={self.files.etcd_data}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync=true",
            "--log-level=warn",
        ]

    def _api_server(self) -> list[str]:
        files = self.files
        command = [
            str(self.folder / API_SERVER),
            f"--etcd-servers=http://{LOOPBACK}:{self.ports[ETCD]}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            f"--secure-port={self.ports[API_SERVER]}",
            f"--tls-cert-file={files.certificate}",
            f"--tls-private-key-file={files.key}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--service-account-issuer={self.endpoint}",
            f"--service-account-key-file={files.service_account_public_key}",
            f"--service-account-signing-key-file={files.service_account_key}",
            f"--token-auth-file={files.tokens}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
        ]
        if not self.has_controller_manager:
            # This admission plugin rejects a Pod whose service account does not exist, and only kube-controller-manager
            # creates the service accounts `default`.
            command.append("--disable-admission-plugins=ServiceAccount")
        return command

    def _controller_manager(self) -> list[str]:
        files = self.files
        kubeconfig = files.controller_kubeconfig
        return [
            str(self.folder / CONTROLLER_MANAGER),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.ports[CONTROLLER_MANAGER]}",
            f"--root-ca-file={files.ca}",
            f"--service-account-private-key-file={files.service_account_key}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
        ]
