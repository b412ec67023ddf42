# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown of a module while it runs."""

from __future__ import annotations

import json
import queue
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils.progress import (
    Activity,
    Watch,
    progress_line,
    read_line,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import is_text


def test_the_counts_by_stage_are_one_line() -> None:
    counts = {"read": (0, 0), "policy": (1000, 1000), "role": (430, 1000)}
    assert progress_line("my-cluster", counts) == "my-cluster: policy 1000 of 1000, role 430 of 1000"


def test_before_anything_is_counted_there_is_no_line() -> None:
    assert progress_line("my-cluster", {}) == progress_line("my-cluster", {"read": (0, 0)}) == ""


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
    watch = Watch(partial(read_line, path, "my-cluster"), lines.put, first=0, each=0.001)
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
    watch = Watch(partial(read_line, tmp_path / "progress", "my-cluster"), lines.append, first=0, each=0.001)
    watch.start()
    watch.stop()
    assert lines == []


def test_an_activity_says_for_how_long() -> None:
    times = iter([100.0, 115.4, 200.0, 200.6])
    activity = Activity("my-cluster", lambda: next(times))
    assert activity.line() == ""
    activity.begin("applying 40 objects")
    assert activity.line() == "my-cluster: applying 40 objects, 15 s so far"
    activity.begin("looking at the Pods")
    assert activity.line() == "my-cluster: looking at the Pods, 1 s so far"
