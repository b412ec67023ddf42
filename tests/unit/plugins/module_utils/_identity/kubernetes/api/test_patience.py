# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a busy API server is asked again, how often, and with which pauses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    PatientCluster,
    Query,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    name_of,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

QUERY = Query("v1", "Pod")
BUSY = ApiError(503, "busy")
ITEMS = Listing([{"metadata": {"name": "x"}}])


class Answers(FakeCluster):
    """Answers in turn, the last again and again."""

    def __init__(self, *answers: Listing | Written) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def _next(self) -> Listing | Written:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def list_objects(self, query: Query) -> Listing:
        self.asked.append([query.kind])
        answer = self._next()
        assert isinstance(answer, Listing)
        return answer

    def apply(self, manifests: Sequence[Object]) -> Written:
        self.asked.append([name_of(manifest).name for manifest in manifests])
        answer = self._next()
        assert isinstance(answer, Written)
        return answer


def patient(*answers: Listing | Written) -> tuple[PatientCluster, Answers, FakeClock]:
    cluster, clock = Answers(*answers), FakeClock()
    return PatientCluster(cluster, clock, lambda: 0), cluster, clock


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_list_is_asked_again(status: int) -> None:
    cluster, asked, clock = patient(Listing(error=ApiError(status, "busy")), ITEMS)
    assert cluster.list_objects(QUERY) == ITEMS
    assert (len(asked.asked), clock.slept) == (2, [0.5])


@pytest.mark.parametrize("status", [0, 401, 403, 404, 409, 422])
def test_what_will_not_change_is_not_asked_again(status: int) -> None:
    listing = Listing(error=ApiError(status, "no"))
    cluster, asked, clock = patient(listing)
    assert cluster.list_objects(QUERY) == listing
    assert (len(asked.asked), clock.slept) == (1, [])


def test_a_list_that_stays_busy_is_a_failure() -> None:
    cluster, asked, clock = patient(Listing(error=BUSY))
    assert cluster.list_objects(QUERY) == Listing(error=BUSY)
    assert (len(asked.asked), clock.slept) == (6, [0.5, 1, 2, 4, 8])


def test_the_api_says_how_long_to_wait() -> None:
    cluster, _asked, clock = patient(Listing(error=ApiError(429, "busy", 20)), ITEMS)
    assert cluster.list_objects(QUERY) == ITEMS
    assert clock.slept == [20]


@pytest.mark.parametrize("seconds", [46, 3600])
def test_a_wait_that_is_too_long_is_not_begun(seconds: int) -> None:
    cluster, _asked, clock = patient(Listing(error=ApiError(429, "busy", seconds)), ITEMS)
    assert cluster.list_objects(QUERY).error is not None
    assert clock.slept == []


def test_nothing_is_asked_again_after_two_minutes() -> None:
    cluster, asked, clock = patient(Listing(error=ApiError(429, "busy", 30)))
    assert cluster.list_objects(QUERY).error is not None
    assert (len(asked.asked), sum(clock.slept)) == (5, 120)


def manifests(*names: str) -> list[Object]:
    return [{"metadata": {"name": name}} for name in names]


def test_only_what_was_refused_for_now_is_written_again() -> None:
    no = ApiError(403, "no")
    first = Written(True, {0: BUSY, 1: no, 2: BUSY}, diffs=[{"after": "d"}])
    cluster, asked, _clock = patient(first, Written(True, {1: BUSY}, diffs=[{"after": "a"}]), Written(True))
    written = cluster.apply(manifests("a", "b", "c", "d"))
    assert asked.asked == [["a", "b", "c", "d"], ["a", "c"], ["c"]]
    assert written == Written(True, {1: no}, diffs=[{"after": "d"}, {"after": "a"}])


def test_what_misses_its_namespace_is_written_after_it() -> None:
    made: list[Object] = [
        {"kind": "Namespace", "metadata": {"name": "shop"}},
        {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "api"}},
        {"kind": "ServiceAccount", "metadata": {"namespace": "other", "name": "api2"}},
    ]
    missing = ApiError(404, "not found")
    cluster, asked, _clock = patient(Written(True, {0: BUSY, 1: missing, 2: missing}), Written(True))
    written = cluster.apply(made)
    assert (written.refused, written.error) == ({2: missing}, None)
    assert asked.asked == [["shop", "api", "api2"], ["shop", "api"]]


def test_a_write_that_ended_for_now_is_made_again() -> None:
    cluster, asked, _clock = patient(Written(error=BUSY), Written(True))
    assert cluster.apply(manifests("a", "b")) == Written(True)
    assert asked.asked == [["a", "b"]] * 2


def test_an_end_of_the_second_attempt_is_told() -> None:
    gone = ApiError(0, "gone")
    cluster, _asked, _clock = patient(Written(True, {0: BUSY}), Written(error=gone))
    assert cluster.apply(manifests("a", "b")) == Written(True, {0: BUSY}, gone)


@pytest.mark.parametrize(
    "text",
    [
        '{"message":"busy","details":{"retryAfterSeconds": 3},"code":429}',
        "429\nHTTP response headers: HTTPHeaderDict({'Retry-After': '3'})",
    ],
)
def test_the_pause_is_read_from_the_words_of_the_modules(text: str) -> None:
    assert parse_api_error(text).retry_after == 3
