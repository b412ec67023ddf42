# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the names of the code: no two modules define the same public name, and ansible-test accepts the names of variables."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"


def defined_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a class definition, a function definition or an assignment defines."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def test_public_names_are_unique() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in defined_names(statement):
                places[name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if name[0] != "_" and len(paths) > 1} == {}


def test_variables_have_accepted_names() -> None:
    """Check the names that pylint of ansible-test rejects, because `make test` runs ansible-test without pylint."""
    rejected = {"_", "bar", "baz", "foo", "tata", "toto", "tutu"}
    found = [
        f"{path.relative_to(ROOT.parent)}:{node.lineno}: {node.id}"
        for path in sorted(ROOT.parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in rejected
    ]
    assert found == []
