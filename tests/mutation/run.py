# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make random small errors (mutants) in the functions of plugins, and count how many the unit tests notice.

One process collects the tests (the default is tests/unit), and runs them once, to record which test runs which line. For each
mutant it then forks a process that changes the function in memory, and runs the tests of this line until one fails, the quick and
specific ones first. A mutant that exceeds the time limit counts as noticed. It needs Python 3.12. --help lists the options.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import importlib
import os
import pickle
import random
import resource
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.workload_identity.aws"
PAIRS = ((ast.Eq, ast.NotEq), (ast.Lt, ast.GtE), (ast.Gt, ast.LtE), (ast.In, ast.NotIn), (ast.Is, ast.IsNot))
OPPOSITES: dict[type[ast.AST], Any] = {**dict(PAIRS), **{second: first for first, second in PAIRS}}
Line = tuple[str, int]
# The lines of plugins that a test runs, and its duration in seconds.
Covered = tuple[frozenset[Line], float]


class Mutant(NamedTuple):
    """A change of a node in a file of plugins. ``lines`` are its line (or that of its test), and that of its statement."""

    path: str
    node: int
    lines: tuple[int, int]
    text: str


def changed(node: ast.AST) -> ast.AST | None:
    """Return the mutated node, or None if there is no mutation of this kind of node."""
    match node:
        case ast.Compare(left, [first, *rest], comparators) if type(first) in OPPOSITES:
            return ast.Compare(left, [OPPOSITES[type(first)](), *rest], comparators)
        case ast.BoolOp(kind, values):
            return ast.BoolOp(ast.Or() if isinstance(kind, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            return operand
        case ast.IfExp(test, body, orelse):
            return ast.IfExp(test, orelse, body)
        case ast.BinOp(left, ast.Add() | ast.Sub() as kind, right):
            return ast.BinOp(left, ast.Sub() if isinstance(kind, ast.Add) else ast.Add(), right)
        case ast.Constant(int() as value):
            return ast.Constant(not value if isinstance(value, bool) else value + 1)
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            return ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()) | ast.Continue() | ast.Break() | ast.AugAssign():
            return ast.Pass()
        case ast.If(test, [first, *_rest] as body, orelse) if "AssertionError" not in ast.unparse(first):
            return ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
    return None


def candidates(path: str) -> Iterator[Mutant]:
    """Yield the possible mutants in the functions of a file."""
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))))
    statements: dict[ast.AST, int] = {}
    inside: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            inside |= {part for statement in node.body for part in ast.walk(statement)}
        if isinstance(node, ast.stmt):
            # An inner statement follows its outer one, and replaces its line.
            statements |= dict.fromkeys(ast.walk(node), node.lineno)
    for number, node in enumerate(nodes):
        if node in inside and (new := changed(node)) is not None:
            text = ast.unparse(new).partition("\n")[0][:90]
            lines = (getattr(getattr(node, "test", node), "lineno", 0), statements[node])
            yield Mutant(path, number, lines, f"{type(node).__name__} → {text}")


def install(mutant: Mutant) -> None:
    """Replace the code of the function with the mutant, in every function object of this process."""
    name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    importlib.import_module(f"{PACKAGE}.{name}")
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    target = nodes[mutant.node]
    replacement = ast.fix_missing_locations(ast.copy_location(changed(target) or target, target))
    for node in nodes:
        for member, value in ast.iter_fields(node):
            if value is target:
                setattr(node, member, replacement)
            elif isinstance(value, list) and target in value:
                value[value.index(target)] = replacement
    new, old = (_functions(compile(content, mutant.path, "exec")) for content in (tree, source))
    for item in gc.get_objects():
        if isinstance(item, FunctionType) and real(item.__code__.co_filename) == mutant.path:
            key = (item.__code__.co_qualname, item.__code__.co_firstlineno)
            if new.get(key) != old.get(key) and item.__code__.co_freevars == new[key].co_freevars:
                item.__code__ = new[key]
        elif isinstance(item, functools._lru_cache_wrapper) and item.__module__.startswith(PACKAGE):
            item.cache_clear()


def _functions(code: CodeType) -> dict[tuple[str, int], CodeType]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    found = {(part.co_qualname, part.co_firstlineno): part for part in inner}
    return found | {key: part for constant in inner for key, part in _functions(constant).items()}


@functools.cache
def real(path: str) -> str:
    """Return the path of a file of plugins relative to the project, or "" for another file."""
    found = os.path.realpath(path)
    return found.removeprefix(f"{ROOT}/") if found.startswith(f"{ROOT}/plugins/") else ""


class Tests:
    """A plugin of pytest that calls a function with the collected tests, instead of running them."""

    def __init__(self, work: Callable[[Tests], int]) -> None:
        self.work = work
        self.items: dict[str, pytest.Item] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        self.items = {item.nodeid: item for item in session.items}
        session.config.pluginmanager.unregister(name="terminalreporter")
        pytest.exit(returncode=self.work(self))

    def run(self, names: Sequence[str]) -> Iterator[tuple[str, float | None]]:
        """Run tests one after the other. Yield the name of each and its duration, or None if it fails."""
        for name, following in zip(names, [*names[1:], ""], strict=False):
            reports = runtestprotocol(self.items[name], log=False, nextitem=self.items.get(following))
            failed = any(report.failed for report in reports)
            yield name, None if failed else sum(report.duration for report in reports)

    def cover(self, names: Sequence[str]) -> dict[str, Covered]:
        """Run the tests. Return the lines of plugins that each of them runs, without the tests that fail."""
        monitoring, lines = sys.monitoring, set[Line]()

        def record(code: CodeType, line: int) -> object:
            if path := real(code.co_filename):
                lines.add((path, line))
            return monitoring.DISABLE

        monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutation")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, record)
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
        found = {}
        for name, seconds in self.run(names):
            if seconds is not None:
                found[name] = (frozenset(lines), seconds)
            lines.clear()
            monitoring.restart_events()
        return found

    def first_failure(self, mutant: Mutant | None, names: Sequence[str]) -> str:
        """Return the name of the first test that fails with the mutant, or without a mutant, or ""."""
        if mutant:
            install(mutant)
        return next((name for name, seconds in self.run(names) if seconds is None), "")


def forked(calls: Sequence[Callable[[], Any]], jobs: int, limit: int) -> list[Any]:
    """Call each function in a separate process. Return the results, None for a process that ends at the limit of CPU seconds."""
    running: set[int] = set()

    def wait(number: int) -> None:
        while len(running) > number:
            ended, status = os.wait()
            # A test may have left another process.
            if ended in running and os.waitstatus_to_exitcode(status) > 0:
                raise RuntimeError("a forked process failed")
            running.discard(ended)

    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        paths = [Path(folder, str(index)) for index in range(len(calls))]
        for call, path in zip(calls, paths, strict=True):
            wait(jobs - 1)
            if process := os.fork():
                running.add(process)
                continue
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                # End also a process that waits forever. A signal would not end it if a test replaces the handler or the timer.
                threading.Timer(20 * limit, os._exit, (0,)).start()
                path.write_bytes(pickle.dumps(call()))
            finally:
                os._exit(not path.exists())
        wait(0)
        return [pickle.loads(path.read_bytes()) if path.exists() else None for path in paths]


def measure(tests: Tests, options: argparse.Namespace) -> int:
    names = list(tests.items)
    # The forked processes inherit the modules and data that a test of each file loads.
    list(tests.run([*{name.partition("::")[0]: name for name in names}.values()]))
    middle = len(names) // 2
    halves = [functools.partial(tests.cover, part) for part in (names[:middle], names[middle:])]
    first, second = forked(halves, options.jobs, 3600)
    covered: dict[str, Covered] = first | second
    print(f"{len(names)} tests, {len(names) - len(covered)} of them fail without a mutant", flush=True)
    by_line: dict[Line, list[str]] = {}
    for name, (lines, _seconds) in sorted(covered.items(), key=lambda item: len(item[1][0]) * item[1][1]):
        for line in lines:
            by_line.setdefault(line, []).append(name)
    files = sorted((ROOT / options.only).rglob("*.py")) or [ROOT / options.only]
    possible = [mutant for file in files for mutant in candidates(str(file.relative_to(ROOT)))]
    chosen = random.Random(options.seed).sample(possible, min(options.count, len(possible)))
    near = [next(filter(None, (by_line.get((m.path, line)) for line in m.lines)), []) for m in chosen]
    calls = [functools.partial(tests.first_failure, *pair) for pair in zip(chosen, near, strict=True)]
    killers = forked(calls, options.jobs, options.limit)
    # A test that also fails alone without a mutant notices nothing.
    singles = [functools.partial(tests.first_failure, None, [name]) for name in {*killers} - {"", None}]
    missed = {"", *forked(singles, options.jobs, 600)}
    survivors = [mutant for mutant, killer in zip(chosen, killers, strict=True) if killer in missed - {None}]
    for mutant in sorted(survivors, key=lambda mutant: (mutant.path, mutant.lines)):
        print(f"survived {mutant.path}:{mutant.lines[0]}: {mutant.text}")
    share = 100 * (1 - len(survivors) / len(chosen))
    counts = f"{len(chosen) - len(survivors)} of {len(chosen)} mutants noticed ({share:.1f} %)"
    print(f"{counts}, {killers.count(None)} by the time limit; seed {options.seed}")
    return 0 if share >= options.least else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the random mutants that the unit tests notice.")
    parser.add_argument("--only", default="plugins")
    for name, default in {"count": 300, "seed": 1, "jobs": 2, "limit": 60, "least": 90}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("tests", nargs="*", default=["tests/unit"])
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT / ".collections")
    plugin = Tests(functools.partial(measure, options=options))
    return pytest.main(["-q", "--no-header", "-p", "no:xdist", *options.tests], plugins=[plugin])


if __name__ == "__main__":
    sys.exit(main())
