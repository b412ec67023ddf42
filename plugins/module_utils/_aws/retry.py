# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Send a failed request again, where that can help: bounded in number and time, with jitter.

What AWS means (a conflict, a refusal, bad input) is never asked for twice. botocore itself sends
each request once.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .._identity.model.aws_errors import AwsError, ErrorKind
from .interrupt import pause

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a request is sent, the first time included, and the pauses between, in seconds.

    The pause doubles from ``first`` up to ``longest``; jitter takes away up to half of it.
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
    """``budget`` is how many seconds after its first attempt a request may still be sent again; the time
    in which it waits for its turn is not counted.

    ``now``, ``sleep`` and ``chance`` (0 to 1) are given, so that tests need not wait.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = pause
    chance: Callable[[], float] = random.random
    budget: float = 120
    paces: Mapping[ErrorKind, Pace] = field(default_factory=lambda: _PACES)

    def run(
        self,
        send: Callable[[float], Answer],
        once: bool = False,
        turn: Callable[[], float] | None = None,
    ) -> Answer:
        """The answer, or the AwsError of the last attempt.

        ``turn`` returns when an attempt may be made; ``send`` makes it, and is told that time.
        The error is ``outcome_unknown`` when any attempt may have taken effect. With ``once`` nothing is
        sent again after such an attempt.
        """
        wait = turn or self.now
        deadline = self.now() + self.budget
        failed: Counter[ErrorKind] = Counter()
        outcome_unknown = False
        while True:
            queued = self.now()
            sent_at = wait()
            # The more requests wait, the later the turn of each: that says nothing about this one.
            deadline += self.now() - queued
            try:
                return send(sent_at)
            except AwsError as error:
                failed[error.kind] += 1
                outcome_unknown = outcome_unknown or error.outcome_unknown
                pace = self.paces.get(error.kind)
                sent = failed.total()
                if pace is None or failed[error.kind] >= pace.attempts or (once and outcome_unknown):
                    raise _last(error, sent, outcome_unknown) from error
                rest = min(pace.first * 2 ** (failed[error.kind] - 1), pace.longest)
                rest *= 1 - self.chance() / 2
                if self.now() + rest > deadline:
                    raise _last(error, sent, outcome_unknown) from error
            self.sleep(rest)


def _last(error: AwsError, sent: int, outcome_unknown: bool) -> AwsError:
    text = error.text if sent == 1 else f"{error.text} (after {sent} attempts)"
    return error.amended(text, outcome_unknown)
