# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the unit tests notice seeded faults in the policy evaluator.

Usage: python tests/mutation/run.py [--jobs N] [NAME ...]

Works on a copy in a temporary folder; this tree is only read. Exits with 1 when a fault goes
unnoticed, or no longer fits the code. NAME picks the faults whose name contains it. Without one, every third
fault is made, and with MUTATION=all each of them; all of them must fit the code either way.
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
# What the evaluator needs beside itself.
FINDINGS = Path("plugins/module_utils/_findings")
TESTS = Path("tests/unit/plugins/module_utils/_policy")
# The quick tables first, so that most faults are noticed early; properties and hostile documents
# are left out for their time.
FILES = (
    *("test_conditions.py", "test_match.py", "test_words.py", "test_trust.py"),
    *("test_permissions.py", "test_chain.py", "test_unknown_values.py"),
    *("test_storable.py", "test_explanation.py", "test_who_can.py", "test_repairs.py"),
)
# The table that most faults of a file are noticed by, to be asked before the others.
NEAR = {
    "evaluation/": "test_unknown_values.py",
    "grammar/": "test_storable.py",
    "language/words": "test_words.py",
    "permissions/explanation": "test_explanation.py",
    "trust/check": "test_chain.py",
    "trust/": "test_repairs.py",
}
LIMIT = 300
# Of how many faults one is made when nothing else is asked for.
SHARE = 3


def prepare(folder: Path) -> Path:
    """A collection tree with what the tests import, in which faults can be made."""
    collection = folder / "ansible_collections" / "workload_identity" / "aws"
    for source, target in (
        (POLICY, collection / POLICY),
        (FINDINGS, collection / FINDINGS),
        (TESTS, folder / "tests"),
    ):
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    return collection


def in_order(fault: Fault | None) -> list[str]:
    """The files of tests, the nearest to the fault first."""
    near = next((name for start, name in NEAR.items() if fault and fault.file.startswith(start)), None)
    return sorted(FILES, key=lambda name: name != near)


def notices(fault: Fault | None, collection: Path, folder: Path) -> bool:
    """Whether the tests fail with the fault in place."""
    path = collection / POLICY / fault.file if fault else None
    good = path.read_text() if path else ""
    if path and fault:
        path.write_text(good.replace(fault.before, fault.after))
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
            path.write_text(good)
    if fault is None and ended.returncode:
        sys.stdout.write(ended.stdout.decode(errors="replace"))
    return ended.returncode != 0


def misfits(faults: list[Fault]) -> list[str]:
    """Faults whose text does not stand in its file exactly once."""
    wrong = []
    for fault in faults:
        count = (ROOT / POLICY / fault.file).read_text().count(fault.before)
        if count != 1:
            wrong.append(f"{fault.name}: its text stands {count} times in {fault.file}")
    return wrong


def work(faults: list[Fault]) -> list[Fault]:
    """The faults of a share that go unnoticed, in a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        collection = prepare(folder)
        unnoticed = []
        for fault in faults:
            seen = notices(fault, collection, folder)
            print(f"{'noticed ' if seen else 'UNNOTICED'}  {fault.file}: {fault.name}", flush=True)
            if not seen:
                unnoticed.append(fault)
        return unnoticed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    chosen = [f for f in FAULTS if not options.names or any(name in f.name for name in options.names)]
    wrong = misfits(chosen)
    if not options.names and os.environ.get("MUTATION") != "all":
        chosen = chosen[::SHARE]
    if wrong:
        print("\n".join(wrong))
        return 1
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        if notices(None, prepare(Path(name)), Path(name)):
            print("The tests fail without any fault.")
            return 1
    shares = [chosen[start :: options.jobs] for start in range(options.jobs)]
    with ThreadPoolExecutor(options.jobs) as pool:
        unnoticed = [fault for share in pool.map(work, shares) for fault in share]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} faults noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
