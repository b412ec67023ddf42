# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A bound for work that cannot be told to stop: a body that trickles in keeps every timeout of a socket from passing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class OutOfTime(Exception):
    """The work did not end in time. It goes on, and its result is not wanted any more."""


class _Work(threading.Thread, Generic[Result]):
    def __init__(self, work: Callable[[], Result]) -> None:
        # What hangs must not keep the program from ending.
        super().__init__(daemon=True)
        self._work = work
        self.results: list[Result] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            self.error = error


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What the work returns or raises; OutOfTime when it takes longer."""
    thread = _Work(work)
    thread.start()
    thread.join(seconds)
    if thread.error is not None:
        raise thread.error
    if not thread.results:
        raise OutOfTime
    return thread.results[0]
