# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the unit tests detect faults that are seeded into the policy evaluator.

Usage: python tests/mutation/run.py [--jobs N] [NAME ...]

The faults are seeded into a copy in a temporary folder. The exit code is 1 if the tests do not detect a fault, if they fail
without a fault, or if the text of a fault does not occur exactly once in its file. NAME selects the faults whose name contains
it. The default is every sixth fault, and with MUTATION=all in the environment every fault.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
POLICY = Path("plugins/module_utils/_policy")
# The policy evaluator imports this package.
FINDINGS = Path("plugins/module_utils/_findings")
TESTS = Path("tests/unit/plugins/module_utils/_policy")
# Files with quick tests are first, so that they detect most faults early. Property tests and hostile documents take too long.
FILES = (
    *("test_conditions.py", "test_match.py", "test_trust.py"),
    *("test_permissions.py", "test_chain.py", "test_unknown_values.py"),
    *("test_storable.py", "test_explanation.py", "test_repairs.py"),
)
# By the beginning of a fault's path: the tests that detect most faults in this part of the evaluator, and therefore run first.
NEAR = {
    "evaluation/": "test_unknown_values.py",
    "grammar/": "test_storable.py",
    "permissions/explanation": "test_explanation.py",
    "trust/check": "test_chain.py",
    "trust/": "test_repairs.py",
}
LIMIT = 300
# By default, seed one in this number of faults.
SHARE = 6


def prepare(folder: Path) -> Path:
    """Copy the evaluator, and the package of findings that it imports, into a new collection below ``folder``, and its tests into
    ``folder/tests``. Return the path of the collection.
    """
    collection = folder / "ansible_collections" / "workload_identity" / "aws"
    for source, target in (
        (POLICY, collection / POLICY),
        (FINDINGS, collection / FINDINGS),
        (TESTS, folder / "tests"),
    ):
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    return collection


def in_order(fault: Fault | None) -> list[str]:
    """Return the test files. If NEAR has a file for the part of the evaluator with the fault, this file is the first."""
    near = next((name for start, name in NEAR.items() if fault and fault.file.startswith(start)), None)
    return sorted(FILES, key=lambda name: name != near)


def detects(fault: Fault | None, collection: Path, folder: Path) -> bool:
    """Seed a fault, run the tests, and return whether they fail or time out. If ``fault`` is None, test the correct evaluator."""
    path = collection / POLICY / fault.file if fault else None
    original = path.read_text() if path else ""
    if path and fault:
        path.write_text(original.replace(fault.correct, fault.faulty))
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--import-mode=importlib"]
    try:
        ended = subprocess.run(
            [*command, "--rootdir", str(folder), *(str(folder / "tests" / name) for name in in_order(fault))],
            env=environment,
            cwd=folder,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        if path:
            path.write_text(original)
    if fault is None and ended.returncode:
        sys.stdout.write(ended.stdout.decode(errors="replace"))
    return ended.returncode != 0


def find_misfits(faults: list[Fault]) -> list[str]:
    """Return a message for each fault whose text ``correct`` does not occur exactly once in its file."""
    wrong = []
    for fault in faults:
        count = (ROOT / POLICY / fault.file).read_text().count(fault.correct)
        if count != 1:
            wrong.append(f"{fault.name}: its text occurs {count} times in {fault.file}")
    return wrong


def work(faults: list[Fault]) -> list[Fault]:
    """Seed the faults one after the other in a separate copy. Return the faults that the tests do not detect."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        collection = prepare(folder)
        undetected = []
        for fault in faults:
            found = detects(fault, collection, folder)
            print(f"{'detected  ' if found else 'UNDETECTED'}  {fault.file}: {fault.name}", flush=True)
            if not found:
                undetected.append(fault)
        return undetected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    chosen = [f for f in FAULTS if not options.names or any(name in f.name for name in options.names)]
    wrong = find_misfits(chosen)
    if not options.names and os.environ.get("MUTATION") != "all":
        chosen = chosen[::SHARE]
    if wrong:
        print("\n".join(wrong))
        return 1
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        if detects(None, prepare(Path(name)), Path(name)):
            print("The tests fail without a fault.")
            return 1
    shares = [chosen[start :: options.jobs] for start in range(options.jobs)]
    with ThreadPoolExecutor(options.jobs) as pool:
        undetected = [fault for share in pool.map(work, shares) for fault in share]
    print(f"{len(chosen) - len(undetected)} of {len(chosen)} faults detected")
    return 1 if undetected else 0


if __name__ == "__main__":
    sys.exit(main())
