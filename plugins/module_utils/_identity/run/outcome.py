# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The outcome of a run: completed and refused changes, the attempts of all rounds, and the journal.

The journal is the source for the report of an interrupted run.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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
    """A completed change. ``answer`` is the last response that contains the association, or empty without such a response."""

    change: Change
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that AWS refused, or that was skipped because of an earlier failure.

    ``awaited`` is true if its requests were repeated while AWS did not find a new resource that they need.
    """

    change: Change
    failure: Failure
    awaited: bool = False

    @property
    def error(self) -> AwsError | None:
        """Return the error of AWS; None if the change was not attempted."""
        return self.failure.cause

    @property
    def conflict(self) -> bool:
        return self.error is not None and self.error.conflict

    @property
    def once_only(self) -> bool:
        """Return whether the response was lost and a repetition would create a second resource."""
        error = self.error
        return error is not None and error.outcome_unknown and error.operation in ONCE_ONLY

    @property
    def perhaps_made(self) -> bool:
        """Return whether the change may be complete although reads do not show it yet.

        This is so if the resource to create already exists, if the resource to delete does not exist, or for a lost response if
        a repetition would create a second resource.
        """
        if self.error is None:
            return False
        if self.change.action in ("delete", "detach"):
            return self.error.missing
        if self.once_only:
            return True
        return self.change.action == "create" and self.error.kind is ErrorKind.EXISTS

    @property
    def vanished(self) -> bool:
        """Return whether a resource that the change needs no longer exists."""
        return self.error is not None and self.error.missing

    @property
    def lacks_room(self) -> bool:
        """Return whether the role has more policies than the plan counted."""
        full = self.error is not None and self.error.kind is ErrorKind.FULL
        return full and self.change.target.resource == "attachment"

    @property
    def role_not_usable(self) -> bool:
        """Return whether EKS did not accept the role, perhaps because the role is too new."""
        return self.error is not None and self.error.kind is ErrorKind.ROLE_NOT_USABLE

    @property
    def outcome_unknown(self) -> bool:
        """Return whether the change may have been carried out completely or partly."""
        return self.failure.partly or (self.error is not None and self.error.outcome_unknown)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The completed and the refused changes of one plan."""

    done: tuple[Done, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(refusal.failure for refusal in self.refusals)

    @property
    def conflict(self) -> bool:
        """Return whether another process changed a resource in the meantime, so that a new plan may resolve the refusals."""
        return any(refusal.conflict for refusal in self.refusals)


@dataclass(frozen=True, slots=True)
class Run:
    """The changes and failures of a run, in check mode the planned ones.

    ``done`` and ``failures`` are from all rounds of planning and applying.
    """

    desired: Desired
    state: str
    observed: Observed
    plan: Plan
    done: tuple[Done, ...]
    failures: tuple[Failure, ...]
    findings: tuple[Finding, ...]
    check_mode: bool = False


@dataclass(slots=True)
class Attempts:
    """The results of a run's attempts, over all rounds.

    ``done`` has the completed changes. ``pending`` has the last refusal of each change, by target, until the change is complete
    or a later plan does not contain it. ``permanent`` has the failures of those pending changes that are not tried again, also
    by target.
    """

    done: list[Done] = field(default_factory=list)
    permanent: dict[Target, Failure] = field(default_factory=dict)
    pending: dict[Target, Refusal] = field(default_factory=dict)
    _awaited: set[Target] = field(default_factory=set)

    def perhaps_made(self) -> list[Change]:
        """Return the refused changes that reads may show later.

        Most changes are returned only once, so that the run waits for them once. The exception is a change whose repetition
        would create a second resource: it is returned each time.
        """
        refusals = {target: refusal for target, refusal in self.pending.items() if refusal.perhaps_made}
        new = [
            refusal.change
            for target, refusal in refusals.items()
            if refusal.once_only or target not in self._awaited
        ]
        self._awaited |= refusals.keys()
        return new

    def drop_unplanned(self, plan: Plan) -> None:
        """Remove the pending refusals whose changes a new plan no longer contains, because those changes are complete.

        A refusal is kept if one of its workloads fails in the new plan. A change that may have been carried out counts as
        a change of this run.
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
        """Add the outcome of applying a plan. Refusals of targets that are not in ``retryable`` get no further attempt."""
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
        """Return the failures of the last plan and its outcome, and of earlier refusals that are still pending.

        A pending refusal is left out if the plan has a failure for the same target other than a failed read, or if its change
        certainly had no effect and could have been tried again. A change that was carried out partly is always reported.
        """
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
        pending = self.pending.get(target)
        return pending.failure if pending is not None and refusal.error is not None else refusal.failure


def joined(earlier: Change, later: Change) -> Change:
    """Return one change for the two parts of an update that two rounds carried out.

    For any other action, return the later change.
    """
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
    """Merge the attributes of two states; for an attribute in both, use the value of ``second``."""
    return {**(first or {}), **(second or {})}


@dataclass(frozen=True, slots=True)
class Cause:
    """The reason for an early end of a run."""

    code: str
    text: str
    remedy: str


@dataclass(slots=True)
class Journal:
    """A record of the requests and changes that a run has completed, from which an interrupted run is reported.

    ``observed`` and ``plan`` are the latest observation and plan.
    """

    observed: Observed | None = None
    plan: Plan = field(default_factory=Plan)
    _done: dict[Target, Done] = field(default_factory=dict)
    _answered: dict[Target, list[Call]] = field(default_factory=dict)
    _refused: dict[Target, Refusal] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> tuple[Done, ...]:
        """Return the completed changes, in the order of their completion."""
        with self._lock:
            return tuple(self._done.values())

    def find_changes(self, target: Target) -> list[Change]:
        """Return the completed changes of the same resource, oldest first."""
        return [done.change for done in self.done if done.change.target.is_same_resource(target)]

    def begin(self, observed: Observed, plan: Plan) -> None:
        """Set the latest observation and plan."""
        self.observed, self.plan = observed, plan

    def answer(self, change: Change, call: Call) -> None:
        """Record that AWS carried out a request of a change."""
        with self._lock:
            self._answered.setdefault(change.target, []).append(call)

    def end(self, result: Done | Refusal) -> None:
        """Record the result of a change."""
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
        """Return the interrupted run. A planned change that is not complete and was not refused is a failure with the cause.

        Without such a change, the read of the associations is the failure.
        """
        observed = self.observed or Observed(clusters)
        refused = {target: refusal.failure for target, refusal in self._refused.items()}
        ended = {*self._done, *refused}
        undone = [self._undone(change, cause) for change in self.plan.changes if change.target not in ended]
        failures = [*self.plan.failures, *refused.values(), *undone]
        if not undone:
            # There is no plan yet, or all planned changes are complete or refused.
            failed = {key for failure in failures for key in failure.workloads}
            left = [workload.key for workload in desired.workloads if workload.key not in failed]
            keys: dict[str, list[WorkloadKey]] = (
                {name: [] for name in clusters.members} if not failures else {}
            )
            for key in left or [workload.key for workload in desired.workloads]:
                keys.setdefault(key.cluster, []).append(key)
            failures += [
                Failure(
                    tuple(workloads), associations_target(name), "read", cause.code, cause.text, cause.remedy
                )
                for name, workloads in keys.items()
            ]
        done = () if check_mode else self.done
        findings = self.plan.findings
        return Run(desired, state, observed, self.plan, done, tuple(failures), findings, check_mode)

    def _undone(self, change: Change, cause: Cause) -> Failure:
        answered = self._answered.get(change.target, [])
        operations = ", ".join(f"{call.service}:{call.operation}" for call in answered)
        note = f" Done before the failure: {operations}." if operations else ""
        text = f"not done: {cause.text}{note}"
        partly = bool(answered)
        target = change.target
        return Failure(change.workloads, target, change.action, cause.code, text, cause.remedy, partly)
