# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The end of work that is interrupted: its threads wake up, and send nothing more.

An interrupt reaches the main thread alone. The event that tells the others belongs to the work, and
the context of each of its threads leads there; a thread of no such work is never stopped.
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
    """This thread's work is interrupted. No failure of the work: nothing reports it or goes on."""


def current_interrupt() -> Event:
    """The event that ends the work of this thread; a new one when it is about to begin some."""
    return _STOP.get() or Event()


def set_interrupt(stop: Event) -> None:
    """From now on this thread works until that event."""
    _STOP.set(stop)


def raise_if_interrupted() -> None:
    """Raises Interrupted once the work is interrupted."""
    stop = _STOP.get()
    if stop is not None and stop.is_set():
        raise Interrupted


def pause(seconds: float) -> None:
    """Sleep; raises Interrupted as soon as the work is interrupted."""
    stop = _STOP.get()
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Interrupted


@contextmanager
def interrupting(stop: Event) -> Iterator[None]:
    """End the work when an interruption leaves the block."""
    try:
        yield
    except BaseException as error:
        # A signal, or the timeout of an Ansible task.
        if not isinstance(error, Exception):
            stop.set()
        raise


@contextmanager
def finishing() -> Iterator[None]:
    """The block is brought to its end all the same: half of it is worse than waiting."""
    before = _STOP.set(None)
    try:
        yield
    finally:
        _STOP.reset(before)


@dataclass(slots=True)
class Stop:
    """The early end of a run. ``reason`` is the name of a signal or ``DEADLINE``; empty while the run goes on."""

    reason: str = ""
    event: Event = field(default_factory=Event)

    def end(self, reason: str) -> None:
        """End the work. The first reason counts."""
        self.reason = self.reason or reason
        self.event.set()


DEADLINE = "deadline"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ANSWERS: ContextVar[bool] = ContextVar("answers", default=False)


def _numbers() -> tuple[signal.Signals, ...]:
    """Only the main thread decides what becomes of signals."""
    return _SIGNALS if threading.current_thread() is threading.main_thread() else ()


def _alarm() -> tuple[signal.Signals, ...]:
    """Return SIGALRM where Ansible has set a timeout for the task of this process."""
    return (signal.SIGALRM,) if _numbers() and callable(signal.getsignal(signal.SIGALRM)) else ()


@contextmanager
def answering() -> Iterator[None]:
    """Around the whole of a module: between the end of its work and its answer, which takes milliseconds, no signal ends
    it. Else what was done would go unsaid. Where nobody can read the answer any more, the module ends as by SIGTERM."""
    handlers = {number: signal.getsignal(number) for number in _numbers()}
    before = _ANSWERS.set(True)
    try:
        with listened_to(partial(os.kill, os.getpid(), signal.SIGTERM)):
            yield
    finally:
        _ANSWERS.reset(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(deadline: float | None = None) -> Iterator[Stop]:
    """End the work of the block on SIGINT, SIGTERM, the timeout of an Ansible task (SIGALRM), or the deadline, in seconds
    from now.

    Nothing is torn apart by them: requests under way are answered, and what must not stay half done is
    finished. Then the work raises Interrupted.
    """
    stop = Stop()

    def end(number: int, _frame: FrameType | None) -> None:
        # The thread that is interrupted may hold the lock of the event.
        threading.Thread(target=stop.end, args=(signal.Signals(number).name,)).start()

    handlers = {number: signal.signal(number, end) for number in (*_numbers(), *_alarm())}
    timer = threading.Timer(deadline, stop.end, (DEADLINE,)) if deadline else None
    before = _STOP.set(stop.event)
    try:
        if timer is not None:
            timer.daemon = True
            timer.start()
        yield stop
    finally:
        _STOP.reset(before)
        if timer is not None:
            timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if _ANSWERS.get() and number in _SIGNALS else handler)
