# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the engine in separate processes, which tests kill or run concurrently."""

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

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import STANDARD_OUTPUT
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import State
from ansible_collections.workload_identity.aws.tests.faults.harness import (
    Account,
    Baseline,
    Clock,
    TaskOutcome,
    TaskSpec,
    check_outcome,
)
from ansible_collections.workload_identity.aws.tests.faults.world import desired

BEFORE, ANSWERED, UNDER_WAY = "before", "answered", "under way"
MOMENTS = (BEFORE, ANSWERED, UNDER_WAY)
TIMEOUT_SECONDS = 120
FAILED = 3


@dataclass(frozen=True)
class Kill:
    """The way in which a test ends a run, at its ``request``-th request.

    ``moment`` is one of MOMENTS: before the request, at its response, or ``delay`` seconds after it was sent. If ``signal`` is
    None, the test does not send a signal, but closes the pipe that reads the run's output.
    """

    request: int
    moment: str
    delay: float
    signal: signal.Signals | None = signal.SIGKILL


@dataclass(frozen=True)
class Task:
    """A run for a process. ``baseline`` is the same run without faults. With it, the process checks the outcome."""

    url: str
    spec: TaskSpec
    kill: Kill | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Result:
    """The result of a process.

    ``code`` is 0 for success, FAILED if the process printed failures, the negative number of the signal that ended the
    process, or None after a timeout. ``verdict`` is the result of check_outcome, or "lost" with its error in ``problem``.
    Both are empty without a baseline, and if the process ended before the check.
    """

    code: int | None
    verdict: str = ""
    problem: str = ""


def task(url: str, *workloads: Mapping[str, Any], state: State = "present") -> Task:
    return Task(url, TaskSpec(desired(*workloads, state=state), state))


def run_all(tasks: Sequence[Task]) -> list[Result]:
    """Start all tasks at the same time, each in a separate process, and return their results."""
    context = multiprocessing.get_context("forkserver")
    # Import slow modules once, before the processes start.
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(len(tasks))
    pipes = [context.Pipe(duplex=False) for _task in tasks]
    processes = [
        context.Process(target=_work, args=(task_, barrier, sending))
        for task_, (_receiving, sending) in zip(tasks, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_SECONDS)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    verdicts = [receiving.recv() if receiving.poll() else ("", "") for receiving, _sending in pipes]
    for ends in pipes:
        for end in ends:
            end.close()
    return [Result(code, *verdict) for code, verdict in zip(codes, verdicts, strict=True)]


def _work(task: Task, barrier: Any, sending: Any) -> None:
    account = Account(task.url)
    dying: list[threading.Thread] = []
    if task.kill is not None:
        _arm(account, task.kill, dying)
    barrier.wait(TIMEOUT_SECONDS)
    # The pauses take real time. Without it, concurrent runs would retry immediately, and conflict again.
    outcome = account.play(task.spec, clock=Clock(0.1))
    # A module would exit here. From now on ignore signals, which would end the check of the outcome.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for thread in dying:
        thread.join()
    if task.baseline is not None:
        sending.send(_verdict(account, outcome, task.baseline))
    if outcome.message:
        print(outcome.message, file=sys.stderr)
        sys.exit(FAILED)


def _verdict(account: Account, outcome: TaskOutcome, baseline: Baseline) -> tuple[str, str]:
    try:
        return check_outcome(outcome, baseline, account.facets()), ""
    except AssertionError as error:
        return "lost", f"{error}\n{outcome.message}"


def _ending(kill: Kill) -> Callable[[], None]:
    """Return a function that ends this process as ``kill`` describes."""
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
