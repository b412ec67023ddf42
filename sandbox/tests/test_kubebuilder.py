# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KUBEBUILDER_ASSETS: order, options, failures and the end, with programs that stand in."""

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
    """Put stand-ins into a folder; returns the variables that lead to them."""

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


def test_all_three_start_in_order_and_stop_in_reverse(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    report: Callable[[], dict[str, Any]],
    ours_alive: Callable[[], list[str]],
) -> None:
    variables = install(*ALL)
    up = sandbox("up", "--aws", "real", **variables)
    assert up.returncode == 0, up.stderr
    assert f"kube-apiserver v1.34.1 from {variables['KUBEBUILDER_ASSETS']} on https://" in up.stdout
    assert [one["name"] for one in report()["backends"][1]["processes"]] == list(ALL)
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
    assert ours_alive() == []


@pytest.mark.parametrize(
    ("programs", "admission"),
    [
        pytest.param(ALL, None, id="with controllers"),
        pytest.param(ALL[:2], "ServiceAccount", id="without controllers"),
    ],
)
def test_the_api_server_is_a_real_one_with_rbac(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    state_folder: Path,
    programs: tuple[str, ...],
    admission: str | None,
) -> None:
    up = sandbox("up", "--aws", "real", **install(*programs))
    assert up.returncode == 0, up.stderr
    given = options(journal)
    assert given["authorization-mode"] == "RBAC"
    assert given["bind-address"] == "127.0.0.1"
    assert given.get("disable-admission-plugins") == admission
    kubeconfig = yaml.safe_load((state_folder / "kubeconfig").read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    assert server == given["service-account-issuer"]
    assert server == f"https://127.0.0.1:{given['secure-port']}"
    admin = Path(given["token-auth-file"]).read_text().splitlines()[0]
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
def test_a_failed_start_shows_the_log_and_stops_what_ran(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    ours_alive: Callable[[], list[str]],
    failing: str,
    message: str,
    journal_lines: list[str],
) -> None:
    up = sandbox("up", FAKE_FAILURE=failing, **install(*ALL))
    assert up.returncode == 1
    assert up.stderr == (
        f"sandbox: The server {failing} ended at once with exit code 1. The end of its log:\n"
        f"    {message}\n"
        "What had been started is stopped again. `sandbox up` tries once more and keeps the "
        f"whole log for `sandbox logs {failing}`.\n"
    )
    assert lines(journal) == journal_lines
    assert ours_alive() == []
    assert message in sandbox("logs", failing).stdout


def test_reset_starts_again_on_an_empty_etcd_at_the_same_address(
    sandbox: Sandbox,
    install: Callable[..., dict[str, str]],
    journal: Path,
    state_folder: Path,
    report: Callable[[], dict[str, Any]],
) -> None:
    variables = install("etcd", "kube-apiserver")
    assert sandbox("up", "--aws", "real", **variables).returncode == 0
    before = (state_folder / "kubeconfig").read_text()
    reset = sandbox("reset", **variables)
    assert reset.stdout.splitlines() == [
        "AWS: left as it is. It is a real account, which the sandbox never resets.",
        "Kubernetes: started again on an empty etcd.",
    ]
    assert lines(journal).count("etcd starts empty") == 2
    assert (state_folder / "kubeconfig").read_text() == before
    assert report()["up"]


def test_a_port_that_is_lost_to_another_program_is_replaced(
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
    told: list[str] = []
    supervisor = Supervisor(Layout(state_folder), say=told.append)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        # Peer, etcd, API server: the second is lost between its choice and etcd's start.
        first = iter([[*free_ports(1), taken, *free_ports(1)]])
        monkeypatch.setattr(
            "sandbox.supervisor.free_ports", lambda count: next(first, None) or free_ports(count)
        )
        state, started = supervisor.up(settings)
        assert started
        assert supervisor.down()
    assert taken not in state.ports.values()
    assert told == [f"Port {taken} was taken by another program meanwhile; trying again."]
    assert lines(journal) == [
        "etcd starts empty",
        "etcd starts empty",
        "kube-apiserver starts",
        "kube-apiserver stops",
        "etcd stops",
    ]
