# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backends that are the user's own: an existing cluster, real AWS."""

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
def own_cluster() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


@pytest.fixture
def own_kubeconfig(tmp_path: Path, own_cluster: socket.socket) -> Path:
    path = tmp_path / "own" / "config"
    path.parent.mkdir()
    document = {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "east"}}],
        "clusters": [{"name": "east", "cluster": {"server": server_of(own_cluster)}}],
    }
    path.write_text(json.dumps(document))
    return path


def server_of(listener: socket.socket) -> str:
    return f"https://127.0.0.1:{listener.getsockname()[1]}"


def test_kubeconfig_is_used_as_it_is_and_never_reset_or_stopped(
    sandbox: Sandbox,
    own_kubeconfig: Path,
    own_cluster: socket.socket,
    state_folder: Path,
    report: Callable[[], dict[str, Any]],
) -> None:
    text = own_kubeconfig.read_text()
    up = sandbox("up", KUBECONFIG=str(own_kubeconfig))
    assert up.returncode == 0, up.stderr
    server = server_of(own_cluster)
    assert up.stdout.splitlines()[0].endswith(
        f"; Kubernetes: your own cluster at {server} (context dev of {own_kubeconfig})"
    )
    env = sandbox("env").stdout
    assert f"export KUBECONFIG={own_kubeconfig}\n" in env
    assert f"export K8S_AUTH_KUBECONFIG={own_kubeconfig}\n" in env
    assert not (state_folder / "kubeconfig").exists()
    assert report()["backends"][1]["processes"] == []
    reset = sandbox("reset")
    assert reset.returncode == 0
    assert reset.stdout.splitlines()[1] == (
        f"Kubernetes: not reset. {server} is your own cluster, which the sandbox never empties."
    )
    assert sandbox("down").returncode == 0
    assert own_kubeconfig.read_text() == text


def test_a_cluster_that_takes_no_connection_fails_the_start(
    sandbox: Sandbox,
    own_kubeconfig: Path,
    own_cluster: socket.socket,
    ours_alive: Callable[[], list[str]],
) -> None:
    server = server_of(own_cluster)
    own_cluster.close()
    up = sandbox("up", KUBECONFIG=str(own_kubeconfig))
    assert (up.returncode, up.stdout) == (1, "")
    assert up.stderr == (
        f"sandbox: Your cluster at {server} (KUBECONFIG {own_kubeconfig}, context dev) takes no "
        "connection.\nStart it or correct KUBECONFIG; or unset KUBECONFIG (or give "
        "`--kube embedded`) to use the embedded Kubernetes.\n"
    )
    assert ours_alive() == []


def test_the_embedded_kubernetes_can_be_asked_for_in_spite_of_kubeconfig(
    sandbox: Sandbox, own_kubeconfig: Path
) -> None:
    up = sandbox("up", "--kube", "embedded", KUBECONFIG=str(own_kubeconfig))
    assert "Kubernetes: embedded emulator" in up.stdout


def test_real_aws_starts_sets_and_resets_nothing(
    sandbox: Sandbox, own_kubeconfig: Path, ours_alive: Callable[[], list[str]]
) -> None:
    own = {"KUBECONFIG": str(own_kubeconfig), "AWS_PROFILE": "prod", "AWS_REGION": "eu-west-1"}
    up = sandbox("up", "--aws", "real", **own)
    assert up.returncode == 0, up.stderr
    assert up.stdout.splitlines()[0].startswith(
        "AWS: real AWS, with your own credentials; what you change there stays; Kubernetes: "
    )
    assert "EKS cluster" not in up.stdout
    assert ours_alive() == []
    env = sandbox("env", **own).stdout
    assert "AWS_" not in env.replace("SANDBOX_AWS", "")
    inside = sandbox("run", "--", "env", **own).stdout.splitlines()
    assert sorted(line for line in inside if line.startswith("AWS_")) == [
        "AWS_PROFILE=prod",
        "AWS_REGION=eu-west-1",
    ]
    assert sandbox("reset").stdout.splitlines()[0] == (
        "AWS: left as it is. It is a real account, which the sandbox never resets."
    )
    assert sandbox("status").returncode == 0


def test_real_aws_is_not_claimed_where_an_endpoint_is_set(sandbox: Sandbox, own_kubeconfig: Path) -> None:
    own = {"KUBECONFIG": str(own_kubeconfig), "AWS_ENDPOINT_URL": "http://localhost:4566"}
    up = sandbox("up", "--aws", "real", **own)
    assert up.stdout.startswith("AWS: whatever your AWS_ENDPOINT_URL, http://localhost:4566, leads")


def test_real_aws_is_refused_in_the_shell_of_an_embedded_one(sandbox: Sandbox, state_folder: Path) -> None:
    up = sandbox("up", "--aws", "real", SANDBOX_AWS="embedded")
    assert up.returncode == 1
    assert up.stderr == (
        "sandbox: `--aws real` was asked for, but this shell has the variables of an embedded "
        "AWS.\nUse a shell in which env.sh of a sandbox was not read.\n"
    )
    assert not state_folder.exists()
