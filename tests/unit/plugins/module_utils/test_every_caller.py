# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that messages name no playbooks: the caller can be a playbook, a play with the role, or a module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PLAYBOOKS = frozenset(path.name for path in (ROOT / "playbooks").glob("*.yml"))
# Users of the role can select these files with tasks_from, so messages may name them.
OF_THE_ROLE = frozenset(path.name for path in (ROOT / "roles" / "pod_identity" / "tasks").glob("*.yml"))
_FILE = re.compile(r"\b[a-z_]+\.yml\b")


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("module_utils", PLAYBOOKS),
        ("modules", PLAYBOOKS),
        ("action", PLAYBOOKS - OF_THE_ROLE),
        ("plugin_utils", PLAYBOOKS - OF_THE_ROLE),
    ],
)
def test_messages_name_only_files_of_the_caller(folder: str, names: frozenset[str]) -> None:
    named = {
        f"{path.name}: {text}"
        for path in (ROOT / "plugins" / folder).rglob("*.py")
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if names & set(_FILE.findall(text))
    }
    assert named == set()


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield all strings of a module except docstrings and the documentation for Ansible."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    documented = {
        id(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings | documented
        ):
            yield node.value
