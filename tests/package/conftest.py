# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection, install it into an empty folder as a user would, and start a sandbox for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from sandbox.client import reset, running

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
SANDBOX = ROOT / ".venv-sandbox" / "bin" / "sandbox"
SUPPORTED = ("2.16", "2.17", "2.18", "2.19", "2.20", "newest")
# By default, use only the newest ansible-core.
CORES = SUPPORTED if os.environ.get("CORES") == "all" else SUPPORTED[-1:]
DEPENDENCIES = ("amazon", "kubernetes")


def clean_environment() -> dict[str, str]:
    """Return the environment variables without settings of Ansible, which the developer's shell or the Makefile may have set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}


def run(command: Sequence[object], env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed. If it fails, raise AssertionError with its output."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=dict(env), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarball")
    build = [VENV / "bin" / "ansible-galaxy", "collection", "build", "--output-path", folder]
    run(build, clean_environment(), ROOT)
    found = list(folder.glob("*.tar.gz"))
    assert [path.name for path in found] == ["workload_identity-aws-1.0.0.tar.gz"]
    return found[0]


def install(tarball: Path, folder: Path, venv: Path, collections: Path) -> dict[str, str]:
    """Install the collection into an empty folder. Return the environment variables with which Ansible finds it.

    The dependencies are in a second folder, which these variables also name.
    """
    dependencies = folder / "dependencies" / "ansible_collections"
    dependencies.mkdir(parents=True)
    for namespace in DEPENDENCIES:
        (dependencies / namespace).symlink_to(collections / "ansible_collections" / namespace)
    environment = clean_environment()
    environment["ANSIBLE_COLLECTIONS_PATH"] = f"{folder / 'installed'}:{dependencies.parent}"
    environment["ANSIBLE_HOME"] = str(folder / "home")
    # --offline prevents downloads from Galaxy. The working directory is not this checkout, so Ansible cannot use the checkout.
    command = ["collection", "install", tarball, "-p", folder / "installed", "--offline"]
    run([venv / "bin" / "ansible-galaxy", *command], environment, folder)
    return environment


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return install(tarball, tmp_path_factory.mktemp("newest"), VENV, ROOT / ".collections")


@pytest.fixture(scope="session")
def cores(
    tarball: Path, installed: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Path, Mapping[str, str]]]:
    """Install the collection for each version in CORES that has a virtual environment. Return this virtual environment and the
    environment variables, by version."""
    found: dict[str, tuple[Path, Mapping[str, str]]] = {"newest": (VENV, installed)}
    for core in CORES[:-1]:
        venv = ROOT / f".venv-{core}"
        if venv.exists():
            collections = ROOT / ".cache" / f"collections-{core}"
            found[core] = (venv, install(tarball, tmp_path_factory.mktemp("core"), venv, collections))
    return found


@contextlib.contextmanager
def new_sandbox(*options: str) -> Iterator[Mapping[str, str]]:
    """Run a new sandbox. Yield its environment variables."""
    with running(SANDBOX, *options, env=clean_environment()) as variables:
        yield {name: value for name, value in variables.items() if os.environ.get(name) != value}


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Mapping[str, str]]:
    """Run a sandbox. Yield its environment variables."""
    with new_sandbox() as variables:
        yield variables


@pytest.fixture
def sandbox(running_sandbox: Mapping[str, str]) -> Mapping[str, str]:
    """Reset the sandbox. Return its environment variables."""
    reset(running_sandbox)
    return running_sandbox


@pytest.fixture
def short() -> Iterator[Path]:
    """Create a folder with a short path. ansible-runner creates a socket in it, and the path of a socket must be short."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)
