# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interrupt all threads of a run: sleeping threads wake up, and no thread sends another request.

Python delivers signals to the main thread only. So each thread checks an event in a context variable. A thread without such an
event cannot be interrupted.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from types import FrameType

# The event that interrupts this thread, or None.
STOP: ContextVar[Event | None] = ContextVar("stop", default=None)


class Interrupted(BaseException):
    """The exception that ends the work of a thread after an interrupt. ``except Exception`` does not catch it."""


def current_interrupt() -> Event:
    """Return the event that can interrupt this thread, or a new event if this thread has no event."""
    return STOP.get() or Event()


def raise_if_interrupted() -> None:
    """Check whether this thread is interrupted.

    :raises Interrupted: when it is interrupted.
    """
    stop = STOP.get()
    if stop is not None and stop.is_set():
        raise Interrupted


def pause(seconds: float) -> None:
    """Sleep for a number of seconds.

    :raises Interrupted: as soon as this thread is interrupted.
    """
    stop = STOP.get()
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Interrupted


@contextmanager
def interrupting(stop: Event) -> Iterator[None]:
    """Set ``stop`` if an interrupt ends the block, so that the other threads with this event end as well."""
    try:
        yield
    except BaseException as error:
        # The exceptions of an interrupt (a signal, or the timeout of an Ansible task) are not subclasses of Exception.
        if not isinstance(error, Exception):
            stop.set()
        raise


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Protect a block from interruption. Use it where a partly completed block would be worse than a delay."""
    token = STOP.set(None)
    try:
        yield
    finally:
        STOP.reset(token)


@dataclass(slots=True)
class Stop:
    """The state of a run that can end early.

    ``reason`` is the name of the signal that ended the run, ``DEADLINE`` if its time limit ended it, or "" if neither did.
    """

    reason: str = ""
    event: Event = field(default_factory=Event)

    def end(self, reason: str) -> None:
        """Interrupt the work for a reason. If the work is already interrupted, keep the first reason."""
        self.reason = self.reason or reason
        self.event.set()


STANDARD_OUTPUT = 1
_LOST = select.POLLERR | select.POLLHUP


@contextmanager
def watch_reader(lost: Callable[[], None], stream: int = STANDARD_OUTPUT) -> Iterator[None]:
    """Call ``lost``, in another thread, if the reader of a pipe or socket disappears while the block runs.

    :arg stream: the file descriptor of the writing end. ``lost`` is never called for a file or a closed descriptor, because
        these have no reader.
    """
    ended = Event()
    watch = threading.Thread(target=_watch, args=(stream, ended, lost), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        # A signal that is sent after the block would meet the handlers of the caller.
        watch.join()


def _watch(stream: int, ended: Event, lost: Callable[[], None]) -> None:
    poll = select.poll()
    poll.register(stream, 0)
    while not ended.wait(0.5):
        if dict(poll.poll(0)).get(stream, 0) & _LOST:
            ended.set()
            lost()


DEADLINE = "deadline"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_RESULT_PENDING: ContextVar[bool] = ContextVar("result_pending", default=False)


def _handled_signals() -> tuple[signal.Signals, ...]:
    # Only the main thread can set signal handlers.
    return _SIGNALS if threading.current_thread() is threading.main_thread() else ()


@contextmanager
def ensuring_result() -> Iterator[None]:
    """Ensure that a module reports its changes even if it is interrupted. The block must contain the whole module.

    SIGINT and SIGTERM are ignored between the end of ``stoppable`` and the end of the block, because the result would be lost
    otherwise. If the process that reads the result disappears, the module sends itself SIGTERM.
    """
    handlers = {number: signal.getsignal(number) for number in _handled_signals()}
    token = _RESULT_PENDING.set(True)
    try:
        with watch_reader(partial(os.kill, os.getpid(), signal.SIGTERM)):
            yield
    finally:
        _RESULT_PENDING.reset(token)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(deadline: float | None = None) -> Iterator[Stop]:
    """End the work of the block early on SIGINT, SIGTERM, the timeout of an Ansible task (SIGALRM), or the deadline.

    Requests in progress and blocks of ``uninterrupted`` are completed. Then the threads raise Interrupted.

    :arg deadline: the time limit in seconds from now, or None for no limit.
    """
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        # The interrupted thread may hold the lock of the event, so setting the event here could block forever.
        threading.Thread(target=stop.end, args=(signal.Signals(number).name,)).start()

    handled = _handled_signals()
    # If SIGALRM has a handler, Ansible has set a timeout for the task of this process.
    alarm = (signal.SIGALRM,) if handled and callable(signal.getsignal(signal.SIGALRM)) else ()
    handlers = {number: signal.signal(number, handle) for number in (*handled, *alarm)}
    timer = threading.Timer(deadline or threading.TIMEOUT_MAX, stop.end, (DEADLINE,))
    timer.daemon = True
    token = STOP.set(stop.event)
    try:
        timer.start()
        yield stop
    finally:
        STOP.reset(token)
        timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if _RESULT_PENDING.get() and number in _SIGNALS else handler)
