# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface to the Kubernetes API of a cluster, with retries of transient errors and the deadline of a run. Pure.

The class that connects to an API server implements the protocol ``KubernetesCluster``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol, TypeAlias, TypeVar

from ...model.cluster import ApiServer
from ..model.objects import Object
from .api_errors import ApiError


@dataclass(frozen=True, slots=True)
class Query:
    """A list request. ``namespace`` is "" for all namespaces."""

    api_version: str
    kind: str
    namespace: str = ""
    label_selectors: tuple[str, ...] = ()
    field_selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The result of a request. ``error`` is the error of the request, or None."""

    error: ApiError | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Listing(ApiResponse):
    """The objects that a query returned."""

    items: Sequence[Object] = ()


# The listings by their names in RESOURCES (pods.py). Resources that were not read are missing.
Reads: TypeAlias = Mapping[str, Listing]


@dataclass(frozen=True, slots=True)
class DryRun(ApiResponse):
    """The Pod in the response to a dry-run create request."""

    pod: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of applying, patching or deleting a list of manifests.

    ``refused`` has the errors of manifests whose write failed, by their index in the list. ``error`` is set if no write had a
    result; some manifests may have been written all the same. ``diffs`` are the differences to display with ``--diff``.
    """

    changed: bool = False
    refused: Mapping[int, ApiError] = field(default_factory=dict)
    error: ApiError | None = None
    diffs: Sequence[Object] = ()


class ClusterReader(Protocol):
    """The requests to a Kubernetes API that change no object."""

    def list_objects(self, query: Query) -> Listing:
        """List objects. A failure is returned as the error of the listing, never raised."""

    def read_version(self) -> Object:
        """Return the response of GET /version, or an empty mapping if it failed."""

    def read_server(self) -> ApiServer:
        """Return the endpoint of the API server and the TLS settings, or ``ApiServer()`` if they are unknown."""

    def dry_run_pods(self, manifests: Sequence[Object]) -> Sequence[DryRun]:
        """Send requests to create Pods with ``dryRun=All``, so that no Pod is created.

        Return the results in the order of the manifests. Return errors in the results, never raise.
        """


class KubernetesCluster(ClusterReader, Protocol):
    """All requests to a Kubernetes API. The methods return errors in their result."""

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        """Create missing objects, and update fields that differ. Service accounts are applied server-side."""

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        """Patch existing objects. A missing object is not created."""

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        """Delete objects and their dependents. A missing object counts as deleted."""


class Clock(Protocol):
    """A source of the current time and of pauses. Tests replace it."""

    def now(self) -> datetime:
        """Return the current time in UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""


# The API server returns 429 when it is overloaded, and the other codes when etcd or a webhook fails.
BUSY = 429
TRANSIENT = frozenset({BUSY, 500, 502, 503, 504})
# The maximum number of attempts to send a request.
ATTEMPTS = 6
# In seconds: the maximum time from the first attempt to the last retry, the longest pause, and the first pause. The jitter is
# added to the pauses.
RETRY_SECONDS = 120.0
LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.5


def is_transient(error: ApiError | None) -> bool:
    """Return whether a request that failed with this error may succeed later."""
    return error is not None and error.status in TRANSIENT


Item = TypeVar("Item")
ResultT = TypeVar("ResultT", bound=ApiResponse)


def send_patiently(
    send: Callable[[Sequence[Item]], Sequence[ResultT]],
    items: Sequence[Item],
    clock: Clock,
    jitter: Callable[[], float] = random.random,
) -> list[ResultT]:
    """Send requests, and repeat those with a transient error. Return the last answers in the order of the items.

    :arg send: sends the requests for some items. Lists, apply, patch and delete are idempotent, so a repetition is safe.
    """
    began = clock.now()
    answers = list(send(items))
    for attempt in range(ATTEMPTS - 1):
        errors = {index: answer.error for index, answer in enumerate(answers) if is_transient(answer.error)}
        retry_after = max((error.retry_after for error in errors.values() if error), default=0)
        pause = max(float(retry_after), FIRST_PAUSE * 2**attempt) * (1 + jitter() / 2)
        elapsed = (clock.now() - began).total_seconds()
        # The jitter makes a pause longer by up to half.
        if not errors or pause > LONGEST_PAUSE * 1.5 or elapsed + pause > RETRY_SECONDS:
            break
        clock.sleep(pause)
        for index, answer in zip(errors, send([items[index] for index in errors]), strict=True):
            answers[index] = answer
    return answers


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time at which a run must end.

    ``seconds`` is the time limit, for messages. ``ends`` is the deadline by the monotonic clock, which is the same in all
    processes of the machine.
    """

    seconds: float
    ends: float
    now: Callable[[], float] = field(default=time.monotonic, compare=False)

    @property
    def remaining(self) -> float:
        """Return the number of seconds until the deadline, at least 0."""
        return max(0.0, self.ends - self.now())

    def check(self) -> None:
        """Raise TimeoutError after the deadline."""
        if not self.remaining:
            raise TimeoutError(f"the deadline of {self.seconds:g} s has passed")


def start_deadline(seconds: int | None) -> Deadline | None:
    """Return the deadline of a run that starts now, or None if there is no time limit."""
    return Deadline(seconds, time.monotonic() + seconds) if seconds else None


class SystemClock:
    """The clock of this machine. Its pauses end at the deadline at the latest."""

    def __init__(self, deadline: Deadline | None = None) -> None:
        self._deadline = deadline

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, self._deadline.remaining) if self._deadline else seconds)
