# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the imports between packages of module_utils, the arrows in the diagram of docs/contributing/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"
PREFIX = "ansible_collections.workload_identity.aws.plugins.module_utils."

_BOTTOM = frozenset({"_findings"})
_LANGUAGE = _BOTTOM | {"_policy.language"}
_EVALUATION = _LANGUAGE | {"_policy.evaluation"}
_JUDGING = _EVALUATION | {"_policy.grammar"}
_POLICY = _JUDGING | {"_policy.trust", "_policy.permissions"}
_MODEL = _POLICY | {"_identity.model"}
_KUBE_MODEL = _MODEL | {"_identity.kubernetes.model"}
_KUBE_API = _KUBE_MODEL | {"_identity.kubernetes.api"}
_KUBE_STEPS = _KUBE_API | {
    "_identity.kubernetes.accounts",
    "_identity.kubernetes.pods",
    "_identity.kubernetes.proof",
}
# By package: the other packages that it may import.
ARROWS: Mapping[str, frozenset[str]] = {
    "_findings": frozenset(),
    "_policy.language": _BOTTOM,
    "_policy.evaluation": _LANGUAGE,
    "_policy.grammar": _LANGUAGE,
    "_policy.permissions": _JUDGING,
    "_policy.trust": _JUDGING,
    "_aws": _BOTTOM | {"_identity.model"},
    "_identity.model": _POLICY,
    "_identity.inputs": _MODEL,
    "_identity.read": _MODEL | {"_aws"},
    "_identity.plan": _MODEL,
    "_identity.verify": _MODEL | {"_identity.plan"},
    "_identity.run": _MODEL
    | {"_aws", "_identity.inputs", "_identity.read", "_identity.plan", "_identity.verify"},
    "_identity.inventory": _MODEL,
    "_identity.access": _MODEL,
    "_identity.kubernetes.model": _MODEL,
    "_identity.kubernetes.api": _KUBE_MODEL,
    "_identity.kubernetes.accounts": _KUBE_API,
    "_identity.kubernetes.pods": _KUBE_API,
    "_identity.kubernetes.proof": _KUBE_API | {"_identity.kubernetes.pods"},
    "_identity.kubernetes.run": _KUBE_STEPS,
    "_identity.report": _KUBE_MODEL | {"_identity.kubernetes.run", "_identity.run"},
}
# By package and imported package: the only modules that may be imported.
PARTS = {
    ("_aws", "_identity.model"): {f"_identity.model.{name}" for name in ("accounts", "errors")},
    ("_identity.report", "_identity.run"): {"_identity.run.result"},
}
# Modules that may import a package, although the other modules of their package may not.
EXCEPTIONS = {("_policy.trust.check", "_policy.permissions")}
PURE = (
    "_findings",
    "_policy",
    "_identity.model",
    "_identity.inputs",
    "_identity.inventory",
    "_identity.plan",
    "_identity.verify",
    "_identity.kubernetes",
    "_identity.report",
    "_identity.access",
    "_identity.run.attempts",
    "_identity.run.outcome",
    "_identity.run.result",
)
IMPURE = ("boto3", "botocore", "ansible", "ansible_collections", "kubernetes")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def read_imports(path: Path) -> tuple[str, ...]:
    """Return the names that a file imports. Names inside module_utils are relative to it."""
    return tuple(_parse_imports(path))


def _parse_imports(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            module = module.removeprefix(PREFIX)
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if inner in MODULES else module


def find_package(name: str) -> str | None:
    return next((package for package in ARROWS if f"{name}.".startswith(f"{package}.")), None)


def arrows() -> Iterator[tuple[str, str]]:
    """Yield each import of one module in module_utils by another: the importing and the imported module."""
    for name, path in MODULES.items():
        for imported in read_imports(path):
            if imported in MODULES:
                yield name, imported


def reached_by(name: str) -> Iterator[tuple[str, str]]:
    """Yield all direct and indirect imports of a module: the importing module and the imported name."""
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        for imported in read_imports(MODULES[current]):
            yield current, imported
            if imported in MODULES and imported not in seen:
                seen.add(imported)
                waiting.append(imported)


def test_every_file_belongs_to_a_package() -> None:
    unassigned = [
        name for name, path in MODULES.items() if path.name != "__init__.py" and find_package(name) is None
    ]
    assert unassigned == []


def test_imports_follow_the_arrows() -> None:
    wrong = []
    for name, imported in arrows():
        package, other = find_package(name), find_package(imported)
        if package is None or other is None or package == other or (name, other) in EXCEPTIONS:
            continue
        if other not in ARROWS[package] or imported not in PARTS.get((package, other), (imported,)):
            wrong.append(f"{name} -> {imported}")
    assert wrong == []


def test_packages_are_imported_relatively() -> None:
    absolute = [
        name for name, path in MODULES.items() if PREFIX.rstrip(".") in path.read_text(encoding="utf-8")
    ]
    assert absolute == []


@pytest.mark.parametrize(
    "name", [name for name in MODULES if name.startswith(tuple(PURE)) and find_package(name) is not None]
)
def test_pure_packages_import_neither_aws_nor_ansible(name: str) -> None:
    wrong = [
        f"{importer} -> {imported}"
        for importer, imported in reached_by(name)
        if imported.partition(".")[0] in IMPURE
    ]
    assert wrong == []


def test_modules_import_no_cycles() -> None:
    cyclic = [name for name in MODULES if any(imported == name for _importer, imported in reached_by(name))]
    assert cyclic == []


def test_every_package_has_a_row_in_the_docs() -> None:
    """Check the architecture page, because ansible-test requires empty __init__.py files, which cannot describe their package."""
    page = (ROOT.parents[1] / "docs" / "contributing" / "architecture.md").read_text(encoding="utf-8")
    ends = {
        package: ".py" if package in MODULES and MODULES[package].name != "__init__.py" else "/"
        for package in ARROWS
    }
    missing = [
        package for package, end in ends.items() if f"\n| `{package.replace('.', '/')}{end}` | " not in page
    ]
    assert missing == []
