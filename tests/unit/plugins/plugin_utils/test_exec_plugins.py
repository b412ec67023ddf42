# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that an exec plugin in a kubeconfig is killed if it hangs, and that the error names it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Query,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _exec_plugins as exec_plugins
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import (
    ClientCluster,
    Connection,
    WriteOptions,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes_access import GivenAccess

# The maximum time in seconds to wait for a condition.
LONG = 60
API = "client.authentication.k8s.io/v1"
# An exec plugin that hangs: a shell script with a child process. It writes the IDs of both processes to a file.
HANGS = """#!/bin/sh
echo "Open https://login.example.com and enter ABC" >&2
sleep 600 &
echo $$ $! > processes.part
mv processes.part processes
wait
"""
FAILS = "#!/bin/sh\necho Unable to locate credentials >&2\nexit 255\n"
COULD_NOT = (
    "Could not create API client: exec plugin {command} (user people, context blue): exec: process returned "
)


def kubeconfig(folder: Path, script: str, **user: Any) -> str:
    """Write an exec plugin, and a kubeconfig in the same folder that names the plugin by a relative path. Return the kubeconfig's
    path."""
    (folder / "plugin").write_text(script, encoding="utf-8")
    (folder / "plugin").chmod(0o700)
    plugin = {
        "apiVersion": API,
        "command": "./plugin",
        "args": ["an argument"],
        "env": [{"name": "MORE", "value": "more"}],
    }
    # No server listens at port 9.
    content = {
        "current-context": "green",
        "contexts": [
            {"name": name, "context": {"cluster": "c", "user": "people"}} for name in ("blue", "green")
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "people", "user": {"exec": plugin, **user}}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def find_error(path: str) -> ApiError:
    connection = Connection({"kubeconfig": path, "context": "blue"}, GivenAccess({}))
    listing = ClientCluster(connection, connection, WriteOptions()).list_objects(Query("v1", "Pod"))
    assert listing.error is not None
    return listing.error


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def read_processes(folder: Path) -> list[int]:
    until((folder / "processes").exists)
    return [int(number) for number in (folder / "processes").read_text(encoding="utf-8").split()]


def test_hanging_plugin_is_killed_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The time is long enough for the plugin to start and to write its message.
    monkeypatch.setattr(exec_plugins, "PLUGIN_SECONDS", 5.0)
    error = find_error(kubeconfig(tmp_path, HANGS))
    assert error == ApiError(
        0,
        f"{COULD_NOT.format(command='./plugin')}124. Open https://login.example.com and enter ABC no credentials within 5 "
        "seconds, so it was ended",
    )
    until(lambda: not any(map(is_running, read_processes(tmp_path))))


def test_failing_plugin_leaves_other_credentials_of_the_user(tmp_path: Path) -> None:
    error = find_error(kubeconfig(tmp_path, FAILS, username="u", password="p"))
    assert "exec plugin" not in error.text
    assert "Connection refused" in error.text
