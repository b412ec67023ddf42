# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the table of codes is current, and that tools/make_docs.py rejects incomplete texts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from make_docs import PAGE, filled, make_rows

TEXTS = {"cause": "A cause.", "remedy": "A remedy."}


def test_table_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == filled(text), "run: make docs-tables"
    assert re.findall(r'^\| <a id="(\w+)">', text, re.MULTILINE) == sorted(Code)


def test_fills_rows_between_markers() -> None:
    lines = filled("Before.\n<!-- codes -->\n\nold\n\n<!-- end of codes -->\nAfter.\n").splitlines()
    assert (lines[:2], lines[-2:]) == (["Before.", "<!-- codes -->"], ["<!-- end of codes -->", "After."])
    assert len(lines) == len(Code) + 8
    assert "old" not in lines


@pytest.mark.parametrize(
    ("group", "texts", "severity"),
    [
        ("run", TEXTS, "warning, info"),
        ("run", {**TEXTS, "failure": True}, "warning, info, failure"),
        ("failures", TEXTS, "failure"),
    ],
)
def test_row_has_severities(group: str, texts: dict[str, Any], severity: str) -> None:
    codes = {code: texts for code in Code if code is Code.NOT_OWNED}
    others = {code: TEXTS for code in Code if code is not Code.NOT_OWNED}
    row = f'| <a id="NOT_OWNED"></a>`NOT_OWNED` | {severity} | A cause. | A remedy. |'
    assert row in list(make_rows({group: codes, "others": others}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ROLE_MISSING": None}, "docs/codes.yml has no texts for ROLE_MISSING"),
        ({"ROLE_MISING": TEXTS}, "_findings/codes.py does not have ROLE_MISING of docs/codes.yml"),
        ({"ROLE_MISSING": {"cause": "A cause."}}, "ROLE_MISSING lacks remedy in docs/codes.yml"),
    ],
    ids=["no texts", "unknown code", "no remedy"],
)
def test_names_code_without_texts(changes: dict[str, Any], message: str) -> None:
    group = {**dict.fromkeys(map(str, Code), TEXTS), **changes}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        list(make_rows({"run": {code: texts for code, texts in group.items() if texts}}))
