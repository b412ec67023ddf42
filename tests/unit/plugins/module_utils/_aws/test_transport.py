# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test concurrency, its limits, request rates and retries."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import as_aws_error
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import (
    Interrupted,
    pause,
    stoppable,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    FIRST,
    SLOWEST,
    OutOfTime,
    Rate,
    RateLimiter,
    Retries,
    begin,
    call_both,
    call_within,
    map_concurrently,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)


def test_results_come_in_the_order_of_the_items() -> None:
    """Let each call wait for the other calls, so that all of them complete at the same time."""
    other_threads = threading.Barrier(3, timeout=20)

    def work(number: int) -> int:
        other_threads.wait()
        return number * number

    assert map_concurrently(work, range(3), 3) == [0, 1, 4]
    assert map_concurrently(lambda number: -number, (number for number in (5, 6)), 1) == [-5, -6]


def test_number_of_concurrent_calls_is_limited() -> None:
    lock = threading.Lock()
    running = 0
    most = 0
    pairs = threading.Barrier(2, timeout=20)

    def work(_number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pairs.wait()
        with lock:
            running -= 1

    map_concurrently(work, range(6), 2)
    assert most == 2


@pytest.mark.parametrize(("items", "width"), [([1], 8), ([1, 2, 3], 1), ([1, 2, 3], 0)])
def test_sequential_calls_run_in_the_calling_thread(items: list[int], width: int) -> None:
    threads = map_concurrently(lambda _item: threading.current_thread(), items, width)
    assert set(threads) == {threading.current_thread()}


def test_empty_input_has_no_results() -> None:
    assert map_concurrently(str, [], 8) == []


@pytest.mark.parametrize("width", [1, 4])
def test_exception_of_a_call_is_raised(width: int) -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    with pytest.raises(ValueError, match="two"):
        map_concurrently(work, range(4), width)


def test_no_work_starts_after_an_exception_of_the_iterator() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    def items() -> Iterator[int]:
        yield from range(500)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        map_concurrently(work, items(), 2)
    assert len(begun) < 500


def test_two_calls_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=20)
    assert call_both(lambda: (meeting.wait(), "first")[1], lambda: (meeting.wait(), "second")[1]) == (
        "first",
        "second",
    )


@pytest.mark.parametrize(
    ("first", "second", "raised"),
    [("first", "", "first"), ("", "second", "second"), ("first", "second", "first")],
)
def test_error_of_the_first_of_two_calls_has_priority(first: str, second: str, raised: str) -> None:
    def call(error: str) -> None:
        if error:
            raise ValueError(error)

    with pytest.raises(ValueError, match=f"^{raised}$"):
        call_both(lambda: call(first), lambda: call(second))


def test_background_call_is_interrupted_with_its_caller() -> None:
    with stoppable() as stop:
        result = begin(lambda: pause(20))
        stop.end("SIGTERM")
        with pytest.raises(Interrupted):
            result()


def test_background_call_is_interrupted_with_the_waiting_thread() -> None:
    ended = threading.Event()

    def work() -> None:
        try:
            pause(20)
        except Interrupted:
            ended.set()
            raise

    result = begin(work)
    with stoppable() as stop:
        stop.end("SIGTERM")
        with pytest.raises(Interrupted):
            result()
    assert ended.wait(10)


def test_result_of_a_background_call_can_be_read_twice() -> None:
    results: list[list[int]] = [[1]]
    result = begin(results.pop)
    assert (result(), result(), results) == ([1], [1], [])


def test_bounded_call_returns_its_result() -> None:
    assert call_within(5, lambda: [1]) == [1]
    assert call_within(5, lambda: None) is None


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_bounded_call_raises_its_error(error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        call_within(5, work)
    assert raised.value is error


def test_bounded_call_times_out() -> None:
    end = threading.Event()
    with pytest.raises(OutOfTime):
        call_within(0.05, end.wait)
    assert call_within(5, lambda: 2) == 2
    end.set()


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


def work(rate: Rate, service: Service, requests: int, threads: int = THREADS) -> Work:
    """Simulate threads that send requests one after the other. A throttled request is sent again after a pause.

    As in reality, pauses end a little late.
    """
    chance = random.Random(7)
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
        if kind == "request":
            queue.append(refused)
            if len(queue) == 1:
                add(now, "first")
        elif kind == "first":
            while queue and not (pause := rate.take(now)):
                add(now + ANSWER_TAKES, "answer" if service.takes(now) else "refusal", now, queue.popleft())
            if queue:
                add(now + pause + LATE, "first")
        elif kind == "answer":
            rate.responded(now)
            found.seconds = now
            found.attempts = max(found.attempts, refused + 1)
            if waiting > 0:
                waiting -= 1
                add(now, "request")
        else:
            rate.throttled(sent, now)
            found.throttled += 1
            pause = min(0.5 * 2**refused, 4) * (1 - chance.random() / 2)
            add(now + pause, "request", refused=refused + 1)
    return found


@pytest.mark.parametrize("per_second", [2, 5, 20, 50])
@pytest.mark.parametrize("requests", [300, 1000])
def test_throughput_is_close_to_the_limit(per_second: int, requests: int) -> None:
    done = work(Rate(), Service(per_second), requests)
    demanded = (requests - per_second) / per_second
    assert demanded <= done.seconds < demanded * 1.06
    assert done.throttled < requests / 4


@pytest.mark.parametrize(("per_second", "threads"), [(1, 16), (1, 200), (0.5, 16), (0.5, 200)])
def test_service_below_the_lowest_rate_needs_few_attempts(per_second: float, threads: int) -> None:
    assert work(Rate(), Service(per_second), 300, threads).attempts < 14


def test_empty_token_bucket_costs_little_time() -> None:
    done = work(Rate(), Service(20, tokens=0), 400)
    assert done.seconds < 400 / 20 * 1.1


def test_unthrottled_service_is_not_slowed_down() -> None:
    rate = Rate()
    done = work(rate, Service(1_000_000), 1000)
    assert rate.limit is None
    assert done.seconds < 1000 / THREADS * ANSWER_TAKES * 1.05


def test_rate_recovers_after_an_outage_of_ten_seconds() -> None:
    calm = work(Rate(), Service(1_000_000), 4000)
    disturbed = work(Rate(), Service(1_000_000, out=(1, 11)), 4000)
    assert disturbed.seconds - calm.seconds < 10 + 6


def test_short_outage_costs_little_time() -> None:
    calm = work(Rate(), Service(1_000_000), 4000)
    disturbed = work(Rate(), Service(1_000_000, out=(2, 2.02)), 4000)
    assert disturbed.seconds - calm.seconds < 2


def test_throttled_request_lowers_the_rate_slightly() -> None:
    rate = Rate()
    for hundredth in range(200):
        rate.take(hundredth / 100)
        rate.responded(hundredth / 100)
    rate.throttled(1.99, 2.0)
    assert rate.good == pytest.approx(100)
    assert rate.limit == pytest.approx(90)


def test_earlier_throttled_requests_are_ignored() -> None:
    rate = Rate()
    for hundredth in range(200):
        rate.take(hundredth / 100)
        rate.responded(hundredth / 100)
    rate.throttled(1.99, 2.0)
    reduced = rate.limit
    for thread in range(THREADS):
        rate.throttled(1.95 + thread / 1000, 2.01)
    assert rate.limit == reduced
    rate.throttled(2.005, 2.02)
    assert rate.limit != reduced


def test_rate_has_a_lower_limit() -> None:
    rate = Rate()
    for second in range(1, 30):
        rate.take(float(second))
        rate.throttled(float(second), second + 0.5)
    assert rate.limit == SLOWEST


def test_concurrent_threads_keep_the_rate() -> None:
    class Clock:
        """A clock on which time passes only while a thread sleeps."""

        def __init__(self) -> None:
            self.seconds = 0.0
            self.lock = threading.Lock()

        def now(self) -> float:
            with self.lock:
                return self.seconds

        def sleep(self, seconds: float) -> None:
            with self.lock:
                self.seconds += seconds

    clock = Clock()
    limiter = RateLimiter(clock.now, clock.sleep)
    limiter.throttled(limiter.wait())
    sent = sorted(limiter.wait() for _ in range(20))
    # At first, the limiter permits FIRST requests a second. A few requests are sent without a pause.
    assert sent[-1] == pytest.approx(20 / FIRST, abs=1)


def test_interrupted_thread_lets_the_next_one_pass() -> None:
    seconds = 0.0
    sent: list[float] = []

    def sleep(pause: float) -> None:
        nonlocal seconds
        seconds += pause
        if seconds == pause:
            raise KeyboardInterrupt

    limiter = RateLimiter(lambda: seconds, sleep)
    limiter.throttled(limiter.wait())
    with pytest.raises(KeyboardInterrupt):
        limiter.wait()
    other = threading.Thread(target=lambda: sent.append(limiter.wait()), daemon=True)
    other.start()
    other.join(20)
    assert sent == [pytest.approx(1 / FIRST)]


exceptions = pytest.importorskip("botocore.exceptions")
parsers = pytest.importorskip("botocore.parsers")


TRANSIENT = (ErrorKind.CONNECTION, ErrorKind.DAMAGED, ErrorKind.SERVER, ErrorKind.THROTTLED)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


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
    answer = {"Error": {"Code": code, "Message": "Text"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = exceptions.ClientError(answer, "CreateRole")
    return error


@pytest.mark.parametrize(
    ("error", "kind", "outcome_unknown"),
    [
        pytest.param(client_error("Throttling", 400), ErrorKind.THROTTLED, False, id="throttling"),
        pytest.param(client_error("Whatever", 429), ErrorKind.THROTTLED, False, id="429"),
        pytest.param(client_error("ServiceFailure", 500), ErrorKind.SERVER, True, id="500"),
        pytest.param(client_error("Whatever", 503), ErrorKind.SERVER, True, id="503"),
        pytest.param(client_error("RequestTimeout", 400), ErrorKind.SERVER, True, id="timeout inside AWS"),
        pytest.param(client_error("EntityAlreadyExists", 409), ErrorKind.EXISTS, False, id="409 of IAM"),
        pytest.param(client_error("ResourceInUseException", 409), ErrorKind.EXISTS, False, id="409 of EKS"),
        pytest.param(client_error("AccessDenied", 403), ErrorKind.DENIED, False, id="denied"),
        pytest.param(client_error("NoSuchEntity", 404), ErrorKind.MISSING, False, id="not found"),
        pytest.param(client_error("ExpiredToken", 403), ErrorKind.OTHER, False, id="expired"),
        pytest.param(client_error("LimitExceeded", 409), ErrorKind.FULL, False, id="quota exceeded"),
        pytest.param(exceptions.NoCredentialsError(), ErrorKind.OTHER, False, id="no credentials"),
        pytest.param(
            exceptions.SSLError(endpoint_url="https://x", error="e"),
            ErrorKind.OTHER,
            False,
            id="invalid certificate",
        ),
        pytest.param(
            exceptions.EndpointConnectionError(endpoint_url="https://x"),
            ErrorKind.CONNECTION,
            False,
            id="unreachable",
        ),
        pytest.param(
            exceptions.ConnectTimeoutError(endpoint_url="https://x"),
            ErrorKind.CONNECTION,
            False,
            id="connect timeout",
        ),
        pytest.param(
            exceptions.ConnectionClosedError(endpoint_url="https://x"),
            ErrorKind.CONNECTION,
            True,
            id="connection closed",
        ),
        pytest.param(
            exceptions.ReadTimeoutError(endpoint_url="https://x"),
            ErrorKind.CONNECTION,
            True,
            id="no response",
        ),
        pytest.param(
            exceptions.HTTPClientError(error="e"), ErrorKind.CONNECTION, True, id="other transport error"
        ),
        pytest.param(parsers.ResponseParserError("e"), ErrorKind.DAMAGED, True, id="malformed"),
    ],
)
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


def test_attempts_are_counted_per_kind_of_error() -> None:
    clock, sender = (
        Clock(),
        Sender(failure(ErrorKind.THROTTLED), failure(ErrorKind.SERVER), failure(ErrorKind.CONNECTION)),
    )
    assert retries(clock).run(sender) == "answer"
    assert clock.pauses == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(("chance", "pause"), [(0, 0.5), (0.5, 0.375), (1, 0.25)])
def test_jitter_takes_up_to_half_of_a_pause(chance: float, pause: float) -> None:
    clock = Clock()
    retries(clock, chance).run(Sender(failure(ErrorKind.THROTTLED)))
    assert clock.pauses == [pause]


def test_shortest_pauses_outlast_ten_seconds_of_throttling() -> None:
    clock = Clock()

    def send(_sent: float) -> str:
        if clock.seconds < 10:
            raise failure(ErrorKind.THROTTLED)
        return "answer"

    assert retries(clock, 1).run(send) == "answer"


def test_no_attempt_after_the_budget() -> None:
    clock, sender = Clock(), Sender(*[failure(ErrorKind.THROTTLED) for _ in range(99)])
    with pytest.raises(AwsError):
        retries(clock, budget=4).run(sender)
    assert clock.pauses == [0.5, 1, 2]


def test_time_in_the_queue_does_not_use_the_budget() -> None:
    clock = Clock()
    sent: list[float] = []

    def turn() -> float:
        clock.seconds += 200
        return clock.seconds

    def send(when: float) -> str:
        sent.append(when)
        if len(sent) < 3:
            raise failure(ErrorKind.THROTTLED)
        return "answer"

    assert retries(clock, budget=120).run(send, turn=turn) == "answer"
    assert sent == [200, 400.5, 601.5]


def test_outcome_is_unknown_after_an_unclear_attempt() -> None:
    sender = Sender(
        failure(ErrorKind.CONNECTION, outcome_unknown=True),
        failure(ErrorKind.EXISTS, code="EntityAlreadyExists"),
    )
    with pytest.raises(AwsError) as caught:
        retries(Clock()).run(sender)
    assert (caught.value.code, caught.value.outcome_unknown, caught.value.conflict) == (
        "EntityAlreadyExists",
        True,
        True,
    )


def test_once_only_request_is_retried_while_the_outcome_is_clear() -> None:
    sender = Sender(failure(ErrorKind.THROTTLED), failure(ErrorKind.CONNECTION, outcome_unknown=True))
    with pytest.raises(AwsError) as caught:
        retries(Clock()).run(sender, once_only=True)
    assert sender.sent == 2
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("operation", "conflict"), [("iam:CreatePolicyVersion", True), ("iam:AttachRolePolicy", False)]
)
def test_once_only_request_has_an_unknown_outcome(operation: str, conflict: bool) -> None:
    assert classify(operation, "ServiceFailure", "Text", outcome_unknown=True).conflict is conflict
