# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the Molecule scenarios on a new sandbox.

Usage: python tools/run_molecule.py [OPTIONS OF MOLECULE TEST]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
SANDBOX = ROOT / ".venv-sandbox" / "bin" / "sandbox"


def main(arguments: list[str]) -> int:
    # Molecule records in its state folder that the instance is prepared. Use a new folder, because a new sandbox needs the
    # preparation again.
    with tempfile.TemporaryDirectory(prefix="molecule-") as state:
        return run(arguments, state)


def run(arguments: list[str], state: str) -> int:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": state,
        "XDG_CACHE_HOME": state,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    options = arguments or ["--all"]
    command: list[str | Path] = [SANDBOX, "run", "--", BIN / "molecule", "test", *options]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
