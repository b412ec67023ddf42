# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of changes, and what a selecting watch makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.errors import ApiError
from sandbox.kube.watch import Event, EventLog, translate

IN, OUT = {"in": True}, {"in": False}


def matches(obj: dict[str, Any]) -> bool:
    return bool(obj["in"])


@pytest.mark.parametrize(
    ("kind", "previous", "obj", "expected"),
    [
        pytest.param("ADDED", None, IN, "ADDED", id="added"),
        pytest.param("ADDED", None, OUT, None, id="added-elsewhere"),
        pytest.param("MODIFIED", IN, IN, "MODIFIED", id="modified"),
        pytest.param("MODIFIED", OUT, IN, "ADDED", id="begins-to-match"),
        pytest.param("MODIFIED", IN, OUT, "DELETED", id="ceases-to-match"),
        pytest.param("MODIFIED", OUT, OUT, None, id="modified-elsewhere"),
        pytest.param("DELETED", IN, IN, "DELETED", id="deleted"),
        pytest.param("DELETED", OUT, OUT, None, id="deleted-elsewhere"),
    ],
)
def test_translate(kind: str, previous: Any, obj: Any, expected: str | None) -> None:
    seen = translate(Event(1, kind, obj, previous), matches)
    assert (seen[0] if seen else None) == expected


def log(limit: int, count: int) -> EventLog:
    events = EventLog(limit)
    for version in range(1, count + 1):
        events.append("pods", Event(version, "ADDED", {}, None))
    return events


@pytest.mark.parametrize(
    ("since", "expected"),
    [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (99, [])],
)
def test_events_since_a_version(since: int, expected: list[int]) -> None:
    assert [event.version for event in log(10, 3).since("pods", since)] == expected
    assert log(10, 3).since("nodes", since) == []


def test_a_version_whose_history_is_gone() -> None:
    events = log(limit=2, count=6)
    with pytest.raises(ApiError) as raised:
        events.since("pods", 1)
    assert (raised.value.code, raised.value.reason) == (410, "Expired")
    assert raised.value.message.startswith("too old resource version: 1 (")
    assert [event.version for event in events.since("pods", 5)] == [6]


def test_subscribers_are_told_until_they_leave() -> None:
    events, told = log(10, 0), []
    leave = events.subscribe(lambda: told.append(1))
    events.append("pods", Event(1, "ADDED", {}, None))
    leave()
    events.append("pods", Event(2, "ADDED", {}, None))
    assert told == [1]
