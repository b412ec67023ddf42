# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends for AWS: the embedded emulation, or real AWS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.aws.control import AwsControl, AwsControlError
from sandbox.aws.settings import CONTROL_PREFIX, ROOT_SECRET_ACCESS_KEY
from sandbox.aws_request import AwsRequester
from sandbox.backends import KubernetesBackend
from sandbox.eks import ClusterRequest, create_cluster
from sandbox.environment import LOCAL_HOSTS, EnvironmentChange
from sandbox.errors import StartError
from sandbox.ports import LOOPBACK
from sandbox.probe import is_ok
from sandbox.servers import Servers
from sandbox.settings import Settings

PROCESS = "aws"

OVERRIDING_VARIABLES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_ENDPOINT_URL_EKS",
    "AWS_ENDPOINT_URL_EKS_AUTH",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_URL",
    "EC2_URL",
)
"""Environment variables that would let a client use other credentials or endpoints."""

CONFIG_TEXT = "# Empty on purpose: the sandbox does not read your profiles and endpoints.\n"


@dataclass(frozen=True, slots=True)
class EmbeddedAws:
    """A backend that starts the emulation of AWS in ``sandbox.aws`` as a process on a loopback port."""

    settings: Settings
    port: int
    servers: Servers

    label = "AWS"
    processes = (PROCESS,)
    port_names = (PROCESS,)

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def _control(self) -> AwsControl:
        return AwsControl(self.endpoint)

    async def start(self) -> None:
        self.servers.layout.aws_config.write_text(CONFIG_TEXT, encoding="utf-8")
        self.servers.spawn(PROCESS, self._command(), {"PYTHONUNBUFFERED": "1"})
        await self.servers.wait_until(PROCESS, self.ready)
        await asyncio.to_thread(self._create_cluster)

    def _command(self) -> list[str]:
        settings = self.settings
        command = [sys.executable, "-P", "-m", "sandbox.aws", "--port", str(self.port)]
        command += ["--latency-ms", str(settings.latency_ms)]
        return [*command, "--auth"] if settings.auth else command

    def _create_cluster(self) -> None:
        """Create the EKS cluster that the settings name, then reset the counters, so that they do not include these requests."""
        settings = self.settings
        requester = AwsRequester(self.port, settings.account, settings.region)
        create_cluster(requester, ClusterRequest(settings.cluster))
        with _control_errors():
            self._control.reset_counters()

    def attach(self, kubernetes: KubernetesBackend) -> None:
        authority = base64.b64encode(kubernetes.certificate_authority()).decode()
        with _control_errors():
            self._control.set_kubernetes(kubernetes.endpoint, authority)

    def ready(self) -> bool:
        return is_ok(self.port, f"{CONTROL_PREFIX}ready")

    def stop(self) -> None:
        self.servers.stop(self.processes)

    def reset(self) -> str:
        with _control_errors():
            self._control.reset()
            self._control.set_latency(self.settings.latency_ms)
            self._control.set_propagation(0)
            self._control.set_rate_limit(0)
            self._control.set_session_lifetime(0)
        self._create_cluster()
        return f"AWS: reset; cluster {self.settings.cluster} recreated."

    def describe(self) -> str:
        return f"embedded model on {self.endpoint}, account {self.settings.account}"

    def environment(self) -> EnvironmentChange:
        return EnvironmentChange(
            set={
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": self.settings.account,
                "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_ACCESS_KEY,
                "AWS_REGION": self.settings.region,
                "AWS_DEFAULT_REGION": self.settings.region,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": str(self.servers.layout.aws_config),
                "AWS_SHARED_CREDENTIALS_FILE": str(self.servers.layout.aws_config),
            },
            unset=OVERRIDING_VARIABLES,
            direct_hosts=LOCAL_HOSTS,
        )

    def requests(self) -> Mapping[str, Any]:
        with _control_errors():
            return self._control.counters()


@contextlib.contextmanager
def _control_errors() -> Iterator[None]:
    """Convert an error of a control request to StartError, which is shown to the user."""
    try:
        yield
    except AwsControlError as error:
        raise StartError(f"A control request to the embedded AWS failed: {error}") from error


@dataclass(frozen=True, slots=True)
class RealAws:
    """Real AWS with the credentials of the user. It is never reset, and requests are not counted."""

    label = "AWS"
    processes: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ()

    async def start(self) -> None:
        """Do nothing: there is no server."""

    def attach(self, kubernetes: KubernetesBackend) -> None:
        """Do nothing: real clusters have an API server."""

    def ready(self) -> bool:
        return True

    def stop(self) -> None:
        """Do nothing: there is no server."""

    def reset(self) -> str:
        return "AWS: not reset. The sandbox never resets a real account."

    def describe(self) -> str:
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            return f"the endpoint of your AWS_ENDPOINT_URL, {endpoint}"
        return "real AWS, with your own credentials; your changes are permanent"

    def environment(self) -> EnvironmentChange:
        return EnvironmentChange()

    def requests(self) -> Mapping[str, Any]:
        return {}
