# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare to run ansible-test: a copy of the collection, and a home directory.

ansible-test runs only inside a folder ``…/ansible_collections/<namespace>/<name>`` with other collections next to it. It
passes only a few environment variables on to tests, so settings of pip must be in the home directory.
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
# The files and folders in a home directory that may contain settings of pip.
PIP_SETTINGS = (".config", ".pip", ".netrc", ".cache")
GET_PIP_HOST = "ci-files.testing.ansible.com"
CONNECT_SECONDS = 3
GET_PIP = """\
# A replacement for get-pip.py, which cannot be downloaded. It installs the pip that Python includes.
import ensurepip

ensurepip.bootstrap(default_pip=True)
"""


def project_files() -> list[str]:
    """Return the paths of all files of the project, including files that are not in git yet. Ignored files are left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file())


def collection_copy(name: str, dependencies: Path, excluded: Iterable[str] = ()) -> Path:
    """Create a copy of the collection under ``build/<name>``, and return its path. An older copy is deleted.

    :arg dependencies: a folder that contains ``ansible_collections`` with the dependencies, to which the copy links.
    :arg excluded: folders and files to leave out.
    """
    root = BUILD / name / "ansible_collections"
    shutil.rmtree(root, ignore_errors=True)
    copy = root / "workload_identity" / "aws"
    skipped = frozenset(excluded)
    for file in project_files():
        if not skipped.isdisjoint((file, *map(str, Path(file).parents))):
            continue
        target = copy / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, target)
    # ansible-test lists files with git, and the repository of the project ignores build/. So the copy needs a repository.
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    for namespace in DEPENDENCIES:
        (root / namespace).symlink_to(dependencies / "ansible_collections" / namespace)
    return copy


def ansible_test_environment(venv: Path, lane: str) -> Mapping[str, str]:
    """Return the environment variables for ansible-test, with a separate home directory.

    :arg lane: the name of the home directory. Concurrent runs need different home directories, because ansible-test creates
        an SSH key pair there.
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
    """Return the version of Python in a virtual environment, such as "3.13"."""
    probe = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    done = subprocess.run([venv / "bin" / "python", "-c", probe], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _provide_get_pip(venv: Path, home: Path) -> None:
    """Write a replacement for get-pip.py into the cache of ansible-test, if ansible-test could not download the original."""
    cache = home / ".ansible" / "test" / "cache"
    source = next(venv.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"))
    versions = set(re.findall(r"\bpip=['\"]([\d.]+)['\"]", source.read_text(encoding="utf-8")))
    missing = [
        path
        for version in versions
        if not (path := cache / f"get_pip_{version.replace('.', '_')}.py").exists()
    ]
    if not missing or reachable(GET_PIP_HOST):
        return
    cache.mkdir(parents=True, exist_ok=True)
    for path in missing:
        path.write_text(GET_PIP, encoding="utf-8")


def reachable(host: str) -> bool:
    """Return whether a host accepts connections."""
    try:
        with socket.create_connection((host, 443), CONNECT_SECONDS):
            return True
    except OSError:
        return False
