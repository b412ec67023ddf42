# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the validation of settings, and the choice of the Kubernetes backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sandbox.errors import SandboxError
from sandbox.layout import Layout
from sandbox.settings import Settings, choose_kubernetes


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        pytest.param(
            {"account": "12345"}, "--account '12345' is not an account ID with 12 digits.", id="account"
        ),
        pytest.param({"region": "Oregon"}, "--region 'Oregon' is not a region name.", id="region"),
        pytest.param(
            {"cluster": "-x"},
            "'-x' is not a cluster name.\n"
            "Use up to 100 letters, digits, hyphens and underscores; begin with a letter or digit.",
            id="cluster",
        ),
        pytest.param(
            {"latency_ms": -1},
            "--latency-ms must be 0 or more milliseconds.",
            id="latency",
        ),
    ],
)
def test_invalid_settings_raise_error(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxError) as raised:
        Settings(**chosen)
    assert str(raised.value) == message


def test_settings_round_trip() -> None:
    settings = Settings(aws="real", account="444455556666", latency_ms=7, rbac=True)
    assert Settings.from_json(settings.to_json()) == settings


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    folder.mkdir()
    for program in ("etcd", "kube-apiserver"):
        (folder / program).touch(mode=0o755)
    return folder


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "kubeconfig"
    path.parent.mkdir()
    path.touch()
    return path


@pytest.mark.parametrize(
    ("choice", "names", "backend"),
    [
        pytest.param("auto", (), "embedded", id="nothing set"),
        pytest.param("auto", ("KUBECONFIG",), "kubeconfig", id="kubeconfig"),
        pytest.param("auto", ("KUBEBUILDER_ASSETS",), "kubebuilder", id="assets"),
        pytest.param("auto", ("KUBECONFIG", "KUBEBUILDER_ASSETS"), "kubebuilder", id="both"),
        pytest.param("embedded", ("KUBECONFIG",), "embedded", id="embedded on request"),
        pytest.param(
            "kubeconfig", ("KUBECONFIG", "KUBEBUILDER_ASSETS"), "kubeconfig", id="kubeconfig on request"
        ),
    ],
)
def test_choose_kubernetes_returns_backend_and_source(
    choice: str, names: tuple[str, ...], backend: str, assets: Path, kubeconfig: Path
) -> None:
    environment = {"KUBECONFIG": str(kubeconfig), "KUBEBUILDER_ASSETS": str(assets)}
    sources = {"embedded": "", "kubeconfig": str(kubeconfig), "kubebuilder": str(assets)}
    chosen = choose_kubernetes(choice, {name: environment[name] for name in names}, Path("/own"))
    assert chosen == (backend, sources[backend])


def test_choose_kubernetes_accepts_several_kubeconfigs(tmp_path: Path, kubeconfig: Path) -> None:
    second = tmp_path / "second"
    second.touch()
    value = f"{kubeconfig}:{second}"
    assert choose_kubernetes("auto", {"KUBECONFIG": value}, Path("/own")) == ("kubeconfig", value)


@pytest.mark.parametrize("source", ["state folder", "exported", "another sandbox"])
def test_choose_kubernetes_ignores_kubeconfig_of_sandbox(tmp_path: Path, source: str) -> None:
    folder = tmp_path / "state"
    environment = {"KUBECONFIG": str(folder / "kubeconfig")}
    state_folder = folder if source == "state folder" else Path("/own")
    if source == "exported":
        environment["SANDBOX_STATE"] = str(folder)
    if source == "another sandbox":
        Layout(folder).claim()
    assert choose_kubernetes("auto", environment, state_folder) == ("embedded", "")


@pytest.mark.parametrize(
    ("choice", "environment", "message"),
    [
        pytest.param(
            "auto",
            {"KUBECONFIG": "/nowhere/config"},
            "KUBECONFIG names /nowhere/config, which is not an existing file.\n"
            "Set it to your cluster's kubeconfig, or use `--kube embedded`.",
            id="missing kubeconfig",
        ),
        pytest.param(
            "auto",
            {"KUBEBUILDER_ASSETS": "/nowhere"},
            "KUBEBUILDER_ASSETS is /nowhere, but there is no executable etcd in it.\n"
            "Put etcd and kube-apiserver there (`setup-envtest use` downloads them), or use `--kube embedded`.",
            id="missing programs",
        ),
        pytest.param(
            "kubebuilder",
            {},
            "The kubebuilder backend needs KUBEBUILDER_ASSETS, which is not set.\n"
            "Set it to a folder with the programs etcd and kube-apiserver.",
            id="no assets",
        ),
        pytest.param(
            "kubeconfig",
            {},
            "The kubeconfig backend needs KUBECONFIG to name your cluster's kubeconfig file.\n"
            "Set KUBECONFIG, or use `--kube embedded`.",
            id="no kubeconfig",
        ),
    ],
)
def test_choose_kubernetes_rejects_unusable_source(
    choice: str, environment: dict[str, str], message: str
) -> None:
    with pytest.raises(SandboxError) as raised:
        choose_kubernetes(choice, environment, Path("/own"))
    assert str(raised.value) == message
