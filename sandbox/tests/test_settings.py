# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad settings are refused before anything starts; the Kubernetes backend is chosen as told."""

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
            {"account": "12345"}, "--account '12345' is not an account ID of 12 digits.", id="account"
        ),
        pytest.param({"region": "Oregon"}, "--region 'Oregon' is not the name of a region.", id="region"),
        pytest.param(
            {"cluster": "-x"},
            "--cluster '-x' is not a cluster name.\n"
            "Up to 100 letters, digits, hyphens and underscores; a letter or digit first.",
            id="cluster",
        ),
        pytest.param(
            {"latency_ms": -1},
            "--latency-ms is 0 or more milliseconds.",
            id="latency",
        ),
        pytest.param(
            {"read_lag_ms": -1},
            "--read-lag-ms is 0 or more milliseconds.",
            id="read lag",
        ),
        pytest.param({"read_replicas": 3}, "--read-replicas is 1 or 2.", id="replicas"),
        pytest.param(
            {"clock_skew_s": -(10**9)},
            "--clock-skew-s is at most a year, ahead or (below 0) behind.",
            id="clock skew",
        ),
        pytest.param(
            {"rate_limit": -1},
            "--rate-limit is 0 (none) or more requests a second.",
            id="rate limit",
        ),
    ],
)
def test_bad_settings(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxError) as raised:
        Settings(**chosen)
    assert str(raised.value) == message


def test_settings_survive_being_written() -> None:
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
    ("wanted", "names", "backend"),
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
def test_choice(wanted: str, names: tuple[str, ...], backend: str, assets: Path, kubeconfig: Path) -> None:
    known = {"KUBECONFIG": str(kubeconfig), "KUBEBUILDER_ASSETS": str(assets)}
    sources = {"embedded": "", "kubeconfig": str(kubeconfig), "kubebuilder": str(assets)}
    chosen = choose_kubernetes(wanted, {name: known[name] for name in names}, Path("/own"))
    assert chosen == (backend, sources[backend])


def test_several_kubeconfigs_are_taken_together(tmp_path: Path, kubeconfig: Path) -> None:
    second = tmp_path / "second"
    second.touch()
    value = f"{kubeconfig}:{second}"
    assert choose_kubernetes("auto", {"KUBECONFIG": value}, Path("/own")) == ("kubeconfig", value)


@pytest.mark.parametrize("how", ["own folder", "exported", "another sandbox"])
def test_a_kubeconfig_that_a_sandbox_wrote_is_not_the_users_cluster(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "state"
    environment = {"KUBECONFIG": str(folder / "kubeconfig")}
    own = folder if how == "own folder" else Path("/own")
    if how == "exported":
        environment["SANDBOX_STATE"] = str(folder)
    if how == "another sandbox":
        Layout(folder).claim()
    assert choose_kubernetes("auto", environment, own) == ("embedded", "")


@pytest.mark.parametrize(
    ("wanted", "environment", "message"),
    [
        pytest.param(
            "auto",
            {"KUBECONFIG": "/nowhere/config"},
            "KUBECONFIG names /nowhere/config, which does not exist.\n"
            "Set it to your cluster's kubeconfig, or unset it (or give `--kube embedded`) "
            "to use the embedded Kubernetes.",
            id="missing kubeconfig",
        ),
        pytest.param(
            "auto",
            {"KUBEBUILDER_ASSETS": "/nowhere"},
            "KUBEBUILDER_ASSETS is /nowhere, but there is no program etcd in it.\n"
            "Put etcd and kube-apiserver there (`setup-envtest use` downloads them), "
            "or unset KUBEBUILDER_ASSETS to use the embedded Kubernetes.",
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
def test_a_choice_that_cannot_be(wanted: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(SandboxError) as raised:
        choose_kubernetes(wanted, environment, Path("/own"))
    assert str(raised.value) == message
