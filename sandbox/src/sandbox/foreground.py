# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the command of `sandbox run` in the foreground: forward signals to the command, and return its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from sandbox.processes import spawn_command
from sandbox.signals import STOPPING, handlers

FORWARDED = (*STOPPING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command, and return its exit code. If signal N has ended the command, the exit code is 128 + N, as in shells."""
    children: list[subprocess.Popen[bytes]] = []
    waiting: list[int] = []

    def forward(signal_number: int, _frame: FrameType | None) -> None:
        if signal_number in (signal.SIGINT, signal.SIGQUIT) and _is_foreground_group():
            return
        if children:
            children[0].send_signal(signal_number)
        else:
            waiting.append(signal_number)

    with handlers(dict.fromkeys(FORWARDED, forward)):
        sys.stdout.flush()
        child = spawn_command(command, environment)
        children.append(child)
        for signal_number in waiting:
            child.send_signal(signal_number)
        exit_code = child.wait()
    return exit_code if exit_code >= 0 else 128 - exit_code


def _is_foreground_group() -> bool:
    """Return whether this process is in the foreground of the terminal.

    If it is, the terminal sends the signals of Ctrl-C and Ctrl-\\ to the command as well, so this process does not forward
    them.
    """
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
