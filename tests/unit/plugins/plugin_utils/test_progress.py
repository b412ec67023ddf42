# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import queue
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _screen as screen
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import Steps, output_form


@pytest.mark.parametrize(
    ("callback", "form"),
    [
        ("default", "text"),
        ("ansible.builtin.default", "text"),
        ("minimal", "text"),
        ("community.general.yaml", "text"),
        ("awx_display", "events"),
        ("tower_display", "events"),
        ("ansible.posix.json", "data"),
        ("ansible.posix.jsonl", "data"),
        ("community.general.null", "data"),
    ],
)
def test_callback_has_a_form_of_output(monkeypatch: pytest.MonkeyPatch, callback: str, form: str) -> None:
    display_lines(monkeypatch, callback)
    assert output_form() == form


TASK: Any = SimpleNamespace(keywords=SimpleNamespace(no_log=False, async_val=0))


def display_lines(monkeypatch: pytest.MonkeyPatch, callback: str = "default") -> queue.Queue[str]:
    """Return a queue that receives the displayed lines, with a stdout callback."""
    lines: queue.Queue[str] = queue.Queue()
    config = SimpleNamespace(get_config_value=lambda _name: callback)
    monkeypatch.setattr(screen, "constants", SimpleNamespace(config=config))
    display = SimpleNamespace(display=lambda line, **_options: lines.put(line))
    monkeypatch.setattr(screen, "Display", lambda: display)
    return lines


def test_time_is_displayed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = display_lines(monkeypatch)
    steps = Steps("my-cluster", itertools.count(3.0, 4.0).__next__, displays=False)
    steps.begin("reading the Pods")
    with steps.watch(TASK, delay=0, interval=0.001):
        displayed = [lines.get(timeout=20) for _number in range(3)]
    assert displayed == [f"my-cluster: reading the Pods ({seconds} s)" for seconds in (4, 8, 12)]


@pytest.mark.parametrize(
    ("step", "callback", "no_log", "async_val"),
    [
        ("", "default", False, 0),
        ("reading the Pods", "awx_display", False, 0),
        ("reading the Pods", "default", True, 0),
        ("reading the Pods", "default", False, 60),
    ],
    ids=["before the first step", "AWX", "hidden task", "asynchronous task"],
)
def test_no_time_is_displayed(
    monkeypatch: pytest.MonkeyPatch, step: str, callback: str, no_log: bool, async_val: int
) -> None:
    lines = display_lines(monkeypatch, callback)
    task: Any = SimpleNamespace(keywords=SimpleNamespace(no_log=no_log, async_val=async_val))
    steps = Steps("my-cluster", displays=False)
    steps.step = step
    with steps.watch(task, delay=0, interval=0.001):
        time.sleep(0.05)
    assert lines.empty()
