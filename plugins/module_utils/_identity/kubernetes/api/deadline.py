# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The deadline of a whole run, as far as its Kubernetes half goes: a request that begins is brought to its end, and then
no more are sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...model.api_server import ApiServer
from ..model.objects import Object, name_of
from .api_errors import ApiError
from .cluster import Clock, Cluster, Listing, Query, Trial, Written


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

    cluster: Cluster
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
