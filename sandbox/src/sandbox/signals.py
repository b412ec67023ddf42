# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Termination signals: raised once, deferred while a process starts, ignored at the end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


class Interrupted(SystemExit):
    """A termination signal. It is raised once, so that a second signal does not interrupt the clean-up."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted for the first termination signal, unless :func:`ignore_signals` was called.

    Later signals are ignored, also after the block, so that they do not change the exit code.
    """

    def stop(signal_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted(signal_number)

    previous = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore termination signals from now on."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def uninterruptible() -> Iterator[None]:
    """Defer termination signals until the end of the block. For the main thread."""
    waiting: list[int] = []
    try:
        with handlers(dict.fromkeys(STOPPING, lambda number, _frame: waiting.append(number))):
            yield
    finally:
        for number in waiting[:1]:
            signal.raise_signal(number)


@contextlib.contextmanager
def handlers(replacements: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Install signal handlers for the duration of the block."""
    previous = {number: signal.signal(number, handler) for number, handler in replacements.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
