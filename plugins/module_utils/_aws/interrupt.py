# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The end of work that is interrupted: its threads wake up, and send nothing more.

An interrupt reaches the main thread alone. The event that tells the others belongs to the work, and
the context of each of its threads leads there; a thread of no such work is never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

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
    """What interrupts the block ends the work."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
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
