# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server processes of one sandbox: started, waited for and stopped by name."""

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
from sandbox.signals import unstoppable

START_SECONDS = 60.0
LOG_TAIL_LINES = 12
LOG_TAIL_BYTES = 16_384


class Servers:
    """Holds the processes that this command started; knows those of earlier ones by record."""

    def __init__(self, layout: Layout, *, tied_to_us: bool) -> None:
        self.layout = layout
        self._tied_to_us = tied_to_us
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        # Interrupted in between, the process would run and nobody would know of it.
        with unstoppable():
            self._started[name] = spawn_server(
                command,
                record=self.layout.record(name),
                log=self.layout.log(name),
                folder=self.layout.root,
                environment={**os.environ, **(environment or {})},
                tied_to_us=self._tied_to_us,
            )

    async def wait_until(
        self, name: str, is_ready: Callable[[], bool], *, seconds: float = START_SECONDS
    ) -> None:
        """Return when the server is ready; StartError when it ends first or takes too long."""
        process = self._started[name]
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(is_ready):
            exit_code = process.poll()
            if exit_code is not None:
                raise self._start_error(name, f"ended at once with {_in_words(exit_code)}")
            if time.monotonic() >= deadline:
                raise self._start_error(name, f"was not ready after {seconds:g} seconds")
            await asyncio.sleep(POLL_SECONDS)

    def stop(self, names: Sequence[str]) -> None:
        """Stop the named servers one after another; those that are not there are skipped."""
        for name in names:
            started = self._started.pop(name, None)
            found = ProcessIdentity.read(self.layout.record(name))
            if found is None and started is not None:
                # Killed so early that it had no time to record itself.
                found = ProcessIdentity.of(started.pid) if started.poll() is None else None
            if found is not None:
                stop([found])
            if started is not None:
                started.wait()
            self.layout.record(name).unlink(missing_ok=True)

    def _start_error(self, name: str, what: str) -> StartError:
        lines = tail(self.layout.log(name), LOG_TAIL_LINES)
        text = "".join(f"\n    {line}" for line in lines) or " (empty)"
        return StartError(
            f"The server {name} {what}. The end of its log:{text}",
            "What had been started is stopped again. `sandbox up` tries once more and keeps the "
            f"whole log for `sandbox logs {name}`.",
        )


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file; none when there is no such file."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - max(LOG_TAIL_BYTES, lines * 400)))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:] if lines else []


def _in_words(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
