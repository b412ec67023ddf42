# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How fast a service may be asked: nothing slows down before it throttles, then all threads together.

Throttling says that the rate is too high, and the requests that were answered say what rate is not.
The adaptive mode of botocore slows down for every throttled request, also for those that were under
way when it slowed down already, and then takes seconds to find back.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .interrupt import raise_if_interrupted

# Seconds over which answers are counted.
WINDOW = 1.0
# Requests a second: the least, and the first rate when nothing was answered yet.
SLOWEST = 1.0
FIRST = 5.0
# The part of a rate that is left after throttling.
CUT = 0.9
# A second's growth above the rate that is known to be good: requests a second, and so large a part of
# the rate for every second without throttling.
GROWTH = 0.5
GROWTH_PART = 0.02
# How many times a rate below the good one grows in a second.
RECOVERY = 2.0
# What may be sent at once: this many seconds' worth.
BURST = 0.1
# Seconds between two looks of a thread in the queue whether its work is to end.
LOOK = 0.5


@dataclass(slots=True)
class Rate:
    """The rate of one service. Times are in seconds of any one clock, rates in requests a second.

    ``limit`` is None until the service throttles. ``good`` is the rate that it last kept up with.
    """

    limit: float | None = None
    good: float = math.inf
    slowed: float = -math.inf
    _asked: float = -math.inf
    _started: float = 0.0
    _tokens: float = 0.0
    _filled: float = 0.0
    _answers: deque[float] = field(default_factory=deque)

    def take(self, now: float) -> float:
        """0 when a request may be sent now, else after how many seconds to ask again."""
        if now - self._asked > WINDOW:
            # The rate of the answers tells nothing about a time in which nothing was asked.
            self._started = now
        self._asked = now
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
        # Somebody waits until then, so that time is none in which nothing was asked.
        self._asked += pause
        return pause

    def answered(self, now: float) -> None:
        """A request was not throttled."""
        since = min(now - self._answers[-1], 1.0) if self._answers else 0.0
        self._answers.append(now)
        measured = self._measured(now)
        if self.limit is None or measured < self.limit / 4:
            # It is not the limit that holds back.
            return
        if self.limit < self.good:
            self.limit = min(self.good, self.limit * (1 + RECOVERY * since))
        else:
            self.limit += (GROWTH + GROWTH_PART * (now - self.slowed) * self.limit) * since

    def throttled(self, sent: float, now: float) -> None:
        """A request that was ``sent`` at that time was throttled."""
        if sent <= self.slowed:
            # Sent at the rate from before: it says nothing about the present one.
            return
        measured = self._measured(now)
        if now - self._started < WINDOW:
            # Too early to know a good rate: start low, and find it.
            self.limit = max(FIRST, measured * CUT)
        elif self._answers and self._answers[-1] > self.slowed:
            self.good = min(measured, self.limit or math.inf)
            self.limit = max(SLOWEST, self.good * CUT)
        else:
            self.limit = max(SLOWEST, (self.limit or FIRST) / 2)
        self.slowed = self._filled = now
        self._tokens = 0.0

    def _measured(self, now: float) -> float:
        while self._answers and self._answers[0] < now - WINDOW:
            self._answers.popleft()
        return len(self._answers) / min(WINDOW, max(now - self._started, WINDOW / 4))


class RateLimiter:
    """The rate of one service, kept by all threads together: who asks first is sent first."""

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._rate = Rate()
        self._latest = -math.inf
        # Of each thread that waits the event by which it learns that it is the first.
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._queue)

    def wait(self) -> float:
        """Return when a request may be sent: the time at which that is."""
        turn = threading.Event()
        try:
            with self._lock:
                self._queue.append(turn)
                self._queue[0].set()
            while not turn.wait(LOOK):
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

    def answered(self) -> None:
        with self._lock:
            self._rate.answered(self._time())

    def throttled(self, sent: float) -> None:
        with self._lock:
            self._rate.throttled(sent, self._time())

    def _time(self) -> float:
        """For all threads alike time only goes on."""
        self._latest = max(self._latest, self._now())
        return self._latest
