# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the size of plugins: each package has a budget of statements, and few names of functions have several meanings."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
# The largest number of statements (ast.stmt) of each package. A change that adds statements removes others.
BUDGETS: Mapping[str, int] = {
    "action": 76,
    "doc_fragments": 29,
    "inventory": 128,
    "lookup": 85,
    "module_utils/_aws": 700,
    "module_utils/_findings": 247,
    "module_utils/_identity": 105,
    "module_utils/_identity/access": 1292,
    "module_utils/_identity/inputs": 1900,
    "module_utils/_identity/kubernetes": 2484,
    "module_utils/_identity/model": 1500,
    "module_utils/_identity/plan": 1963,
    "module_utils/_identity/read": 1000,
    "module_utils/_identity/report": 895,
    "module_utils/_identity/run": 1690,
    "module_utils/_identity/verify": 692,
    "module_utils/_policy": 3475,
    "modules": 364,
    "plugin_utils": 2295,
}

# A budget is lowered once a package has this many statements less.
_SLACK = 25


def package(path: Path) -> str:
    """Return the package of a file: its folder under plugins, at most two levels deep, or three in _identity."""
    folders = path.relative_to(PLUGINS).parts[:-1]
    return "/".join(folders[: 3 if "_identity" in folders else 2])


def count_statements() -> Counter[str]:
    """Return the number of statements by package."""
    counts: Counter[str] = Counter()
    for path in PLUGINS.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        counts[package(path)] += sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
    return +counts


COUNTS = count_statements()


def test_each_package_has_a_budget() -> None:
    assert COUNTS.keys() == BUDGETS.keys()


@pytest.mark.parametrize("name", BUDGETS)
def test_package_is_within_its_budget(name: str) -> None:
    """Check also that the budget follows a package that has shrunk: at most this many statements are left of it."""
    assert BUDGETS[name] - _SLACK <= COUNTS[name] <= BUDGETS[name]


# The largest number of names that three or more functions have.
SHARED_NAMES = 15


def function_names(node: ast.AST) -> Iterator[str]:
    """Yield the names of functions with meanings of their own: no entry points, special methods, or methods of subclasses."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name != "main" and not child.name.startswith("__"):
            yield child.name
        if not isinstance(child, ast.ClassDef) or not child.bases:
            yield from function_names(child)


def test_few_names_have_several_meanings() -> None:
    sources = (path.read_text(encoding="utf-8") for path in PLUGINS.rglob("*.py"))
    counts = Counter(name for source in sources for name in function_names(ast.parse(source)))
    shared = sorted(name for name, count in counts.items() if count >= 3)
    assert len(shared) <= SHARED_NAMES, shared
