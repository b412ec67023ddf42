# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends for Kubernetes: the embedded emulation, or an existing cluster of the user."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sandbox.aws.settings import CONTROL_PREFIX
from sandbox.environment import LOCAL_HOSTS, EnvironmentChange
from sandbox.errors import StartError
from sandbox.kube.control import KubeControl, KubeControlError
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kubeconfig_file import Target, read_target
from sandbox.ports import LOOPBACK
from sandbox.probe import is_ok
from sandbox.servers import Servers
from sandbox.settings import Settings

PROCESS = "kubernetes"

OVERRIDING_VARIABLES = tuple(
    f"K8S_AUTH_{name}"
    for name in (
        "HOST",
        "API_KEY",
        "CONTEXT",
        "USERNAME",
        "PASSWORD",
        "CERT_FILE",
        "KEY_FILE",
        "SSL_CA_CERT",
        "VERIFY_SSL",
        "PROXY",
        "PROXY_HEADERS",
        "IMPERSONATE_USER",
        "IMPERSONATE_GROUPS",
    )
)
"""Environment variables that kubernetes.core prefers to the values in a kubeconfig."""


def kubernetes_environment(kubeconfig: str, *, local: bool) -> EnvironmentChange:
    """Return the environment variables with which clients use a kubeconfig.

    With ``local``, the API server is on this machine: variables that would override the kubeconfig are unset, and
    no proxy is used.
    """
    return EnvironmentChange(
        set={"KUBECONFIG": kubeconfig, "K8S_AUTH_KUBECONFIG": kubeconfig},
        unset=OVERRIDING_VARIABLES if local else (),
        direct_hosts=LOCAL_HOSTS if local else (),
    )


@dataclass(frozen=True, slots=True)
class EmbeddedKubernetes:
    """A backend that starts the emulation of Kubernetes in ``sandbox.kube`` as a process on a loopback port."""

    settings: Settings
    port: int
    token: str
    servers: Servers
    aws_port: int = 0

    label = "Kubernetes"
    processes = (PROCESS,)
    port_names = (PROCESS,)

    @property
    def endpoint(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def _ca_file(self) -> Path:
        return self.servers.layout.kubernetes / "ca.crt"

    @property
    def _control(self) -> KubeControl:
        return KubeControl(self.endpoint, self._ca_file, self.token)

    def certificate_authority(self) -> bytes:
        return self._ca_file.read_bytes()

    async def start(self) -> None:
        self.servers.spawn(PROCESS, self._command(), {"PYTHONUNBUFFERED": "1"})
        await self.servers.wait_until(PROCESS, self.ready)
        authority = self.certificate_authority().decode("ascii")
        write_kubeconfig(self.servers.layout.kubeconfig, self.endpoint, authority, self.token)
        await asyncio.to_thread(self._initialize)

    def _command(self) -> list[str]:
        settings = self.settings
        command = [sys.executable, "-P", "-m", "sandbox.kube", "--port", str(self.port)]
        command += ["--cert-dir", str(self.servers.layout.kubernetes), "--token", self.token]
        command += ["--rbac"] if settings.rbac else []
        command += ["--controllers"] if settings.kube_controllers else []
        command += ["--eks-auth", self._control_url("token-review")] if self.aws_port else []
        if settings.pod_identity_webhook:
            command += ["--pod-identity-webhook"]
            command += ["--associations", self._control_url("associations")] if self.aws_port else []
        return command

    def _control_url(self, request: str) -> str:
        """Return the URL of a control request to the embedded AWS, for the EKS cluster that the settings name."""
        settings = self.settings
        query = urlencode(
            {
                "account": settings.account,
                "region": settings.region,
                "cluster": settings.cluster,
                "sts_host": f"{LOOPBACK}:{self.aws_port}",
            }
        )
        return f"http://{LOOPBACK}:{self.aws_port}{CONTROL_PREFIX}{request}?{query}"

    def _initialize(self) -> None:
        """Set the latency that the settings define, because a new or reset server has no latency, and clear the counters."""
        with _control_errors():
            self._control.set_latency(self.settings.kube_latency_ms)
            self._control.reset_counters()

    def ready(self) -> bool:
        return is_ok(self.port, "/_sandbox/ready", ca_file=self._ca_file)

    def stop(self) -> None:
        self.servers.stop(self.processes)

    def reset(self) -> str:
        with _control_errors():
            self._control.reset()
        self._initialize()
        return "Kubernetes: reset to a new cluster."

    def describe(self) -> str:
        return f"embedded emulator on {self.endpoint}"

    def environment(self) -> EnvironmentChange:
        return kubernetes_environment(str(self.servers.layout.kubeconfig), local=True)

    def requests(self) -> Mapping[str, Any]:
        with _control_errors():
            return self._control.counters()


@contextlib.contextmanager
def _control_errors() -> Iterator[None]:
    """Convert an error of a control request to StartError, which is shown to the user."""
    try:
        yield
    except KubeControlError as error:
        raise StartError(f"A control request to the embedded Kubernetes failed: {error}") from error


@dataclass(frozen=True, slots=True)
class ExternalKubernetes:
    """The cluster in the KUBECONFIG of the user. The sandbox never starts, stops or resets it."""

    kubeconfig: str

    label = "Kubernetes"
    processes = ()
    port_names = ()

    @property
    def target(self) -> Target:
        return read_target(self.kubeconfig)

    @property
    def endpoint(self) -> str:
        return self.target.server

    def certificate_authority(self) -> bytes:
        return self.target.certificate_authority

    async def start(self) -> None:
        if not self.ready():
            raise StartError(
                f"Your cluster at {self.target.server} (KUBECONFIG {self.kubeconfig}, context "
                f"{self.target.context}) does not accept connections.",
                "Start it, correct KUBECONFIG, or use `--kube embedded`.",
            )

    def ready(self) -> bool:
        target = self.target
        return target.proxied or target.accepts_connections()

    def stop(self) -> None:
        """Do nothing: the sandbox never stops the cluster of the user."""

    def reset(self) -> str:
        return (
            f"Kubernetes: not reset. {self.target.server} is your own cluster, "
            "which the sandbox never resets."
        )

    def describe(self) -> str:
        target = self.target
        return f"your own cluster at {target.server} (context {target.context} of {self.kubeconfig})"

    def environment(self) -> EnvironmentChange:
        return kubernetes_environment(self.kubeconfig, local=False)

    def requests(self) -> Mapping[str, Any]:
        return {}
