# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server processes of a sandbox."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.errors import StartError
from sandbox.layout import Layout
from sandbox.processes import POLL_SECONDS, ProcessIdentity, spawn_server, stop
from sandbox.signals import uninterruptible

START_SECONDS = 60.0
LOG_TAIL_LINES = 12
LOG_TAIL_BYTES = 16_384


class Servers:
    """The server processes of a sandbox: the processes that this process started, and the processes with a record in the
    state folder.
    """

    def __init__(self, layout: Layout, *, die_with_parent: bool) -> None:
        self.layout = layout
        self._die_with_parent = die_with_parent
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        # A signal between the start and the assignment would leave a running process that this object would never stop.
        with uninterruptible():
            self._started[name] = spawn_server(
                command,
                record=self.layout.record(name),
                log=self.layout.log(name),
                folder=self.layout.root,
                environment={**os.environ, **(environment or {})},
                die_with_parent=self._die_with_parent,
            )

    async def wait_until(
        self, name: str, is_ready: Callable[[], bool], *, seconds: float = START_SECONDS
    ) -> None:
        """Wait until a server is ready. Raise StartError if it exits, or is not ready after ``seconds``."""
        process = self._started[name]
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(is_ready):
            exit_code = process.poll()
            if exit_code is not None:
                raise self._start_error(name, f"exited with {_exit_status(exit_code)}")
            if time.monotonic() >= deadline:
                raise self._start_error(name, f"was not ready after {seconds:g} seconds")
            await asyncio.sleep(POLL_SECONDS)

    def stop(self, names: Sequence[str]) -> None:
        """Stop the servers in ``names``, one after the other. Skip servers that do not run."""
        for name in names:
            child = self._started.pop(name, None)
            identity = ProcessIdentity.read(self.layout.record(name))
            if identity is None and child is not None:
                # A process that was killed before it wrote its record has no record.
                identity = ProcessIdentity.find(child.pid) if child.poll() is None else None
            if identity is not None:
                stop([identity])
            if child is not None:
                child.wait()
            self.layout.record(name).unlink(missing_ok=True)

    def _start_error(self, name: str, problem: str) -> StartError:
        lines = tail(self.layout.log(name), LOG_TAIL_LINES)
        text = "".join(f"\n    {line}" for line in lines) or " (empty)"
        return StartError(
            f"The server {name} {problem}. The end of its log:{text}",
            f"`sandbox up` tries again and keeps the whole log for `sandbox logs {name}`.",
        )


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a file, or an empty list if it does not exist."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - max(LOG_TAIL_BYTES, lines * 400)))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:] if lines else []


def _exit_status(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
