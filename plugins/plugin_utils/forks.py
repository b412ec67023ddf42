# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Several modules of one task at once, each in a process of its own, as Ansible has one for each host."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils.interruption import interruptible

T = TypeVar("T")
# Seconds that a process has to end in order.
GRACE = 5.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A process that ended without a result. ``how`` is like "was ended by SIGKILL before its result"."""

    how: str


def run_in_forks(
    caller: ActionBase,
    calls: Iterable[AbstractContextManager[Callable[[], T]]],
    width: int,
    stops: Callable[[T | Lost], bool],
) -> dict[int, T | Lost]:
    """What each of ``calls`` returned, by its place. At most ``width`` are made at once; after a result that ``stops`` no more
    begin, and those are not among the results.

    Each process begins within the context of its call, and what the call returns is pickled. Where this ends early, so do
    they.
    """
    results: dict[int, T | Lost] = {}
    waiting = enumerate(calls)
    running: dict[Any, tuple[int, Any]] = {}
    try:
        while True:
            for place, ready in itertools.islice(waiting, width - len(running)):
                with ready as call:
                    process, answer = _start(caller, call)
                running[answer] = place, process
            if not running:
                return results
            for ended in wait(list(running)):
                place, process = running.pop(ended)
                results[place] = _result(ended, process)
                if stops(results[place]):
                    waiting = enumerate(())
    finally:
        for _place, process in running.values():
            process.terminate()
        for answer, (_place, process) in running.items():
            _end_surely(process)
            answer.close()


def _start(caller: ActionBase, call: Callable[[], T]) -> tuple[Any, Connection]:
    context = multiprocessing.get_context("fork")
    answer, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(caller, call, sender, os.getpid()))
    process.start()
    # So that its end is seen here.
    sender.close()
    return process, answer


def _run(caller: ActionBase, call: Callable[[], T], sender: Connection, parent: int) -> None:
    shell = caller._connection._shell
    # A folder of its own: what modules are started from has the same name in all of them.
    shell.tmpdir = None
    with interruptible(parent):
        try:
            sender.send(_outcome(call))
        finally:
            if shell.tmpdir:
                caller._remove_tmp_path(shell.tmpdir)


def _outcome(call: Callable[[], T]) -> T | Lost:
    try:
        return call()
    except OSError as error:
        return Lost(f"could not be run: {error}")


def _result(answer: Any, process: Any) -> Any:
    try:
        result = answer.recv()
    except (EOFError, OSError):
        # Nothing came, or a part of it.
        result = None
    answer.close()
    _end_surely(process)
    return Lost(_how(process.exitcode)) if result is None else result


def _end_surely(process: Any) -> None:
    process.join(GRACE)
    if process.is_alive():
        process.kill()
        process.join()


def _how(code: int) -> str:
    end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"{end} before its result"
