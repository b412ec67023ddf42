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
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TypeVar

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    OutOfTime,
    call_within,
)

T = TypeVar("T")
Item = TypeVar("Item")


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns or raises, or TimeoutError. A call that is given up ends with the process, which is the
    task's own."""
    try:
        return call_within(seconds, call)
    except OutOfTime as error:
        raise TimeoutError(f"no complete answer within {seconds:g} seconds") from error


def each_within(
    seconds: float, work: Callable[[Item], T], items: Sequence[Item], width: int, grace: float = 0.0
) -> list[T]:
    """Return the results of work on each item, at most ``width`` at once, or raise what it raises; TimeoutError when all
    together take longer. Then no more work begins, and what has begun ends with the process, which does not wait for it: a
    pool of threads would keep it. Where this is itself interrupted, no more work begins either, and what has begun has
    ``grace`` seconds to end in."""
    waiting: SimpleQueue[tuple[int, Item]] = SimpleQueue()
    for place in enumerate(items):
        waiting.put(place)
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    given_up = threading.Event()

    def serve() -> None:
        with contextlib.suppress(Empty):
            while not (errors or given_up.is_set()):
                place, item = waiting.get_nowait()
                try:
                    results[place] = work(item)
                except BaseException as error:  # noqa: BLE001 - it is raised where the results are waited for
                    errors.append(error)

    end = time.monotonic() + seconds
    threads = [threading.Thread(target=serve, daemon=True) for _worker in range(min(width, len(items)))]
    try:
        for thread in threads:
            thread.start()
        _join(threads, end)
    except BaseException:
        given_up.set()
        _join([thread for thread in threads if thread.ident], time.monotonic() + grace)
        raise
    if errors:
        raise errors[0]
    if len(results) < len(items):
        given_up.set()
        raise TimeoutError(f"no complete answer within {seconds:g} seconds")
    return [results[place] for place in range(len(items))]


def _join(threads: Sequence[threading.Thread], end: float) -> None:
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


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
