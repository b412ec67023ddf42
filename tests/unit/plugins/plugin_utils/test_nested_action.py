# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of another collection within one's own: what Ansible is to run for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import (
    region_of_task,
    run_action,
    task_environment,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables

APPLY = "kubernetes.core.k8s"
PACKED = ("packed by Ansible", "")


class Apply:
    """Configures its own module and one of Ansible's, as an ActionBase does it."""

    def __init__(self, task: Any, connection: Any, play_context: Any, templar: Any, **_more: Any) -> None:
        self._task, self._connection = task, connection
        self._play_context, self._templar = play_context, templar

    def _configure_module(
        self, module_name: str, module_args: dict[str, Any], task_vars: Mapping[str, Any]
    ) -> Any:
        del module_name, module_args, task_vars
        return PACKED

    def run(self, tmp: object = None, task_vars: Any = None) -> dict[str, Any]:
        del tmp
        return {
            name: self._configure_module(module_name=name, module_args=self._task.args, task_vars=task_vars)[
                1
            ]
            for name in (APPLY, "ansible.builtin.stat")
        }


class Task(SimpleNamespace):
    def copy(self) -> Task:
        return Task(**vars(self))


def caller_of(monkeypatch: pytest.MonkeyPatch, transport: str = "local") -> Any:
    monkeypatch.setattr(
        "ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action.with_defaults",
        lambda _caller, _name, arguments: dict(arguments),
    )
    return SimpleNamespace(
        _task=Task(action="", args={}, async_val=0, delegate_to=None, check_mode=False),
        _connection=SimpleNamespace(transport=transport),
        _play_context=SimpleNamespace(become=False),
        _templar=SimpleNamespace(template=lambda value: value),
        _loader=None,
        _shared_loader_obj=SimpleNamespace(
            action_loader=SimpleNamespace(
                get=lambda _name, **given: Apply(**{name: given[name] for name in given if name != "loader"})
            )
        ),
    )


def run(monkeypatch: pytest.MonkeyPatch, transport: str = "local", python: str = sys.executable) -> Any:
    caller = caller_of(monkeypatch, transport)
    return run_action(caller, APPLY, {"state": "present"}, {"ansible_python_interpreter": python})


def test_its_own_module_starts_where_it_is_installed_and_others_are_packed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = run(monkeypatch)
    assert paths[APPLY].endswith("/ansible_collections/kubernetes/core/plugins/modules/k8s.py")
    assert paths["ansible.builtin.stat"] == ""


@pytest.mark.parametrize("elsewhere", [{"transport": "ssh"}, {"python": "/another/python3"}])
def test_elsewhere_all_are_packed(monkeypatch: pytest.MonkeyPatch, elsewhere: dict[str, str]) -> None:
    assert set(run(monkeypatch, **elsewhere).values()) == {""}


@pytest.mark.parametrize(
    ("given", "task", "region"),
    [
        ("us-west-2", {"AWS_REGION": "eu-central-1"}, "us-west-2"),
        ("", {"AWS_REGION": "eu-central-1"}, "eu-central-1"),
        # The modules find both variables, and take the first.
        (None, {"AWS_DEFAULT_REGION": "eu-central-1"}, "us-east-1"),
        (None, {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-central-1"}, "eu-central-1"),
        (None, {}, "us-east-1"),
    ],
)
def test_the_region_of_a_task_is_that_of_its_modules(
    monkeypatch: pytest.MonkeyPatch, given: str | None, task: Mapping[str, str], region: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    caller: Any = SimpleNamespace(
        _task=SimpleNamespace(environment=[task]), _templar=SimpleNamespace(template=lambda value: value)
    )
    assert region_of_task(caller, given) == region


def test_the_environment_of_a_task_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "of the shell")
    monkeypatch.delenv("SECOND", raising=False)
    play, task = {"FIRST": "of the play", "SECOND": "of the play"}, {"SECOND": "of the task"}
    caller: Any = SimpleNamespace(
        _task=SimpleNamespace(environment=[play, task]),
        _templar=SimpleNamespace(template=lambda value: value),
    )
    with task_environment(caller):
        assert (os.environ["FIRST"], os.environ["SECOND"]) == ("of the play", "of the task")
    assert (os.environ["FIRST"], os.environ.get("SECOND")) == ("of the shell", None)


def test_no_thread_sets_variables_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a thread that was given up would put back an old value under a module that is starting."""
    monkeypatch.setenv("FIRST", "of the shell")
    errors: list[Exception] = []

    def work() -> None:
        try:
            with variables({"FIRST": "of the thread"}):
                pass
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == ["only the main thread sets variables of the process"]
    assert os.environ["FIRST"] == "of the shell"
