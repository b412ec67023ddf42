# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of backends: the implementations of AWS and Kubernetes that a sandbox consists of.

A backend stores no state, so each `sandbox` command creates it again from the settings of the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.environment import EnvironmentChange


class Backend(Protocol):
    """An implementation of AWS or Kubernetes."""

    @property
    def label(self) -> str:
        """Return the name for messages: ``AWS`` or ``Kubernetes``."""

    @property
    def processes(self) -> tuple[str, ...]:
        """Return the names of the server processes, in the order in which they start."""

    @property
    def port_names(self) -> tuple[str, ...]:
        """Return the names of the ports that the servers need."""

    async def start(self) -> None:
        """Start the servers, and wait until they are ready. Raise StartError if a server does not become ready."""

    def ready(self) -> bool:
        """Return whether the servers respond."""

    def stop(self) -> None:
        """Stop the running servers, in the reverse order of the start."""

    def reset(self) -> str:
        """Restore the state after the start, except in real AWS or a cluster of the user. Return a message for the user."""

    def describe(self) -> str:
        """Return a description of the implementation for the user."""

    def environment(self) -> EnvironmentChange:
        """Return the environment variables with which clients use this backend."""

    def requests(self) -> Mapping[str, Any]:
        """Return the numbers of API requests (``total``, ``reads``, ``writes``), or {} if the backend does not count requests."""


class KubernetesBackend(Backend, Protocol):
    """A backend for Kubernetes."""

    @property
    def endpoint(self) -> str:
        """Return the URL of the API server."""

    def certificate_authority(self) -> bytes:
        """Return the certificate authority of the API server in PEM, or b"" if it is unknown."""


class AwsBackend(Backend, Protocol):
    """A backend for AWS."""

    def attach(self, kubernetes: KubernetesBackend) -> None:
        """Let DescribeCluster of the embedded AWS return the endpoint and the certificate authority of ``kubernetes``."""
