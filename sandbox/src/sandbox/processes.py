# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server processes of a sandbox."""

from __future__ import annotations

import ctypes
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 8.0
POLL_SECONDS = 0.02
LOG_LINES = 12
READY = re.compile(rb"ready on (\S+)")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """A Kubernetes API server: its URL, its certificate authority in PEM, and a description."""

    endpoint: str
    authority: Path
    description: str


class Server:
    """A server process, whose output is in a log file. It is killed when this process dies (Linux)."""

    def __init__(self, stack: ExitStack, folder: Path, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        stack.callback(self._stop)

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Wait until the server is ready. Raise SandboxError with the end of its log if it does not become ready."""
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            code = self._process.poll()
            if code is not None or time.monotonic() >= deadline:
                problem = (
                    f"was not ready after {START_SECONDS:g} seconds"
                    if code is None
                    else f"exited with {code}"
                )
                lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
                text = "".join(f"\n    {line}" for line in lines) or " (empty)"
                raise SandboxError(f"The server {self.name} {problem}. The end of its log:{text}")
            time.sleep(POLL_SECONDS)

    def address(self) -> str:
        """Return the address that the server prints when it is ready."""
        found: list[bytes] = []

        def is_ready() -> bool:
            match = READY.search(self._log.read_bytes())
            found.extend([match.group(1)] if match else [])
            return bool(found)

        self.wait_until(is_ready)
        return found[0].decode()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
