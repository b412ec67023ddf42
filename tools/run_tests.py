# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks one after the other, each whole, and sum up: python tools/run_tests.py CHECK ..."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(checks: list[str]) -> int:
    results: list[tuple[str, int, float]] = []
    for check in checks:
        print(f"\n=== {check}", flush=True)
        started = time.monotonic()
        code = subprocess.run(["make", "--no-print-directory", check], cwd=ROOT, check=False).returncode
        results.append((check, code, time.monotonic() - started))
    print("\n=== summary")
    for check, code, seconds in results:
        print(f"{'ok    ' if code == 0 else 'FAILED'} {check} ({seconds:.0f} s)")
    failed = sum(code != 0 for _, code, _ in results)
    print(f"\n{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
