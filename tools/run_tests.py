# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks: .venv/bin/python tools/run_tests.py test | release | CHECK ... [-- OPTIONS OF THE CHECK]

`make test` runs ``test``: the checks that a change can break, on the newest ansible-core. `make release-check` runs ``release``:
these and all others in full, except those of the tier "separate". Several checks run concurrently, with a summary at the end; the
output of a check is printed when it ends. These variables of the environment matter:

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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
SEED = os.environ.get("SEED", "0")
PLUGINS = ".collections"
PATHS = f"{PLUGINS}:sandbox/src"
Tier = Literal["test", "release", "separate"]


@dataclass(frozen=True, slots=True)
class Check:
    """A check: the arguments of Python, and PYTHONPATH.

    Attributes:
        tier: "test" for `make test`, "release" only for `make release-check`, and "separate" for neither.
        setup: the further requirements that tools/setup.py installs for it.
        on_sandbox: whether it runs in a new sandbox.
        venv: the virtual environment of its Python.
    """

    name: str
    command: tuple[str, ...]
    path: str = ""
    tier: Tier = "test"
    setup: str = ""
    on_sandbox: bool = False
    venv: str = ".venv"


def _pytest(name: str, *options: str, folder: str = "", path: str = PATHS, tier: Tier = "test") -> Check:
    command = ("-m", "pytest", "-q", "-n", "WORKERS", *options, folder or f"tests/{name}")
    return Check(name, command, path, tier)


# Checks start in this order: quick ones first, then the longest, so that no long check runs alone at the end. The tests of some
# checks share servers, so one worker process runs all tests of a file.
BY_FILE = ("--dist", "loadfile")
CHECKS = (
    Check("lint", ("tools/run_lint.py",)),
    _pytest("unit", f"--hypothesis-seed={SEED}"),
    _pytest("migration", *BY_FILE),
    Check("integration", ("tools/run_integration.py",)),
    Check("sanity", ("tools/run_sanity.py",)),
    _pytest("docs", *BY_FILE, path=""),
    _pytest("faults", path=""),
    _pytest("package", *BY_FILE, path=""),
    _pytest("fleet", *BY_FILE),
    _pytest("findings"),
    _pytest("awx", path=""),
    _pytest("emulators"),
    _pytest("sandbox-tests", folder="sandbox/tests", path="", tier="release"),
    Check("mutation", ("tests/mutation/run.py", "--seed", SEED), tier="release"),
    Check("molecule", ("tools/run_molecule.py",), tier="release"),
    Check("artifact", ("tools/release_check.py",), tier="release", setup="release"),
    Check(
        "browser",
        ("-m", "pytest", "-q", "tests/browser"),
        PLUGINS,
        tier="separate",
        setup="browser",
        venv=".venv-browser",
    ),
    Check("demo", ("tools/demo.py",), tier="separate", on_sandbox=True),
    Check("bench", ("benchmarks/run.py",), PATHS, tier="separate", on_sandbox=True),
    Check("presets", ("tools/check_presets.py",), PLUGINS, tier="separate"),
    Check("tables", ("tools/make_docs.py",), PLUGINS, tier="separate"),
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
    place = arguments.index("--") if "--" in arguments else len(arguments)
    options, extra = parser.parse_args(arguments[:place]), arguments[place + 1 :]
    environment = _surroundings()
    if options.names == ["release"]:
        checks, environment = [check for check in CHECKS if check.tier != "separate"], {**FULL, **environment}
    elif options.names == ["test"]:
        checks = [check for check in CHECKS if check.tier == "test"]
    else:
        checks = [check for check in CHECKS if check.name in options.names]
    if extra and len(checks) > 1:
        parser.error("options after -- need exactly one check")
    if code := _set_up(checks, environment):
        return code
    if len(checks) == 1:
        (check,), workers = checks, environment.get("WORKERS", "2")
        command = _with_options(_command(check, workers), extra)
        return subprocess.run(command, cwd=ROOT, env=_environment(check, environment), check=False).returncode
    return run_together(checks, environment, options.at_once)


def _surroundings() -> dict[str, str]:
    """Return environment variables with which Ansible finds the checkout, but none of the user's settings."""
    # Python may cache bytecode, because the checks start thousands of processes.
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("ANSIBLE_CONFIG", "PYTHONDONTWRITEBYTECODE")
    }
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(ROOT / ".cache" / "ansible"),
        "PATH": f"{BIN}{os.pathsep}{kept['PATH']}",
    }


def _set_up(checks: Sequence[Check], environment: Mapping[str, str]) -> int:
    """Install the further requirements of checks, such as the older versions of ansible-core. Return the exit code."""
    scopes = {check.setup for check in checks if check.setup}
    if "all" in (environment.get("CORES"), environment.get("SANITY")):
        scopes.add("matrix")
    commands = [[sys.executable, str(ROOT / "tools" / "setup.py"), scope] for scope in sorted(scopes)]
    return max((subprocess.run(command, check=False).returncode for command in commands), default=0)


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
        print(f"`make check NAME={name}` runs it again.")
    return 1 if failed else 0


def _command(check: Check, workers: str) -> list[str]:
    sandbox = [str(ROOT / ".venv-sandbox" / "bin" / "sandbox"), "run", "--"] if check.on_sandbox else []
    python = str(ROOT / check.venv / "bin" / "python")
    return [*sandbox, python, *(workers if part == "WORKERS" else part for part in check.command)]


def _with_options(command: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return a command with further options. Files and folders of tests replace the folder of the check."""
    # The argument of an option, such as "-k docs", can also be the name of a folder.
    places = [option.partition("::")[0] for option in options if "/" in option]
    named = "pytest" in command and any((ROOT / place).exists() for place in places)
    return [*(command[:-1] if named else command), *options]


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
