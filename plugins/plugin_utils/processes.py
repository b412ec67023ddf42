# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The process of a task: its environment, bounds of time, and its end by a signal."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TypeVar

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    OutOfTime,
    call_within,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible_lines


@contextlib.contextmanager
def variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """With None a variable is removed. The process is the task's own, and no other variable of it changes.

    Raise RuntimeError in a thread: where two uses overlap, the later end would set what the earlier one has put back.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread sets variables of the process")
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


T = TypeVar("T")
Item = TypeVar("Item")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return the result of a call, or raise its error or TimeoutError.

    A call that is given up ends with the process, which is the task's own.
    """
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


SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds between two looks at whether Ansible is still there.
LOOK = 0.5


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM, with which Ansible ends its workers, raise SystemExit once, so that ``finally`` is reached. So does
    the end of ansible-playbook: killed alone it ends no worker, and nobody is told what that does.

    What was started from here gets the signal as well, where this process leads a group: as in workers of ansible-core
    2.19 and newer, whose own answer to the signals this replaces.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), number)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    ended = threading.Event()
    watch = threading.Thread(target=_watch_parent, args=(os.getppid(), ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_timeout() -> None:
    """Raise the timeout of the task as Ansible does, if it has passed and work has only noted it."""
    handler = signal.getsignal(signal.SIGALRM)
    seconds_left, _interval = signal.getitimer(signal.ITIMER_REAL)
    if callable(handler) and not seconds_left:
        handler(signal.SIGALRM, None)


@contextlib.contextmanager
def leading_group() -> Iterator[None]:
    """Lead a process group, so that an interruption also ends what is started from here.

    A worker of ansible-core before 2.19 belongs to the group of ansible-playbook.
    """
    group = os.getpgrp()
    if group == os.getpid():
        yield
        return
    os.setpgid(0, 0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # The group may have ended meanwhile.
            os.setpgid(0, group)


@contextlib.contextmanager
def parent_stderr() -> Iterator[Callable[[str], None]]:
    """Yield a function that writes lines to standard error of ansible-playbook.

    Workers have none of their own, and what they display is not shown any more once ansible-playbook is interrupted.
    Where the system does not give access to it, nothing is written.
    """
    try:
        descriptor = os.open(f"/proc/{os.getppid()}/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
    except OSError:
        yield lambda _text: None
        return

    def write(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, f"{visible_lines(text)}\n".encode())

    try:
        yield write
    finally:
        os.close(descriptor)


def _watch_parent(parent: int, ended: threading.Event) -> None:
    while not ended.wait(LOOK):
        # A process whose parent has ended gets another one.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
