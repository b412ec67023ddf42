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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.aws_errors import AwsError
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock
from ansible_collections.workload_identity.aws.tests.faults.world import desired

BEFORE, ANSWERED, UNDER_WAY = "before", "answered", "under way"
MOMENTS = (BEFORE, ANSWERED, UNDER_WAY)
TIMEOUT_SECONDS = 120
FAILED = 3


@dataclass(frozen=True)
class Kill:
    """When a run dies: before its ``request``-th request, at its answer, or ``delay`` s after sending."""

    request: int
    moment: str
    delay: float


@dataclass(frozen=True)
class Task:
    url: str
    workloads: tuple[Mapping[str, Any], ...]
    state: str = "present"
    kill: Kill | None = None


def run_all(tasks: Sequence[Task]) -> list[int | None]:
    """Run each task in a process; all begin at the same time, once all are ready.

    How each ended: 0 well, FAILED with failures that it printed; a negative number is the signal
    that ended it, None that it never did.
    """
    context = multiprocessing.get_context("forkserver")
    # What takes long to import is there already when a process begins.
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(len(tasks))
    processes = [context.Process(target=_work, args=(task, barrier)) for task in tasks]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_SECONDS)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    return codes


def _work(task: Task, barrier: Any) -> None:
    account = Account(task.url)
    dying: list[threading.Thread] = []
    if task.kill is not None:
        _arm(account, task.kill, dying)
    barrier.wait(TIMEOUT_SECONDS)
    # Two that meet must not meet again at once, so these clocks do let time pass.
    ended = account.run(desired(*task.workloads, state=task.state), task.state, clock=Clock(0.1))
    for thread in dying:
        thread.join()
    if isinstance(ended, AwsError):
        raise ended
    if ended.failures:
        assert all(one.workloads and one.action and one.message for one in ended.failures), ended.failures
        print(ended.failures, file=sys.stderr)
        sys.exit(FAILED)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_later(delay: float) -> None:
    time.sleep(delay)
    _die()


def _arm(account: Account, kill: Kill, dying: list[threading.Thread]) -> None:
    lock = threading.Lock()
    count = 0

    def reached() -> bool:
        nonlocal count
        with lock:
            count += 1
            return count == kill.request

    def before_request(_operation: str) -> None:
        if not reached():
            return
        if kill.moment == BEFORE:
            _die()
        dying.append(threading.Thread(target=_die_later, args=(kill.delay,)))
        dying[0].start()

    def answered(**_event: Any) -> None:
        if reached():
            _die()

    if kill.moment == ANSWERED:
        for client in account.clients.values():
            client.meta.events.register("after-call", answered)
    else:
        account.before_request = before_request
