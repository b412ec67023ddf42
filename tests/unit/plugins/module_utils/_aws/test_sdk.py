# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the results of modules as Ansible prints them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.workload_identity.aws.plugins.module_utils._aws import sdk
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
        spec = {"secret": {"type": "str", "no_log": True}, "choice": {"type": "str", "choices": ["one"]}}
        with module_args(arguments), pytest.raises(SystemExit):
            end(AwsModule(argument_spec=spec))
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return end


def test_result_with_escapes_has_a_warning(ended: Ended, warnings: list[str]) -> None:
    result = ended(lambda module: module.exit_json(changed=True, tags={TEXT: [TEXT, 1, None]}))
    assert (result["changed"], result["tags"]) == (True, {SHOWN: [SHOWN, 1, None]})
    assert warnings == [ESCAPED]


def test_plain_result_has_no_warning(ended: Ended, warnings: list[str]) -> None:
    assert ended(lambda module: module.exit_json(tags={"ü": "a\tb"}))["tags"] == {"ü": "a\tb"}
    assert warnings == []


@pytest.mark.parametrize(("verbosity", "traces"), [(2, False), (3, True)])
def test_errors_have_tracebacks_with_vvv(ended: Ended, verbosity: int, traces: bool) -> None:
    result = ended(lambda module: module.exit_json(traces=module.traces), _ansible_verbosity=verbosity)
    assert result["traces"] is traces


def test_secret_with_control_characters_is_removed(ended: Ended) -> None:
    result = ended(lambda module: module.exit_json(text=f"the key is {TEXT}"), secret=TEXT)
    assert result["text"] == "the key is ********"
    assert SHOWN not in str(result)


def test_missing_sdk_ends_the_module(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_more: Any) -> None:
        raise AnsibleBotocoreError(message="No boto3.")

    monkeypatch.setattr(sdk, "check_sdk_version_supported", fail)
    assert ended(AwsModule.require_sdk)["msg"] == "No boto3."


def test_invalid_argument_is_escaped(ended: Ended) -> None:
    result = ended(lambda _module: pytest.fail("not refused"), choice=TEXT)
    assert result["msg"] == f"value of choice must be one of: one, got: {SHOWN}"
