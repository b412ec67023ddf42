# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the history of changes."""

from __future__ import annotations

import pytest
from sandbox.kube.errors import ApiError
from sandbox.kube.events import Event, EventLog


def event_log(limit: int, count: int) -> EventLog:
    events = EventLog(limit)
    for version in range(1, count + 1):
        events.append("pods", Event(version, {}, None))
    return events


@pytest.mark.parametrize(
    ("since", "expected"),
    [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (99, [])],
)
def test_events_since_a_version(since: int, expected: list[int]) -> None:
    assert [event.version for event in event_log(10, 3).since("pods", since)] == expected
    assert event_log(10, 3).since("nodes", since) == []


def test_expired_version_raises_error() -> None:
    events = event_log(limit=2, count=6)
    with pytest.raises(ApiError) as raised:
        events.since("pods", 1)
    assert (raised.value.code, raised.value.reason) == (410, "Expired")
    assert raised.value.message.startswith("too old resource version: 1 (")
    assert [event.version for event in events.since("pods", 5)] == [6]
