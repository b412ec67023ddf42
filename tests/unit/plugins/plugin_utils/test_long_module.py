# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action plugins of the modules for many workloads do before the module runs."""

from __future__ import annotations

import posixpath
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.workload_identity.aws.plugins.plugin_utils.module_input import LongModule

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}
ARGUMENTS = {"cluster_name": "c", "workloads": [ONE]}
REMOTE = "/home/u/.ansible/tmp/1"


class Shell(SimpleNamespace):
    join_path = staticmethod(posixpath.join)


class Module(LongModule):
    """Keeps what it would have sent to a host."""

    def __init__(self, arguments: dict[str, Any], transport: str, become: bool, async_val: int) -> None:
        self._task = SimpleNamespace(
            action="eks_pod_identity", args=arguments, async_val=async_val, no_log=False
        )
        self._connection = SimpleNamespace(transport=transport, _shell=Shell(tmpdir=None))
        self._play_context = SimpleNamespace(become=become)
        self.sent: list[tuple[str, str]] = []
        self.opened: list[tuple[str, ...]] = []

    def _make_tmp_path(self) -> None:
        self._connection._shell.tmpdir = REMOTE

    def _transfer_file(self, source: str, destination: str) -> None:
        self.sent.append((source, destination))

    def _fixup_perms2(self, paths: tuple[str, ...]) -> None:
        self.opened.append(paths)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The arguments of each module that was run."""
    seen: list[dict[str, Any]] = []

    def run(self: Any, _tmp: object, _task_vars: object) -> dict[str, Any]:
        seen.append(self._task.args)
        return {"changed": True}

    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(Normal, "run", run)
    return seen


def run(
    arguments: dict[str, Any], transport: str = "local", become: bool = False, async_val: int = 0
) -> Module:
    module = Module(arguments, transport, become, async_val)
    assert module.run(task_vars={}) == {"changed": True}
    return module


def test_a_module_on_the_controller_reads_the_file_where_it_was_written(
    tmp_path: Path, seen: list[dict[str, Any]]
) -> None:
    module = run(ARGUMENTS)
    (arguments,) = seen
    assert set(arguments) == {"cluster_name", "parsed_input"}
    assert Path(arguments["parsed_input"]["path"]).parent == tmp_path
    assert module.sent == []


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({"transport": "ssh"}, id="another host"),
        pytest.param({"become": True}, id="another user"),
        pytest.param({"async_val": 60}, id="in the background"),
    ],
)
def test_for_a_module_elsewhere_the_file_is_copied(
    tmp_path: Path, seen: list[dict[str, Any]], place: dict[str, Any]
) -> None:
    module = run(ARGUMENTS, **place)
    (arguments,) = seen
    (written,) = tmp_path.iterdir()
    copied = f"{REMOTE}/{written.name}"
    assert arguments == {
        "cluster_name": "c",
        "parsed_input": {"path": copied, "sha256": written.stem.removeprefix("pod-identity-input-")},
    }
    assert module.sent == [(str(written), copied)]
    assert module.opened == [(REMOTE, copied)]


def test_a_task_that_is_tried_again_sends_the_same_file(tmp_path: Path, seen: list[dict[str, Any]]) -> None:
    module = Module(ARGUMENTS, "ssh", False, 0)
    module.run(task_vars={})
    module.run(task_vars={})
    (written,) = tmp_path.iterdir()
    assert [source for source, _destination in module.sent] == [str(written)] * 2
    assert seen[0] == seen[1]


def test_bad_input_starts_no_module(seen: list[dict[str, Any]]) -> None:
    module = Module({"cluster_name": "c", "workloads": ["x"]}, "ssh", False, 0)
    assert module.run(task_vars={}) == {
        "changed": False,
        "failed": True,
        "msg": "workloads[0]: must be a mapping, got text. Nothing was changed.",
    }
    assert (seen, module.sent) == ([], [])
