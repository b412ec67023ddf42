# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the last task of the role. It prints the lines of the report; if the output is for programs, it returns them instead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _screen as screen
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import show_report

DONE = {"failure": "", "headline": "", "lines": ["Done: 1 change.", "  create role r"]}
FAILED = {
    "failure": "What failed.",
    "headline": "1 of 1 workload failed: X. The reasons are above.",
    "lines": ["Done: 0 changes."],
}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    display = SimpleNamespace(display=lines.append)
    monkeypatch.setattr(screen, "Display", lambda: display)
    return lines


def run(callback: str, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    config = SimpleNamespace(get_config_value=lambda _name: callback)
    monkeypatch.setattr(screen, "constants", SimpleNamespace(config=config))
    return show_report(report["lines"], report["headline"], report["failure"])


@pytest.mark.parametrize(
    ("callback", "report", "lines", "result"),
    [
        (
            "ansible.posix.json",
            DONE,
            [],
            {"failure": "", "msg": DONE["lines"], "_ansible_verbose_always": True},
        ),
        ("awx_display", FAILED, ["Done: 0 changes."], {"failure": FAILED["headline"]}),
        (
            "ansible.posix.json",
            FAILED,
            [],
            {"failure": "What failed.", "msg": FAILED["lines"], "_ansible_verbose_always": True},
        ),
    ],
    ids=["data callback", "AWX, failure", "data callback, failure"],
)
def test_callback_selects_lines_or_data(
    printed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    callback: str,
    report: dict[str, Any],
    lines: list[str],
    result: dict[str, Any],
) -> None:
    assert run(callback, report, monkeypatch) == result
    assert printed == lines


def test_awx_events_have_a_limited_size(printed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Print a table with many rows, and a message with one long line. AWX gets them in several events."""
    rows = [f"cluster-{number:04}  111122223333  us-west-2  {'é' * number}" for number in range(300)]
    long = " ".join(["arn:aws:iam::111122223333:role/app"] * 100)
    assert run("awx_display", {**DONE, "lines": ["", *rows, "", long]}, monkeypatch) == {"failure": ""}
    assert (len(printed), max(len(event.encode()) for event in printed) <= screen.EVENT_BYTES) == (146, True)
    assert "\n".join(printed).split() == [*" ".join(rows).split(), *long.split()]
