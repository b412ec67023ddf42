# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rate limit: which request is within it, and what the client sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.aws.control import AwsControl, AwsControlError
from sandbox.aws.rate_limit import RateLimit

from .conftest import refusal


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


def taken(limit: RateLimit, times: int) -> int:
    return sum(limit.take() for _ in range(times))


class TestBucket:
    def test_without_a_limit_takes_everything(self) -> None:
        assert taken(RateLimit(), 1000) == 1000

    def test_takes_what_one_second_brings_then_what_time_brings(self) -> None:
        clock = Clock()
        limit = RateLimit(20, clock.now)
        assert taken(limit, 100) == 20
        clock.time += 0.5
        assert taken(limit, 100) == 10
        clock.time += 60
        assert taken(limit, 100) == 20

    def test_what_is_throttled_takes_nothing(self) -> None:
        clock = Clock()
        limit = RateLimit(1, clock.now)
        assert taken(limit, 100) == 1
        clock.time += 1
        assert taken(limit, 1) == 1

    def test_less_than_one_a_second(self) -> None:
        clock = Clock()
        limit = RateLimit(0.5, clock.now)
        assert taken(limit, 2) == 1
        clock.time += 1
        assert taken(limit, 1) == 0
        clock.time += 1
        assert taken(limit, 1) == 1

    def test_setting_it_starts_over(self) -> None:
        clock = Clock()
        limit = RateLimit(5, clock.now)
        taken(limit, 100)
        limit.set(3)
        assert taken(limit, 100) == 3


class TestEndpoint:
    def test_throttles_all_services_together(self, eks: Any, iam: Any, control: AwsControl) -> None:
        control.set_rate_limit(1)
        iam.list_roles()
        assert refusal(iam.list_roles) == (400, "Throttling", "Rate exceeded")
        assert refusal(eks.list_clusters) == (429, "ThrottlingException", "Rate exceeded")
        counters = control.counters()
        assert (counters["total"], counters["faults"]) == (3, {"throttle": 2})

    def test_zero_ends_it(self, iam: Any, control: AwsControl) -> None:
        control.set_rate_limit(1)
        control.set_rate_limit(0)
        for _ in range(3):
            iam.list_roles()
        assert control.counters()["faults"] == {}

    @pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
    def test_has_to_be_a_number(self, control: AwsControl, value: float) -> None:
        with pytest.raises(AwsControlError, match="per_second must be a number of at least 0"):
            control.set_rate_limit(value)
