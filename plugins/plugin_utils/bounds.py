# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""A bound for what may never end: a request whose answer trickles, a module whose connection stalls."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Generic, TypeVar

T = TypeVar("T")


class _Call(threading.Thread, Generic[T]):
    """Python has no way to end a thread: one that is given up ends with the process, which is the task's own."""

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.values: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.values.append(self._call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
            self.error = error


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns or raises, or TimeoutError."""
    thread = _Call(call)
    thread.start()
    thread.join(seconds)
    if thread.error is not None:
        raise thread.error
    if not thread.values:
        raise TimeoutError(f"no complete answer within {seconds:g} seconds")
    return thread.values[0]


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """TimeoutError in the main thread after that time. An alarm that was set before, as for a task's ``timeout``, keeps
    its time, and goes first where it is earlier."""
    began = time.monotonic()

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no result within {seconds:g} seconds")

    left = signal.getitimer(signal.ITIMER_REAL)[0]
    if left and left <= seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001))
