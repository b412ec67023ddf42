# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run several checks concurrently, and print a summary: python tools/run_tests.py [--at-once N] CHECK ...

CHECK is a target of the Makefile. Checks start in the order of the arguments. The output of a check is printed when it ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check: its exit code, the elapsed time in seconds, and the CPU seconds of all processes of the check."""

    name: str
    code: int
    seconds: float
    cpu: float

    def __str__(self) -> str:
        verdict = "ok    " if self.code == 0 else "FAILED"
        return f"{verdict} {self.name} ({self.seconds:.0f} s, {self.cpu:.0f} s of CPU)"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # Checks often wait for servers, so two more checks than processors can run at the same time.
    parser.add_argument("--at-once", type=int, default=(os.cpu_count() or 1) + 2)
    parser.add_argument("checks", nargs="+")
    options = parser.parse_args()
    started = time.monotonic()
    output_lock = threading.Lock()
    with ThreadPoolExecutor(options.at_once) as pool:
        results = list(pool.map(lambda name: _run(name, output_lock), options.checks))
    print("\n=== summary")
    for check in results:
        print(check)
    failed = [check.name for check in results if check.code != 0]
    print(
        f"\n{len(results) - len(failed)} passed, {len(failed)} failed, in {time.monotonic() - started:.0f} s"
    )
    for name in failed:
        print(f"`make {name}` runs it again.")
    return 1 if failed else 0


def _run(name: str, output_lock: threading.Lock) -> Check:
    with output_lock:
        print(f"... {name} started", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        # Concurrent checks already use all processors. So each check runs its tests in one process, which is the meaning of
        # WORKERS=0.
        command = ["make", "--no-print-directory", name, "WORKERS=0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        check = Check(name, process.returncode, time.monotonic() - started, used.ru_utime + used.ru_stime)
        with output_lock:
            _show(check, output)
    return check


def _show(check: Check, output: IO[str]) -> None:
    output.seek(0)
    print(f"\n=== {check.name}")
    for line in output:
        print(line, end="")
    print(check, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
