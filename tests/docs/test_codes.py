# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the tables of codes in the pages match the output of tools/make_docs.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from make_docs import ALSO_FINDINGS, AWS, DOCS, INDEX, TABLES, filled, marked_tables, parse_groups

PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == filled(page.name, text), "run: make docs-tables"


def test_every_table_is_in_one_page() -> None:
    names = [name for page in PAGES for name in marked_tables(page.read_text(encoding="utf-8"))]
    assert sorted(names) == sorted([*TABLES, INDEX, AWS, ALSO_FINDINGS])


def test_fills_rows_between_markers() -> None:
    row = "| `PERMISSION_NO_SUCH_ACTION` | warning | AWS has no action of this name. | Correct the name. |"
    text = "Before.\n<!-- codes: permissions -->\n\nold\n\n<!-- end of codes -->\nAfter.\n"
    lines = filled("trust-findings.md", text).splitlines()
    assert (lines[0], lines[-1]) == ("Before.", "After.")
    assert lines[3:6] == ["| code | severity | cause | remedy |", "| --- | --- | --- | --- |", row]
    assert "old" not in lines


TEXTS = {"title": "A title", "cause": "A cause.", "remedy": "A remedy."}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ROLE_MISSING": None}, "docs/codes.yml has no texts for ROLE_MISSING"),
        ({"ROLE_MISING": TEXTS}, "_findings/codes.py does not have ROLE_MISING of docs/codes.yml"),
        ({"ROLE_MISSING": {"title": "A title"}}, "ROLE_MISSING lacks cause, remedy in docs/codes.yml"),
    ],
    ids=["no texts", "unknown code", "no remedy"],
)
def test_names_code_without_texts(changes: dict[str, Any], message: str) -> None:
    group = {**dict.fromkeys(map(str, Code), TEXTS), **changes}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_groups({"run": {code: texts for code, texts in group.items() if texts}})


def test_rejects_table_of_another_page() -> None:
    text = "<!-- codes: permissions -->\n\nold\n\n<!-- end of codes -->\n"
    with pytest.raises(
        ValueError, match=r"^the table permissions belongs to trust-findings\.md, not to errors\.md$"
    ):
        filled("errors.md", text)
