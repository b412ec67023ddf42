# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the detection that no process reads standard output any more."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import watch_reader

LONG = 20
NEVER_OPENED = 10**6


@pytest.fixture
def ends() -> Iterator[list[int]]:
    """Yield the read end and the write end of a pipe. A test that closes an end removes it from the list."""
    pipe = [*os.pipe()]
    yield pipe
    for end in pipe:
        os.close(end)


def test_lost_reader_is_detected(ends: list[int]) -> None:
    lost = threading.Event()
    with watch_reader(lost.set, ends[1]):
        assert not lost.is_set()
        os.close(ends.pop(0))
        assert lost.wait(LONG)


def test_reader_lost_before_the_block_is_detected(ends: list[int]) -> None:
    os.close(ends.pop(0))
    lost = threading.Event()
    with watch_reader(lost.set, ends[0]):
        assert lost.wait(LONG)


def test_unread_output_has_a_reader(ends: list[int]) -> None:
    os.write(ends[1], b"progress")
    lost = threading.Event()
    with watch_reader(lost.set, ends[1]):
        assert not lost.wait(0.2)


def test_no_detection_after_the_block(ends: list[int]) -> None:
    # Threads of earlier tests may still run and end during this test, so count only new threads.
    threads = set(threading.enumerate())
    lost = threading.Event()
    with watch_reader(lost.set, ends[1]):
        assert len(set(threading.enumerate()) - threads) == 1
    assert set(threading.enumerate()) <= threads
    os.close(ends.pop(0))
    assert not lost.wait(0.2)


@pytest.mark.parametrize("closed", [False, True], ids=["a file", "a closed descriptor"])
def test_files_and_closed_descriptors_are_not_watched(tmp_path: Path, closed: bool) -> None:
    stream = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY)
    lost = threading.Event()
    # The number of a closed descriptor may be assigned to the next file, so it must not be watched.
    with watch_reader(lost.set, NEVER_OPENED if closed else stream):
        assert not lost.wait(0.2)
    os.close(stream)
