# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Transport of requests: concurrency, a time limit for each call, the rate of a service, and retries.

A body that arrives in small pieces resets every timeout of a socket, so each call runs in a separate thread.

No request is delayed before the service throttles. Then all threads slow down together, once, to the rate of successful
responses. docs/benchmarks.md compares this with the adaptive mode of botocore.

A conflict, a denial and bad input are never retried. Retries are bounded in number and time, with jitter. botocore itself
sends each request once.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from .._identity.model.errors import AwsError, ErrorKind
from .interrupt import current_interrupt, interrupting, pause, raise_if_interrupted, set_interrupt

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

DEFAULT_WIDTH = 16


def map_concurrently(
    work: Callable[[_Item], _Result], items: Iterable[_Item], width: int = DEFAULT_WIDTH
) -> list[_Result]:
    """Return the results of ``work`` for every item, in the order of the items; at most ``width`` run at a time.

    Work begins while an iterator still yields items. An exception of ``work`` or of the iterator ends all of it: work in
    progress is finished, no more begins. Work that may fail for one item alone returns its failure instead. An interrupt
    ends work in progress as well, at its next pause or request.
    """
    if width <= 1 or (isinstance(items, Sized) and len(items) <= 1):
        return [work(item) for item in items]
    stop = current_interrupt()
    # The pool waits for its threads when it is left, so the inner one has to stop them before that.
    with (
        interrupting(stop),
        ThreadPoolExecutor(width, initializer=set_interrupt, initargs=(stop,)) as pool,
        interrupting(stop),
    ):
        begun: list[Future[_Result]] = []
        try:
            begun.extend(pool.submit(work, item) for item in items)
            return [future.result() for future in begun]
        finally:
            for future in begun:
                future.cancel()


# Seconds after which a thread without work ends.
IDLE_SECONDS = 5.0


class OutOfTime(Exception):
    """The work exceeded its time. It continues in its thread, and its result is dropped."""


class _Task(Generic[_Result]):
    """Work with its result or error, which is there once ``ended`` is released."""

    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._results: list[_Result] = []
        self._error: BaseException | None = None
        self.ended = threading.Lock()
        self.ended.acquire()

    def run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self._error = error

    def result(self, seconds: float) -> _Result:
        """Return the result of the work, or raise its error; raise OutOfTime after that time."""
        if not self.ended.acquire(timeout=seconds):
            raise OutOfTime
        if self._error is not None:
            raise self._error
        return self._results[0]


class Bounded:
    """A pool of threads for work with a time limit: to start a thread costs as much as a tenth of a request.

    Safe to share by threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Task[Any]]] = []

    def run(self, seconds: float, work: Callable[[], _Result]) -> _Result:
        """Return the result of the work, or raise its error; raise OutOfTime after that time."""
        task = _Task(work)
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            # A thread that hangs must not keep the process alive.
            threading.Thread(target=self._serve, args=(inbox,), daemon=True).start()
        inbox.put(task)
        return task.result(seconds)

    def _serve(self, inbox: SimpleQueue[_Task[Any]]) -> None:
        while True:
            try:
                task = inbox.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                # A caller has taken the inbox, and puts work into it.
                continue
            task.run()
            # Marked idle first: the caller may have more work at once.
            with self._lock:
                self._idle.append(inbox)
            task.ended.release()
            # The results are freed before the next task.
            del task


def call_within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Return the result of the work as ``Bounded`` does, in a thread that ends with the work."""
    task = _Task(work)

    def run() -> None:
        task.run()
        task.ended.release()

    threading.Thread(target=run, daemon=True).start()
    return task.result(seconds)


# Seconds over which responses are counted.
WINDOW = 1.0
# Requests a second: the minimum, and the first rate before any response.
SLOWEST = 1.0
FIRST = 5.0
# The part of a rate that is left after throttling.
CUT = 0.9
# The growth in a second above the good rate: requests a second, and a part of the rate for every second without throttling.
GROWTH = 0.5
GROWTH_PART = 0.02
# The growth in a second of a rate below the good one, as a factor.
RECOVERY = 2.0
# The size of a burst, in seconds of the current rate.
BURST = 0.1
# Seconds between checks of a waiting thread for an interrupt.
POLL_SECONDS = 0.5


@dataclass(slots=True)
class Rate:
    """The rate of requests to one service. Times are in seconds of one clock, rates in requests a second.

    ``limit`` is None until the service throttles. ``good`` is the last rate that it did not throttle.
    """

    limit: float | None = None
    good: float = math.inf
    slowed: float = -math.inf
    _requested: float = -math.inf
    _started: float = 0.0
    _tokens: float = 0.0
    _filled: float = 0.0
    _responses: deque[float] = field(default_factory=deque)

    def take(self, now: float) -> float:
        """Return 0 when a request may be sent now, else the seconds to wait before the next call."""
        if now - self._requested > WINDOW:
            # Responses do not show a rate for a time without requests.
            self._started = now
        self._requested = now
        if self.limit is None:
            return 0.0
        self._tokens += (now - self._filled) * self.limit
        self._tokens = min(self._tokens, max(1.0, self.limit * BURST))
        self._filled = now
        missing = 1 - self._tokens
        if missing < 1e-6:
            self._tokens -= 1
            return 0.0
        pause = missing / self.limit
        # A request waits until then, so this counts as time with requests.
        self._requested += pause
        return pause

    def responded(self, now: float) -> None:
        """Count a request that was not throttled, and let the rate grow."""
        since = min(now - self._responses[-1], 1.0) if self._responses else 0.0
        self._responses.append(now)
        measured = self._measured(now)
        if self.limit is None or measured < self.limit / 4:
            # Requests are slower than the limit anyway.
            return
        if self.limit < self.good:
            self.limit = min(self.good, self.limit * (1 + RECOVERY * since))
        else:
            self.limit += (GROWTH + GROWTH_PART * (now - self.slowed) * self.limit) * since

    def throttled(self, sent: float, now: float) -> None:
        """Slow down after a throttled request, unless it was ``sent`` before the rate was last reduced."""
        if sent <= self.slowed:
            return
        measured = self._measured(now)
        if now - self._started < WINDOW:
            # Too early to measure a good rate.
            self.limit = max(FIRST, measured * CUT)
        elif self._responses and self._responses[-1] > self.slowed:
            self.good = min(measured, self.limit or math.inf)
            self.limit = max(SLOWEST, self.good * CUT)
        else:
            self.limit = max(SLOWEST, (self.limit or FIRST) / 2)
        self.slowed = self._filled = now
        self._tokens = 0.0

    def _measured(self, now: float) -> float:
        while self._responses and self._responses[0] < now - WINDOW:
            self._responses.popleft()
        return len(self._responses) / min(WINDOW, max(now - self._started, WINDOW / 4))


class RateLimiter:
    """The rate of one service for all threads together: the thread that waits first sends first."""

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._rate = Rate()
        self._latest = -math.inf
        # An event for each waiting thread, set when the thread is the first.
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """The number of threads that wait."""
        return len(self._queue)

    def wait(self) -> float:
        """Wait until a request may be sent, and return the time."""
        turn = threading.Event()
        try:
            with self._lock:
                self._queue.append(turn)
                self._queue[0].set()
            while not turn.wait(POLL_SECONDS):
                raise_if_interrupted()
            while True:
                with self._lock:
                    now = self._time()
                    pause = self._rate.take(now)
                if not pause:
                    return now
                self._sleep(pause)
        finally:
            with self._lock:
                if turn in self._queue:
                    self._queue.remove(turn)
                if self._queue:
                    self._queue[0].set()

    def responded(self) -> None:
        with self._lock:
            self._rate.responded(self._time())

    def throttled(self, sent: float) -> None:
        with self._lock:
            self._rate.throttled(sent, self._time())

    def _time(self) -> float:
        """Return the time, which is monotonic across threads."""
        self._latest = max(self._latest, self._now())
        return self._latest


_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Pace:
    """The number of ``attempts``, the first one included, and the pauses between them, in seconds.

    A pause doubles from ``first`` up to ``longest``. Jitter reduces it by up to half.
    """

    attempts: int
    first: float
    longest: float


# Throttling can last; even with the shortest pauses these attempts span more than 20 seconds.
_PACES: Mapping[ErrorKind, Pace] = {
    ErrorKind.THROTTLED: Pace(14, 0.5, 4),
    ErrorKind.SERVER: Pace(6, 0.25, 4),
    ErrorKind.CONNECTION: Pace(5, 0.25, 4),
    ErrorKind.DAMAGED: Pace(3, 0.25, 4),
}


@dataclass(frozen=True, slots=True)
class Retries:
    """The attempts of a request. ``budget`` is the time, in seconds after the first attempt, in which it is sent again; waiting
    for its turn does not count.

    ``now``, ``sleep`` and ``chance`` (0 to 1) are parameters, so that tests need not wait.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = pause
    chance: Callable[[], float] = random.random
    budget: float = 120
    paces: Mapping[ErrorKind, Pace] = field(default_factory=lambda: _PACES)

    def run(
        self,
        send: Callable[[float], _Answer],
        once_only: bool = False,
        turn: Callable[[], float] | None = None,
    ) -> _Answer:
        """Return the response, or raise the AwsError of the last attempt.

        ``turn`` waits until an attempt may be made and returns the time, which ``send`` gets. The error is
        ``outcome_unknown`` when any attempt may have taken effect. With ``once_only`` the request is not sent again after
        such an attempt.
        """
        wait = turn or self.now
        deadline = self.now() + self.budget
        failed: Counter[ErrorKind] = Counter()
        outcome_unknown = False
        while True:
            queued = self.now()
            sent_at = wait()
            deadline += self.now() - queued
            try:
                return send(sent_at)
            except AwsError as error:
                failed[error.kind] += 1
                outcome_unknown = outcome_unknown or error.outcome_unknown
                pace = self.paces.get(error.kind)
                sent = failed.total()
                if pace is None or failed[error.kind] >= pace.attempts or (once_only and outcome_unknown):
                    raise _last(error, sent, outcome_unknown) from error
                rest = min(pace.first * 2 ** (failed[error.kind] - 1), pace.longest)
                rest *= 1 - self.chance() / 2
                if self.now() + rest > deadline:
                    raise _last(error, sent, outcome_unknown) from error
            self.sleep(rest)


def _last(error: AwsError, sent: int, outcome_unknown: bool) -> AwsError:
    text = error.text if sent == 1 else f"{error.text} (after {sent} attempts)"
    return error.amended(text, outcome_unknown)
