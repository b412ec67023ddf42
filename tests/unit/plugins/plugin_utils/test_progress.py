# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown of a module while it runs."""

from __future__ import annotations

import json
import queue
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.progress import (
    Watch,
    WithProgress,
    is_text,
    progress_line,
)


def test_the_counts_by_stage_are_one_line() -> None:
    counts = {"read": (0, 0), "policy": (1000, 1000), "role": (430, 1000)}
    assert progress_line("my-cluster", counts) == "my-cluster: policy 1000 of 1000, role 430 of 1000"


@pytest.mark.parametrize(
    ("callback", "shown"),
    [
        ("default", True),
        ("ansible.builtin.default", True),
        ("minimal", True),
        ("community.general.yaml", True),
        ("awx_display", False),
        ("ansible.posix.json", False),
        ("ansible.posix.jsonl", False),
    ],
)
def test_only_people_are_shown_progress(callback: str, shown: bool) -> None:
    assert is_text(callback) is shown


def test_a_line_is_shown_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    path.write_text(json.dumps({"policy": [1, 3]}))
    lines: queue.Queue[str] = queue.Queue()
    watch = Watch(path, "my-cluster", lines.put, first=0, each=0.001)
    watch.start()
    assert lines.get(timeout=20) == "my-cluster: policy 1 of 3"
    path.write_text("{ half of it")
    path.write_text(json.dumps({"policy": [2, 3]}))
    assert lines.get(timeout=20) == "my-cluster: policy 2 of 3"
    watch.stop()
    assert not watch.is_alive()
    assert lines.empty()


def test_a_module_that_wrote_nothing_yet_shows_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    watch = Watch(tmp_path / "progress", "my-cluster", lines.append, first=0, each=0.001)
    watch.start()
    watch.stop()
    assert lines == []


# The files of a module


def arguments_of(arguments: dict[str, Any], playbook_dir: Path, transport: str = "local") -> dict[str, Any]:
    """What the module gets."""
    task = SimpleNamespace(args=dict(arguments))
    action = SimpleNamespace(_task=task, _connection=SimpleNamespace(transport=transport))
    WithProgress._locate_files(action, {"playbook_dir": str(playbook_dir)})
    found: dict[str, Any] = task.args
    return found


@pytest.mark.parametrize("given", ["teams/", ["teams/"]])
@pytest.mark.parametrize("beside_the_playbook", [False, True])
def test_a_module_gets_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object, beside_the_playbook: bool
) -> None:
    (tmp_path / "plays").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = (tmp_path / "plays" if beside_the_playbook else tmp_path) / "teams"
    folder.mkdir()
    assert arguments_of({"workloads_from": given}, tmp_path / "plays") == {"workloads_from": [str(folder)]}


def test_what_names_no_file_is_left_alone(tmp_path: Path) -> None:
    for arguments in ({"workloads": []}, {"workloads": [], "workloads_from": None}):
        assert arguments_of(arguments, tmp_path) == arguments


def test_a_module_on_another_host_reads_its_own_files(tmp_path: Path) -> None:
    arguments = {"workloads_from": ["/srv/a.yml", "~/b.yml"]}
    assert arguments_of(arguments, tmp_path, "ssh") == arguments
    with pytest.raises(InputError) as caught:
        arguments_of({"workloads_from": ["/srv/a.yml", "b.yml"]}, tmp_path, "ssh")
    assert list(caught.value.problems) == [
        "workloads_from: b.yml is a relative path, and the module runs on another host, where it reads the "
        "files. Give their absolute paths there."
    ]
