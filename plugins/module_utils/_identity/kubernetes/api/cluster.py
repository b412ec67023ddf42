# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Kubernetes API of a cluster: requests, retries of transient errors, and the deadline of a run. Pure.

Implementations decide how the API is reached. After the deadline no request is sent; those under way are completed.
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
    """A list request; ``namespace`` is "" for all namespaces."""

    api_version: str
    kind: str
    namespace: str = ""
    label_selectors: tuple[str, ...] = ()
    field_selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects that a query returned, or its error."""

    items: Sequence[Object] = ()
    error: ApiError | None = None


# Keyed by the names of RESOURCES, with the listed resources only.
Reads: TypeAlias = Mapping[str, Listing]


@dataclass(frozen=True, slots=True)
class DryRun:
    """The Pod that a dry-run create returned, or its error."""

    pod: Object = field(default_factory=dict)
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of applying, patching or deleting a list of manifests.

    ``refused`` has the errors of rejected manifests by their index. ``error`` is set if the writes ended without a
    result: it is then unknown which succeeded. ``diffs`` are for ``--diff``.
    """

    changed: bool = False
    refused: Mapping[int, ApiError] = field(default_factory=dict)
    error: ApiError | None = None
    diffs: Sequence[Object] = ()


class ClusterReader(Protocol):
    def list_objects(self, query: Query) -> Listing:
        """List objects; a failure is returned as the listing's error, never raised."""

    def read_version(self) -> Object:
        """Return the response of GET /version, or an empty mapping."""

    def read_server(self) -> ApiServer:
        """Return the endpoint of the connection and its TLS settings, if possible without a request."""

    def dry_run_pods(self, manifests: Sequence[Object]) -> Sequence[DryRun]:
        """Create Pods with ``dryRun=All``. Returns one result for each, in order, and never raises."""


class KubernetesCluster(ClusterReader, Protocol):
    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        """Create missing objects, and update fields that differ, by server-side apply."""

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        """Patch existing objects; missing ones are not created."""

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        """Delete objects and their dependents; missing ones count as deleted."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current time in UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""


# Kubernetes returns 429 when it is overloaded, and 500 to 504 when etcd or a webhook is; most responses have a
# Retry-After.
BUSY = 429
TRANSIENT = frozenset({BUSY, 500, 502, 503, 504})
NOT_FOUND = 404
ATTEMPTS = 6
# Seconds from the first attempt to the last retry, and the limits of a single pause.
RETRY_SECONDS = 120.0
LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.5


def is_transient(error: ApiError | None) -> bool:
    return error is not None and error.status in TRANSIENT


@dataclass(frozen=True, slots=True)
class RetryingCluster:
    """A cluster that retries transient errors."""

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
        """Return without a retry: the probe repeats its requests."""
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
                written = replace(again, changed=written.changed or again.changed)
                continue
            busy = _busy(manifests, written.refused)
            if not busy or not self._pause(attempt, [written.refused[index] for index in busy], began):
                break
            written = _merge(written, write([manifests[index] for index in busy]), busy)
        return written

    def _pause(self, attempt: int, errors: Sequence[ApiError | None], began: datetime) -> bool:
        """Wait before another attempt; return False if there is no time for one."""
        retry_after = max((error.retry_after for error in errors if error), default=0)
        pause = max(float(retry_after), FIRST_PAUSE * 2 ** (attempt - 1)) * (1 + self.jitter() / 2)
        elapsed = (self.clock.now() - began).total_seconds()
        if pause > LONGEST_PAUSE * 1.5 or elapsed + pause > RETRY_SECONDS:
            return False
        self.clock.sleep(pause)
        return True


def _busy(manifests: Sequence[Object], refused: Mapping[int, ApiError]) -> list[int]:
    """Return the indexes to retry: transient rejections, and objects in a namespace that was rejected."""
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
    """Merge the result of a retry of the manifests with the indexes ``busy`` into the first result."""
    if retry.error is not None:
        return replace(first, error=retry.error, changed=first.changed or retry.changed)
    refused = {index: reason for index, reason in first.refused.items() if index not in busy}
    refused |= {busy[index]: reason for index, reason in retry.refused.items()}
    return WriteResult(
        first.changed or retry.changed, dict(sorted(refused.items())), diffs=[*first.diffs, *retry.diffs]
    )


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a run: ``seconds`` after its start, at ``ends`` of the machine's monotonic clock, which all processes
    share."""

    seconds: float
    ends: float
    now: Callable[[], float] = field(default=time.monotonic, compare=False)

    @property
    def remaining(self) -> float:
        """The remaining seconds, at least 0."""
        return max(0.0, self.ends - self.now())

    @property
    def error(self) -> ApiError | None:
        """The error of requests after the deadline; None before it."""
        if self.remaining:
            return None
        return ApiError(0, f"the deadline of {self.seconds:g} s has passed")


def start_deadline(seconds: int | None) -> Deadline | None:
    """Return a deadline that starts now; None without a limit."""
    return Deadline(seconds, time.monotonic() + seconds) if seconds else None


@dataclass(frozen=True, slots=True)
class DeadlineClock:
    """A clock that sleeps no longer than until the deadline."""

    clock: Clock
    deadline: Deadline

    def now(self) -> datetime:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(min(seconds, self.deadline.remaining))


@dataclass(frozen=True, slots=True)
class DeadlineCluster:
    """A cluster without requests after the deadline, except for deletions of objects that this run created, such as
    Jobs."""

    cluster: KubernetesCluster
    deadline: Deadline
    _created: set[tuple[str, str, str]] = field(default_factory=set)

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
        self._created.update(map(_identity, manifests))
        return self.cluster.apply(manifests)

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        if error := self.deadline.error:
            return WriteResult(error=error)
        return self.cluster.patch(manifests)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        error = self.deadline.error
        if error and not self._created.issuperset(map(_identity, manifests)):
            return WriteResult(error=error)
        return self.cluster.remove(manifests)


def _identity(manifest: Object) -> tuple[str, str, str]:
    name = object_name(manifest)
    return str(manifest.get("kind")), name.namespace, name.name
