# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handle termination signals: raise an exception for the first signal, defer signals, or ignore them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


class Interrupted(SystemExit):
    """The exception for a termination signal. Its exit code is 128 plus the number of the signal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted for the first termination signal while the block runs.

    Later signals are ignored, even after the block, so that later signals do not interrupt the clean-up or change the exit
    code.
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
    """Defer the first termination signal until the end of the block, and ignore others. Only the main thread may use this."""
    waiting: list[int] = []
    try:
        with handlers(dict.fromkeys(STOPPING, lambda number, _frame: waiting.append(number))):
            yield
    finally:
        for number in waiting[:1]:
            signal.raise_signal(number)


@contextlib.contextmanager
def handlers(replacements: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Replace signal handlers while the block runs."""
    previous = {number: signal.signal(number, handler) for number, handler in replacements.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
