# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is printed at the end of a run, and what is the result of its last task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.action import pod_identity_verdict
from ansible_collections.workload_identity.aws.plugins.plugin_utils import last_task, screen

DONE = {"failed": False, "failure": "", "lines": ["Done: 1 change.", "  create role r"]}
FAILED = {
    "failed": True,
    "failure": "What failed.",
    "headline": "1 of 1 workload failed: X. See above.",
    "lines": ["Done: 0 changes."],
}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    display = SimpleNamespace(display=lines.append)
    monkeypatch.setattr(last_task, "Display", lambda: display)
    monkeypatch.setattr(pod_identity_verdict.ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(
        pod_identity_verdict.ActionModule,
        "validate_argument_spec",
        lambda _self, **_spec: (None, {}),
        raising=False,
    )
    return lines


def run(callback: str, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    config = SimpleNamespace(get_config_value=lambda _name: callback)
    monkeypatch.setattr(screen, "constants", SimpleNamespace(config=config))
    action = object.__new__(pod_identity_verdict.ActionModule)
    return action.run(None, {"pod_identity_report": report})


def test_a_fact_is_read_where_ansible_does_not_inject_it(
    printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("default", {}, monkeypatch)
    action = object.__new__(pod_identity_verdict.ActionModule)
    assert action.run(None, {"ansible_facts": {"pod_identity_report": DONE}}) == {"changed": False}
    assert printed == ["Done: 1 change.\n  create role r"]


@pytest.mark.parametrize(
    ("callback", "report", "shown", "result"),
    [
        ("default", DONE, ["Done: 1 change.\n  create role r"], {"changed": False}),
        (
            "default",
            FAILED,
            ["Done: 0 changes."],
            {"changed": False, "failed": True, "msg": FAILED["headline"]},
        ),
        (
            "default",
            {},
            [],
            {
                "changed": False,
                "failed": True,
                "msg": "pod_identity_report is empty; run pod_identity_report before.",
            },
        ),
        (
            "ansible.posix.json",
            DONE,
            [],
            {"changed": False, "msg": DONE["lines"], "_ansible_verbose_always": True},
        ),
        (
            "awx_display",
            FAILED,
            ["Done: 0 changes."],
            {"changed": False, "failed": True, "msg": FAILED["headline"]},
        ),
        (
            "ansible.posix.json",
            FAILED,
            [],
            {"changed": False, "failed": True, "msg": "What failed.", "lines": FAILED["lines"]},
        ),
    ],
    ids=["done", "failed", "no report", "data", "awx, failed", "data, failed"],
)
def test_lines_are_for_people_and_data_for_programs(
    printed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    callback: str,
    report: dict[str, Any],
    shown: list[str],
    result: dict[str, Any],
) -> None:
    assert run(callback, report, monkeypatch) == result
    assert printed == shown


def test_no_event_of_awx_is_longer_than_its_page_shows(
    printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of many rows, and a message in one long line."""
    rows = [f"cluster-{number:04}  111122223333  us-west-2  {'é' * number}" for number in range(300)]
    long = " ".join(["arn:aws:iam::111122223333:role/app"] * 100)
    assert run("awx_display", {**DONE, "lines": [*rows, "", long]}, monkeypatch) == {"changed": False}
    assert max(len(event.encode()) for event in printed) <= last_task.EVENT_BYTES
    assert "\n".join(printed).split() == [*" ".join(rows).split(), *long.split()]
