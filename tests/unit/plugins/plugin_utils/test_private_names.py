# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that private names of Ansible are used in few places, and that CONTRIBUTING.md lists each of them with its purpose."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
# Private attributes of Ansible's class ActionBase. Outside module_utils, each use counts, even if the file also sets them.
OF_ACTIONS = {"_connection", "_loader", "_play_context", "_shared_loader_obj", "_task", "_templar"}
PRIVATE = re.compile(r"_[a-z]\w*")
MOST = 15


def own_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a file defines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def private_names(path: Path) -> Iterator[str]:
    """Yield the private names of other packages that a file uses, once for each use."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    private = set(own_names(tree))
    if "module_utils" not in path.parts:
        private -= OF_ACTIONS
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr) and node.attr not in private:
            yield node.attr
        elif (
            isinstance(node, ast.ImportFrom)
            and "workload_identity" not in str(node.module)
            and not node.level
        ):
            yield from (alias.name for alias in node.names if PRIVATE.fullmatch(alias.name))


def test_each_use_is_listed_with_its_reason() -> None:
    found = Counter(
        (name, str(path.relative_to(ROOT / "plugins")))
        for path in sorted((ROOT / "plugins").rglob("*.py"))
        for name in private_names(path)
    )
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Private names of Ansible\n")[1]
    rows = re.findall(r"^\| `(_\w+)` \| `([\w/.]+)` \| (.+) \|$", text.split("\n## ")[0], re.MULTILINE)
    assert found == Counter((name, file) for name, file, _reason in rows)
    assert sum(found.values()) <= MOST
