# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how the sandbox reads a cluster from a kubeconfig."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
import yaml
from sandbox.errors import SandboxError
from sandbox.kubeconfig_file import PROXY_VARIABLES, read_target

CA = b"-----BEGIN CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def write(path: Path, *, current: str = "", server: str = "", **cluster: str) -> str:
    document: dict[str, object] = {"apiVersion": "v1", "kind": "Config", "current-context": current}
    if server:
        document["contexts"] = [{"name": "dev", "context": {"cluster": "east", "user": "me"}}]
        document["clusters"] = [{"name": "east", "cluster": {"server": server, **cluster}}]
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_read_target_reads_current_context(tmp_path: Path) -> None:
    authority = base64.b64encode(CA).decode()
    path = write(
        tmp_path / "config",
        current="dev",
        server="https://east.example.org",
        **{"certificate-authority-data": authority},
    )
    target = read_target(path)
    assert (target.context, target.server) == ("dev", "https://east.example.org")
    assert target.certificate_authority == CA
    assert not target.proxied


def test_certificate_authority_path_is_relative_to_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(CA)
    path = write(
        tmp_path / "config", current="dev", server="https://x", **{"certificate-authority": "ca.crt"}
    )
    assert read_target(path).certificate_authority == CA


def test_first_of_several_files_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "first", current="dev")
    second = write(tmp_path / "second", current="other", server="https://second")
    third = write(tmp_path / "third", server="https://third")
    target = read_target(f"{first}:{second}:{third}")
    assert (target.context, target.server) == ("dev", "https://second")


@pytest.mark.parametrize(
    ("server", "variable"),
    [
        pytest.param({"proxy-url": "http://proxy:3128"}, "", id="proxy-url"),
        pytest.param({}, "HTTPS_PROXY", id="variable"),
    ],
)
def test_target_with_proxy_is_proxied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: dict[str, str], variable: str
) -> None:
    if variable:
        monkeypatch.setenv(variable, "http://proxy:3128")
    path = write(tmp_path / "config", current="dev", server="https://x", **server)
    assert read_target(path).proxied


def test_accepts_connections_only_while_server_listens(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        target = read_target(write(tmp_path / "config", current="dev", server=url))
        assert not target.accepts_connections()
        listener.listen()
        assert target.accepts_connections()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("just words", "KUBECONFIG names {path}, which is not a kubeconfig.", id="no mapping"),
        pytest.param(
            "current-context: gone",
            "KUBECONFIG ({path}) has no usable current-context (it is 'gone').\n"
            "Choose one with `kubectl config use-context NAME`.",
            id="no such context",
        ),
        pytest.param(
            "current-context: dev\ncontexts: [{name: dev, context: {cluster: east}}]",
            "The context 'dev' of KUBECONFIG ({path}) names the cluster 'east', which has no server.\n"
            "Repair the kubeconfig, or choose another context.",
            id="no such cluster",
        ),
    ],
)
def test_invalid_kubeconfig_raises_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(SandboxError) as raised:
        read_target(str(path))
    assert str(raised.value) == message.format(path=path)


def test_invalid_yaml_raises_error(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("a: [")
    with pytest.raises(SandboxError, match=f"^KUBECONFIG names {path}, which cannot be read: "):
        read_target(str(path))
