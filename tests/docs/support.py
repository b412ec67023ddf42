# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers that the tests of the documentation share: pages, code blocks, sandboxes, and copies of the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sandbox.client import reset, running

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
SANDBOX = ROOT / ".venv-sandbox" / "bin" / "sandbox"
COLLECTIONS = ROOT / ".collections"
DEPENDENCIES = ("amazon", "kubernetes")
_IGNORED = {".venv", ".collections", ".cache", "build", "dist", ".sandbox", "node_modules"}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block of a page. ``line`` is the line number of its first line of text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every Markdown page of the project, except pages in hidden folders, dependencies and build output."""
    found = []
    for page in sorted(ROOT.rglob("*.md")):
        parts = page.relative_to(ROOT).parts
        if not any(part in _IGNORED or part.startswith(".") for part in parts[:-1]):
            found.append(page)
    return found


def blocks(page: Path, language: str) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        if match.group(1) == language:
            line = text.count("\n", 0, match.start()) + 2
            yield Block(page, line, language, match.group(2))


def all_blocks(language: str) -> list[Block]:
    return [block for page in pages() for block in blocks(page, language)]


def commands(page: Path) -> list[str]:
    """Return the commands in all bash blocks of a page. A command that continues after a backslash is one line."""
    lines = []
    for block in blocks(page, "bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                lines.append(line.strip())
    return lines


def environment(*collections: Path, home: Path) -> dict[str, str]:
    """Return environment variables with which Ansible finds these collections, without other ANSIBLE_ and AWS_ variables."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "AWS_"))}
    return {
        **inherited,
        "PATH": f"{BIN}{os.pathsep}{inherited['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(str(path) for path in collections),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }


def run(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and capture its standard output and standard error together."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(env),
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )


def copy_checkout(target: Path) -> None:
    """Copy the files that a clone would have: every file that git does not ignore."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        source = ROOT / name
        if source.is_file():
            destination = target / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, destination)


def link_dependencies(root: Path) -> None:
    """Create a collections path that has the dependencies of this collection, but not this collection."""
    for namespace in DEPENDENCIES:
        link = root / "ansible_collections" / namespace
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(COLLECTIONS / "ansible_collections" / namespace, target_is_directory=True)


class Sandbox:
    """A sandbox, in which the tests run commands. After ``up``, ``variables`` is the environment of its commands."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.variables: dict[str, str] = {}
        self._stack = ExitStack()

    def up(self, *options: str) -> None:
        self.variables = self._stack.enter_context(running(SANDBOX, *options, env=self.env))

    def down(self) -> None:
        self._stack.close()

    def create_user(self, folder: Path, script: str, setup: object) -> dict[str, str]:
        """Run a script that creates a user, and return the environment variables of the user's credentials.

        The script reads ``setup`` as JSON from standard input, and prints the variables as JSON in a line that begins with KEY.
        """
        (folder / "setup.json").write_text(json.dumps(setup), encoding="utf-8")
        (folder / "set_up.py").write_text(script, encoding="utf-8")
        done = self.run("bash", "-ec", f"{BIN}/python set_up.py <setup.json", cwd=folder)
        assert done.returncode == 0, done.stdout
        [line] = [line for line in done.stdout.splitlines() if line.startswith("KEY ")]
        key: dict[str, str] = json.loads(line.removeprefix("KEY "))
        return key

    def reset(self) -> None:
        reset(self.variables)

    def run(
        self, *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with the environment variables of the sandbox. The variables in ``env`` override them."""
        return run(command, cwd, {**self.variables, **(env or {})})
