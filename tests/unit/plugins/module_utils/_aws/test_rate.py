# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rate of one service: what sixteen threads get done against a service that throttles, in time
that is simulated."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from dataclasses import dataclass

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    FIRST,
    SLOWEST,
    Rate,
    RateLimiter,
)

THREADS = 16
ANSWER_TAKES = 0.045
LATE = 0.0002


class Service:
    """A token bucket of what one second brings; it refuses everything from ``out[0]`` to ``out[1]``."""

    def __init__(
        self, per_second: float, tokens: float | None = None, out: tuple[float, float] = (0, 0)
    ) -> None:
        self.per_second = per_second
        self.tokens = max(1, per_second) if tokens is None else tokens
        self.filled = 0.0
        self.out = out

    def takes(self, now: float) -> bool:
        self.tokens = min(max(1, self.per_second), self.tokens + (now - self.filled) * self.per_second)
        self.filled = now
        if self.out[0] <= now < self.out[1] or self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Work:
    """``seconds`` that it took, how many requests were ``throttled``, and the most attempts that one took."""

    seconds: float
    throttled: int
    attempts: int


def work(rate: Rate, service: Service, requests: int, threads: int = THREADS) -> Work:
    """Threads send requests, in the order in which they ask, until each is answered; the throttled ones
    after a pause again. A pause ends a little late, as real ones do."""
    chance = random.Random(7)
    # Each event: when, its number, what, when the request was sent, how often it was throttled.
    events: list[tuple[float, int, str, float, int]] = []
    number = 0
    queue: deque[int] = deque()

    def add(when: float, what: str, sent: float = 0, refused: int = 0) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (when, number, what, sent, refused))

    for thread in range(min(threads, requests)):
        add(thread * 0.001, "ask")
    waiting = requests - threads
    found = Work(0, 0, 0)
    while events:
        now, _number, what, sent, refused = heapq.heappop(events)
        if what == "ask":
            queue.append(refused)
            if len(queue) == 1:
                add(now, "first")
        elif what == "first":
            while queue and not (pause := rate.take(now)):
                add(now + ANSWER_TAKES, "answer" if service.takes(now) else "refusal", now, queue.popleft())
            if queue:
                add(now + pause + LATE, "first")
        elif what == "answer":
            rate.answered(now)
            found.seconds = now
            found.attempts = max(found.attempts, refused + 1)
            if waiting > 0:
                waiting -= 1
                add(now, "ask")
        else:
            rate.throttled(sent, now)
            found.throttled += 1
            pause = min(0.5 * 2**refused, 4) * (1 - chance.random() / 2)
            add(now + pause, "ask", refused=refused + 1)
    return found


@pytest.mark.parametrize("per_second", [2, 5, 20, 50])
@pytest.mark.parametrize("requests", [300, 1000])
def test_almost_all_that_a_service_takes_is_used(per_second: int, requests: int) -> None:
    done = work(Rate(), Service(per_second), requests)
    demanded = (requests - per_second) / per_second
    assert demanded <= done.seconds < demanded * 1.06
    assert done.throttled < requests / 4


@pytest.mark.parametrize(("per_second", "threads"), [(1, 16), (1, 200), (0.5, 16), (0.5, 200)])
def test_a_service_slower_than_the_least_rate_answers_before_the_attempts_are_used_up(
    per_second: float, threads: int
) -> None:
    assert work(Rate(), Service(per_second), 300, threads).attempts < 14


def test_a_service_that_others_have_used_up() -> None:
    done = work(Rate(), Service(20, tokens=0), 400)
    assert done.seconds < 400 / 20 * 1.1


def test_a_service_that_does_not_throttle_is_not_slowed_down() -> None:
    rate = Rate()
    done = work(rate, Service(1_000_000), 1000)
    assert rate.limit is None
    assert done.seconds < 1000 / THREADS * ANSWER_TAKES * 1.05


def test_after_ten_seconds_without_any_answer_the_old_rate_is_found_again() -> None:
    calm = work(Rate(), Service(1_000_000), 4000)
    disturbed = work(Rate(), Service(1_000_000, out=(1, 11)), 4000)
    assert disturbed.seconds - calm.seconds < 10 + 6


def test_a_short_disturbance_costs_little() -> None:
    calm = work(Rate(), Service(1_000_000), 4000)
    disturbed = work(Rate(), Service(1_000_000, out=(2, 2.02)), 4000)
    assert disturbed.seconds - calm.seconds < 2


def test_one_throttled_request_in_the_middle_slows_down_to_just_under_the_rate_before() -> None:
    rate = Rate()
    for hundredth in range(200):
        rate.take(hundredth / 100)
        rate.answered(hundredth / 100)
    rate.throttled(1.99, 2.0)
    assert rate.good == pytest.approx(100)
    assert rate.limit == pytest.approx(90)


def test_requests_from_before_it_slowed_down_say_nothing() -> None:
    rate = Rate()
    for hundredth in range(200):
        rate.take(hundredth / 100)
        rate.answered(hundredth / 100)
    rate.throttled(1.99, 2.0)
    once = rate.limit
    for thread in range(THREADS):
        rate.throttled(1.95 + thread / 1000, 2.01)
    assert rate.limit == once
    rate.throttled(2.005, 2.02)
    assert rate.limit != once


def test_never_slower_than_the_least() -> None:
    rate = Rate()
    for second in range(1, 30):
        rate.take(float(second))
        rate.throttled(float(second), second + 0.5)
    assert rate.limit == SLOWEST


def test_threads_wait_for_each_other() -> None:
    class Clock:
        """Time that passes by sleeping."""

        def __init__(self) -> None:
            self.seconds = 0.0
            self.lock = threading.Lock()

        def now(self) -> float:
            with self.lock:
                return self.seconds

        def sleep(self, seconds: float) -> None:
            with self.lock:
                self.seconds += seconds

    clock = Clock()
    limiter = RateLimiter(clock.now, clock.sleep)
    limiter.throttled(limiter.wait())
    sent = sorted(limiter.wait() for _ in range(20))
    # Five a second at first, and a few of them at once.
    assert sent[-1] == pytest.approx(20 / FIRST, abs=1)


def test_who_asks_first_is_sent_first() -> None:
    """One thread after the other asks while the first is held in its pause; only who is next sleeps."""
    seconds = 0.0
    slept: list[str] = []
    all_wait = threading.Event()

    def sleep(pause: float) -> None:
        nonlocal seconds
        slept.append(threading.current_thread().name)
        all_wait.wait(20)
        seconds += pause

    limiter = RateLimiter(lambda: seconds, sleep)
    limiter.throttled(limiter.wait())
    names = [f"thread {number}" for number in range(8)]
    threads = [threading.Thread(target=limiter.wait, name=name, daemon=True) for name in names]
    for number, thread in enumerate(threads, 1):
        thread.start()
        for _ in range(4000):
            if limiter.waiting == number:
                break
            time.sleep(0.005)
        assert limiter.waiting == number
    all_wait.set()
    for thread in threads:
        thread.join(20)
    assert list(dict.fromkeys(slept)) == names
    assert limiter.waiting == 0


def test_who_is_interrupted_makes_room_for_the_next() -> None:
    seconds = 0.0
    sent: list[float] = []

    def sleep(pause: float) -> None:
        nonlocal seconds
        seconds += pause
        if seconds == pause:
            raise KeyboardInterrupt

    limiter = RateLimiter(lambda: seconds, sleep)
    limiter.throttled(limiter.wait())
    with pytest.raises(KeyboardInterrupt):
        limiter.wait()
    other = threading.Thread(target=lambda: sent.append(limiter.wait()), daemon=True)
    other.start()
    other.join(20)
    assert sent == [pytest.approx(1 / FIRST)]
