# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start processes, recognise them later by their identity, and stop them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import launch

STOP_GRACE_SECONDS = 8.0
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The identity of a process: its ID and its start, because a later process may get the same ID."""

    pid: int
    started: str

    @classmethod
    def find(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the process with this ID, or None if no such process runs."""
        started = launch.start_mark(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def read(cls, path: Path) -> ProcessIdentity | None:
        """Read an identity from a file. Return None if the file is missing or invalid."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(record["pid"]), str(record["started"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"pid": self.pid, "started": self.started}), encoding="utf-8")

    def is_alive(self) -> bool:
        return launch.start_mark(self.pid) == self.started

    def send(self, signal_number: int) -> bool:
        """Send a signal to the process. Return False if it has ended.

        On Linux, a pidfd is opened before the identity is checked. So the signal cannot reach another process that gets
        the same ID in between.
        """
        try:
            if hasattr(os, "pidfd_open"):
                descriptor = os.pidfd_open(self.pid)
                try:
                    if not self.is_alive():
                        return False
                    signal.pidfd_send_signal(descriptor, signal_number)
                finally:
                    os.close(descriptor)
            else:
                if not self.is_alive():
                    return False
                os.kill(self.pid, signal_number)
        except ProcessLookupError:
            return False
        return True

    def wait_for_exit(self, seconds: float) -> bool:
        """Wait until the process has ended. Return False if it still runs after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


def stop(processes: Sequence[ProcessIdentity], grace: float = STOP_GRACE_SECONDS) -> None:
    """Send SIGTERM to all processes, and SIGKILL to the processes that still run after ``grace`` seconds."""
    signaled = [process for process in processes if process.send(signal.SIGTERM)]
    deadline = time.monotonic() + grace
    for process in signaled:
        if not process.wait_for_exit(deadline - time.monotonic()):
            process.send(signal.SIGKILL)
            process.wait_for_exit(grace)


def spawn_server(
    command: Sequence[str],
    *,
    record: Path,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
    die_with_parent: bool,
) -> subprocess.Popen[bytes]:
    """Start a server in a new session, with its output in a log file.

    ``record`` is the file for the identity of the process. With ``die_with_parent``, the kernel kills the server when
    this process dies (Linux). Call this function in the main thread: the kernel also kills the server when the calling
    thread ends.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_launcher(str(record), signal.SIGKILL if die_with_parent else None), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )


def spawn_command(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command of the user on this terminal. It gets SIGTERM when this process dies (Linux)."""
    return subprocess.Popen([*_launcher("-", signal.SIGTERM), *command], env=dict(environment))


def _launcher(record: str, death_signal: signal.Signals | None) -> list[str]:
    script = str(Path(launch.__file__).resolve())
    return [sys.executable, "-I", "-S", script, record, str(os.getpid()), str(int(death_signal or 0))]
