# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test concurrency, its limits, request rates and retries."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import as_aws_error
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    SLOWEST,
    OutOfTime,
    RateLimiter,
    Retries,
    call_within,
    map_concurrently,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)


def test_bounded_call_times_out() -> None:
    end = threading.Event()
    with pytest.raises(OutOfTime):
        call_within(0.05, end.wait)
    assert call_within(5, lambda: 2) == 2
    end.set()


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


THREADS = 16
ANSWER_TAKES = 0.045
LATE = 0.0002


class Service:
    """A service that throttles requests with a token bucket. From time ``out[0]`` to ``out[1]`` it throttles every request."""

    def __init__(
        self, per_second: float, tokens: float | None = None, out: tuple[float, float] = (0, 0)
    ) -> None:
        self.per_second = per_second
        self.tokens = max(1, per_second) if tokens is None else tokens
        self.filled = 0.0
        self.out = out

    def takes(self, now: float) -> bool:
        self.tokens = min(max(1, self.per_second), self.tokens + (now - self.filled) * self.per_second)
        self.filled = now
        if self.out[0] <= now < self.out[1] or self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Work:
    """The result of a simulation: its duration, the number of throttled attempts, and the largest number of attempts of a
    request."""

    seconds: float
    throttled: int
    attempts: int


def work(service: Service, requests: int, threads: int = THREADS) -> Work:
    """Simulate threads that send requests one after the other. A throttled request is sent again after a pause.

    As in reality, pauses end a little late.
    """
    chance, clock = random.Random(7), Clock()
    limiter = RateLimiter(lambda: clock.seconds, clock.sleep)
    # An event has a time, a number, a kind, the time at which its attempt was sent, and the number of earlier attempts.
    events: list[tuple[float, int, str, float, int]] = []
    number = 0
    queue: deque[int] = deque()

    def add(when: float, kind: str, sent: float = 0, refused: int = 0) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (when, number, kind, sent, refused))

    for thread in range(min(threads, requests)):
        add(thread * 0.001, "request")
    waiting = requests - threads
    found = Work(0, 0, 0)
    while events:
        now, _number, kind, sent, refused = heapq.heappop(events)
        clock.seconds = now
        if kind == "request":
            queue.append(refused)
            if len(queue) == 1:
                add(now, "first")
        elif kind == "first":
            while queue and not (pause := limiter.take()):
                add(now + ANSWER_TAKES, "answer" if service.takes(now) else "refusal", now, queue.popleft())
            if queue:
                add(now + pause + LATE, "first")
        elif kind == "answer":
            limiter.responded()
            found.seconds = now
            found.attempts = max(found.attempts, refused + 1)
            if waiting > 0:
                waiting -= 1
                add(now, "request")
        else:
            limiter.throttled(sent)
            found.throttled += 1
            pause = min(0.5 * 2**refused, 4) * (1 - chance.random() / 2)
            add(now + pause, "request", refused=refused + 1)
    return found


@pytest.mark.parametrize("per_second", [2, 5, 20, 50])
@pytest.mark.parametrize("requests", [300, 1000])
def test_throughput_is_close_to_the_limit(per_second: int, requests: int) -> None:
    done = work(Service(per_second), requests)
    demanded = (requests - per_second) / per_second
    assert demanded <= done.seconds < demanded * 1.06
    assert done.throttled < requests / 4


@pytest.mark.parametrize(("per_second", "threads"), [(1, 16), (1, 200), (0.5, 16), (0.5, 200)])
def test_service_below_the_lowest_rate_needs_few_attempts(per_second: float, threads: int) -> None:
    assert work(Service(per_second), 300, threads).attempts < 14


def test_pause_of_the_rate_limiter_is_bounded() -> None:
    """Check the longest pause, because an interrupt does not wake the threads that wait for their turn."""
    clock = Clock()
    limiter = RateLimiter(lambda: clock.seconds, clock.sleep)
    for _ in range(99):
        limiter.throttled(limiter.wait())
    assert max(clock.pauses) == pytest.approx(1 / SLOWEST)


exceptions = pytest.importorskip("botocore.exceptions")
parsers = pytest.importorskip("botocore.parsers")


TRANSIENT = (ErrorKind.CONNECTION, ErrorKind.DAMAGED, ErrorKind.SERVER, ErrorKind.THROTTLED)


class Sender:
    """A request function that raises ``errors`` one after the other, and then succeeds."""

    def __init__(self, *errors: AwsError) -> None:
        self.errors = list(errors)
        self.sent = 0

    def __call__(self, _sent: float) -> str:
        self.sent += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def failure(kind: ErrorKind, outcome_unknown: bool = False, code: str = "Code") -> AwsError:
    return AwsError("iam:CreateRole", code, "Text", kind, "Remedy.", outcome_unknown)


def retries(clock: Clock, chance: float = 0, **more: Any) -> Retries:
    return Retries(now=lambda: clock.seconds, sleep=clock.sleep, chance=lambda: chance, **more)


def client_error(code: str, status: int) -> Exception:
    # A response about throttling or an error of the server may be from a proxy, without a request ID.
    headers = {} if status == 429 or status >= 500 else {"x-amzn-requestid": "1"}
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    answer = {"Error": {"Code": code, "Message": "Text"}, "ResponseMetadata": metadata}
    error: Exception = exceptions.ClientError(answer, "CreateRole")
    return error


ERRORS = {
    "throttling": (client_error("Throttling", 400), ErrorKind.THROTTLED, False),
    "429": (client_error("Whatever", 429), ErrorKind.THROTTLED, False),
    "500": (client_error("ServiceFailure", 500), ErrorKind.SERVER, True),
    "503": (client_error("Whatever", 503), ErrorKind.SERVER, True),
    "timeout inside AWS": (client_error("RequestTimeout", 400), ErrorKind.SERVER, True),
    "409 of IAM": (client_error("EntityAlreadyExists", 409), ErrorKind.EXISTS, False),
    "409 of EKS": (client_error("ResourceInUseException", 409), ErrorKind.EXISTS, False),
    "denied": (client_error("AccessDenied", 403), ErrorKind.DENIED, False),
    "not found": (client_error("NoSuchEntity", 404), ErrorKind.MISSING, False),
    "expired": (client_error("ExpiredToken", 403), ErrorKind.OTHER, False),
    "quota exceeded": (client_error("LimitExceeded", 409), ErrorKind.FULL, False),
    "no credentials": (exceptions.NoCredentialsError(), ErrorKind.OTHER, False),
    "invalid certificate": (exceptions.SSLError(endpoint_url="https://x", error="e"), ErrorKind.OTHER, False),
    "unreachable": (
        exceptions.EndpointConnectionError(endpoint_url="https://x"),
        ErrorKind.CONNECTION,
        False,
    ),
    "connect timeout": (
        exceptions.ConnectTimeoutError(endpoint_url="https://x"),
        ErrorKind.CONNECTION,
        False,
    ),
    "connection closed": (
        exceptions.ConnectionClosedError(endpoint_url="https://x"),
        ErrorKind.CONNECTION,
        True,
    ),
    "no response": (exceptions.ReadTimeoutError(endpoint_url="https://x"), ErrorKind.CONNECTION, True),
    "other transport error": (exceptions.HTTPClientError(error="e"), ErrorKind.CONNECTION, True),
    "malformed": (parsers.ResponseParserError("e"), ErrorKind.DAMAGED, True),
}


@pytest.mark.parametrize(("error", "kind", "outcome_unknown"), ERRORS.values(), ids=ERRORS)
def test_client_classifies_each_error(error: Exception, kind: ErrorKind, outcome_unknown: bool) -> None:
    classified = as_aws_error(error, "iam", "CreateRole")
    assert (classified.kind, classified.outcome_unknown) == (kind, outcome_unknown)


@pytest.mark.parametrize(
    ("kind", "pauses"),
    [
        (ErrorKind.THROTTLED, [0.5, 1, 2, *[4] * 10]),
        (ErrorKind.SERVER, [0.25, 0.5, 1, 2, 4]),
        (ErrorKind.CONNECTION, [0.25, 0.5, 1, 2]),
        (ErrorKind.DAMAGED, [0.25, 0.5]),
        *((kind, []) for kind in ErrorKind if kind not in TRANSIENT),
    ],
)
def test_attempts_and_pauses_are_bounded(kind: ErrorKind, pauses: list[float]) -> None:
    clock, sender = Clock(), Sender(*[failure(kind) for _ in range(99)])
    with pytest.raises(AwsError) as caught:
        retries(clock).run(sender)
    assert clock.pauses == pauses
    assert sender.sent == len(pauses) + 1
    expected = f" (after {sender.sent} attempts)" if pauses else ""
    assert str(caught.value) == f"iam:CreateRole: Code: Text{expected}"
    assert not caught.value.outcome_unknown


def test_no_attempt_after_the_budget() -> None:
    clock, sender = Clock(), Sender(*[failure(ErrorKind.THROTTLED) for _ in range(99)])
    with pytest.raises(AwsError):
        retries(clock, budget=4).run(sender)
    assert clock.pauses == [0.5, 1, 2]


def test_chance_shortens_a_pause_by_up_to_half() -> None:
    clock = Clock()
    retries(clock, chance=1).run(Sender(failure(ErrorKind.THROTTLED), failure(ErrorKind.THROTTLED)))
    assert clock.pauses == [0.25, 0.5]


def test_error_cancels_waiting_calls() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError(number)
        time.sleep(0.05)

    with pytest.raises(ValueError, match="0"):
        map_concurrently(work, range(200), 2)
    assert len(begun) < 150


def test_wait_for_the_rate_is_not_part_of_the_budget() -> None:
    clock = Clock()

    def turn() -> float:
        clock.seconds += 9
        return clock.seconds

    assert retries(clock, budget=4).run(Sender(failure(ErrorKind.THROTTLED)), turn=turn) == "answer"


def test_lost_response_is_not_forgotten_after_another_error() -> None:
    lost = failure(ErrorKind.SERVER, outcome_unknown=True)
    with pytest.raises(AwsError) as caught:
        retries(Clock()).run(Sender(lost, failure(ErrorKind.DENIED)))
    assert (caught.value.kind, caught.value.outcome_unknown) == (ErrorKind.DENIED, True)
