# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Several modules of one task at once, each in a process of its own, as Ansible has one for each host."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, TypeVar

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.plugin_utils.interruption import interruptible

T = TypeVar("T")
# Seconds that a process has to end in order.
GRACE = 5.0


def run_in_forks(
    caller: ActionBase, works: Iterable[Callable[[], T]], width: int, is_last: Callable[[T | None], bool]
) -> dict[int, T | None]:
    """What each of ``works`` returned, by its place; None for one that ended without that. At most ``width`` are done at
    once. After one that ``is_last`` no more begin, and those are not in the result.

    What a work returns is pickled. Where this ends early, so do they.
    """
    results: dict[int, T | None] = {}
    waiting = enumerate(works)
    running: dict[Any, tuple[int, Any]] = {}
    try:
        while True:
            for place, work in itertools.islice(waiting, width - len(running)):
                process, answer = _start(caller, work)
                running[answer] = place, process
            if not running:
                return results
            for ended in wait(list(running)):
                place, process = running.pop(ended)
                results[place] = _result(ended)
                process.join()
                if is_last(results[place]):
                    waiting = enumerate(())
    finally:
        for _place, process in running.values():
            process.terminate()
        for answer, (_place, process) in running.items():
            process.join(GRACE)
            answer.close()


def _start(caller: ActionBase, work: Callable[[], T]) -> tuple[Any, Connection]:
    context = multiprocessing.get_context("fork")
    answer, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(caller, work, sender))
    # Nobody writes to the screen meanwhile, or the new process would wait for that for ever.
    with Display()._lock:
        process.start()
    # Its end is to be seen here.
    sender.close()
    return process, answer


def _run(caller: ActionBase, work: Callable[[], T], sender: Connection) -> None:
    shell = caller._connection._shell
    # A folder of its own: what modules are started from has the same name in all of them.
    shell.tmpdir = None
    # Who started this one says that it was interrupted.
    signal.signal(signal.SIGINT, _end)
    with interruptible():
        try:
            sender.send(work())
        finally:
            if shell.tmpdir:
                caller._remove_tmp_path(shell.tmpdir)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _result(answer: Any) -> Any:
    try:
        return answer.recv()
    except EOFError:
        return None
    finally:
        answer.close()
