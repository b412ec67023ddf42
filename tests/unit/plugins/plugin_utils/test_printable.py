# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test results and errors of actions as Ansible prints them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _screen as screen
from ansible_collections.workload_identity.aws.plugins.plugin_utils._action import Action
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import show_report


class Printing(Action):
    """An action whose result, or error, is an argument of the task."""

    def __init__(self, outcome: dict[str, Any] | Exception) -> None:
        self._task, self._outcome = None, outcome

    def validate_argument_spec(self, argument_spec: object) -> tuple[None, object]:
        return None, argument_spec

    def perform(self, *_arguments: Any) -> dict[str, Any]:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})


def test_result_of_an_action_is_escaped() -> None:
    outcome = {"msg": "a\u202e\nb", "rows": [{"\x9b": "\u2066"}], "changed": True}
    assert Printing(outcome).run() == {"msg": "a\\u202e\nb", "rows": [{"\\x9b": "\\u2066"}], "changed": True}


def test_error_of_an_action_is_escaped() -> None:
    with pytest.raises(AnsibleActionFail, match=r"^got: a\\u202e$"):
        Printing(AnsibleError("got: a\u202e")).run()
    plain = AnsibleError("got: a")
    with pytest.raises(AnsibleError) as raised:
        Printing(plain).run()
    assert raised.value is plain


@pytest.mark.parametrize("form", ["text", "events", "data"])
def test_no_log_task_has_no_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    monkeypatch.setattr(screen, "output_form", lambda: form)
    assert show_report(["a", "b"], "it failed", "it failed\nhere", hidden=True) == {"failure": "it failed"}
    assert capsys.readouterr().out == ""
