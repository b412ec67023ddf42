# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes: the embedded emulator, or the user's own cluster."""

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
from sandbox.probe import answers_ok
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
"""Variables that kubernetes.core would take before the kubeconfig."""


def kubernetes_environment(kubeconfig: str, *, local: bool) -> EnvironmentChange:
    return EnvironmentChange(
        set={"KUBECONFIG": kubeconfig, "K8S_AUTH_KUBECONFIG": kubeconfig},
        unset=OVERRIDING_VARIABLES if local else (),
        direct_hosts=LOCAL_HOSTS if local else (),
    )


@dataclass(frozen=True, slots=True)
class EmbeddedKubernetes:
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
        await asyncio.to_thread(self._first_state)

    def _command(self) -> list[str]:
        settings = self.settings
        command = [sys.executable, "-P", "-m", "sandbox.kube", "--port", str(self.port)]
        command += ["--cert-dir", str(self.servers.layout.kubernetes), "--token", self.token]
        command += ["--rbac"] if settings.rbac else []
        command += ["--controllers"] if settings.kube_controllers else []
        command += ["--eks-auth", self._of_aws("token-review")] if self.aws_port else []
        if settings.pod_identity_webhook:
            command += ["--pod-identity-webhook", "--webhook-delay-ms", str(settings.webhook_delay_ms)]
            command += ["--associations", self._of_aws("associations")] if self.aws_port else []
        return command

    def _of_aws(self, request: str) -> str:
        """Where the embedded AWS says what its cluster has, and knows whose tokens are."""
        settings = self.settings
        whose = urlencode(
            {
                "account": settings.account,
                "region": settings.region,
                "cluster": settings.cluster,
                "sts_host": f"{LOOPBACK}:{self.aws_port}",
            }
        )
        return f"http://{LOOPBACK}:{self.aws_port}{CONTROL_PREFIX}{request}?{whose}"

    def _first_state(self) -> None:
        """A reset takes the latency too."""
        with _told():
            self._control.set_latency(self.settings.kube_latency_ms)
            self._control.reset_counters()

    def ready(self) -> bool:
        return answers_ok(self.port, "/_sandbox/ready", ca_file=self._ca_file)

    def stop(self) -> None:
        self.servers.stop(self.processes)

    def reset(self) -> str:
        with _told():
            self._control.reset()
        self._first_state()
        return "Kubernetes: emptied; as a new cluster is."

    def describe(self) -> str:
        return f"embedded emulator on {self.endpoint}"

    def environment(self) -> EnvironmentChange:
        return kubernetes_environment(str(self.servers.layout.kubeconfig), local=True)

    def requests(self) -> Mapping[str, Any]:
        with _told():
            return self._control.counters()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What goes wrong with a control request is the user's to know."""
    try:
        yield
    except KubeControlError as error:
        raise StartError(f"The embedded Kubernetes does not do as it is told: {error}") from error


@dataclass(frozen=True, slots=True)
class OwnKubernetes:
    """The cluster of the user's KUBECONFIG: never started, stopped or reset."""

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
                f"{self.target.context}) takes no connection.",
                "Start it or correct KUBECONFIG; or unset KUBECONFIG (or give `--kube embedded`) "
                "to use the embedded Kubernetes.",
            )

    def ready(self) -> bool:
        target = self.target
        return target.proxied or target.accepts_connections()

    def stop(self) -> None:
        """Nothing to stop."""

    def reset(self) -> str:
        return (
            f"Kubernetes: not reset. {self.target.server} is your own cluster, "
            "which the sandbox never empties."
        )

    def describe(self) -> str:
        target = self.target
        return f"your own cluster at {target.server} (context {target.context} of {self.kubeconfig})"

    def environment(self) -> EnvironmentChange:
        return kubernetes_environment(self.kubeconfig, local=False)

    def requests(self) -> Mapping[str, Any]:
        return {}
