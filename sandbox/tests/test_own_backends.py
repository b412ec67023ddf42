# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the backends that the sandbox does not start: an existing cluster of the user, and real AWS."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Sandbox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cluster_socket() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


@pytest.fixture
def kubeconfig(tmp_path: Path, cluster_socket: socket.socket) -> Path:
    path = tmp_path / "own" / "config"
    path.parent.mkdir()
    document = {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "east"}}],
        "clusters": [{"name": "east", "cluster": {"server": server_url(cluster_socket)}}],
    }
    path.write_text(json.dumps(document))
    return path


def server_url(listener: socket.socket) -> str:
    return f"https://127.0.0.1:{listener.getsockname()[1]}"


def test_existing_cluster_is_never_reset_or_stopped(
    sandbox: Sandbox,
    kubeconfig: Path,
    cluster_socket: socket.socket,
    state_folder: Path,
    report: Callable[[], dict[str, Any]],
) -> None:
    text = kubeconfig.read_text()
    up = sandbox("up", KUBECONFIG=str(kubeconfig))
    assert up.returncode == 0, up.stderr
    server = server_url(cluster_socket)
    assert up.stdout.splitlines()[0].endswith(
        f"; Kubernetes: your own cluster at {server} (context dev of {kubeconfig})"
    )
    env = sandbox("env").stdout
    assert f"export KUBECONFIG={kubeconfig}\n" in env
    assert f"export K8S_AUTH_KUBECONFIG={kubeconfig}\n" in env
    assert not (state_folder / "kubeconfig").exists()
    assert report()["backends"][1]["processes"] == []
    reset = sandbox("reset")
    assert reset.returncode == 0
    assert reset.stdout.splitlines()[1] == (
        f"Kubernetes: not reset. {server} is your own cluster, which the sandbox never resets."
    )
    assert sandbox("down").returncode == 0
    assert kubeconfig.read_text() == text


def test_up_fails_without_connection_to_existing_cluster(
    sandbox: Sandbox,
    kubeconfig: Path,
    cluster_socket: socket.socket,
    running_processes: Callable[[], list[str]],
) -> None:
    server = server_url(cluster_socket)
    cluster_socket.close()
    up = sandbox("up", KUBECONFIG=str(kubeconfig))
    assert (up.returncode, up.stdout) == (1, "")
    assert up.stderr == (
        f"sandbox: Your cluster at {server} (KUBECONFIG {kubeconfig}, context dev) does not accept "
        "connections.\nStart it, correct KUBECONFIG, or use `--kube embedded`.\n"
    )
    assert running_processes() == []


def test_embedded_option_overrides_kubeconfig(sandbox: Sandbox, kubeconfig: Path) -> None:
    up = sandbox("up", "--kube", "embedded", KUBECONFIG=str(kubeconfig))
    assert "Kubernetes: embedded emulator" in up.stdout


def test_real_aws_starts_no_server_and_keeps_environment(
    sandbox: Sandbox, kubeconfig: Path, running_processes: Callable[[], list[str]]
) -> None:
    variables = {"KUBECONFIG": str(kubeconfig), "AWS_PROFILE": "prod", "AWS_REGION": "eu-west-1"}
    up = sandbox("up", "--aws", "real", **variables)
    assert up.returncode == 0, up.stderr
    assert up.stdout.splitlines()[0].startswith(
        "AWS: real AWS, with your own credentials; your changes are permanent; Kubernetes: "
    )
    assert "EKS cluster" not in up.stdout
    assert running_processes() == []
    env = sandbox("env", **variables).stdout
    assert "AWS_" not in env.replace("SANDBOX_AWS", "")
    inside = sandbox("run", "--", "env", **variables).stdout.splitlines()
    assert sorted(line for line in inside if line.startswith("AWS_")) == [
        "AWS_PROFILE=prod",
        "AWS_REGION=eu-west-1",
    ]
    assert sandbox("reset").stdout.splitlines()[0] == (
        "AWS: not reset. The sandbox never resets a real account."
    )
    assert sandbox("status").returncode == 0


def test_real_aws_shows_custom_endpoint(sandbox: Sandbox, kubeconfig: Path) -> None:
    variables = {"KUBECONFIG": str(kubeconfig), "AWS_ENDPOINT_URL": "http://localhost:4566"}
    up = sandbox("up", "--aws", "real", **variables)
    assert up.stdout.startswith("AWS: the endpoint of your AWS_ENDPOINT_URL, http://localhost:4566; ")


def test_real_aws_is_rejected_in_shell_with_sandbox_variables(sandbox: Sandbox, state_folder: Path) -> None:
    up = sandbox("up", "--aws", "real", SANDBOX_AWS="embedded")
    assert up.returncode == 1
    assert up.stderr == (
        "sandbox: `--aws real` needs your own AWS variables, but this shell has the variables of a "
        "sandbox.\nUse a shell without the env.sh of a sandbox.\n"
    )
    assert not state_folder.exists()
