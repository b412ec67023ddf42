# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the role when a signal or the timeout of the task ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_action


class Timeout(BaseException):
    """An exception of the kind that ansible-core raises at the timeout of a task."""


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], list[str]]:
    left: list[str] = []

    def leave(_task: Any, _variables: Any, _result: Any, message: str, *_rest: Any, **_more: Any) -> None:
        # Ansible soon sends a second signal. It must not interrupt the report.
        os.kill(os.getpid(), signal.SIGTERM)
        left.append(message)

    def run(ending: Callable[[], None]) -> list[str]:
        monkeypatch.setattr(_role_action._Run, "perform", lambda _self, _tell: ending())
        action = _role_action.ActionModule.__new__(_role_action.ActionModule)
        action._loader, action._task = None, SimpleNamespace(no_log=False)
        with pytest.raises((SystemExit, Timeout)):
            action.run(None, {"pod_identity_cluster_name": "blue"})
        return left

    base = ActionBase
    monkeypatch.setattr(base, "run", lambda *_arguments: {})
    monkeypatch.setattr(
        base,
        "validate_argument_spec",
        lambda *_arguments, **_options: (None, {"entry_point": "main", "fleet": False}),
    )
    for name in ("set_fact", "validate_extra_variables"):
        monkeypatch.setattr(_role_action, name, lambda *_arguments: None)
    monkeypatch.setattr(_role_action, "leave_stopped_report", leave)
    monkeypatch.setattr(_role_action, "parent_stderr", lambda: lambda _text: None)
    return run


def test_second_signal_does_not_interrupt_the_report(end: Any) -> None:
    assert end(lambda: os.kill(os.getpid(), signal.SIGTERM)) == [
        "blue: interrupted while reading the variables. Run again: completed changes are kept."
    ]


def test_task_timeout_leaves_a_report(end: Any) -> None:
    def time_out() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Timeout

    assert end(time_out) == [
        "blue: the timeout of the task expired while reading the variables. Run again: completed changes are kept."
    ]


@pytest.mark.parametrize(
    ("aws", "expected"),
    [
        ({"failures": [{"error_code": "INTERRUPTED"}]}, "The reasons."),
        (
            {"failures": [{"error_code": "AccessDenied"}]},
            "blue: interrupted while reading the Pods. Run again.",
        ),
    ],
)
def test_interruption_is_not_reported_as_an_earlier_failure(aws: dict[str, Any], expected: str) -> None:
    task: Any = SimpleNamespace(keywords=SimpleNamespace(no_log=False))
    options = {"entry_point": "verify", "fleet": False}
    run = _role_action._Run(task, {"pod_identity_cluster_name": "blue"}, options, {})
    run._aws = {"msg": "The reasons.", **aws}
    run._steps.step = "reading the Pods"
    assert run.describe_end(SystemExit(143)) == expected


def test_interrupted_verification_ends_the_run() -> None:
    with pytest.raises(SystemExit):
        _role_action.raise_if_ended({"failed": True, "error_code": "INTERRUPTED", "msg": "The reasons."})
