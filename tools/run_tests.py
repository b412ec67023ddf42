# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks one after the other, each whole, and sum up: python tools/run_tests.py CHECK ..."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(checks: list[str]) -> int:
    results: list[tuple[str, int, float, float]] = []
    for check in checks:
        print(f"\n=== {check}", flush=True)
        started, used = time.monotonic(), _cpu_seconds()
        code = subprocess.run(["make", "--no-print-directory", check], cwd=ROOT, check=False).returncode
        results.append((check, code, time.monotonic() - started, _cpu_seconds() - used))
    print("\n=== summary")
    for check, code, seconds, cpu in results:
        print(f"{'ok    ' if code == 0 else 'FAILED'} {check} ({seconds:.0f} s, {cpu:.0f} s of CPU)")
    failed = sum(code != 0 for _, code, _, _ in results)
    print(f"\n{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
