# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity: python tools/run_sanity.py [CORE ...] [-- OPTIONS OF ANSIBLE-TEST]

CORE is the ansible-core to use, such as 2.17; without it, every one that is set up here, as many at a time as there are
processors. The newest has all tests, the oldest all but linters that judge the same lines by the same rules, those between
the two what depends on the core. With SANITY=all in the environment each has all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from run_support import ROOT, ansible_test_environment, collection_copy, python_version

# What is not in the built collection is not for ansible-test to judge, its own targets and settings apart.
LEFT_OUT = (".ci", "Makefile", "benchmarks", "pyproject.toml", "requirements", "sandbox", "tools")
OWN_TESTS = ("config.yml", "integration", "sanity")
# They know nothing of the core.
LINTERS = ("pylint", "pep8", "yamllint", "changelog", "pslint", "shellcheck")
# What the oldest and the newest can import, those between them can.
AT_THE_ENDS = ("import",)
PROBE = "import ansible.release; print('.'.join(ansible.release.__version__.split('.')[:2]))"


def main(arguments: Sequence[str]) -> int:
    cores, options = _split(arguments)
    known = available()
    unknown = [core for core in cores if core not in known]
    if unknown:
        print(
            f"ansible-core {', '.join(unknown)} is not set up here; there is {', '.join(known)}. "
            "`make setup-matrix` sets up the others, as far as a Python for them is found.",
            file=sys.stderr,
        )
        return 2
    newest, oldest = next(iter(known)), next(reversed(known))
    whole = os.environ.get("SANITY") == "all"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [
            pool.submit(
                run, core, *known[core], options or ([] if whole else _left_out_of(core, newest, oldest))
            )
            for core in cores or known
        ]
        return max([_show(*each.result()) for each in runs])


def _left_out_of(core: str, newest: str, oldest: str) -> list[str]:
    """The options that leave out what another core's run tells as well."""
    if core == newest:
        return []
    skipped = LINTERS if core == oldest else (*LINTERS, *AT_THE_ENDS)
    return [part for name in skipped for part in ("--skip-test", name)]


def left_out() -> list[str]:
    tests = [f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if path.name not in OWN_TESTS]
    return [*LEFT_OUT, *tests]


def available() -> dict[str, tuple[Path, Path]]:
    """ansible-core -> its environment and its collections root, the newest first."""
    main_venv = ROOT / ".venv"
    found = {_core(main_venv): (main_venv, ROOT / ".collections")}
    for venv in sorted(ROOT.glob(".venv-2.*"), reverse=True):
        collections = ROOT / ".cache" / f"collections-{venv.name.removeprefix('.venv-')}"
        if (venv / "bin" / "ansible-test").exists() and collections.is_dir():
            found.setdefault(_core(venv), (venv, collections))
    return found


def run(core: str, venv: Path, collections: Path, options: Sequence[str]) -> tuple[str, int, str]:
    """What ran, its exit code, and what it printed."""
    copy = collection_copy(f"sanity-{core}", collections, left_out())
    python = python_version(venv)
    command = ["sanity", "--local", "--python", python, "--color", "no", *options]
    done = subprocess.run(
        [venv / "bin" / "ansible-test", *command],
        cwd=copy,
        env=ansible_test_environment(venv, f"sanity-{core}"),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return f"ansible-core {core}, Python {python}", done.returncode, done.stdout


def _show(what: str, code: int, output: str) -> int:
    # What counts is what was found; a list of the tests that ran would hide it.
    shown = output if code else "\n".join(_warnings(output))
    verdict = "ok" if code == 0 else "FAILED"
    print("\n".join(line for line in (what, shown.strip(), verdict) if line), flush=True)
    return code


def _warnings(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("WARNING") and "locale" not in line]


def _core(venv: Path) -> str:
    done = subprocess.run([venv / "bin" / "python", "-c", PROBE], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    given = list(arguments)
    place = given.index("--") if "--" in given else len(given)
    return given[:place], given[place + 1 :]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
