# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Ask again what the API server was too busy for, within bounds. Pure: the cluster and the clock are given."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...model.api_server import ApiServer
from ..model.objects import Object, name_of
from .api_errors import ApiError
from .cluster import Clock, Cluster, Listing, Query, Trial, Written

# Kubernetes answers 429 when it is overloaded, and 500 to 504 when etcd or a webhook is; with most it says how long
# to wait.
BUSY = 429
TRANSIENT = frozenset({BUSY, 500, 502, 503, 504})
NOT_FOUND = 404
ATTEMPTS = 6
# Seconds: nothing is asked again later than this after the first time, and no single pause is longer.
PATIENCE = 120.0
LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.5


def is_transient(error: ApiError | None) -> bool:
    return error is not None and error.status in TRANSIENT


@dataclass(frozen=True, slots=True)
class PatientCluster:
    """A cluster whose transient errors are only told when they last."""

    cluster: Cluster
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
        """Who probes asks again anyway."""
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
        if pause > LONGEST_PAUSE * 1.5 or passed + pause > PATIENCE:
            return False
        self.clock.sleep(pause)
        return True


def _busy(manifests: Sequence[Object], refused: Mapping[int, ApiError]) -> list[int]:
    """What to write again: what was refused for now, and what missed its namespace because that was."""
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
