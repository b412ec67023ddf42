# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the errors of a request for an invalid kubeconfig, and for an exec plugin, whose error the Kubernetes client only logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Query,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes as kubernetes
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import Access

API = "client.authentication.k8s.io/v1"
EMPTY = {"apiVersion": API, "kind": "ExecCredential", "status": {}}
FAILS = "#!/bin/sh\necho Unable to locate >&2\necho credentials >&2\nexit 255\n"


def find_error(folder: Path, script: str) -> str:
    """Return the error of a request with a kubeconfig whose exec plugin is a shell script."""
    (folder / "plugin").write_text(script, encoding="utf-8")
    (folder / "plugin").chmod(0o700)
    plugin = {"apiVersion": API, "command": "./plugin"}
    # No server listens at port 9.
    content = {
        "current-context": "blue",
        "contexts": [{"name": "blue", "context": {"cluster": "c", "user": "people"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "people", "user": {"exec": plugin}}],
    }
    return error_with(folder / "config", yaml.safe_dump(content))


def error_with(path: Path, content: str) -> str:
    """Return the error of a request with a kubeconfig."""
    path.write_text(content, encoding="utf-8")
    listing = kubernetes.ClientCluster({"kubeconfig": str(path)}, Access({})).list_objects(Query("v1", "Pod"))
    assert listing.error is not None
    return listing.error.text


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (FAILS, "exec plugin: exec: process returned 255. Unable to locate credentials"),
        ("#!/no-such-shell", "exec plugin: [Errno 2] No such file or directory: './plugin'"),
        ("#!/bin/sh\necho '{}'", "exec plugin: exec: malformed response. missing key 'apiVersion'"),
        (
            f"#!/bin/sh\necho '{json.dumps(EMPTY)}'",
            "exec plugin: exec: missing token or clientCertificateData field in plugin output",
        ),
        ("#!/bin/sh\nsleep 60", "exec plugin: no credentials within 2 seconds"),
    ],
    ids=["failing", "missing", "malformed", "empty", "hanging"],
)
def test_error_of_the_plugin_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: str
) -> None:
    monkeypatch.setattr(kubernetes, "PLUGIN_SECONDS", 2.0)
    assert find_error(tmp_path, script) == f"Could not create API client: {expected}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "Invalid kube-config. {path} file is empty"),
        ("a text", "{path} is not a valid kubeconfig: 'str' object does not support item assignment"),
        ("- a", "{path} is not a valid kubeconfig: list indices must be integers or slices, not str"),
        ("users: [{name: a}, {}]", "{path} is not a valid kubeconfig: 'name'"),
        (
            "{",
            "{path} is not a valid kubeconfig: while parsing a flow node expected the node content, but found "
            "'<stream end>' in \"{path}\", line 1, column 2",
        ),
    ],
)
def test_invalid_kubeconfig_is_named(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "config"
    error = error_with(path, content)
    assert error == f"Could not create API client: {expected.format(path=path)}"
