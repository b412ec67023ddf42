# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test `make demo` without one of its prerequisites: it fails before its first download, and names the prerequisite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.release

NO_PYTHON = (
    "python3 is missing or too old. Install Python 3.11 or newer. Debian: apt-get install python3 python3-venv; "
    "Red Hat: dnf install python3.12, then make PYTHON=python3.12."
)
NO_VENV = (
    "[setup] failed: no Python from 3.11 to 3.14 with the modules venv and ensurepip was found. Install one and run make "
    "again. Debian: apt-get install python3-venv; Red Hat: dnf install python3.12."
)
NO_GIT = "[setup] failed: git was not found. The checks read the list of files from it; make demo works without it."


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a folder with the files that `make demo` uses before its first download.

    Its folder bin, for PATH, contains only make and a shell.
    """
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "tools" / "setup.py", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    for name in ("make", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def refused(checkout: Path, target: str, **env: str) -> str:
    """Run make without a home folder, which must fail. Return the first line of standard error."""
    done = subprocess.run(
        [checkout / "bin" / "make", target],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), **env},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert list(checkout.glob(".venv*")) == []
    return done.stderr.splitlines()[0]


def add_python(checkout: Path, program: str = sys.executable) -> None:
    """Add a command python3 that runs ``program``. The program ``false`` fails, as a Python that is too old would."""
    python = checkout / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec {program} "$@"\n', encoding="utf-8")
    python.chmod(0o755)


def test_names_missing_or_old_python(checkout: Path) -> None:
    assert refused(checkout, "demo") == NO_PYTHON
    add_python(checkout, "false")
    assert refused(checkout, "demo") == NO_PYTHON


def test_names_missing_modules(checkout: Path) -> None:
    """Use a Python without ensurepip: on Debian, this module is in a separate package."""
    add_python(checkout)
    (checkout / "modules").mkdir()
    (checkout / "modules" / "ensurepip.py").write_text("raise ImportError\n", encoding="utf-8")
    assert refused(checkout, "demo", PYTHONPATH=str(checkout / "modules")) == NO_VENV


def test_names_missing_git(checkout: Path) -> None:
    add_python(checkout)
    assert refused(checkout, "lint") == NO_GIT
