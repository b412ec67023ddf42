# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that text from AWS, Kubernetes and files is printed without characters that control a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    parse_api_error,
    parse_response,
    unreachable_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Check
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    aws_failure,
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import (
    check_row,
    finding_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    request_failure,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.text import (
    describe_change,
    describe_kubernetes_change,
    note_lines,
    report_lines,
    workload_table,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    diff_row,
    failure_lines,
    failure_rows,
    group_failures,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.canonical import (
    policy_finding_row,
)

# This text would clear the screen, set the window title, reverse the text direction and forge a line. It also has half of a
# surrogate pair.
HOSTILE = "a\x1b[2J\x1b]0;x\x07\u202eb\nok: [localhost]\r\x9b31m\x7f\u2028\ud800 ü"
SHOWN = "a\\x1b[2J\\x1b]0;x\\x07\\u202eb\\nok: [localhost]\\r\\x9b31m\\x7f\\u2028\\ud800 ü"


@pytest.mark.parametrize(
    ("text", "visible_text"),
    [
        ("", ""),
        ("plain text, ü, 漢字 and \\n", "plain text, ü, 漢字 and \\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("one\ntwo\tthree", "one\\ntwo\\tthree"),
        ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        (HOSTILE, SHOWN),
    ],
)
def test_control_characters_are_visible(text: str, visible_text: str) -> None:
    assert visible(text) == visible_text


KEY = WorkloadKey("my-cluster", "default", "app")
FINDING = Finding(Code.ROLE_MISSING, HOSTILE, HOSTILE, KEY, HOSTILE)
ERROR = classify("iam:GetRole", HOSTILE, HOSTILE)
FAILURE = request_failure(ERROR, (KEY,), role_target("web"), "create", prefix=HOSTILE)
FAILURE_ROW: Any = {
    "workload": "default/app",
    "resource": "ServiceAccount",
    "name": HOSTILE,
    "action": "apply",
    "error_code": "KUBERNETES_REFUSED",
    "message": HOSTILE,
    "remedy": HOSTILE,
}
CHECK_ROW = {"name": "trust", "status": "fail", "detail": HOSTILE, "codes": []}
WORKLOAD_ROW: Any = {"namespace": HOSTILE, "service_account": HOSTILE, "checks": [CHECK_ROW]}
NOTE: Any = {"code": "X", "severity": "error", "workload": HOSTILE, "message": HOSTILE, "remedy": HOSTILE}
PLACE: Any = dict.fromkeys(("cluster_name", "cluster_arn", "account_id", "region", "caller_arn"), HOSTILE)
SUMMARY: Any = dict.fromkeys(
    ("workloads", "passed", "failed", "warnings", "unknown", "accepted", "changes", "findings"), 1
)
REFUSAL = '{"kind":"Status","message":"a\x1b[2J \\u202e b\n","code":403}'


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda: [*finding_row(FINDING).values()], id="a finding"),
        pytest.param(lambda: [*policy_finding_row(FINDING).values()], id="a finding of a policy"),
        pytest.param(lambda: [check_row(Check("trust", "fail", HOSTILE))["detail"]], id="a check"),
        pytest.param(lambda: [*failure_rows(FAILURE)[0].values()], id="a failure"),
        pytest.param(lambda: [input_message(InputError([HOSTILE]))], id="an input problem"),
        pytest.param(lambda: input_message(InputError([HOSTILE, HOSTILE])).split("\n"), id="input problems"),
        pytest.param(lambda: [str(aws_failure(ERROR, "us-west-2")["msg"]), str(ERROR)], id="an error of AWS"),
        pytest.param(lambda: [parse_response(403, REFUSAL).text], id="an error of Kubernetes"),
        pytest.param(
            lambda: unreachable_message(parse_api_error(HOSTILE), "c", "r").split("\n"),
            id="an unreachable Kubernetes API",
        ),
        pytest.param(lambda: note_lines([NOTE], ""), id="a note of the report"),
        pytest.param(lambda: workload_table([WORKLOAD_ROW]), id="the table"),
        pytest.param(
            lambda: report_lines(
                PLACE,
                "present",
                [describe_kubernetes_change(HOSTILE)],
                [WORKLOAD_ROW],
                SUMMARY,
                [NOTE],
                [NOTE],
                False,
                HOSTILE,
            ),
            id="the report",
        ),
        pytest.param(lambda: failure_lines(group_failures([FAILURE_ROW]), ""), id="failures by cause"),
        pytest.param(
            lambda: [
                describe_change(
                    {"action": "attach", "resource": "attachment", "name": f"{HOSTILE} {HOSTILE}"}
                ).line
            ],
            id="a line for a change",
        ),
        pytest.param(
            lambda: [
                line
                for text in diff_row(
                    Change(
                        1,
                        role_target(HOSTILE),
                        "update",
                        (KEY,),
                        {"a": HOSTILE},
                        {"tags": {HOSTILE: HOSTILE}},
                        (),
                    )
                ).values()
                for line in str(text).split("\n")
            ],
            id="a diff",
        ),
    ],
)
def test_every_line_is_printable(write: Callable[[], list[str]]) -> None:
    lines = write()
    assert lines
    assert [line for line in lines if not line.isprintable()] == []
