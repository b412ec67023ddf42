# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks: python tools/run_tests.py test | release | CHECK ...

`make test` runs ``test``: the checks that a change can break, on the newest ansible-core. `make release-check` runs ``release``:
all checks in full. Several checks run concurrently in the order of CHECKS, with a summary at the end; the output of a check is
printed when it ends. These variables of the environment matter:

  TIER=release   run also the tests with the mark release (tests/conftest.py), more faults and more interruptions
  CORES=all      run tests/package and tests/docs on every supported ansible-core, SANITY=all the sanity tests
  WORKERS=N      the number of worker processes of pytest in one check; 0 runs the tests in pytest's own process
  SEED=N         other random cases of property tests, and other mutants
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
SEED = os.environ.get("SEED", "0")
PATHS = ".collections:sandbox/src"


@dataclass(frozen=True, slots=True)
class Check:
    """A check: the arguments of Python, and PYTHONPATH. ``is_quick`` checks are part of `make test`."""

    name: str
    command: tuple[str, ...]
    path: str = ""
    is_quick: bool = True


def _pytest(name: str, *options: str, folder: str = "", path: str = PATHS, is_quick: bool = True) -> Check:
    command = ("-m", "pytest", "-q", "-n", "WORKERS", *options, folder or f"tests/{name}")
    return Check(name, command, path, is_quick)


# Checks start in this order: quick ones first, then the longest, so that no long check runs alone at the end. The tests of some
# checks share servers, so one worker process runs all tests of a file.
BY_FILE = ("--dist", "loadfile")
CHECKS = (
    Check("lint", ("tools/run_lint.py",)),
    _pytest("unit", f"--hypothesis-seed={SEED}"),
    Check("integration", ("tools/run_integration.py",)),
    _pytest("docs", *BY_FILE, path=""),
    _pytest("faults", path=""),
    _pytest("migration", *BY_FILE),
    _pytest("package", *BY_FILE, path=""),
    Check("sanity", ("tools/run_sanity.py",)),
    _pytest("fleet", *BY_FILE),
    _pytest("findings"),
    _pytest("awx", path=""),
    _pytest("emulators"),
    _pytest("sandbox-tests", folder="sandbox/tests", path="", is_quick=False),
    Check("mutation", ("tests/mutation/run.py", "--seed", SEED), is_quick=False),
    Check("molecule", ("tools/run_molecule.py",), is_quick=False),
    Check("artifact", ("tools/release_check.py",), is_quick=False),
)
FULL = {"TIER": "release", "CORES": "all", "SANITY": "all"}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check: its exit code, the elapsed time in seconds, and the CPU seconds of all processes of the check."""

    name: str
    code: int
    seconds: float
    cpu: float

    def __str__(self) -> str:
        verdict = "ok    " if self.code == 0 else "FAILED"
        return f"{verdict} {self.name} ({self.seconds:.0f} s, {self.cpu:.0f} s of CPU)"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # Checks often wait for servers, so two more checks than processors can run at the same time.
    parser.add_argument("--at-once", type=int, default=(os.cpu_count() or 1) + 2)
    parser.add_argument("names", nargs="+", choices=["test", "release", *(check.name for check in CHECKS)])
    options = parser.parse_args(arguments)
    environment = dict(os.environ)
    if options.names == ["release"]:
        checks, environment = list(CHECKS), {**FULL, **environment}
    elif options.names == ["test"]:
        checks = [check for check in CHECKS if check.is_quick]
    else:
        checks = [check for check in CHECKS if check.name in options.names]
    if len(checks) == 1:
        workers = environment.get("WORKERS", "2")
        return subprocess.run(
            _command(checks[0], workers), cwd=ROOT, env=_environment(checks[0], environment), check=False
        ).returncode
    return run_together(checks, environment, options.at_once)


def run_together(checks: list[Check], environment: Mapping[str, str], at_once: int) -> int:
    started = time.monotonic()
    output_lock = threading.Lock()
    with ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(lambda check: _run(check, environment, output_lock), checks))
    print("\n=== summary")
    for result in results:
        print(result)
    failed = [result.name for result in results if result.code != 0]
    seconds, cpu = time.monotonic() - started, sum(result.cpu for result in results)
    print(
        f"\n{len(results) - len(failed)} passed, {len(failed)} failed, in {seconds:.0f} s, {cpu:.0f} s of CPU"
    )
    for name in failed:
        print(f"`make {name}` runs it again.")
    return 1 if failed else 0


def _command(check: Check, workers: str) -> list[str]:
    return [sys.executable, *(workers if part == "WORKERS" else part for part in check.command)]


def _environment(check: Check, environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, **({"PYTHONPATH": check.path} if check.path else {})}


def _run(check: Check, environment: Mapping[str, str], output_lock: threading.Lock) -> Result:
    with output_lock:
        print(f"... {check.name} started", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        # Concurrent checks already use all processors, so each check runs its tests in one process.
        process = subprocess.Popen(
            _command(check, "0"),
            cwd=ROOT,
            env=_environment(check, environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = used.ru_utime + used.ru_stime
        result = Result(check.name, process.returncode, time.monotonic() - started, cpu)
        with output_lock:
            _show(result, output)
    return result


def _show(result: Result, output: IO[str]) -> None:
    output.seek(0)
    print(f"\n=== {result.name}")
    for line in output:
        print(line, end="")
    print(result, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
