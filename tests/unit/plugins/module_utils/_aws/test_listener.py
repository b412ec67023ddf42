# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the detection that no process reads standard output any more."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import watch_reader

LONG = 20


@pytest.fixture
def ends() -> Iterator[list[int]]:
    """Yield the read end and the write end of a pipe. A test that closes an end removes it from the list."""
    pipe = [*os.pipe()]
    yield pipe
    for end in pipe:
        os.close(end)


def test_reader_lost_before_the_block_is_detected(ends: list[int]) -> None:
    os.close(ends.pop(0))
    lost = threading.Event()
    with watch_reader(lost.set, ends[0]):
        assert lost.wait(LONG)
