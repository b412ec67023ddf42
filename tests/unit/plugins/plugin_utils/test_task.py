# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the region and the environment variables of a task."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask


def test_environment_of_a_task_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "of the shell")
    monkeypatch.delenv("SECOND", raising=False)
    play, task = {"FIRST": "of the play", "SECOND": "of the play"}, {"SECOND": "of the task"}
    action: Any = SimpleNamespace(
        _task=SimpleNamespace(environment=[play, task]),
        _templar=SimpleNamespace(template=lambda value: value),
    )
    with ActionTask(action).in_environment():
        assert (os.environ["FIRST"], os.environ["SECOND"]) == ("of the play", "of the task")
    assert (os.environ["FIRST"], os.environ.get("SECOND")) == ("of the shell", None)


@pytest.mark.parametrize(
    ("option", "task", "region"),
    [
        ("us-west-2", {"AWS_REGION": "eu-central-1"}, "us-west-2"),
        ("", {"AWS_REGION": "eu-central-1"}, "eu-central-1"),
        # The modules see the variables of both the task and the process, and use AWS_REGION, which has precedence.
        (None, {"AWS_DEFAULT_REGION": "eu-central-1"}, "us-east-1"),
        (None, {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-central-1"}, "eu-central-1"),
    ],
)
def test_task_and_modules_have_the_same_region(
    monkeypatch: pytest.MonkeyPatch, option: str | None, task: dict[str, str], region: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    action: Any = SimpleNamespace(
        _task=SimpleNamespace(environment=[task]), _templar=SimpleNamespace(template=lambda value: value)
    )
    assert ActionTask(action).region(option) == region
