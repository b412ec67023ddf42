# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which modules of the sandbox import which, including imports for type checking."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield every imported name that may be a module. Imports inside functions are included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "imports are absolute"
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_have_no_cycle() -> None:
    files = {module_name(path): path for path in SOURCE.rglob("*.py")}
    imports = {
        name: {target for target in imported_names(ast.parse(path.read_text("utf-8"))) if target in files}
        for name, path in files.items()
    }
    assert imports["sandbox.aws.gateway"] >= {"sandbox.aws.control_handler", "sandbox.aws.api"}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
