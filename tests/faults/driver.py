# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the engine in processes of their own, to be killed or to get in each other's way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.listener import STANDARD_OUTPUT
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import State
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    Asked,
    Clock,
    Played,
    Usual,
    check_outcome,
)
from ansible_collections.workload_identity.aws.tests.faults.world import desired

BEFORE, ANSWERED, UNDER_WAY = "before", "answered", "under way"
MOMENTS = (BEFORE, ANSWERED, UNDER_WAY)
TIMEOUT_SECONDS = 120
FAILED = 3


@dataclass(frozen=True)
class Kill:
    """When a run is ended: before its ``request``-th request, at its answer, or ``delay`` s after sending. Without a signal
    by the end of who reads what it prints."""

    request: int
    moment: str
    delay: float
    signal: signal.Signals | None = signal.SIGKILL


@dataclass(frozen=True)
class Task:
    """``usual`` is the task that nothing disturbs, for a verdict on this one."""

    url: str
    asked: Asked
    kill: Kill | None = None
    usual: Usual | None = None


@dataclass(frozen=True)
class Result:
    """``code``: 0 well, FAILED with failures that were printed; a negative number is the signal that ended the process,
    None that nothing did. ``verdict`` is that of check_outcome, ``problem`` what it objects to; both are empty
    where the process did not come to it."""

    code: int | None
    verdict: str = ""
    problem: str = ""


def task(url: str, *workloads: Mapping[str, Any], state: State = "present") -> Task:
    return Task(url, Asked(desired(*workloads, state=state), state))


def run_all(tasks: Sequence[Task]) -> list[Result]:
    """Run each task in a process; all begin at the same time, once all are ready."""
    context = multiprocessing.get_context("forkserver")
    # What takes long to import is there already when a process begins.
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(len(tasks))
    pipes = [context.Pipe(duplex=False) for _task in tasks]
    processes = [
        context.Process(target=_work, args=(one, barrier, sending))
        for one, (_receiving, sending) in zip(tasks, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_SECONDS)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    told = [receiving.recv() if receiving.poll() else ("", "") for receiving, _sending in pipes]
    for ends in pipes:
        for end in ends:
            end.close()
    return [Result(code, *verdict) for code, verdict in zip(codes, told, strict=True)]


def _work(one: Task, barrier: Any, sending: Any) -> None:
    account = Account(one.url)
    dying: list[threading.Thread] = []
    if one.kill is not None:
        _arm(account, one.kill, dying)
    barrier.wait(TIMEOUT_SECONDS)
    # Two that meet must not meet again at once, so these clocks do let time pass.
    played = account.play(one.asked, clock=Clock(0.1))
    # A module answers and ends now; what is judged here comes after its end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for thread in dying:
        thread.join()
    if one.usual is not None:
        sending.send(_verdict(account, played, one.usual))
    if played.message:
        print(played.message, file=sys.stderr)
        sys.exit(FAILED)


def _verdict(account: Account, played: Played, usual: Usual) -> tuple[str, str]:
    try:
        return check_outcome(played, usual, account.facets()), ""
    except AssertionError as error:
        return "lost", f"{error}\n{played.message}"


def _ending(kill: Kill) -> Callable[[], None]:
    """What ends this process, once."""
    if kill.signal is not None:
        return partial(os.kill, os.getpid(), kill.signal)
    reading, writing = os.pipe()
    os.dup2(writing, STANDARD_OUTPUT)
    os.close(writing)
    return partial(os.close, reading)


def _arm(account: Account, kill: Kill, dying: list[threading.Thread]) -> None:
    lock = threading.Lock()
    count = 0
    end = _ending(kill)

    def end_later() -> None:
        time.sleep(kill.delay)
        end()

    def reached() -> bool:
        nonlocal count
        with lock:
            count += 1
            return count == kill.request

    def before_request(_operation: str) -> None:
        if not reached():
            return
        if kill.moment == BEFORE:
            end()
            return
        dying.append(threading.Thread(target=end_later))
        dying[0].start()

    def answered(**_event: Any) -> None:
        if reached():
            end()

    if kill.moment == ANSWERED:
        for client in account.clients.values():
            client.meta.events.register("after-call", answered)
    else:
        account.before_request = before_request
