# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every backend can do. A backend is built from the state alone, so any command can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.environment import EnvironmentChange


class Backend(Protocol):
    """AWS or Kubernetes, in one of the ways it can be had."""

    @property
    def label(self) -> str:
        """``AWS`` or ``Kubernetes``."""

    @property
    def processes(self) -> tuple[str, ...]:
        """The servers it runs, in the order of their start; empty when it runs none."""

    @property
    def port_names(self) -> tuple[str, ...]:
        """The ports it needs, named."""

    async def start(self) -> None:
        """Start its servers and return when they answer; StartError otherwise."""

    def ready(self) -> bool:
        """Whether it answers now."""

    def stop(self) -> None:
        """Stop its servers, last started first. Nothing to do is no error."""

    def reset(self) -> str:
        """Go back to how it was after the start, and say so; or say why not."""

    def describe(self) -> str:
        """Who answers and where, in plain words."""

    def environment(self) -> EnvironmentChange:
        """What clients need to be pointed at it."""

    def requests(self) -> Mapping[str, Any]:
        """Counters of API requests: ``total``, ``reads``, ``writes``; empty when not counted."""


class KubernetesBackend(Backend, Protocol):
    @property
    def endpoint(self) -> str:
        """The URL of the API server."""

    def certificate_authority(self) -> bytes:
        """PEM of the CA that signed its certificate; empty when that is not known."""


class AwsBackend(Backend, Protocol):
    def attach(self, kubernetes: KubernetesBackend) -> None:
        """Let the EKS clusters name this API server as theirs."""
