# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which failures are sent again, how often, and with which pauses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import as_aws_error
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import Retries
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)

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
    """Fails with each error of a list, then answers."""

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
        pytest.param(client_error("NoSuchEntity", 404), ErrorKind.MISSING, False, id="missing"),
        pytest.param(client_error("ExpiredToken", 403), ErrorKind.OTHER, False, id="expired"),
        pytest.param(client_error("LimitExceeded", 409), ErrorKind.FULL, False, id="quota"),
        pytest.param(exceptions.NoCredentialsError(), ErrorKind.OTHER, False, id="no credentials"),
        pytest.param(
            exceptions.SSLError(endpoint_url="https://x", error="e"), ErrorKind.OTHER, False, id="certificate"
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
            id="closed",
        ),
        pytest.param(
            exceptions.ReadTimeoutError(endpoint_url="https://x"), ErrorKind.CONNECTION, True, id="no answer"
        ),
        pytest.param(
            exceptions.HTTPClientError(error="e"), ErrorKind.CONNECTION, True, id="other transport error"
        ),
        pytest.param(parsers.ResponseParserError("e"), ErrorKind.DAMAGED, True, id="malformed"),
    ],
)
def test_the_client_classifies_each_error(error: Exception, kind: ErrorKind, outcome_unknown: bool) -> None:
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
    after = f" (after {sender.sent} attempts)" if pauses else ""
    assert str(caught.value) == f"iam:CreateRole: Code: Text{after}"


def test_each_reason_has_attempts_of_its_own() -> None:
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


def test_ten_seconds_of_throttling_are_outlasted_by_the_shortest_pauses() -> None:
    clock = Clock()

    def send(_sent: float) -> str:
        if clock.seconds < 10:
            raise failure(ErrorKind.THROTTLED)
        return "answer"

    assert retries(clock, 1).run(send) == "answer"


def test_nothing_is_sent_after_the_time_is_up() -> None:
    clock, sender = Clock(), Sender(*[failure(ErrorKind.THROTTLED) for _ in range(99)])
    with pytest.raises(AwsError):
        retries(clock, budget=4).run(sender)
    assert clock.pauses == [0.5, 1, 2]


def test_waiting_for_its_turn_is_not_counted() -> None:
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


def test_an_error_after_an_unclear_attempt_is_unclear() -> None:
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


def test_what_must_not_be_repeated_is_sent_again_only_while_it_is_clear() -> None:
    sender = Sender(failure(ErrorKind.THROTTLED), failure(ErrorKind.CONNECTION, outcome_unknown=True))
    with pytest.raises(AwsError) as caught:
        retries(Clock()).run(sender, once=True)
    assert sender.sent == 2
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("operation", "conflict"), [("iam:CreatePolicyVersion", True), ("iam:AttachRolePolicy", False)]
)
def test_what_was_not_repeated_has_to_be_looked_at_again(operation: str, conflict: bool) -> None:
    assert classify(operation, "ServiceFailure", "Text", outcome_unknown=True).conflict is conflict
