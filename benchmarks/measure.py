# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One command measured as a whole: its process and everything that it starts."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """``wall`` and ``cpu`` (user and system, children included) in seconds, ``memory`` the peak in MB
    of the proportional set size of the process tree, ``tasks`` the Ansible tasks that ran."""

    wall: float
    cpu: float
    memory: float
    tasks: int
    output: str


class CommandFailed(Exception):
    """What was to be measured did not end well."""


def measure(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> Measured:
    """Run a command to its end. CommandFailed with the end of its output when it fails."""
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        peak = _Peak(process.pid)
        peak.start()
        _pid, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        peak.stop()
        output.seek(0)
        text = output.read()
    if process.returncode:
        shown = " ".join(map(str, command))
        raise CommandFailed(f"{shown} ended with {process.returncode}:\n{text[-3000:]}")
    return Measured(wall, used.ru_utime + used.ru_stime, peak.megabytes, tasks_run(text), text)


def tasks_run(output: str) -> int:
    """How many tasks of a playbook's output did something, rather than being skipped."""
    blocks = re.split(r"^TASK \[", output, flags=re.MULTILINE)[1:]
    return sum(not re.search(r"^skipping: ", block, flags=re.MULTILINE) for block in blocks)


class _Peak(threading.Thread):
    """Looks at the memory of a process tree again and again."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0
        self._root = root
        self._ended = threading.Event()

    def run(self) -> None:
        while True:
            kilobytes = sum(map(_pss, _tree(self._root)))
            self.megabytes = max(self.megabytes, kilobytes / 1024)
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(root: int) -> set[int]:
    """A process and its descendants, those included that have moved to another session."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, ())
    return found


def _parent(process: Path) -> int | None:
    try:
        # The name in brackets may itself hold brackets and spaces.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _pss(pid: int) -> int:
    """Proportional set size in kB: shared pages count by share, so that a sum counts them once."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
