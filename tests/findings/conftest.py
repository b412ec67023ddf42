# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start one embedded AWS and one embedded Kubernetes for all tests. Each test has a separate AWS account."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.tests.findings.cluster import READER, TOKEN, Kube
from ansible_collections.workload_identity.aws.tests.findings.world import World
from sandbox.kube.kubeconfig import write_kubeconfig

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("SANDBOX_PYTHON", str(ROOT / ".venv-sandbox" / "bin" / "python"))
NewWorld = Callable[[], World]


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run a server process of the sandbox. Yield the address that the process prints when it is ready."""
    process = subprocess.Popen(
        [PYTHON, "-m", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sandbox" / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"https?://127\.0\.0\.1:\d+", line)
        assert found, f"the server printed {line!r}"
        yield found.group()
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    with serving("sandbox.aws", "--port", "0", "--auth") as address:
        yield address


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    folder = tmp_path_factory.mktemp("kube")
    options = ("--cert-dir", str(folder), "--token", TOKEN, "--rbac", "--pod-identity-webhook")
    with serving("sandbox.kube", *options, "--user", f"reader:{READER}:readers") as address:
        authority = folder / "ca.crt"
        write_kubeconfig(folder / "kubeconfig", address, authority.read_text("ascii"), TOKEN)
        yield Kube(address, authority, folder / "kubeconfig")


@pytest.fixture(scope="session")
def new_world(aws_endpoint: str, kube: Kube) -> NewWorld:
    """Return a function that creates a World with a new AWS account and an empty Kubernetes cluster."""
    numbers = itertools.count(1)

    def make() -> World:
        kube.control.reset()
        return World(aws_endpoint, f"5{next(numbers):011d}", kube)

    return make
