# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the time and the memory of a command, including its child processes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of a command and its child processes.

    ``wall`` and ``cpu`` (user and system) are in seconds. ``memory`` is the peak of the largest process, in MB.
    """

    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. ``count`` is the number of workloads or verdicts, as text. A field that was not measured is None."""

    name: str
    count: str
    latency: int | None
    wall: float | None = None
    cpu: float | None = None
    memory: float | None = None
    aws: int | None = None
    kubernetes: int | None = None

    def cells(self) -> list[str]:
        """Return the cells, with "" for a field that was not measured."""
        seconds = ("" if value is None else _seconds(value) for value in (self.wall, self.cpu))
        rest = (self.memory, self.aws, self.kubernetes)
        latency = "" if self.latency is None else str(self.latency)
        return [
            self.name,
            self.count,
            latency,
            *seconds,
            *("" if value is None else f"{value:.0f}" for value in rest),
        ]


HEAD = ("measurement", "N", "ms a request", "wall s", "CPU s", "MB", "AWS requests", "Kubernetes requests")


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


class CommandFailed(Exception):
    """The error for a measured command that failed."""


def measure(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> Measured:
    """Run a command and measure it.

    :raises CommandFailed: when the command fails. The message has the last 3000 characters of the output.
    """
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
        _pid, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        command_line = " ".join(map(str, command))
        raise CommandFailed(f"{command_line} ended with {process.returncode}:\n{text[-3000:]}")
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
