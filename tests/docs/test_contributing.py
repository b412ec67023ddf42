# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the files and names of the code in the pages for contributors exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import ROOT

UTILS = ROOT / "plugins" / "module_utils"
# The folders to which the paths in the pages are relative.
BASES = (ROOT, UTILS / "_identity", UTILS, ROOT / "plugins")
PAGES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "contributing" / "architecture.md")
_NAME = re.compile(r"`([\w./-]+(?:/|\.(?:py|yml|md|json|js|css|j2|in|txt|html)))`")
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


def test_words_and_checklists_name_identifiers_of_the_code() -> None:
    """Check that classes, functions and constants in the chapters Words and Checklists exist."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chapters = page.split("\n## Words\n")[1].split("\n## Private names")[0]
    named = set(re.findall(r"`(\w{3,})(?:\(\))?`", chapters)) - KEYWORDS
    files = [path for folder in ("plugins", "tests") for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    defined = set(re.findall(r"^ *(?:class|def) (\w+)|^(\w+)(?:: [^=\n]+)? = ", code, re.MULTILINE))
    assert sorted(named - {name for names in defined for name in names}) == []
