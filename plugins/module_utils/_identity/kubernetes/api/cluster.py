# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The interface to the Kubernetes API of a cluster, with retries of transient errors and the deadline of a run. Pure.

The classes that connect to an API server implement the protocol ``KubernetesCluster``. After the deadline only deletions of
objects that the run applied are sent. Requests that were sent before the deadline are completed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeAlias

from ...model.cluster import ApiServer
from ..model.objects import Object, object_name
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
class Listing:
    """The objects that a query returned, or the error of the request."""

    items: Sequence[Object] = ()
    error: ApiError | None = None


# The listings by their names in RESOURCES (pods.py). Resources that were not read are missing.
Reads: TypeAlias = Mapping[str, Listing]


@dataclass(frozen=True, slots=True)
class DryRun:
    """The Pod in the response to a dry-run create request, or the error of the request."""

    pod: Object = field(default_factory=dict)
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of applying, patching or deleting a list of manifests.

    ``refused`` has the errors of rejected manifests, by their index in the list. ``error`` is set if the request as a whole
    failed; some manifests may have been written all the same. ``diffs`` are the differences to display with ``--diff``.
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
NOT_FOUND = 404
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


@dataclass(frozen=True, slots=True)
class RetryingCluster:
    """A wrapper of a cluster that retries lists and writes after transient errors."""

    cluster: KubernetesCluster
    clock: Clock
    jitter: Callable[[], float] = field(default=random.random)

    def list_objects(self, query: Query) -> Listing:
        began = self.clock.now()
        listing = self.cluster.list_objects(query)
        for attempt in range(1, ATTEMPTS):
            if not is_transient(listing.error) or not self._pause(attempt, [listing.error], began):
                break
            listing = self.cluster.list_objects(query)
        return listing

    def read_version(self) -> Object:
        return self.cluster.read_version()

    def read_server(self) -> ApiServer:
        return self.cluster.read_server()

    def dry_run_pods(self, manifests: Sequence[Object]) -> Sequence[DryRun]:
        """Send the dry runs once, without retries, because the injection probe repeats them."""
        return self.cluster.dry_run_pods(manifests)

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write(self.cluster.apply, manifests)

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write(self.cluster.patch, manifests)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write(self.cluster.remove, manifests)

    def _write(
        self, write: Callable[[Sequence[Object]], WriteResult], manifests: Sequence[Object]
    ) -> WriteResult:
        # Apply, patch and delete are idempotent, so a retry is safe.
        began = self.clock.now()
        written = write(manifests)
        for attempt in range(1, ATTEMPTS):
            if is_transient(written.error):
                if not self._pause(attempt, [written.error], began):
                    break
                again = write(manifests)
                changed, diffs = written.changed or again.changed, [*written.diffs, *again.diffs]
                written = replace(again, changed=changed, diffs=diffs)
                continue
            busy = _busy(manifests, written.refused)
            if not busy or not self._pause(attempt, [written.refused[index] for index in busy], began):
                break
            written = _merge(written, write([manifests[index] for index in busy]), busy)
        return written

    def _pause(self, attempt: int, errors: Sequence[ApiError | None], began: datetime) -> bool:
        """Wait before another attempt. If the pause would be too long, return False without waiting."""
        retry_after = max((error.retry_after for error in errors if error), default=0)
        pause = max(float(retry_after), FIRST_PAUSE * 2 ** (attempt - 1)) * (1 + self.jitter() / 2)
        elapsed = (self.clock.now() - began).total_seconds()
        # The jitter makes a pause longer by up to half.
        if pause > LONGEST_PAUSE * 1.5 or elapsed + pause > RETRY_SECONDS:
            return False
        self.clock.sleep(pause)
        return True


def _busy(manifests: Sequence[Object], refused: Mapping[int, ApiError]) -> list[int]:
    """Return the indexes of the manifests to retry.

    They were rejected with a transient error, or because their namespace was rejected with one.
    """
    busy = {index for index, reason in refused.items() if is_transient(reason)}
    namespaces = {
        object_name(manifests[index]).name for index in busy if manifests[index].get("kind") == "Namespace"
    }
    missing = {
        index
        for index, reason in refused.items()
        if reason.status == NOT_FOUND and object_name(manifests[index]).namespace in namespaces
    }
    return sorted(busy | missing)


def _merge(first: WriteResult, retry: WriteResult, busy: Sequence[int]) -> WriteResult:
    """Return the result of all manifests after some of them were retried.

    :arg first: the result of all manifests before the retry.
    :arg retry: the result of the retried manifests.
    :arg busy: the index of each retried manifest in the list of all manifests.
    """
    if retry.error is not None:
        return replace(first, error=retry.error, changed=first.changed or retry.changed)
    refused = {index: reason for index, reason in first.refused.items() if index not in busy}
    refused |= {busy[index]: reason for index, reason in retry.refused.items()}
    return WriteResult(
        first.changed or retry.changed, dict(sorted(refused.items())), diffs=[*first.diffs, *retry.diffs]
    )


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

    @property
    def error(self) -> ApiError | None:
        """Return the error with which requests fail after the deadline, or None before the deadline."""
        if self.remaining:
            return None
        return ApiError(0, f"the deadline of {self.seconds:g} s has passed")


def start_deadline(seconds: int | None) -> Deadline | None:
    """Return the deadline of a run that starts now, or None if there is no time limit."""
    return Deadline(seconds, time.monotonic() + seconds) if seconds else None


@dataclass(frozen=True, slots=True)
class DeadlineClock:
    """A clock whose pauses end at the deadline at the latest."""

    clock: Clock
    deadline: Deadline

    def now(self) -> datetime:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(min(seconds, self.deadline.remaining))


@dataclass(frozen=True, slots=True)
class DeadlineCluster:
    """A wrapper of a cluster whose requests fail after the deadline.

    Deletions of objects that this run applied, such as the Jobs of the runtime proof, are still sent.
    """

    cluster: KubernetesCluster
    deadline: Deadline
    _applied: set[tuple[str, str, str]] = field(default_factory=set)

    def list_objects(self, query: Query) -> Listing:
        if error := self.deadline.error:
            return Listing(error=error)
        return self.cluster.list_objects(query)

    def read_version(self) -> Object:
        return {} if self.deadline.error else self.cluster.read_version()

    def read_server(self) -> ApiServer:
        return ApiServer() if self.deadline.error else self.cluster.read_server()

    def dry_run_pods(self, manifests: Sequence[Object]) -> Sequence[DryRun]:
        if error := self.deadline.error:
            return [DryRun(error=error)] * len(manifests)
        return self.cluster.dry_run_pods(manifests)

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        if error := self.deadline.error:
            return WriteResult(error=error)
        self._applied.update(map(_identity, manifests))
        return self.cluster.apply(manifests)

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        if error := self.deadline.error:
            return WriteResult(error=error)
        return self.cluster.patch(manifests)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        error = self.deadline.error
        if error and not self._applied.issuperset(map(_identity, manifests)):
            return WriteResult(error=error)
        return self.cluster.remove(manifests)


def _identity(manifest: Object) -> tuple[str, str, str]:
    name = object_name(manifest)
    return str(manifest.get("kind")), name.namespace, name.name
