# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import queue
from types import SimpleNamespace

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _screen as screen
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import (
    Steps,
    Watch,
    is_text,
    progress_line,
)


def test_counts_of_all_stages_are_one_line() -> None:
    counts = {"read": (0, 0), "policy": (1000, 1000), "role": (430, 1000)}
    assert progress_line("my-cluster", counts) == "my-cluster: policy 1000 of 1000, role 430 of 1000"


def test_no_line_without_counts() -> None:
    assert progress_line("my-cluster", {}) == progress_line("my-cluster", {"read": (0, 0)}) == ""


@pytest.mark.parametrize(
    ("callback", "expected"),
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
def test_progress_is_only_for_text_callbacks(callback: str, expected: bool) -> None:
    assert is_text(callback) is expected


def test_line_is_displayed_when_it_has_changed() -> None:
    steps = Steps("my-cluster", displays=False)
    lines: queue.Queue[str] = queue.Queue()
    watch = Watch(steps.line, lines.put, delay=0, interval=0.001)
    steps.expect("policy", 3)
    steps.done("policy")
    watch.start()
    assert lines.get(timeout=20) == "my-cluster: policy 1 of 3"
    steps.done("policy")
    assert lines.get(timeout=20) == "my-cluster: policy 2 of 3"
    watch.stop()
    assert not watch.is_alive()
    assert lines.empty()


def test_no_line_is_displayed_before_the_first_step() -> None:
    lines: list[str] = []
    watch = Watch(Steps("my-cluster").line, lines.append, delay=0, interval=0.001)
    watch.start()
    watch.stop()
    assert lines == []


def test_longer_list_raises_the_expected_count() -> None:
    steps = Steps("my-cluster")
    steps.expect("role", 1)
    for _one in range(3):
        steps.done("role")
    assert steps.line() == "my-cluster: role 3 of 3"


@pytest.mark.parametrize(
    ("callback", "displays", "expected"),
    [
        ("default", True, ["my-cluster: applying 40 objects"]),
        ("awx_display", True, ["my-cluster: applying 40 objects"]),
        ("default", False, []),
        ("ansible.posix.json", True, []),
    ],
)
def test_step_is_displayed_when_it_begins(
    monkeypatch: pytest.MonkeyPatch, callback: str, displays: bool, expected: list[str]
) -> None:
    lines: list[str] = []
    config = SimpleNamespace(get_config_value=lambda _name: callback)
    monkeypatch.setattr(screen, "constants", SimpleNamespace(config=config))
    monkeypatch.setattr(screen, "Display", lambda: SimpleNamespace(display=lines.append))
    Steps("my-cluster", displays=displays).begin("applying 40 objects")
    assert lines == expected


def test_shown_line_is_not_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(screen, "is_for_people", lambda: True)
    monkeypatch.setattr(screen, "Display", lambda: SimpleNamespace(display=lines.append))
    steps = Steps("my-cluster")
    steps.begin("reading the Pods")
    steps.show("web-* matches 1 service account: shop/web-1")
    assert lines[1:] == ["my-cluster: web-* matches 1 service account: shop/web-1"]
    assert steps.step == "reading the Pods"


def test_step_without_counts_shows_its_duration() -> None:
    times = iter([0.0, 100.0, 115.4, 200.0, 200.6])
    steps = Steps("my-cluster", lambda: next(times), displays=False)
    steps.begin("applying 40 objects")
    assert steps.line() == "my-cluster: applying 40 objects (15 s)"
    steps.begin("reading the Pods")
    assert steps.line() == "my-cluster: reading the Pods (1 s)"
