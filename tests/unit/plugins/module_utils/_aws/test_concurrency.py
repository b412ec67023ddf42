# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import map_concurrently


def test_results_come_in_the_order_of_the_items() -> None:
    """The first item ends last: it waits for the others."""
    others = threading.Barrier(3, timeout=20)

    def work(number: int) -> int:
        others.wait()
        return number * number

    assert map_concurrently(work, range(3), 3) == [0, 1, 4]
    assert map_concurrently(lambda number: -number, (number for number in (5, 6)), 1) == [-5, -6]


def test_no_more_than_so_many_are_under_way_at_once() -> None:
    lock = threading.Lock()
    running = 0
    most = 0
    pairs = threading.Barrier(2, timeout=20)

    def work(_number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pairs.wait()
        with lock:
            running -= 1

    map_concurrently(work, range(6), 2)
    assert most == 2


@pytest.mark.parametrize(("items", "width"), [([1], 8), ([1, 2, 3], 1), ([1, 2, 3], 0)])
def test_one_at_a_time_needs_no_thread(items: list[int], width: int) -> None:
    threads = map_concurrently(lambda _item: threading.current_thread(), items, width)
    assert set(threads) == {threading.current_thread()}


def test_nothing_to_do() -> None:
    assert map_concurrently(str, [], 8) == []


@pytest.mark.parametrize("width", [1, 4])
def test_an_exception_ends_the_whole(width: int) -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    with pytest.raises(ValueError, match="two"):
        map_concurrently(work, range(4), width)


def test_nothing_more_begins_after_an_exception_of_the_iterator() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    def items() -> Iterator[int]:
        yield from range(500)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        map_concurrently(work, items(), 2)
    assert len(begun) < 500
