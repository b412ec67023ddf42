# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide emulated clusters for tests: in memory without HTTP, or in a server with HTTPS."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration
from sandbox.kube.cluster import Cluster
from sandbox.kube.control import KubeControl
from sandbox.kube.errors import ApiError
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.resources import resource_table
from sandbox.kube.store import Store
from sandbox.kube.target import parse_target

TOKEN = "administrator-token-0123456789"
NOW = "2026-01-02T03:04:05Z"
Json = dict[str, Any]


class Memory:
    """A cluster in memory. ``kube("POST", path, body)`` handles a request, and returns the status code and the response body."""

    def __init__(
        self, *, rbac: bool = False, pod_identity_webhook: bool = False, history: int = 10_000
    ) -> None:
        numbers = itertools.count(1)
        self.store = Store(
            clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
            new_uid=lambda: f"uid-{next(numbers)}",
            history=history,
        )
        self.cluster = Cluster(
            resource_table(), rbac=rbac, pod_identity_webhook=pod_identity_webhook, store=self.store
        )
        self.warnings: tuple[str, ...] = ()

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
        agent: str = "test/1.0",
    ) -> tuple[int, Json]:
        parameters = query or {}
        self.warnings = ()
        try:
            target = parse_target(self.cluster.table, method, path, parameters)
            assert target is not None, f"{path} is not a resource"
            outcome = self.cluster.handle(
                target, parameters, content_type=content_type, body=body, agent=agent
            )
        except ApiError as error:
            return error.code, error.status()
        self.warnings = outcome.warnings
        return (201 if outcome.created else 200), outcome.obj

    def reconcile(self) -> None:
        self.cluster.deleter.reconcile()


@pytest.fixture
def kube() -> Memory:
    return Memory()


@pytest.fixture
def memory() -> type[Memory]:
    return Memory


@dataclass(frozen=True)
class Server:
    """A running server. Its folder has the kubeconfig of the administrator."""

    endpoint: str
    folder: Path
    control: KubeControl
    process: subprocess.Popen[str]

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.crt"

    def client(self, token: str = TOKEN) -> ApiClient:
        """Return the official Python client of Kubernetes, without retries."""
        configuration = Configuration(host=self.endpoint)
        configuration.ssl_ca_cert = str(self.ca_file)
        configuration.api_key = {"authorization": f"Bearer {token}"}
        configuration.retries = False
        return ApiClient(configuration)


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def start_server(sandbox_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Return a function that starts a server on a free port. Stop the servers at the end of the session."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Server:
        folder = tmp_path_factory.mktemp("kube")
        source = Path(__file__).resolve().parents[2] / "src"
        process = subprocess.Popen(
            [
                sandbox_python,
                "-P",
                "-m",
                "sandbox.kube",
                "--cert-dir",
                str(folder),
                "--token",
                TOKEN,
                *arguments,
            ],
            env={"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " ready on https://127.0.0.1:" in line, line
        endpoint = line.split()[-1]
        control = KubeControl(endpoint, folder / "ca.crt", TOKEN)
        write_kubeconfig(folder / "kubeconfig", endpoint, (folder / "ca.crt").read_text(), TOKEN)
        return Server(endpoint, folder, control, process)

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def shared_server(start_server: StartServer) -> Server:
    return start_server()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Reset the shared server, and return it."""
    shared_server.control.reset()
    return shared_server
