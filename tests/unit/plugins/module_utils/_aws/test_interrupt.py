# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that an interrupt wakes waiting threads and prevents further requests.

The iterator of the items raises the interrupt in the main thread, as Ctrl-C does. A thread that the interrupt does not wake would
send its request after twenty seconds, and the test would fail.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import (
    Interrupted,
    ensuring_result,
    pause,
    raise_if_interrupted,
    stoppable,
    uninterrupted,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    Pace,
    RateLimiter,
    Retries,
    begin,
    map_concurrently,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Call,
    Change,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import ErrorKind
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.apply import (
    ApplyContext,
    apply_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import raise_timeout

exceptions = pytest.importorskip("botocore.exceptions")

LONG = 20


def until(condition: Callable[[], bool]) -> None:
    for _ in range(4000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("the condition was not met in time")


class Timeout(BaseException):
    """An exception of the kind that ansible-core raises at the timeout of a task."""


def interrupted(
    items: list[Any], ready: Callable[[], bool], end: type[BaseException] = KeyboardInterrupt
) -> Iterator[Any]:
    """Yield the items, then wait until ``ready`` returns true, and raise ``end``."""
    yield from items
    until(ready)
    raise end


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, Timeout])
def test_interrupt_prevents_the_next_attempt(end: type[BaseException]) -> None:
    sent: list[int] = []
    retries = Retries(chance=lambda: 0, paces={ErrorKind.THROTTLED: Pace(3, LONG, LONG)})

    def work(number: int) -> None:
        def send(_sent: float) -> None:
            sent.append(number)
            raise classify("iam:GetRole", "Throttling", "Rate exceeded")

        retries.run(send)

    with pytest.raises(end):
        map_concurrently(work, interrupted([1, 2, 3], lambda: len(sent) == 3, end), 3)
    assert sorted(sent) == [1, 2, 3]


def test_interrupt_ends_the_wait_for_the_rate_limiter() -> None:
    seconds = 0.0
    begun: list[int] = []
    sent: list[int] = []

    def sleep(_seconds: float) -> None:
        nonlocal seconds
        pause(LONG)
        seconds += LONG

    limiter = RateLimiter(lambda: seconds, sleep)
    limiter.throttled(limiter.wait())

    def work(number: int) -> None:
        begun.append(number)
        limiter.wait()
        sent.append(number)

    with pytest.raises(KeyboardInterrupt):
        map_concurrently(work, interrupted([1, 2, 3, 4], lambda: len(begun) == 4), 4)
    assert sent == []


def test_interrupt_ends_nested_calls() -> None:
    inner: list[int] = []
    woken: list[int] = []

    def innermost(number: int) -> None:
        inner.append(number)
        pause(LONG)
        woken.append(number)

    def work(_number: int) -> None:
        map_concurrently(innermost, [1, 2], 2)

    with pytest.raises(KeyboardInterrupt):
        map_concurrently(work, interrupted([1, 2], lambda: len(inner) == 4), 2)
    assert woken == []


class Client:
    """A client whose requests wait until ``release`` is set, except operations in ``unblocked``."""

    def __init__(self, *unblocked: str) -> None:
        self.unblocked = unblocked
        self.sent: list[str] = []
        self.release = threading.Event()

    def __getattr__(self, name: str) -> Any:
        def send(**_parameters: Any) -> dict[str, Any]:
            self.sent.append(name)
            if name not in self.unblocked:
                self.release.wait(LONG)
            return {"Role": {}, "association": {}}

        return send

    def interrupted(self, items: list[Any], sent: int) -> Iterator[Any]:
        """Yield the items. When ``sent`` requests are in progress, raise an interrupt; half a second later, the requests
        complete."""
        yield from items
        until(lambda: len(self.sent) == sent)
        threading.Timer(0.5, self.release.set).start()
        raise KeyboardInterrupt


def test_interrupt_ends_the_work_of_another_thread() -> None:
    ended = threading.Event()

    def work() -> None:
        try:
            pause(LONG)
        finally:
            ended.set()

    with stoppable() as stop:
        wait_for_result = begin(work)
        stop.end("SIGTERM")
        with uninterrupted():
            pause(0)
        for interrupted_call in (wait_for_result, raise_if_interrupted):
            with pytest.raises(Interrupted):
                interrupted_call()
        assert ended.wait(LONG / 2)


def test_pause_without_an_interrupt_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    pause(LONG)
    assert slept == [LONG]


def test_api_works_after_an_interrupt() -> None:
    client = Client()
    api = BotoApi(lambda _service: client, width=2)

    def work(name: str) -> Any:
        return api.call("iam", "GetRole", {"RoleName": name})

    with pytest.raises(KeyboardInterrupt):
        map_concurrently(work, client.interrupted(["a", "b", "c", "d"], 2), 4)
    # The two requests in progress complete. The others, which wait in the queue, are not sent.
    assert client.sent == ["get_role", "get_role"]
    assert map_concurrently(work, ["a", "b", "c"], 2) == [{"Role": {}, "association": {}}] * 3
    assert work("d")


def test_exception_in_one_call_does_not_interrupt_others() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        raise_if_interrupted()
        return number

    def outer(number: int) -> list[int]:
        with pytest.raises(ValueError, match="one"):
            map_concurrently(work, [1, 2, 3], 2)
        raise_if_interrupted()
        return map_concurrently(work, [number, number], 2)

    assert map_concurrently(outer, [2, 3], 2) == [[2, 2], [3, 3]]


def test_interrupt_ends_a_change_unless_it_is_a_replacement() -> None:
    """Check that an interrupt does not stop a replacement: once the association is deleted, only this run has its settings."""
    client = Client("create_pod_identity_association")
    api = BotoApi(lambda _service: client, width=2)
    wait_policy = WaitPolicy(LONG, time.monotonic, pause)

    def change(action: Action, *operations: str) -> Change:
        calls = tuple(Call("eks", operation, {}) for operation in operations)
        return Change(1, Target("association", action), action, (), {}, {}, calls)

    changes = [
        change("replace", "DeletePodIdentityAssociation", "CreatePodIdentityAssociation"),
        change("update", "UpdatePodIdentityAssociation", "TagResource"),
    ]

    def work(item: Change) -> None:
        apply_plan(Plan((item,)), ApplyContext(api, wait_policy, awaits=True))

    with pytest.raises(KeyboardInterrupt):
        map_concurrently(work, client.interrupted(changes, 2), 2)
    assert sorted(client.sent) == [
        "create_pod_identity_association",
        "delete_pod_identity_association",
        "update_pod_identity_association",
    ]


def test_interrupt_ends_the_wait_for_a_role() -> None:
    sent: list[str] = []
    text = "Role provided in the request does not exist."
    answer = {"Error": {"Code": "InvalidParameterException", "Message": text}}

    class Eks:
        def create_pod_identity_association(self, **_parameters: Any) -> dict[str, Any]:
            sent.append("create")
            raise exceptions.ClientError(answer, "CreatePodIdentityAssociation")

    api = BotoApi(lambda _service: Eks())
    wait_policy = WaitPolicy(100, time.monotonic, pause, first_pause=LONG, longest_pause=LONG)
    calls = (Call("eks", "CreatePodIdentityAssociation", {}),)

    def work(name: str) -> None:
        change = Change(1, Target("association", name), "create", (), None, {}, calls)
        apply_plan(Plan((change,)), ApplyContext(api, wait_policy, awaits=True))

    with pytest.raises(KeyboardInterrupt):
        map_concurrently(work, interrupted(["a", "b"], lambda: len(sent) == 2), 2)
    assert sent == ["create", "create"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signal_between_work_and_result_is_ignored(number: signal.Signals) -> None:
    received: list[int] = []
    handler = signal.signal(number, lambda found, _frame: received.append(found))
    try:
        with ensuring_result():
            os.kill(os.getpid(), number)
            with stoppable() as stop:
                os.kill(os.getpid(), number)
                assert stop.event.wait(10)
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        with stoppable():
            pass
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, handler)
    # Signal handlers are restored after the work has ended.
    assert (received, stop.reason) == ([number, number, number], number.name)


def test_task_timeout_is_raised_after_the_work_has_ended() -> None:
    class Timeout(BaseException):
        pass

    def time_out(_number: int, _frame: object) -> None:
        raise Timeout

    raise_timeout()
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        with stoppable():
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        signal.signal(signal.SIGALRM, time_out)
        signal.setitimer(signal.ITIMER_REAL, 100)
        with stoppable() as stop:
            raise_timeout()
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert stop.event.wait(10)
        with pytest.raises(Timeout):
            raise_timeout()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert stop.reason == "SIGALRM"
