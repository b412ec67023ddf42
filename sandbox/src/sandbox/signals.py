# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that ask us to end: raised once, put off while a process is being started, ignored at the end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


class Interrupted(SystemExit):
    """A signal asked us to end; raised once, so that the clean-up it starts is not interrupted."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """The first stopping signal raises Interrupted; later ones, and those after :func:`settle`, are ignored.

    They stay ignored afterwards: what is left of the process is its exit code.
    """

    def stop(signal_number: int, _frame: FrameType | None) -> None:
        settle()
        raise Interrupted(signal_number)

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


def settle() -> None:
    """From here on the command ends as it would without a signal."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def unstoppable() -> Iterator[None]:
    """A stopping signal waits until the block is done. For the main thread."""
    waiting: list[int] = []
    try:
        with handlers(dict.fromkeys(STOPPING, lambda number, _frame: waiting.append(number))):
            yield
    finally:
        for number in waiting[:1]:
            signal.raise_signal(number)


@contextlib.contextmanager
def handlers(wanted: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Other handlers for the time of the block."""
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
