# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the sandbox command in a separate process.

SANDBOX_PYTHON is the path of the Python interpreter; the default is the interpreter in .venv-sandbox of this repository.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox.launch import start_mark

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120

Sandbox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def sandbox_python() -> str:
    python = os.environ.get("SANDBOX_PYTHON") or str(REPOSITORY / ".venv-sandbox/bin/python")
    assert Path(python).exists(), f"{python} is missing; run `make setup` or set SANDBOX_PYTHON"
    return python


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment without variables that select a backend, and with a TMPDIR for this test."""
    prefixes = ("AWS_", "KUBE", "K8S_", "SANDBOX_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return {
        **environment,
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(REPOSITORY / "sandbox/src"),
    }


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start_sandbox(
    sandbox_python: str, clean_environment: dict[str, str], state_folder: Path, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts the sandbox command with the state folder of the test.

    The keyword arguments of the function are environment variables.
    """

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sandbox_python, "-P", "-m", "sandbox.cli", *arguments],
            cwd=tmp_path,
            env={**clean_environment, "SANDBOX_STATE": str(state_folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def sandbox(start_sandbox: Callable[..., subprocess.Popen[str]], state_folder: Path) -> Iterator[Sandbox]:
    """Return a function that runs the sandbox command to its end. Stop the sandbox after the test."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = start_sandbox(*arguments, **variables)
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    yield run
    if state_folder.exists():
        run("down")


@pytest.fixture
def pids(state_folder: Path) -> Callable[[], dict[str, int]]:
    """Return a function that reads the process IDs of the servers from the state folder, by the name of the server."""

    def read() -> dict[str, int]:
        records = (state_folder / "processes").glob("*.json")
        return {path.stem: int(json.loads(path.read_text())["pid"]) for path in records}

    return read


@pytest.fixture
def running_processes(tmp_path: Path) -> Callable[[], list[str]]:
    """Return a function that finds the processes of this test, and returns the command line of each."""

    def running() -> list[str]:
        commands = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                directory = os.readlink(folder / "cwd")
            except OSError:
                continue
            related = str(tmp_path) in command or directory.startswith(str(tmp_path))
            if related and start_mark(int(folder.name)) and int(folder.name) != os.getpid():
                commands.append(command)
        return commands

    def read() -> list[str]:
        end = time.monotonic() + 10
        # The command line of a process that is ending is empty. Wait until the process has ended.
        while "" in (commands := running()) and time.monotonic() < end:
            time.sleep(0.05)
        return commands

    return read


@pytest.fixture
def report(sandbox: Sandbox) -> Callable[[], dict[str, Any]]:
    """Return a function that runs `sandbox status --json`, and returns the parsed output."""

    def read() -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(sandbox("status", "--json").stdout)
        return loaded

    return read
