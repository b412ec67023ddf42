# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of the pages: each names the tests that prove it, and those tests exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from support import ROOT

SECTION = "## Promises, and what proves them"
HEAD = ["situation", "what happens", "test"]
PAGES = ("ownership.md", "failures.md")
_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


@cache
def names_in(name: str) -> frozenset[str]:
    """The tests of all files of a name; classes may hold them."""
    files = [path for folder in ("tests", "sandbox/tests") for path in (ROOT / folder).rglob(name)]
    return frozenset(
        node.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


def table(page: Path) -> list[list[str]]:
    body = page.read_text(encoding="utf-8").partition(f"{SECTION}\n")[2].partition("\n## ")[0]
    lines = [line for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("name", PAGES)
def test_a_promise_names_its_tests_and_they_exist(name: str) -> None:
    head, rule, *rows = table(ROOT / "docs" / name)
    assert head == HEAD
    assert set("".join(rule)) <= set("-| ")
    assert rows
    assert [row for row in rows if len(row) != len(HEAD) or not all(row)] == []
    assert [
        row[0] for row in rows if re.sub(r"[\s,]", "", _TEST.sub("", row[2])) or not _TEST.search(row[2])
    ] == []
    missing = [
        f"{file}::{test}"
        for row in rows
        for file, test in _TEST.findall(row[2])
        if test not in names_in(file)
    ]
    assert missing == []


@cache
def all_names() -> frozenset[str]:
    """The tests there are, and their files."""
    files = [path for folder in ("tests", "sandbox/tests") for path in (ROOT / folder).rglob("test_*.py")]
    return frozenset(name for path in files for name in (path.name, *names_in(path.name)))


@pytest.mark.parametrize("name", PAGES)
def test_every_test_that_a_page_names_exists(name: str) -> None:
    """Wherever it does, in tables and in sentences."""
    body = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = {
        one for code in re.findall(r"`([^`]+)`", body) for one in re.findall(r"\btest_\w+(?:\.py)?", code)
    }
    assert named
    assert sorted(named - all_names()) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_situation_is_listed_once(name: str) -> None:
    situations = [row[0] for row in table(ROOT / "docs" / name)]
    assert len(situations) == len(set(situations))
