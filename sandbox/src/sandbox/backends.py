# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of the backends. Any command can build a backend from the recorded state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.environment import EnvironmentChange


class Backend(Protocol):
    """An implementation of AWS or Kubernetes."""

    @property
    def label(self) -> str:
        """``AWS`` or ``Kubernetes``."""

    @property
    def processes(self) -> tuple[str, ...]:
        """Names of its server processes, in start order."""

    @property
    def port_names(self) -> tuple[str, ...]:
        """Names of the ports it needs."""

    async def start(self) -> None:
        """Start its servers and wait until they are ready. Raise StartError otherwise."""

    def ready(self) -> bool:
        """Return whether it responds."""

    def stop(self) -> None:
        """Stop its servers in reverse start order, if any run."""

    def reset(self) -> str:
        """Restore the state after the start. Return a message, also when a reset is not possible."""

    def describe(self) -> str:
        """Return a description of the implementation and its address."""

    def environment(self) -> EnvironmentChange:
        """Return the environment that configures clients to use it."""

    def requests(self) -> Mapping[str, Any]:
        """Return counts of API requests: ``total``, ``reads``, ``writes``; empty if it does not count."""


class KubernetesBackend(Backend, Protocol):
    """A backend for Kubernetes."""

    @property
    def endpoint(self) -> str:
        """The URL of the API server."""

    def certificate_authority(self) -> bytes:
        """Return the PEM certificate of its CA; empty if unknown."""


class AwsBackend(Backend, Protocol):
    """A backend for AWS."""

    def attach(self, kubernetes: KubernetesBackend) -> None:
        """Make DescribeCluster return the endpoint and CA of this API server."""
