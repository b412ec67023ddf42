# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Interruption of work in threads: they wake up and send no more requests.

An interrupt reaches only the main thread. The other threads of the work learn of it from an event, which a context variable
holds. Threads without the event are not stopped.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from types import FrameType

from .listener import listened_to

_STOP: ContextVar[Event | None] = ContextVar("stop", default=None)


class Interrupted(BaseException):
    """The interruption of this thread's work. It is not an error, so that no handler of errors catches it."""


def current_interrupt() -> Event:
    """Return the event that interrupts the work of this thread, or a new one outside of work."""
    return _STOP.get() or Event()


def set_interrupt(stop: Event) -> None:
    """Let the event interrupt the work of this thread from now on."""
    _STOP.set(stop)


def raise_if_interrupted() -> None:
    """Raise Interrupted once the work is interrupted."""
    stop = _STOP.get()
    if stop is not None and stop.is_set():
        raise Interrupted


def pause(seconds: float) -> None:
    """Sleep, or raise Interrupted as soon as the work is interrupted."""
    stop = _STOP.get()
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Interrupted


@contextmanager
def interrupting(stop: Event) -> Iterator[None]:
    """Set the event if an interrupt ends the block."""
    try:
        yield
    except BaseException as error:
        # A signal, or the timeout of an Ansible task.
        if not isinstance(error, Exception):
            stop.set()
        raise


@contextmanager
def finishing() -> Iterator[None]:
    """Protect the block from interruption, because its partial completion is worse than a wait."""
    token = _STOP.set(None)
    try:
        yield
    finally:
        _STOP.reset(token)


@dataclass(slots=True)
class Stop:
    """The early end of a run. ``reason`` is the name of a signal or ``DEADLINE``, or "" before the end."""

    reason: str = ""
    event: Event = field(default_factory=Event)

    def end(self, reason: str) -> None:
        """End the work. The first reason is kept."""
        self.reason = self.reason or reason
        self.event.set()


DEADLINE = "deadline"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_RESULT_PENDING: ContextVar[bool] = ContextVar("result_pending", default=False)


def _numbers() -> tuple[signal.Signals, ...]:
    """Return the signals to handle: none outside the main thread, which alone may set handlers."""
    return _SIGNALS if threading.current_thread() is threading.main_thread() else ()


def _alarm() -> tuple[signal.Signals, ...]:
    """Return SIGALRM if the task of this process has a timeout of Ansible."""
    return (signal.SIGALRM,) if _numbers() and callable(signal.getsignal(signal.SIGALRM)) else ()


@contextmanager
def answering() -> Iterator[None]:
    """Protect a module from signals in the milliseconds between the end of its work and the output of its result.

    A signal at that moment would lose the report of its changes. If the process that reads the result disappears, the module
    gets SIGTERM. Wrap the whole module in this block.
    """
    handlers = {number: signal.getsignal(number) for number in _numbers()}
    token = _RESULT_PENDING.set(True)
    try:
        with listened_to(partial(os.kill, os.getpid(), signal.SIGTERM)):
            yield
    finally:
        _RESULT_PENDING.reset(token)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(deadline: float | None = None) -> Iterator[Stop]:
    """End the work of the block on SIGINT, SIGTERM, the timeout of an Ansible task (SIGALRM), or the deadline, in seconds
    from now.

    Requests in progress and blocks of ``finishing`` are completed. Then the work raises Interrupted.
    """
    stop = Stop()

    def end(number: int, _frame: FrameType | None) -> None:
        # The interrupted thread may hold the lock of the event.
        threading.Thread(target=stop.end, args=(signal.Signals(number).name,)).start()

    handlers = {number: signal.signal(number, end) for number in (*_numbers(), *_alarm())}
    timer = threading.Timer(deadline, stop.end, (DEADLINE,)) if deadline else None
    token = _STOP.set(stop.event)
    try:
        if timer is not None:
            timer.daemon = True
            timer.start()
        yield stop
    finally:
        _STOP.reset(token)
        if timer is not None:
            timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if _RESULT_PENDING.get() and number in _SIGNALS else handler)
