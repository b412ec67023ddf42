# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A bound for work that cannot be told to stop: a body that trickles in keeps every timeout of a socket from passing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

# A thread without work ends after so many seconds.
IDLE_SECONDS = 5.0


class OutOfTime(Exception):
    """The work did not end in time. It goes on, and its result is not wanted any more."""


class _Task(Generic[Result]):
    """Work, and how it ended: with one of ``results`` or an ``error``, once ``ended`` is released."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self.ended = threading.Lock()
        self.ended.acquire()

    def run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            self._error = error

    def result(self, seconds: float) -> Result:
        """What the work returns or raises; OutOfTime when it takes longer."""
        if not self.ended.acquire(timeout=seconds):
            raise OutOfTime
        if self._error is not None:
            raise self._error
        return self._results[0]


class Bounded:
    """Does work within a time, in threads that are used again: to start one costs as much as a tenth of a request.

    Safe to share by threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Task[Any]]] = []

    def within(self, seconds: float, work: Callable[[], Result]) -> Result:
        """What the work returns or raises; OutOfTime when it takes longer."""
        task = _Task(work)
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            # What hangs must not keep the program from ending.
            threading.Thread(target=self._serve, args=(inbox,), daemon=True).start()
        inbox.put(task)
        return task.result(seconds)

    def _serve(self, inbox: SimpleQueue[_Task[Any]]) -> None:
        while True:
            try:
                task = inbox.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                # Work is on its way.
                continue
            task.run()
            # Idle first: whoever waits for this may have more work at once.
            with self._lock:
                self._idle.append(inbox)
            task.ended.release()
            # Its results are not kept until the next.
            del task


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """The same once, in a thread that ends with the work."""
    task = _Task(work)

    def run() -> None:
        task.run()
        task.ended.release()

    threading.Thread(target=run, daemon=True).start()
    return task.result(seconds)
