# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test results and errors of actions as Ansible prints them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _screen as screen
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import printable, show_last


def test_result_of_an_action_is_escaped() -> None:
    @printable
    def run(result: dict[str, Any]) -> dict[str, Any]:
        return result

    assert run({"msg": "a\u202e\nb", "rows": [{"\x9b": "\u2066"}], "changed": True}) == {
        "msg": "a\\u202e\nb",
        "rows": [{"\\x9b": "\\u2066"}],
        "changed": True,
    }


def test_error_of_an_action_is_escaped() -> None:
    @printable
    def run(error: Exception) -> dict[str, Any]:
        raise error

    with pytest.raises(AnsibleActionFail, match=r"^got: a\\u202e$"):
        run(AnsibleError("got: a\u202e"))
    plain = AnsibleError("got: a")
    with pytest.raises(AnsibleError) as raised:
        run(plain)
    assert raised.value is plain


@pytest.mark.parametrize(
    ("failure", "result"), [("", {}), ("it failed\nhere", {"failed": True, "msg": "it failed"})]
)
def test_no_log_task_has_no_output(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: str,
    result: dict[str, Any],
) -> None:
    monkeypatch.setattr(screen, "is_for_people", lambda: True)
    assert show_last(["a", "b"], failure.partition("\n")[0], failure, hidden=True) == result
    assert capsys.readouterr().out == ""
