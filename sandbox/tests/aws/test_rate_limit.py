# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the rate limit, and the errors of throttled requests."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.aws.control import AwsControl, AwsControlError
from sandbox.aws.instruments import RateLimit

from .conftest import api_error


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


def take_all(limit: RateLimit, times: int) -> int:
    return sum(limit.take() for _ in range(times))


class TestBucket:
    def test_no_limit_accepts_all_requests(self) -> None:
        assert take_all(RateLimit(), 1000) == 1000

    def test_bucket_refills_up_to_one_second(self) -> None:
        clock = Clock()
        limit = RateLimit(20, clock.now)
        assert take_all(limit, 100) == 20
        clock.time += 0.5
        assert take_all(limit, 100) == 10
        clock.time += 60
        assert take_all(limit, 100) == 20

    def test_throttled_requests_take_no_token(self) -> None:
        clock = Clock()
        limit = RateLimit(1, clock.now)
        assert take_all(limit, 100) == 1
        clock.time += 1
        assert take_all(limit, 1) == 1

    def test_rate_below_one_per_second(self) -> None:
        clock = Clock()
        limit = RateLimit(0.5, clock.now)
        assert take_all(limit, 2) == 1
        clock.time += 1
        assert take_all(limit, 1) == 0
        clock.time += 1
        assert take_all(limit, 1) == 1

    def test_set_resets_bucket(self) -> None:
        clock = Clock()
        limit = RateLimit(5, clock.now)
        take_all(limit, 100)
        limit.set(3)
        assert take_all(limit, 100) == 3


class TestEndpoint:
    def test_limit_is_shared_by_all_services(self, eks: Any, iam: Any, control: AwsControl) -> None:
        control.set_rate_limit(1)
        iam.list_roles()
        assert api_error(iam.list_roles) == (400, "Throttling", "Rate exceeded")
        assert api_error(eks.list_clusters) == (429, "ThrottlingException", "Rate exceeded")
        counters = control.counters()
        assert (counters["total"], counters["faults"]) == (3, {"throttle": 2})

    def test_zero_removes_limit(self, iam: Any, control: AwsControl) -> None:
        control.set_rate_limit(1)
        control.set_rate_limit(0)
        for _ in range(3):
            iam.list_roles()
        assert control.counters()["faults"] == {}

    @pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
    def test_invalid_rate_is_rejected(self, control: AwsControl, value: float) -> None:
        with pytest.raises(AwsControlError, match="per_second must be a number of at least 0"):
            control.set_rate_limit(value)
