# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the results of modules as Ansible prints them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import ESCAPED, AwsModule
from ansible_collections.workload_identity.aws.tests.unit.plugins.modules.test_eks_pod_identity import (
    module_args,
)

TEXT = "a\u202e\x9b\u2028\u00ad\tü"
SHOWN = "a\\u202e\\x9b\\u2028\\xad\tü"
Ended = Callable[..., dict[str, Any]]


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text, **_more: texts.append(text))
    return texts


@pytest.fixture
def ended(capsys: pytest.CaptureFixture[str]) -> Ended:
    """Return a function that runs the body of a module, and returns the result with which the module exits."""

    def end(end: Callable[[AwsModule], None], **arguments: Any) -> dict[str, Any]:
        spec = {"note": {"type": "str"}, "choice": {"type": "str", "choices": ["one"]}}
        with module_args(arguments), pytest.raises(SystemExit):
            end(AwsModule(argument_spec=spec))
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return end


def test_result_with_escapes_has_a_warning(ended: Ended, warnings: list[str]) -> None:
    result = ended(lambda module: module.exit_json(changed=True, tags={TEXT: [TEXT, 1, None]}))
    assert (result["changed"], result["tags"]) == (True, {SHOWN: [SHOWN, 1, None]})
    assert warnings == [ESCAPED]


def test_invalid_argument_is_escaped(ended: Ended) -> None:
    result = ended(lambda _module: pytest.fail("not refused"), choice=TEXT)
    assert result["msg"] == f"value of choice must be one of: one, got: {SHOWN}"
