# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make random small errors (mutants) in the functions of plugins, and count how many the unit tests notice.

Usage: python tests/mutation/run.py [--count 300] [--seed 1] [--only plugins/module_utils/_policy] [TEST ...]

One process collects the tests (the default is tests/unit) and runs them once, to record which test runs which line. For each
mutant it then forks a process that changes the function in memory, and runs the tests of this line until one fails, the quick and
specific ones first. A mutant that exceeds the time limit counts as noticed. It needs Python 3.12.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import gc
import importlib
import os
import pickle
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.workload_identity.aws"
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.In: ast.NotIn,
    ast.Is: ast.IsNot,
    ast.NotEq: ast.Eq,
    ast.GtE: ast.Gt,
    ast.LtE: ast.Lt,
    ast.NotIn: ast.In,
    ast.IsNot: ast.Is,
}
SURVIVED, KILLED = 0, 1
Lines = frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of a node in a file of plugins. ``lines`` are its line, and the line of its statement."""

    path: str
    node: int
    lines: tuple[int, int]
    text: str


@dataclass(slots=True)
class Coverage:
    """By test: the lines of plugins that it runs, and its duration. Tests that fail without a mutant are left out."""

    lines: dict[str, Lines] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def changed(node: ast.AST) -> ast.AST | None:
    """Return the mutated node, or None if there is no mutation of this kind of node."""
    match node:
        case ast.Compare(left, [operator, *rest], comparators) if type(operator) in OPPOSITES:
            return ast.Compare(left, [OPPOSITES[type(operator)](), *rest], comparators)
        case ast.BoolOp(operator, values):
            return ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            return operand
        case ast.IfExp(test, body, orelse):
            return ast.IfExp(test, orelse, body)
        case ast.comprehension(target, iterable, [_first, *rest], is_async):
            return ast.comprehension(target, iterable, rest, is_async)
        case ast.BinOp(left, ast.Add(), right):
            return ast.BinOp(left, ast.Sub(), right)
        case ast.BinOp(left, ast.Sub(), right):
            return ast.BinOp(left, ast.Add(), right)
        case ast.Constant(bool() as value):
            return ast.Constant(not value)
        case ast.Constant(int() as value):
            return ast.Constant(value + 1)
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            return ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()) | ast.Continue() | ast.Break() | ast.AugAssign():
            return ast.Pass()
        case ast.If(test, body, orelse):
            return ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
    return None


def candidates(path: str) -> Iterator[Mutant]:
    """Yield the possible mutants of a file: nodes in functions, without assertions and annotations."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    inside: set[ast.AST] = set()
    statements: dict[ast.AST, int] = {}
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)):
            body = function.body if isinstance(function.body, list) else [function.body]
            inside |= {node for statement in body for node in ast.walk(statement)}
        if isinstance(function, ast.stmt):
            # An inner statement follows its outer one, and replaces its line.
            statements |= dict.fromkeys(ast.walk(function), function.lineno)
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and _guards(node))
    skipped = {part for guard in guards for part in ast.walk(guard)}
    for number, node in enumerate(ast.walk(tree)):
        if node in inside and node not in skipped and (new := changed(node)) is not None:
            place = node.target if isinstance(node, ast.comprehension) else node
            lines = (getattr(place, "lineno", 0), statements[node])
            new_text = "(filter removed)" if isinstance(new, ast.comprehension) else ast.unparse(_fixed(new))
            yield Mutant(path, number, lines, f"{type(node).__name__} → {new_text.splitlines()[0][:90]}")


def _guards(node: ast.If) -> bool:
    return isinstance(node.body[0], ast.Raise) and "AssertionError" in ast.unparse(node.body[0])


def _fixed(node: ast.AST) -> ast.AST:
    return ast.fix_missing_locations(copy.deepcopy(node))


def install(mutant: Mutant) -> None:
    """Replace the code of the function with the mutant, in every function object of this process."""
    name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    importlib.import_module(f"{PACKAGE}.{name}")
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    tree = ast.parse(source)
    target = list(ast.walk(tree))[mutant.node]

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            if node is target:
                return ast.copy_location(changed(node) or node, node)
            return self.generic_visit(node)

    mutated = ast.fix_missing_locations(Replace().visit(tree))
    new = _functions(compile(mutated, mutant.path, "exec"))
    old = _functions(compile(source, mutant.path, "exec"))
    different = {key for key, code in new.items() if key in old and code != old[key]}
    for item in gc.get_objects():
        if isinstance(item, FunctionType) and real(item.__code__.co_filename) == mutant.path:
            key = (item.__code__.co_qualname, item.__code__.co_firstlineno)
            if key in different and item.__code__.co_freevars == new[key].co_freevars:
                item.__code__ = new[key]
        elif isinstance(item, functools._lru_cache_wrapper) and item.__module__.startswith(PACKAGE):
            item.cache_clear()


def _functions(code: CodeType) -> dict[tuple[str, int], CodeType]:
    found = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found[constant.co_qualname, constant.co_firstlineno] = constant
            found |= _functions(constant)
    return found


@functools.cache
def real(path: str) -> str:
    """Return the path of a file of plugins relative to the project, or "" for another file."""
    found = os.path.realpath(path)
    return found.removeprefix(f"{ROOT}/") if found.startswith(f"{ROOT}/plugins/") else ""


class Tests:
    """A plugin of pytest that calls a function with the collected tests, instead of running them."""

    def __init__(self, work: Callable[[Tests], None]) -> None:
        self.work = work
        self.items: dict[str, pytest.Item] = {}
        self.is_failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        session.config.pluginmanager.unregister(name="terminalreporter")
        self.work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.is_failed = self.is_failed or report.failed

    def warm(self) -> None:
        """Run a test of each file in this process, so that the forked processes inherit loaded modules and data."""
        for name in {name.partition("::")[0]: name for name in self.items}.values():
            self.passes(self.items[name], None)

    def passes(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        self.is_failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return not self.is_failed

    def cover(self, names: Sequence[str]) -> Coverage:
        """Run the tests, and record the lines of plugins that each of them runs."""
        monitoring, coverage, lines = sys.monitoring, Coverage(), set[tuple[str, int]]()

        def record(code: CodeType, line: int) -> object:
            if path := real(code.co_filename):
                lines.add((path, line))
            return monitoring.DISABLE

        monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutation")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, record)
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
        for name, following in zip(names, [*names[1:], None], strict=True):
            lines.clear()
            monitoring.restart_events()
            started = time.monotonic()
            if self.passes(self.items[name], self.items[following] if following else None):
                coverage.lines[name] = frozenset(lines)
                coverage.seconds[name] = time.monotonic() - started
            else:
                coverage.failed.append(name)
        return coverage

    def survives(self, mutant: Mutant | None, names: Sequence[str]) -> str:
        """Return the name of the first test that fails with the mutant, or ""."""
        if mutant:
            install(mutant)
        for name, following in zip(names, [*names[1:], None], strict=True):
            if not self.passes(self.items[name], self.items[following] if following else None):
                return name
        return ""


def forked(calls: Sequence[Callable[[], Any]], jobs: int, limit: int) -> list[Any]:
    """Call each function in a process of its own, at most ``jobs`` at a time. Return the results, None for a killed process."""
    results: list[Any] = [None] * len(calls)
    running: dict[int, tuple[int, Path]] = {}
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for index, call in enumerate(calls):
            path = Path(folder, str(index))
            if not (process := os.fork()):
                _work(call, path, limit)
            running[process] = (index, path)
            while len(running) >= jobs or (running and index == len(calls) - 1):
                ended, _status = os.wait()
                number, file = running.pop(ended)
                results[number] = pickle.loads(file.read_bytes()) if file.exists() else None
    return results


def _work(call: Callable[[], Any], path: Path, limit: int) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    try:
        path.write_bytes(pickle.dumps(call()))
    finally:
        os._exit(0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300, help="the number of mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="plugins", help="the folder or file of the mutants")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=60, help="the CPU seconds of a mutant")
    parser.add_argument("--least", type=int, default=93, help="the percentage that the tests must notice")
    parser.add_argument("tests", nargs="*", default=["tests/unit"])
    options = parser.parse_args()
    verdicts: list[int] = []

    def work(tests: Tests) -> None:
        verdicts.append(measure(tests, options))

    os.environ["PYTHONPATH"] = str(ROOT / ".collections")
    pytest.main(["-q", "--no-header", "-p", "no:xdist", *options.tests], plugins=[Tests(work)])
    return max(verdicts, default=2)


def measure(tests: Tests, options: argparse.Namespace) -> int:
    names = list(tests.items)
    tests.warm()
    size = len(names) // options.jobs + 1
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    coverage = Coverage()
    for found in forked([functools.partial(tests.cover, part) for part in parts], options.jobs, 3600):
        coverage.lines |= found.lines
        coverage.seconds |= found.seconds
        coverage.failed += found.failed
    print(f"{len(names)} tests, {len(coverage.failed)} of them fail without a mutant", flush=True)
    by_line: dict[tuple[str, int], list[str]] = {}
    for name, lines in coverage.lines.items():
        for line in lines:
            by_line.setdefault(line, []).append(name)
    root = ROOT / options.only
    files = [root] if root.is_file() else sorted(root.rglob("*.py"))
    possible = [mutant for file in files for mutant in candidates(str(file.relative_to(ROOT)))]
    chosen = random.Random(options.seed).sample(possible, min(options.count, len(possible)))

    def cost(name: str) -> float:
        return coverage.seconds[name] * len(coverage.lines[name])

    near = []
    for mutant in chosen:
        line, statement = mutant.lines
        found = by_line.get((mutant.path, line)) or by_line.get((mutant.path, statement)) or ()
        near.append(sorted(found, key=cost))
    calls = [
        functools.partial(tests.survives, mutant, found) for mutant, found in zip(chosen, near, strict=True)
    ]
    killers = forked(calls, options.jobs, options.limit)
    survivors = [mutant for mutant, killer in zip(chosen, killers, strict=True) if killer == ""]
    for mutant in sorted(survivors, key=lambda mutant: (mutant.path, mutant.lines)):
        print(f"survived {mutant.path}:{mutant.lines[0]}: {mutant.text}")
    folders = Counter(str(Path(mutant.path).parent) for mutant in survivors)
    print("\n".join(f"{count} survived in {folder}" for folder, count in folders.most_common(10)))
    noticed = len(chosen) - len(survivors)
    share = 100 * noticed / max(len(chosen), 1)
    slow = killers.count(None)
    print(
        f"{noticed} of {len(chosen)} mutants noticed ({share:.1f} %), {slow} by the time limit; seed {options.seed}"
    )
    return 0 if share >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
