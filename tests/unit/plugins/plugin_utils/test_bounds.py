# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the time limits of function calls, and of work in several threads."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import (
    alarm,
    each_within,
    run_within,
)


def test_call_returns_or_raises() -> None:
    assert run_within(5, lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        run_within(5, lambda: 1 / 0)


def test_hanging_call_times_out() -> None:
    with pytest.raises(TimeoutError, match=r"^no complete response within 0\.1 seconds$"):
        run_within(0.1, threading.Event().wait)


def test_alarm_ends_a_slow_block() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match=r"^no result within 0\.1 seconds$"), alarm(0.1):
        time.sleep(5)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]) == (handler, 0)


def wait_within(seconds: float) -> None:
    with alarm(seconds):
        pass
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.3
    time.sleep(5)


@pytest.mark.parametrize("seconds", [0.1, 60])
def test_earlier_alarm_keeps_its_time(seconds: float) -> None:
    with pytest.raises(TimeoutError, match=r"^no result within 0\.3 seconds$"), alarm(0.3):
        wait_within(seconds)


def test_results_are_in_the_order_of_the_items() -> None:
    assert each_within(60, lambda item: item * 2, range(20), 3) == [item * 2 for item in range(20)]
    assert each_within(60, str, [], 3) == []


def test_number_of_concurrent_items_is_limited() -> None:
    """Run exactly two items at the same time: each item waits until another one is running."""
    barrier = threading.Barrier(2)
    running: list[int] = []
    most: list[int] = []

    def work(item: int) -> None:
        running.append(item)
        barrier.wait(60)
        most.append(len(running))
        barrier.wait(60)
        running.remove(item)

    each_within(60, work, range(6), 2)
    assert max(most) == 2


def test_error_of_one_item_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        each_within(60, lambda item: 1 // item, [1, 0, 1], 2)


def test_no_work_starts_after_a_timeout() -> None:
    done: list[int] = []
    release = threading.Event()

    def work(item: int) -> None:
        done.append(item)
        release.wait(60)

    with pytest.raises(TimeoutError, match=r"^no complete response within 0\.1 seconds$"):
        each_within(0.1, work, range(5), 2)
    release.set()
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread() and "serve" in thread.name:
            thread.join(60)
    assert sorted(done) == [0, 1]
