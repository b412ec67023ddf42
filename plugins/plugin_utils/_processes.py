# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control the process of a task: its environment variables, time limits, and interruption by signals."""

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

from ..module_utils._aws.transport import (
    OutOfTime,
    call_within,
)
from ..module_utils._findings.text import visible_lines


@contextlib.contextmanager
def set_environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables of the process while the block runs.

    :arg values: the values by name. None removes a variable.
    :raises RuntimeError: outside the main thread, because overlapping blocks would restore wrong values.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread sets variables of the process")
    old_values = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(old_values)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


T = TypeVar("T")
Item = TypeVar("Item")


def run_within(seconds: float, call: Callable[[], T]) -> T:
    """Run a call with a time limit, and return its result or raise its error.

    :raises TimeoutError: after ``seconds``. The call continues in its thread until the process of the task exits.
    """
    try:
        return call_within(seconds, call)
    except OutOfTime as error:
        raise TimeoutError(f"no complete response within {seconds:g} seconds") from error


def each_within(
    seconds: float, work: Callable[[Item], T], items: Sequence[Item], width: int, grace: float = 0.0
) -> list[T]:
    """Call ``work`` for every item in at most ``width`` threads, and return the results in the order of the items.

    The threads are daemons, so that the process can exit while a call still runs. After an interrupt, no further calls
    begin, and running calls are awaited for up to ``grace`` seconds. If a call fails, no further calls begin, and its error is
    raised.

    :raises TimeoutError: when not all calls are complete after ``seconds``. No further calls begin after that.
    """
    waiting: SimpleQueue[tuple[int, Item]] = SimpleQueue()
    for numbered_item in enumerate(items):
        waiting.put(numbered_item)
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    given_up = threading.Event()

    def serve() -> None:
        with contextlib.suppress(Empty):
            while not (errors or given_up.is_set()):
                index, item = waiting.get_nowait()
                try:
                    results[index] = work(item)
                except BaseException as error:  # noqa: BLE001 - the thread of the caller raises it
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
        raise TimeoutError(f"no complete response within {seconds:g} seconds")
    return [results[index] for index in range(len(items))]


def _join(threads: Sequence[threading.Thread], end: float) -> None:
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread if the block takes longer than ``seconds``.

    An alarm that is already set, such as the ``timeout`` of the task, is preserved. If that alarm is due earlier, no new
    alarm is set.
    """
    began = time.monotonic()

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no result within {seconds:g} seconds")

    remaining = signal.getitimer(signal.ITIMER_REAL)[0]
    if remaining and remaining <= seconds:
        yield
        return
    old_handler = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.monotonic() - began), 0.001))


SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds between two checks that ansible-playbook still runs.
POLL_SECONDS = 0.5


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise SystemExit on SIGINT or SIGTERM while the block runs, so that ``finally`` blocks can clean up and report.

    Ansible ends its worker processes with these signals. If ansible-playbook is killed, its workers get no signal, so this
    process then sends SIGTERM to itself. Signals after the first one are ignored.

    If this process leads a process group, it sends the signal to its children as well. Workers of ansible-core 2.19 and
    newer lead a group, and have signal handlers that do the same; this function replaces these handlers.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for handled in SIGNALS:
            signal.signal(handled, signal.SIG_IGN)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), number)
        raise SystemExit(128 + number)

    old_handlers = {number: signal.signal(number, stop) for number in SIGNALS}
    ended = threading.Event()
    watch = threading.Thread(target=_watch_parent, args=(os.getppid(), ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        for number, handler in old_handlers.items():
            signal.signal(number, handler)


def raise_timeout() -> None:
    """Raise Ansible's exception for the timeout of the task, if that timeout has expired."""
    handler = signal.getsignal(signal.SIGALRM)
    seconds_left, _interval = signal.getitimer(signal.ITIMER_REAL)
    if callable(handler) and not seconds_left:
        handler(signal.SIGALRM, None)


@contextlib.contextmanager
def leading_group() -> Iterator[None]:
    """Make this process the leader of a process group while the block runs, so that an interrupt also ends its children.

    Workers of ansible-core 2.19 and newer already lead a group. Workers of older versions belong to the group of
    ansible-playbook.
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
            # The previous group may no longer exist.
            os.setpgid(0, group)


@contextlib.contextmanager
def parent_stderr() -> Iterator[Callable[[str], None]]:
    """Provide a function that writes a line to standard error of ansible-playbook.

    After an interrupt, ansible-playbook no longer displays messages of its workers. If it cannot be opened, for
    example on systems without /proc, the function does nothing.
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
    while not ended.wait(POLL_SECONDS):
        # If ansible-playbook has exited, the operating system has assigned another parent to this process.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
