# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What one run has changed so far: the one record of it, whatever ends the run. Pure."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from ..._findings.finding import WorkloadKey
from ..model.changes import Call, Change, Plan
from ..model.cluster import Clusters
from ..model.desired import Desired
from ..model.observed import Observed
from ..model.targets import Failure, Target, associations_target
from .attempts import joined
from .outcome import Done, Refusal, Run


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run ended before its time."""

    code: str
    text: str
    remedy: str


@dataclass(slots=True)
class Journal:
    """Threads write to it when a request is answered, so it holds what an ended run cannot return any more.

    ``observed`` and ``plan`` are those of the latest look. ``late_writes`` has the trust policies that were written so long after
    they were read that another run may have written and looked again in between, with the time of the read.
    """

    observed: Observed | None = None
    plan: Plan = field(default_factory=Plan)
    late_writes: dict[Target, datetime] = field(default_factory=dict)
    _done: dict[Target, Done] = field(default_factory=dict)
    _answered: dict[Target, list[Call]] = field(default_factory=dict)
    _refused: dict[Target, Refusal] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> tuple[Done, ...]:
        """The changes that are complete, in the order of their completion."""
        with self._lock:
            return tuple(self._done.values())

    def changes_of(self, target: Target) -> list[Change]:
        """The complete changes of the same kind of thing in AWS, like a role's trust policy, oldest first."""
        return [
            done.change
            for done in self.done
            if (done.change.target.resource, done.change.target.touched) == (target.resource, target.touched)
        ]

    def begin(self, observed: Observed, plan: Plan) -> None:
        """Take a look, and what is planned from it."""
        self.observed, self.plan = observed, plan

    def answer(self, change: Change, call: Call) -> None:
        """A request of a change was answered."""
        with self._lock:
            self._answered.setdefault(change.target, []).append(call)

    def note_late_write(self, target: Target, read_at: datetime) -> None:
        """Keep the first read: what was overwritten may be as old."""
        with self._lock:
            self.late_writes.setdefault(target, read_at)

    def end(self, result: Done | Refusal) -> None:
        """A change came to its end."""
        target = result.change.target
        with self._lock:
            self._answered.pop(target, None)
            self._refused.pop(target, None)
            if isinstance(result, Refusal):
                self._refused[target] = result
                return
            earlier = self._done.pop(target, None)
            change = joined(earlier.change, result.change) if earlier else result.change
            self._done[target] = Done(change, result.answer)

    def cut_short(
        self, desired: Desired, state: str, clusters: Clusters, cause: Cause, check_mode: bool
    ) -> Run:
        """The run as far as it came. What was planned and not done is a failure, with the cause."""
        observed = self.observed or Observed(clusters)
        refused = {target: refusal.failure for target, refusal in self._refused.items()}
        permanent = {*self._done, *refused}
        undone = [
            self._undone(change, cause) for change in self.plan.changes if change.target not in permanent
        ]
        failures = [*self.plan.failures, *refused.values(), *undone]
        if not failures:
            # Nothing was planned yet, or only the look afterwards is missing.
            keys: dict[str, list[WorkloadKey]] = {name: [] for name in clusters.members}
            for workload in desired.workloads:
                keys.setdefault(workload.key.cluster, []).append(workload.key)
            failures = [
                Failure(
                    tuple(theirs), associations_target(name), "read", cause.code, cause.text, cause.remedy
                )
                for name, theirs in keys.items()
            ]
        done = () if check_mode else self.done
        findings = self.plan.findings
        return Run(desired, state, observed, self.plan, done, tuple(failures), findings, check_mode)

    def _undone(self, change: Change, cause: Cause) -> Failure:
        answered = self._answered.get(change.target, [])
        operations = ", ".join(f"{call.service}:{call.operation}" for call in answered)
        after = f" Done before it: {operations}." if operations else ""
        text = f"not done: {cause.text}{after}"
        partly = bool(answered)
        target = change.target
        return Failure(change.workloads, target, change.action, cause.code, text, cause.remedy, partly)
