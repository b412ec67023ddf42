# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the user's command in the foreground, pass signals on to it, and end as it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from sandbox.processes import spawn_command

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORWARDED = (*STOPPING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

Handler = Callable[[int, FrameType | None], None]


class Interrupted(SystemExit):
    """A signal asked us to end; raised once, so that the clean-up it starts is not interrupted."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """The first stopping signal raises Interrupted; later ones are ignored."""

    def stop(signal_number: int, _frame: FrameType | None) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted(signal_number)

    with _handlers(dict.fromkeys(STOPPING, stop)):
        yield


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code; 128 + N when signal N ended the command, as shells say it."""
    children: list[subprocess.Popen[bytes]] = []
    waiting: list[int] = []

    def forward(signal_number: int, _frame: FrameType | None) -> None:
        if signal_number in (signal.SIGINT, signal.SIGQUIT) and _terminal_told_everyone():
            return
        if children:
            children[0].send_signal(signal_number)
        else:
            waiting.append(signal_number)

    with _handlers(dict.fromkeys(FORWARDED, forward)):
        sys.stdout.flush()
        child = spawn_command(command, environment)
        children.append(child)
        for signal_number in waiting:
            child.send_signal(signal_number)
        exit_code = child.wait()
    return exit_code if exit_code >= 0 else 128 - exit_code


def _terminal_told_everyone() -> bool:
    """Ctrl-C and Ctrl-\\ reach every process of the terminal's foreground group by themselves."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def _handlers(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
