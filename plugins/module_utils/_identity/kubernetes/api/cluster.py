# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Kubernetes API of a cluster: requests, retries of transient errors, and the deadline of a run. Pure.

Implementations decide how the API is reached. After the deadline no request is sent; those under way are completed.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeAlias

from ...model.cluster import ApiServer
from ..model.objects import Object, name_of
from .api_errors import ApiError


@dataclass(frozen=True, slots=True)
class Query:
    """One list of objects. ``namespace`` is "" for those of all namespaces."""

    api_version: str
    kind: str
    namespace: str = ""
    label_selectors: tuple[str, ...] = ()
    field_selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The answer to a query: the objects, or why there are none."""

    items: Sequence[Object] = ()
    error: ApiError | None = None


# By the names of RESOURCES; what was not asked for is not in it.
Reads: TypeAlias = Mapping[str, Listing]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came back of a Pod that was created with a dry run, or why nothing did."""

    pod: Object = field(default_factory=dict)
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of manifests that were to be applied or removed.

    ``refused`` holds the error of each that the API refused, by its place among them. ``error`` is given
    when the work ended before its result; how far it got is then not known. ``diffs`` are for ``--diff``.
    """

    changed: bool = False
    refused: Mapping[int, ApiError] = field(default_factory=dict)
    error: ApiError | None = None
    diffs: Sequence[Object] = ()


class ClusterReader(Protocol):
    def list_objects(self, query: Query) -> Listing:
        """Never raises; what goes wrong is the listing's error."""

    def read_version(self) -> Object:
        """The answer of GET /version; empty when there is none."""

    def read_server(self) -> ApiServer:
        """Where the connection goes, and what it trusts; no request of its own where a client can tell."""

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        """Create Pods with a dry run, which makes none. One trial for each, in order; never raises."""


class KubernetesCluster(ClusterReader, Protocol):
    def apply(self, manifests: Sequence[Object]) -> Written:
        """Create what is missing, and set what differs."""

    def patch(self, manifests: Sequence[Object]) -> Written:
        """Change what is there; what is missing is left so."""

    def remove(self, manifests: Sequence[Object]) -> Written:
        """Remove objects and what they own; what is missing counts as removed."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


# Kubernetes answers 429 when it is overloaded, and 500 to 504 when etcd or a webhook is; with most it says how long
# to wait.
BUSY = 429
TRANSIENT = frozenset({BUSY, 500, 502, 503, 504})
NOT_FOUND = 404
ATTEMPTS = 6
# Seconds: nothing is asked again later than this after the first time, and no single pause is longer.
RETRY_SECONDS = 120.0
LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.5


def is_transient(error: ApiError | None) -> bool:
    return error is not None and error.status in TRANSIENT


@dataclass(frozen=True, slots=True)
class PatientCluster:
    """A cluster whose transient errors are only told when they last."""

    cluster: KubernetesCluster
    clock: Clock
    chance: Callable[[], float] = field(default=random.random)

    def list_objects(self, query: Query) -> Listing:
        began = self.clock.now()
        listing = self.cluster.list_objects(query)
        for attempt in range(1, ATTEMPTS):
            if not is_transient(listing.error) or not self._waits(attempt, [listing.error], began):
                break
            listing = self.cluster.list_objects(query)
        return listing

    def read_version(self) -> Object:
        return self.cluster.read_version()

    def read_server(self) -> ApiServer:
        return self.cluster.read_server()

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        """Return without a retry: the probe repeats its requests."""
        return self.cluster.try_pods(manifests)

    def apply(self, manifests: Sequence[Object]) -> Written:
        return self._write(self.cluster.apply, manifests)

    def patch(self, manifests: Sequence[Object]) -> Written:
        return self._write(self.cluster.patch, manifests)

    def remove(self, manifests: Sequence[Object]) -> Written:
        return self._write(self.cluster.remove, manifests)

    def _write(self, write: Callable[[Sequence[Object]], Written], manifests: Sequence[Object]) -> Written:
        """Each of these writes may be made twice: it says how things are to be."""
        began = self.clock.now()
        written = write(manifests)
        for attempt in range(1, ATTEMPTS):
            if is_transient(written.error):
                if not self._waits(attempt, [written.error], began):
                    break
                again = write(manifests)
                written = replace(again, changed=written.changed or again.changed)
                continue
            busy = _busy(manifests, written.refused)
            if not busy or not self._waits(attempt, [written.refused[index] for index in busy], began):
                break
            written = _joined(written, write([manifests[index] for index in busy]), busy)
        return written

    def _waits(self, attempt: int, errors: Sequence[ApiError | None], began: datetime) -> bool:
        """Waits before another attempt; False when there is no time for one."""
        asked = max((error.retry_after for error in errors if error), default=0)
        pause = max(float(asked), FIRST_PAUSE * 2 ** (attempt - 1)) * (1 + self.chance() / 2)
        passed = (self.clock.now() - began).total_seconds()
        if pause > LONGEST_PAUSE * 1.5 or passed + pause > RETRY_SECONDS:
            return False
        self.clock.sleep(pause)
        return True


def _busy(manifests: Sequence[Object], refused: Mapping[int, ApiError]) -> list[int]:
    """Return the manifests to write again: temporarily refused ones, and those in a namespace that was refused."""
    busy = {index for index, reason in refused.items() if is_transient(reason)}
    namespaces = {
        name_of(manifests[index]).name for index in busy if manifests[index].get("kind") == "Namespace"
    }
    missing = {
        index
        for index, reason in refused.items()
        if reason.status == NOT_FOUND and name_of(manifests[index]).namespace in namespaces
    }
    return sorted(busy | missing)


def _joined(before: Written, again: Written, busy: Sequence[int]) -> Written:
    """``again`` is of the manifests at the places ``busy`` of those of before."""
    if again.error is not None:
        return replace(before, error=again.error, changed=before.changed or again.changed)
    refused = {index: reason for index, reason in before.refused.items() if index not in busy}
    refused |= {busy[index]: reason for index, reason in again.refused.items()}
    return Written(
        before.changed or again.changed, dict(sorted(refused.items())), diffs=[*before.diffs, *again.diffs]
    )


@dataclass(frozen=True, slots=True)
class Deadline:
    """``seconds`` is what the run may take, and ``ends`` when that is over, by a clock that all processes of this machine
    share and nobody sets."""

    seconds: float
    ends: float
    now: Callable[[], float] = field(default=time.monotonic, compare=False)

    @property
    def left(self) -> float:
        """Seconds; none when the time is over."""
        return max(0.0, self.ends - self.now())

    @property
    def error(self) -> ApiError | None:
        """Why nothing more is sent; None while there is time."""
        if self.left:
            return None
        return ApiError(0, f"the deadline of {self.seconds:g} s has passed")


def begin_deadline(seconds: int | None) -> Deadline | None:
    """From now on; None where there is no limit."""
    return Deadline(seconds, time.monotonic() + seconds) if seconds else None


def deadline_row(deadline: Deadline | None) -> dict[str, float] | None:
    """For the tasks that follow. ``left`` is for a module, which counts from its own beginning: a second at least, for
    none would be no limit."""
    if deadline is None:
        return None
    left = max(1, math.ceil(deadline.left))
    return {"seconds": deadline.seconds, "ends": deadline.ends, "left": left}


def parse_deadline(row: Mapping[str, float] | None) -> Deadline | None:
    return Deadline(float(row["seconds"]), float(row["ends"])) if row else None


@dataclass(frozen=True, slots=True)
class TimedClock:
    """Nobody sleeps longer than the run may take."""

    clock: Clock
    deadline: Deadline

    def now(self) -> datetime:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(min(seconds, self.deadline.left))


@dataclass(frozen=True, slots=True)
class TimedCluster:
    """A cluster that is not asked any more once the deadline has passed, except to remove again what this run has made,
    as its Jobs."""

    cluster: KubernetesCluster
    deadline: Deadline
    _made: set[tuple[str, str, str]] = field(default_factory=set)

    def list_objects(self, query: Query) -> Listing:
        if error := self.deadline.error:
            return Listing(error=error)
        return self.cluster.list_objects(query)

    def read_version(self) -> Object:
        return {} if self.deadline.error else self.cluster.read_version()

    def read_server(self) -> ApiServer:
        return ApiServer() if self.deadline.error else self.cluster.read_server()

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        if error := self.deadline.error:
            return [Trial(error=error)] * len(manifests)
        return self.cluster.try_pods(manifests)

    def apply(self, manifests: Sequence[Object]) -> Written:
        if error := self.deadline.error:
            return Written(error=error)
        self._made.update(map(_identity, manifests))
        return self.cluster.apply(manifests)

    def patch(self, manifests: Sequence[Object]) -> Written:
        if error := self.deadline.error:
            return Written(error=error)
        return self.cluster.patch(manifests)

    def remove(self, manifests: Sequence[Object]) -> Written:
        error = self.deadline.error
        if error and not self._made.issuperset(map(_identity, manifests)):
            return Written(error=error)
        return self.cluster.remove(manifests)


def _identity(manifest: Object) -> tuple[str, str, str]:
    name = name_of(manifest)
    return str(manifest.get("kind")), name.namespace, name.name
