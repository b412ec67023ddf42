# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the files, tests, names and lines of code in the pages for contributors exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import ROOT, Block, blocks
from test_promises import names_in

UTILS = ROOT / "plugins" / "module_utils"
# The folders to which the paths in the pages are relative.
BASES = (ROOT, UTILS / "_identity", UTILS, ROOT / "plugins")
FIRST_CHANGE = ROOT / "docs" / "first-change.md"
PAGES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md", FIRST_CHANGE)
_NAME = re.compile(r"`([\w./-]+(?:/|\.(?:py|yml|md|json|js|css|j2|in|txt|html)))`")
_TEST = re.compile(r"\b(test_\w+\.py)::(?:\w+::)?(test_\w+)")
# Placeholders for names of files.
PLACEHOLDERS = {"NAME.in", "NAME.txt"}
# Words in back quotes that are not names of the code.
KEYWORDS = {
    "assert",
    "assume_role",
    "eks_pod_identity",
    "main_variables",
    "module_utils",
    "plugins",
    "vars_files",
    "verify_variables",
}


def exists(name: str) -> bool:
    """Return whether a file or folder exists. A name without a folder may be anywhere in plugins, tests, roles or playbooks."""
    if any((base / name).exists() for base in BASES):
        return True
    folders = ("plugins", "tests", "roles", "playbooks")
    return "/" not in name and any(any((ROOT / folder).rglob(name)) for folder in folders)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    names = set(_NAME.findall(page.read_text(encoding="utf-8"))) - PLACEHOLDERS
    assert names
    assert sorted(name for name in names if not exists(name)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    named = _TEST.findall(page.read_text(encoding="utf-8"))
    assert [f"{file}::{test}" for file, test in named if test not in names_in(file)] == []


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=f"line {block.line}") for block in blocks(FIRST_CHANGE, "diff")]
)
def test_first_change_shows_lines_of_the_code(block: Block) -> None:
    """Check that the file that a diff names has the lines of the diff, in the same order."""
    head, *lines = block.text.splitlines()
    text = (ROOT / head.removeprefix("+++ b/")).read_text(encoding="utf-8")
    place = 0
    for line in lines:
        if not line.startswith("@@"):
            code = f"\n{line[1:]}\n"
            assert code in text[place:], line
            place = text.index(code, place) + 1


def test_words_and_checklists_name_identifiers_of_the_code() -> None:
    """Check that classes, functions and constants in the chapters Words and Checklists exist."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chapters = page.split("\n## Words\n")[1].split("\n## Private names")[0]
    named = set(re.findall(r"`(\w{3,})(?:\(\))?`", chapters)) - KEYWORDS
    files = [path for folder in ("plugins", "tests") for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    defined = set(re.findall(r"^ *(?:class|def) (\w+)|^(\w+)(?:: [^=\n]+)? = ", code, re.MULTILINE))
    assert sorted(named - {name for names in defined for name in names}) == []
