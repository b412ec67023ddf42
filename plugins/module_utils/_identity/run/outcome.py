# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The outcome of a run: what was attempted, what ended it before its time, what is done and what failed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Call, Change, Plan
from ..model.cluster import Clusters
from ..model.desired import Desired
from ..model.errors import ONCE_ONLY, AwsError, ErrorKind
from ..model.observed import Observed
from ..model.targets import Failure, Target, associations_target


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made. ``answer`` is the last that holds the association, if any does."""

    change: Change
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that was not made. ``error`` is that of AWS; None when it was not attempted."""

    change: Change
    failure: Failure
    error: AwsError | None = None

    @property
    def conflict(self) -> bool:
        return self.error is not None and self.error.conflict

    @property
    def once_only(self) -> bool:
        """Whether its answer got lost, and made again it would be there twice."""
        error = self.error
        return error is not None and error.outcome_unknown and error.operation in ONCE_ONLY

    @property
    def perhaps_made(self) -> bool:
        """Whether it may be made, though reads do not show it yet: AWS says that what is to be made exists, or that
        what is to go is gone, or the answer got lost."""
        if self.error is None:
            return False
        if self.change.action in ("delete", "detach"):
            return self.error.missing
        if self.once_only:
            return True
        return self.change.action == "create" and self.error.kind is ErrorKind.EXISTS

    @property
    def vanished(self) -> bool:
        """Whether something that it builds on is gone."""
        return self.error is not None and self.error.missing and not self.half_replaced

    @property
    def lacks_room(self) -> bool:
        """Return whether the role has more policies than the plan counted."""
        full = self.error is not None and self.error.kind is ErrorKind.FULL
        return full and self.change.target.resource == "attachment"

    @property
    def role_not_usable(self) -> bool:
        """Whether EKS does not accept the role, which may be too young for it."""
        return self.error is not None and self.error.kind is ErrorKind.ROLE_NOT_USABLE

    @property
    def half_replaced(self) -> bool:
        """Deleted, and not created anew: nothing but the failure still tells what there was."""
        return self.failure.partly and self.change.action == "replace"

    @property
    def outcome_unknown(self) -> bool:
        """Whether it may have been made all the same, wholly or in part."""
        return self.failure.partly or (self.error is not None and self.error.outcome_unknown)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan."""

    done: tuple[Done, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(refusal.failure for refusal in self.refusals)

    @property
    def conflict(self) -> bool:
        """Whether something was made elsewhere meanwhile: look again."""
        refusals = self.refusals
        return any(refusal.conflict for refusal in refusals) and not any(
            refusal.half_replaced for refusal in refusals
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What one run did, or in check mode would do.

    ``done`` and ``failures`` are of all rounds; ``findings`` are those of the last look. ``purged`` is how
    many workloads that are not listed it was to remove.
    """

    desired: Desired
    state: str
    observed: Observed
    plan: Plan
    done: tuple[Done, ...]
    failures: tuple[Failure, ...]
    findings: tuple[Finding, ...]
    check_mode: bool = False
    purged: int = 0


@dataclass(slots=True)
class Attempts:
    """``done`` is what was made so far; ``permanent`` what failed for good, by target.

    ``pending`` are the refusals, by target, that no later look has explained yet.
    """

    done: list[Done] = field(default_factory=list)
    permanent: dict[Target, Failure] = field(default_factory=dict)
    pending: dict[Target, Refusal] = field(default_factory=dict)
    _awaited: set[Target] = field(default_factory=set)

    def perhaps_made(self) -> list[Change]:
        """The refused changes that reads may show in a while. Each is named once, so that it is waited for once;
        but one that must not be made twice as often as it is refused."""
        refusals = {target: refusal for target, refusal in self.pending.items() if refusal.perhaps_made}
        new = [
            refusal.change
            for target, refusal in refusals.items()
            if refusal.once_only or target not in self._awaited
        ]
        self._awaited |= refusals.keys()
        return new

    def look(self, plan: Plan) -> None:
        """Take a plan from a fresh look: what it no longer holds is there, by whomever.

        Where this run asked for it and never got a clear answer, it counts as made by this run.
        """
        planned = {change.target for change in plan.changes}
        unknown = {key for failure in plan.failures for key in failure.workloads}
        for target, refusal in list(self.pending.items()):
            if target in planned or unknown.intersection(refusal.change.workloads):
                continue
            del self.pending[target]
            self.permanent.pop(target, None)
            if refusal.outcome_unknown:
                self.done.append(Done(refusal.change))

    def add(self, outcome: Outcome, retryable: Collection[Target]) -> None:
        """Take what became of the plan. ``retryable`` are the targets worth another attempt."""
        for made in outcome.done:
            earlier = self.pending.pop(made.change.target, None)
            whole = joined(earlier.change, made.change) if earlier else made.change
            self.done.append(replace(made, change=whole))
        for refusal in outcome.refusals:
            target = refusal.change.target
            if refusal.error is None:
                continue
            earlier = self.pending.get(target)
            if earlier is not None and earlier.failure.partly:
                change = joined(earlier.change, refusal.change)
                refusal = replace(refusal, change=change, failure=replace(refusal.failure, partly=True))
            self.pending[target] = refusal
            if target not in retryable:
                self.permanent[target] = refusal.failure

    def failures(self, plan: Plan, outcome: Outcome) -> tuple[Failure, ...]:
        """All that failed, also what only an earlier round could see."""
        last = {refusal.change.target: refusal for refusal in outcome.refusals}
        latest = [self._latest(target, refusal) for target, refusal in last.items()]
        explained = {failure.target for failure in plan.failures if failure.action != "read"}
        unseen = [
            refusal.failure
            for target, refusal in self.pending.items()
            if target not in last
            and (refusal.failure.partly or target not in explained)
            and (refusal.outcome_unknown or target in self.permanent)
        ]
        return (*plan.failures, *latest, *unseen)

    def _latest(self, target: Target, refusal: Refusal) -> Failure:
        known = self.pending.get(target)
        return known.failure if known is not None and refusal.error is not None else refusal.failure


def joined(earlier: Change, later: Change) -> Change:
    """Two parts of one change, made in two rounds, as one."""
    if earlier.action != later.action or later.action != "update":
        return later
    return replace(
        later,
        before=_both(later.before, earlier.before),
        after=_both(earlier.after, later.after),
    )


def _both(
    first: Mapping[str, object] | None, second: Mapping[str, object] | None
) -> Mapping[str, object] | None:
    """``second`` wins."""
    return {**(first or {}), **(second or {})}


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
        return [done.change for done in self.done if done.change.target.is_same_resource(target)]

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
