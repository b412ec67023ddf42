# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the time limits of function calls, and of work in several threads."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import each_within


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
        if thread.daemon and thread is not threading.current_thread():
            thread.join(60)
    assert sorted(done) == [0, 1]
