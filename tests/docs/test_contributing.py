# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the files that the pages for contributors name exist."""

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
