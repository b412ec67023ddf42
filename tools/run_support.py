# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runners of ansible-test share: a copy of the collection where it wants one, and its home.

ansible-test runs only inside ``…/ansible_collections/<namespace>/<name>`` with the dependencies
beside it, and passes hardly any environment variable on.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
HOME = ROOT / ".cache" / "ansible-test"
DEPENDENCIES = ("amazon", "kubernetes")
# What a user's pip may read for its settings.
PIP_SETTINGS = (".config", ".pip", ".netrc", ".cache")
GET_PIP_HOST = "ci-files.testing.ansible.com"
CONNECT_SECONDS = 3
GET_PIP = """\
# Stands in for get-pip.py, which cannot be fetched here: installs the pip that Python brings.
import ensurepip

ensurepip.bootstrap(default_pip=True)
"""


def project_files() -> list[str]:
    """Paths of all files that belong to the project, in git or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def collection_copy(name: str, dependencies: Path, left_out: Iterable[str] = ()) -> Path:
    """A fresh copy under ``build/<name>`` with the dependencies of a collections root beside it.

    ``left_out`` names folders and files that are not copied.
    """
    root = BUILD / name / "ansible_collections"
    shutil.rmtree(root, ignore_errors=True)
    copy = root / "workload_identity" / "aws"
    skipped = frozenset(left_out)
    for file in project_files():
        if not skipped.isdisjoint((file, *map(str, Path(file).parents))):
            continue
        target = copy / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, target)
    # ansible-test asks git for the files; without this it would ask the project's, which ignores build/.
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    for namespace in DEPENDENCIES:
        (root / namespace).symlink_to(dependencies / "ansible_collections" / namespace)
    return copy


def ansible_test_environment(venv: Path, lane: str) -> Mapping[str, str]:
    """Variables under which the ansible-test of an environment finds itself, and a home of its own.

    Runs at the same time need a ``lane`` each: a new home gets a key pair, which two would write at once.
    """
    home = HOME / lane
    home.mkdir(parents=True, exist_ok=True)
    for name in PIP_SETTINGS:
        present, link = Path.home() / name, home / name
        if present.exists() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(present)
    _provide_get_pip(venv, home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["HOME"] = str(home)
    environment["PATH"] = f"{venv / 'bin'}{os.pathsep}{environment['PATH']}"
    return environment


def python_version(venv: Path) -> str:
    """Like "3.13"."""
    probe = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    done = subprocess.run([venv / "bin" / "python", "-c", probe], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _provide_get_pip(venv: Path, home: Path) -> None:
    """Put a stand-in where ansible-test keeps get-pip.py, unless it can fetch the real one."""
    cache = home / ".ansible" / "test" / "cache"
    source = next(venv.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"))
    versions = set(re.findall(r"\bpip=['\"]([\d.]+)['\"]", source.read_text(encoding="utf-8")))
    missing = [
        path
        for version in versions
        if not (path := cache / f"get_pip_{version.replace('.', '_')}.py").exists()
    ]
    if not missing or _reachable(GET_PIP_HOST):
        return
    cache.mkdir(parents=True, exist_ok=True)
    for path in missing:
        path.write_text(GET_PIP, encoding="utf-8")


def _reachable(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), CONNECT_SECONDS):
            return True
    except OSError:
        return False
