# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that docs/promises.md names tests for each statement, and that these tests exist."""

from __future__ import annotations

import ast
import re
from functools import cache

from support import ROOT

HEAD = ["situation", "result", "test"]
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
    """Return the rows of the tables in docs/promises.md."""
    body = PAGE.read_text(encoding="utf-8")
    lines = [line for line in body.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [
        row for row in cells if len(row) == len(HEAD) and row != HEAD and not set("".join(row)) <= set("-")
    ]


def test_every_situation_names_its_tests() -> None:
    assert len(rows()) > 10
    wrong = [row[0] for row in rows() if not all(row) or re.sub(r"[\s,]", "", _TEST.sub("", row[2]))]
    assert wrong == []


def test_every_named_test_exists() -> None:
    named = _TEST.findall(PAGE.read_text(encoding="utf-8"))
    assert named
    assert [f"{file}::{test}" for file, test in named if test not in names_in(file)] == []


def test_situations_are_unique() -> None:
    situations = [row[0] for row in rows()]
    assert len(situations) == len(set(situations))
