# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may never end has an end."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils.bounds import alarm, within


def test_a_call_gives_what_it_returns_or_raises() -> None:
    assert within(5, lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_a_call_that_does_not_end_is_given_up() -> None:
    with pytest.raises(TimeoutError, match=r"^no complete answer within 0\.1 seconds$"):
        within(0.1, threading.Event().wait)


def test_an_alarm_ends_what_takes_too_long() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match=r"^no result within 0\.1 seconds$"), alarm(0.1):
        time.sleep(5)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]) == (before, 0)


def wait_within(seconds: float) -> None:
    with alarm(seconds):
        pass
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.3
    time.sleep(5)


@pytest.mark.parametrize("seconds", [0.1, 60])
def test_an_alarm_that_was_set_before_keeps_its_time(seconds: float) -> None:
    with pytest.raises(TimeoutError, match=r"^no result within 0\.3 seconds$"), alarm(0.3):
        wait_within(seconds)
