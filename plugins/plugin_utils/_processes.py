# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control the process of a task: time limits, and interruption by signals."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from types import FrameType
from typing import TypeVar

from ..module_utils._aws.transport import begin, call_within
from ..module_utils._findings.text import visible_lines

T = TypeVar("T")
Item = TypeVar("Item")


def each_within(
    seconds: float, work: Callable[[Item], T], items: Sequence[Item], width: int, grace: float = 0.0
) -> list[T]:
    """Call ``work`` for every item in at most ``width`` threads, and return the results in the order of the items.

    The threads are daemons, so that the process can exit while a call still runs. After an interrupt, an error of ``work`` or
    the time limit, no further calls begin, and running calls are awaited for up to ``grace`` seconds.

    :raises TimeoutError: when not all calls are complete after ``seconds``.
    """
    waiting: SimpleQueue[tuple[int, Item] | None] = SimpleQueue()
    for entry in (*enumerate(items), *[None] * width):
        waiting.put(entry)
    results: dict[int, T] = {}
    ended = threading.Event()

    def serve() -> None:
        for index, item in iter(waiting.get, None):
            if not ended.is_set():
                results[index] = work(item)

    waits = [begin(serve) for _worker in range(min(width, len(items)))]

    def collect() -> list[T]:
        for thread in waits:
            thread()
        return [results[index] for index in range(len(items))]

    try:
        return call_within(seconds, collect)
    except BaseException:
        ended.set()
        with contextlib.suppress(Exception):
            call_within(grace, collect)
        raise


SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds between two checks that ansible-playbook still runs.
POLL_SECONDS = 0.5


def ignore_signals() -> None:
    """Ignore further signals, because Ansible sends its workers two of them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise SystemExit on SIGINT or SIGTERM while the block runs, so that ``finally`` blocks can clean up and report.

    Ansible ends its worker processes with these signals. If ansible-playbook is killed, its workers get no signal, so this
    process then sends SIGTERM to itself. Signals after the first one are ignored.

    If this process leads a process group, it sends the signal to its children as well. Workers of ansible-core 2.19 and
    newer lead a group, and have signal handlers that do the same; this function replaces these handlers.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), number)
        raise SystemExit(128 + number)

    def watch(parent: int) -> None:
        while not ended.wait(POLL_SECONDS):
            # If ansible-playbook has exited, the operating system has assigned another parent to this process.
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                break

    old_handlers = {number: signal.signal(number, handle) for number in SIGNALS}
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(os.getppid(),), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        for number, handler in old_handlers.items():
            signal.signal(number, handler)


def raise_timeout() -> None:
    """Raise Ansible's exception for the timeout of the task, if that timeout has expired."""
    handler = signal.getsignal(signal.SIGALRM)
    seconds_left, _interval = signal.getitimer(signal.ITIMER_REAL)
    if callable(handler) and not seconds_left:
        handler(signal.SIGALRM, None)


def parent_stderr() -> Callable[[str], None]:
    """Return a function that writes a line to standard error of ansible-playbook.

    After an interrupt, ansible-playbook no longer displays messages of its workers. If it cannot be opened, for
    example on systems without /proc, the function does nothing. The file remains open until the process of the task exits,
    because ansible-playbook may exit earlier.
    """
    try:
        descriptor = os.open(f"/proc/{os.getppid()}/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
    except OSError:
        return lambda _text: None

    def write(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, f"{visible_lines(text)}\n".encode())

    return write
