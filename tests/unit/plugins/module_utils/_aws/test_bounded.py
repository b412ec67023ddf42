# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work within a time: what it returns, raises, or leaves undone, and the threads that do it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws import transport
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    Bounded,
    OutOfTime,
    call_within,
)

Within = Callable[[float, Callable[[], Any]], Any]


@pytest.fixture(params=[call_within, Bounded().within], ids=["once", "again and again"])
def in_time(request: pytest.FixtureRequest) -> Within:
    chosen: Within = request.param
    return chosen


def test_what_the_work_returns(in_time: Within) -> None:
    assert in_time(5, lambda: [1]) == [1]
    assert in_time(5, lambda: None) is None


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_the_work_raises(in_time: Within, error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        in_time(5, work)
    assert raised.value is error


def test_work_that_does_not_end(in_time: Within) -> None:
    end = threading.Event()
    with pytest.raises(OutOfTime):
        in_time(0.05, end.wait)
    assert in_time(5, lambda: 2) == 2
    end.set()


def test_a_thread_is_used_again_also_after_an_error() -> None:
    work = Bounded()
    first = work.within(5, threading.get_ident)
    with pytest.raises(ZeroDivisionError):
        work.within(5, lambda: 1 / 0)
    assert work.within(5, threading.get_ident) == first


def test_many_at_once_have_a_thread_each_and_their_own_results() -> None:
    work, width = Bounded(), 8
    together = threading.Barrier(width)

    def one(number: int) -> tuple[int, int]:
        def inner() -> tuple[int, int]:
            together.wait(5)
            return number, threading.get_ident()

        return work.within(5, inner)

    with ThreadPoolExecutor(width) as pool:
        for _ in range(3):
            results = list(pool.map(one, range(width)))
            assert [number for number, _thread in results] == list(range(width))
            assert len({thread for _number, thread in results}) == width


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "IDLE_SECONDS", 0.05)
    work = Bounded()
    thread = work.within(5, threading.current_thread)
    thread.join(5)
    assert not thread.is_alive()
    assert work.within(5, lambda: 3) == 3
