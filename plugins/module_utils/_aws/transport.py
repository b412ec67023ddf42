# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control how requests are sent: concurrency, a time limit for each attempt, a rate limit for each service, and retries.

Time limit: each attempt runs in a separate thread, and the caller stops waiting for the thread at the time limit. A socket
timeout is not sufficient, because each piece of a slow response restarts it.

Rate limit: before the service throttles, there is no limit. Afterwards, each throttling reduces the rate of all threads together,
and responses raise it. docs/contributing/benchmarks.md compares this with the adaptive mode of botocore.

Retries: requests are repeated a limited number of times, within a limited time, with random pauses. Conflicts, denials and
invalid input are not retried.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from .._identity.model.errors import AwsError, ErrorKind
from .interrupt import STOP, current_interrupt, interrupting, pause, raise_if_interrupted

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Other = TypeVar("_Other")

# The default of the maximum number of concurrent requests.
DEFAULT_WIDTH = 16


def map_concurrently(
    work: Callable[[_Item], _Result], items: Iterable[_Item], width: int = DEFAULT_WIDTH
) -> list[_Result]:
    """Call ``work`` for every item in at most ``width`` threads, and return the results in the order of the items.

    If ``items`` is an iterator, calls begin before it is exhausted. An exception of ``work`` or the iterator
    cancels the calls that have not begun, and is raised after the running calls have ended. If a failure concerns one item
    only, ``work`` must therefore return it instead of raising it. An interrupt also ends the running calls, at their next
    request or pause.
    """
    if width <= 1 or (isinstance(items, Sized) and len(items) <= 1):
        return [work(item) for item in items]
    stop = current_interrupt()
    # The pool waits for its threads when its context ends. So the inner ``interrupting`` interrupts these threads first.
    with (
        interrupting(stop),
        ThreadPoolExecutor(width, initializer=STOP.set, initargs=(stop,)) as pool,
        interrupting(stop),
    ):
        begun: list[Future[_Result]] = []
        try:
            begun.extend(pool.submit(work, item) for item in items)
            return [_await(future) for future in begun]
        finally:
            for future in begun:
                future.cancel()


class OutOfTime(TimeoutError):
    """The error for a call that exceeds its time limit. The call continues in its thread, but its result is ignored."""


def begin(work: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start ``work`` in a new thread.

    An interrupt of the calling thread, or of the thread that waits for the result, interrupts the work, too. The thread does
    not keep the process alive.

    :returns: a function that waits for the end of ``work``, and returns its result or raises its error. It raises Interrupted
        when the waiting thread is interrupted.
    """
    stop = current_interrupt()

    def interruptible() -> _Result:
        STOP.set(stop)
        return work()

    future = _start(interruptible)

    def wait_for_result() -> _Result:
        with interrupting(stop):
            return _await(future)

    return wait_for_result


def _await(future: Future[_Result]) -> _Result:
    """Return the result of a future, or raise its error. Wake up often, because Python may miss a signal in a long wait."""
    while not (future.done() or wait([future], POLL_SECONDS).done):
        raise_if_interrupted()
    return future.result()


def call_both(first: Callable[[], _Result], second: Callable[[], _Other]) -> tuple[_Result, _Other]:
    """Call two functions concurrently, and return both results.

    An error of ``first`` is raised without waiting for ``second``. An error of ``second`` is raised after ``first`` has ended.
    """
    other = begin(second)
    return first(), other()


def call_within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Call ``work`` in a new thread, and return its result or raise its error.

    A new thread takes 0.05 ms of CPU time, which is 2 % of a request.

    :raises OutOfTime: when the call has not ended after ``seconds``.
    """
    future = _start(work)
    if not wait([future], seconds).done:
        raise OutOfTime(f"no complete response within {seconds:g} seconds")
    return future.result()


def _start(work: Callable[[], _Result]) -> Future[_Result]:
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - result() raises it in the thread of the caller
            future.set_exception(error)

    # A thread that hangs must not keep the process alive, as the threads of a ThreadPoolExecutor do.
    threading.Thread(target=run, daemon=True).start()
    return future


# The time in seconds between two checks for an interrupt while a thread waits.
POLL_SECONDS = 0.5
# The limit after the first throttling, and the lowest limit, in requests per second.
FIRST = 30.0
SLOWEST = 0.5
# Throttling reduces the limit to this fraction. Each response raises it by this fraction for each response since then.
CUT = 0.8
GROWTH = 0.001
# Requests that were possible in this number of seconds, but were not sent, can be sent later at once.
BURST = 0.1


class RateLimiter:
    """A rate limiter for one service, which all threads share. It has no limit until the service throttles.

    With 20 requests a second, the requests of a run with 200 workloads take 1.01 times as long as the limit demands. With the
    adaptive mode of botocore, they take 1.12 times as long, because it reduces its rate once for each throttled request.
    """

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        # The thread that sends next holds it, also while it sleeps.
        self._turn = threading.Lock()
        self._limit: float | None = None
        # The times of the next request and of the last reduction of the limit, and the number of responses since then.
        self._next = 0.0
        self._slowed = -math.inf
        self._responses = 0

    def wait(self) -> float:
        """Wait until a request may be sent, and return the time at that moment.

        :raises Interrupted: when the thread is interrupted while it waits.
        """
        with self._turn:
            while pause := self.take():
                self._sleep(pause)
            return self._now()

    def take(self) -> float:
        """Return 0 if a request may be sent now, otherwise the seconds to wait before calling ``take`` again."""
        with self._lock:
            now = self._now()
            if self._limit is None:
                return 0.0
            if self._next - now > 1e-6:
                return self._next - now
            self._next = max(self._next, now - BURST) + 1 / self._limit
            return 0.0

    def responded(self) -> None:
        """Count a request that was not throttled, and raise the limit if it restricts the requests."""
        with self._lock:
            self._responses += 1
            if self._limit is not None and self._next > self._now():
                self._limit *= 1 + GROWTH * self._responses

    def throttled(self, sent: float) -> None:
        """Reduce the limit after a throttled request.

        A request that was sent before the last reduction changes nothing, because one throttling affects many threads.
        """
        with self._lock:
            if sent > self._slowed:
                self._limit = FIRST if self._limit is None else max(SLOWEST, self._limit * CUT)
                self._slowed = self._now()
                self._next = self._slowed + 1 / self._limit
                self._responses = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """The retry settings for one kind of error. Times are in seconds.

    ``attempts`` includes the first attempt. The first pause is ``first``, and each further pause is twice as long, up to
    ``longest``. Jitter shortens each pause by up to half.
    """

    attempts: int
    first: float
    longest: float


_NONE = Pace(1, 0, 0)
# Throttling may last long, so it has the most attempts: 14 attempts take more than 20 seconds even with the shortest pauses.
_PACES: Mapping[ErrorKind, Pace] = {
    ErrorKind.THROTTLED: Pace(14, 0.5, 4),
    ErrorKind.SERVER: Pace(6, 0.25, 4),
    ErrorKind.CONNECTION: Pace(5, 0.25, 4),
    ErrorKind.DAMAGED: Pace(3, 0.25, 4),
}


@dataclass(frozen=True, slots=True)
class Retries:
    """The retry settings for requests.

    ``budget`` is the number of seconds within which a request may be retried. Waiting for the rate limiter does not count.
    ``paces`` has the kinds of errors that are retried. ``now``, ``sleep`` and ``chance``, which returns a random number from 0 to
    1, are fields because tests replace them.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = pause
    chance: Callable[[], float] = random.random
    budget: float = 120
    paces: Mapping[ErrorKind, Pace] = field(default_factory=lambda: _PACES)

    def run(
        self,
        send: Callable[[float], _Result],
        once_only: bool = False,
        turn: Callable[[], float] | None = None,
    ) -> _Result:
        """Send a request, retry it after errors that may be temporary, and return the response.

        :arg send: sends the request once; its argument is the time of the attempt.
        :arg once_only: do not retry after an attempt that may have taken effect.
        :arg turn: waits until an attempt may be sent, and returns the time (see ``RateLimiter.wait``).
        :raises AwsError: the error of the last attempt. ``outcome_unknown`` is set if any attempt may have taken effect.
        """
        take_turn = turn or self.now
        deadline = self.now() + self.budget
        failed: Counter[ErrorKind] = Counter()
        outcome_unknown = False
        while True:
            queued = self.now()
            sent_at = take_turn()
            deadline += self.now() - queued
            try:
                return send(sent_at)
            except AwsError as error:
                failed[error.kind] += 1
                outcome_unknown = outcome_unknown or error.outcome_unknown
                pace, number, sent = self.paces.get(error.kind, _NONE), failed[error.kind], failed.total()
                delay = min(pace.first * 2 ** (number - 1), pace.longest) * (1 - self.chance() / 2)
                ends = number >= pace.attempts or self.now() + delay > deadline
                if ends or (once_only and outcome_unknown):
                    text = error.text if sent == 1 else f"{error.text} (after {sent} attempts)"
                    raise error.amended(text, outcome_unknown) from error
            self.sleep(delay)
