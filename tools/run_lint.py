# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all linters, even if one of them fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COLLECTION = "ansible_collections.workload_identity.aws.plugins"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    (
        "mypy",
        *(
            part
            for name in ("module_utils", "plugin_utils", "modules", "lookup", "action", "inventory")
            for part in ("-p", f"{COLLECTION}.{name}")
        ),
    ),
    ("mypy", "--python-version", "3.11", "-p", "sandbox"),
    ("mypy", "--python-version", "3.11", "tools", "benchmarks"),
    ("yamllint", "-s", "."),
    ("ansible-lint", "--profile", "production", "--offline", "-q"),
    ("antsibull-changelog", "lint"),
    ("reuse", "lint", "--lines"),
    ("python", "tools/lint_words.py"),
)


def main() -> int:
    env = {
        **os.environ,
        "MYPYPATH": ".collections:sandbox/src:tools:benchmarks",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    failed = []
    for command in COMMANDS:
        command_line = " ".join(command)
        done = subprocess.run(
            [BIN / command[0], *command[1:]], cwd=ROOT, env=env, check=False, capture_output=True, text=True
        )
        print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {command_line}", flush=True)
        if done.returncode:
            print(done.stdout + done.stderr)
            failed.append(command_line)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
