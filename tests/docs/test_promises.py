# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that docs/promises.md names tests for each statement, and that these tests exist."""

from __future__ import annotations

import ast
import re
from functools import cache

from support import ROOT

PAGE = ROOT / "docs" / "promises.md"
_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


@cache
def names_in(name: str) -> frozenset[str]:
    """Return the names of all functions and methods in the test files that have this file name."""
    files = [path for folder in ("tests", "sandbox/tests") for path in (ROOT / folder).rglob(name)]
    return frozenset(
        node.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


def rows() -> list[list[str]]:
    """Return the rows of the tables in docs/promises.md whose last column has tests."""
    found: list[list[str]] = []
    head: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if head and cells and head[-1] in ("test", "tests") and not set("".join(cells)) <= set("-"):
            found.append(cells)
        head = (head or cells) if cells else []
    return found


def test_every_row_names_its_tests() -> None:
    wrong = [row[0] for row in rows() if not all(row) or re.sub(r"[\s,]", "", _TEST.sub("", row[-1]))]
    assert wrong == []


def test_every_named_test_exists() -> None:
    named = _TEST.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 200
    assert [f"{file}::{test}" for file, test in named if test not in names_in(file)] == []


def test_rows_are_unique() -> None:
    situations = [row[0] for row in rows()]
    assert len(situations) == len(set(situations))
