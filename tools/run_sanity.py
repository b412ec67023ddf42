# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity: python tools/run_sanity.py [CORE ...] [-- OPTIONS OF ANSIBLE-TEST]

CORE is a version of ansible-core, such as 2.16. The default is the newest version without pylint, because ruff and the unit tests
find most of its errors sooner. With SANITY=all in the environment it is every installed version with all tests. At most as many
versions run at the same time as there are processors.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from run_support import ROOT, ansible_test_environment, collection_copy, python_version

# Files to leave out of the copy for ansible-test, because the built collection does not have them.
EXCLUDED = (".ci", "Makefile", "benchmarks", "pyproject.toml", "requirements", "sandbox", "tools")
OWN_TESTS = ("config.yml", "integration", "sanity")
PROBE = "import ansible.release; print('.'.join(ansible.release.__version__.split('.')[:2]))"


def main(arguments: Sequence[str]) -> int:
    cores, options = _split(arguments)
    installed = available()
    missing = [core for core in cores if core not in installed]
    if missing:
        print(
            f"Not installed: ansible-core {', '.join(missing)}. Installed: {', '.join(installed)}. "
            "`python3 tools/setup.py matrix` installs the other versions, if a suitable Python exists.",
            file=sys.stderr,
        )
        return 2
    runs_all = os.environ.get("SANITY") == "all"
    chosen = cores or (list(installed) if runs_all else list(installed)[:1])
    if not (cores or options or runs_all):
        options = ["--skip-test", "pylint"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(run, core, *installed[core], options) for core in chosen]
        return max([_show(*future.result()) for future in runs])


def excluded_files() -> list[str]:
    tests = [f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if path.name not in OWN_TESTS]
    return [*EXCLUDED, *tests]


def available() -> dict[str, tuple[Path, Path]]:
    """Return the virtual environment and the collections folder of each installed ansible-core, by its version, newest first."""
    main_venv = ROOT / ".venv"
    found = {_core(main_venv): (main_venv, ROOT / ".collections")}
    for venv in sorted(ROOT.glob(".venv-2.*"), reverse=True):
        collections = ROOT / ".cache" / f"collections-{venv.name.removeprefix('.venv-')}"
        if (venv / "bin" / "ansible-test").exists() and collections.is_dir():
            found.setdefault(_core(venv), (venv, collections))
    return found


def run(core: str, venv: Path, collections: Path, options: Sequence[str]) -> tuple[str, int, str]:
    """Run ansible-test with a version of ansible-core.

    :arg venv: the virtual environment of this version.
    :arg collections: the folder with the collections that the tests need.
    :arg options: the options of ansible-test sanity.
    :returns: a description of the version, the exit code and the output.
    """
    copy = collection_copy(f"sanity-{core}", collections, excluded_files())
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


def _show(description: str, code: int, output: str) -> int:
    # After a success, print only the warnings, which are hard to find among the names of the passed tests.
    text = output if code else "\n".join(_warnings(output))
    verdict = "ok" if code == 0 else "FAILED"
    print("\n".join(line for line in (description, text.strip(), verdict) if line), flush=True)
    return code


def _warnings(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("WARNING") and "locale" not in line]


def _core(venv: Path) -> str:
    done = subprocess.run([venv / "bin" / "python", "-c", PROBE], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(arguments)
    index = words.index("--") if "--" in words else len(words)
    return words[:index], words[index + 1 :]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
