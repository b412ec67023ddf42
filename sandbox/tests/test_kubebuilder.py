# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the kubebuilder backend with fake servers: the order of the starts, options, failures and the stop."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sandbox.layout import Layout
from sandbox.ports import free_ports
from sandbox.settings import Settings
from sandbox.supervisor import Supervisor

FAKES = Path(__file__).parent / "fakes"
ALL = ("etcd", "kube-apiserver", "kube-controller-manager")

Sandbox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def install(tmp_path: Path, sandbox_python: str, journal: Path) -> Callable[..., dict[str, str]]:
    """Return a function that writes fake servers to a folder, and returns the environment variables that select this folder."""

    def put(*programs: str) -> dict[str, str]:
        folder = tmp_path / "assets"
        folder.mkdir()
        for program in programs:
            source = (FAKES / f"{program}.py").read_text()
            (folder / program).write_text(f"#!{sandbox_python}\n{source}")
            (folder / program).chmod(0o755)
        return {"KUBEBUILDER_ASSETS": str(folder), "FAKE_JOURNAL": str(journal)}

    return put


def lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines()


def options(journal: Path) -> dict[str, str]:
    loaded: dict[str, str] = json.loads(journal.with_suffix(".options").read_text())
    return loaded


def test_servers_start_in_order_and_stop_in_reverse(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    report: Callable[[], dict[str, Any]],
    running_processes: Callable[[], list[str]],
) -> None:
    variables = install(*ALL)
    up = sandbox("up", "--aws", "real", **variables)
    assert up.returncode == 0, up.stderr
    assert f"kube-apiserver v1.34.1 from {variables['KUBEBUILDER_ASSETS']} on https://" in up.stdout
    assert [process["name"] for process in report()["backends"][1]["processes"]] == list(ALL)
    assert report()["up"]
    assert sandbox("down").returncode == 0
    assert lines(journal) == [
        "etcd starts empty",
        "kube-apiserver starts",
        "kube-controller-manager starts as system:kube-controller-manager",
        "kube-controller-manager stops",
        "kube-apiserver stops",
        "etcd stops",
    ]
    assert running_processes() == []


@pytest.mark.parametrize(
    ("programs", "admission"),
    [
        pytest.param(ALL, None, id="with controllers"),
        pytest.param(ALL[:2], "ServiceAccount", id="without controllers"),
    ],
)
def test_api_server_options_enable_rbac(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    state_folder: Path,
    programs: tuple[str, ...],
    admission: str | None,
) -> None:
    up = sandbox("up", "--aws", "real", **install(*programs))
    assert up.returncode == 0, up.stderr
    flags = options(journal)
    assert flags["authorization-mode"] == "RBAC"
    assert flags["bind-address"] == "127.0.0.1"
    assert flags.get("disable-admission-plugins") == admission
    kubeconfig = yaml.safe_load((state_folder / "kubeconfig").read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    assert server == flags["service-account-issuer"]
    assert server == f"https://127.0.0.1:{flags['secure-port']}"
    admin = Path(flags["token-auth-file"]).read_text().splitlines()[0]
    token = kubeconfig["users"][0]["user"]["token"]
    assert admin == f'{token},sandbox-admin,sandbox-admin,"system:masters"'


@pytest.mark.parametrize(
    ("failing", "message", "journal_lines"),
    [
        pytest.param("etcd", "etcd: cannot listen", ["etcd starts empty"], id="etcd"),
        pytest.param(
            "kube-apiserver",
            "kube-apiserver: unknown flag",
            ["etcd starts empty", "kube-apiserver starts", "etcd stops"],
            id="kube-apiserver",
        ),
    ],
)
def test_failed_start_shows_log_and_stops_other_servers(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    running_processes: Callable[[], list[str]],
    failing: str,
    message: str,
    journal_lines: list[str],
) -> None:
    up = sandbox("up", FAKE_FAILURE=failing, **install(*ALL))
    assert up.returncode == 1
    assert up.stderr == (
        f"sandbox: The server {failing} exited with exit code 1. The end of its log:\n"
        f"    {message}\n"
        f"`sandbox up` tries again and keeps the whole log for `sandbox logs {failing}`.\n"
    )
    assert lines(journal) == journal_lines
    assert running_processes() == []
    assert message in sandbox("logs", failing).stdout


def test_reset_restarts_on_empty_etcd_at_same_address(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    state_folder: Path,
    report: Callable[[], dict[str, Any]],
) -> None:
    variables = install("etcd", "kube-apiserver")
    assert sandbox("up", "--aws", "real", **variables).returncode == 0
    original = (state_folder / "kubeconfig").read_text()
    reset = sandbox("reset", **variables)
    assert reset.stdout.splitlines() == [
        "AWS: not reset. The sandbox never resets a real account.",
        "Kubernetes: restarted on an empty etcd.",
    ]
    assert lines(journal).count("etcd starts empty") == 2
    assert (state_folder / "kubeconfig").read_text() == original
    assert report()["up"]


def test_start_retries_with_other_ports(
    install: Callable[..., dict[str, str]],
    journal: Path,
    state_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = install("etcd", "kube-apiserver")
    monkeypatch.setenv("FAKE_JOURNAL", variables["FAKE_JOURNAL"])
    settings = Settings(
        aws="real", kubernetes="kubebuilder", kubernetes_source=variables["KUBEBUILDER_ASSETS"]
    )
    messages: list[str] = []
    supervisor = Supervisor(Layout(state_folder), notify=messages.append)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        busy_port = listener.getsockname()[1]
        # The ports are for the peers of etcd, for etcd and for the API server. The first choice for etcd is already in use.
        port_choices = iter([[*free_ports(1), busy_port, *free_ports(1)]])
        monkeypatch.setattr(
            "sandbox.supervisor.free_ports", lambda count: next(port_choices, None) or free_ports(count)
        )
        state, started = supervisor.up(settings)
        assert started
        assert supervisor.down()
    assert busy_port not in state.ports.values()
    assert messages == [f"Another program took port {busy_port}; trying again."]
    assert lines(journal) == [
        "etcd starts empty",
        "etcd starts empty",
        "kube-apiserver starts",
        "kube-apiserver stops",
        "etcd stops",
    ]
