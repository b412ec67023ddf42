# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Bounded concurrency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .interrupt import current_interrupt, interrupting, set_interrupt

Item = TypeVar("Item")
Result = TypeVar("Result")

DEFAULT_WIDTH = 16


def map_concurrently(
    work: Callable[[Item], Result], items: Iterable[Item], width: int = DEFAULT_WIDTH
) -> list[Result]:
    """``work`` of every item, at most ``width`` at a time, results in the order of the items.

    Work on the first begins before an iterator has given the last. An exception of ``work`` or of the
    iterator ends the whole: what has begun is brought to its end, no more begins; work that may fail
    alone returns its failure instead. An interrupt also ends what has begun, at its next pause or request.
    """
    if width <= 1 or (isinstance(items, Sized) and len(items) <= 1):
        return [work(item) for item in items]
    stop = current_interrupt()
    # The pool waits for its threads when it is left, so the inner one has to stop them before that.
    with (
        interrupting(stop),
        ThreadPoolExecutor(width, initializer=set_interrupt, initargs=(stop,)) as pool,
        interrupting(stop),
    ):
        begun: list[Future[Result]] = []
        try:
            begun.extend(pool.submit(work, item) for item in items)
            return [future.result() for future in begun]
        finally:
            for future in begun:
                future.cancel()
