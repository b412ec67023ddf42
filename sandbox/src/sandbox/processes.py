# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, recognise and stop processes, and never touch one that is not ours."""

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
    """A process ID together with when it started, so that a reused ID is not mistaken for it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        started = launch.start_mark(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def read(cls, path: Path) -> ProcessIdentity | None:
        """The identity recorded in ``path``; None when the file is missing or makes no sense."""
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
        """Send a signal to this very process; False when it is gone.

        A pidfd is opened before the identity is checked, so the ID cannot be reused in between.
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

    def wait_gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


def stop(processes: Sequence[ProcessIdentity], grace: float = STOP_GRACE_SECONDS) -> None:
    """Ask all of them to end, give them ``grace`` seconds together, then end them."""
    asked = [process for process in processes if process.send(signal.SIGTERM)]
    deadline = time.monotonic() + grace
    for process in asked:
        if not process.wait_gone(deadline - time.monotonic()):
            process.send(signal.SIGKILL)
            process.wait_gone(grace)


def spawn_server(
    command: Sequence[str],
    *,
    record: Path,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
    tied_to_us: bool,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, run in ``folder``, output in ``log``.

    ``tied_to_us``: the kernel ends it when the calling process dies (Linux); otherwise only until it
    has recorded itself. Must be called from the main thread, since the kernel watches the thread that
    started it.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_launcher(str(record), signal.SIGKILL if tied_to_us else None), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )


def spawn_command(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the user's command on our terminal; it is asked to end when we die."""
    return subprocess.Popen([*_launcher("-", signal.SIGTERM), *command], env=dict(environment))


def _launcher(record: str, tie: signal.Signals | None) -> list[str]:
    script = str(Path(launch.__file__).resolve())
    return [sys.executable, "-I", "-S", script, record, str(os.getpid()), str(int(tie or 0))]
