# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of a run: its completed and refused changes, and the journal, from which every run is reported."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..._findings.finding import Finding
from ..model.changes import Call, Change, Plan
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import AwsError, ErrorKind, sentence
from ..model.observed import Observed
from ..model.targets import Failure, Target, associations_target, request_failure


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
    def reason(self) -> ErrorKind | None:
        """Return the kind of the error of AWS; None if the change was not attempted."""
        return self.failure.cause.kind if self.failure.cause is not None else None

    @property
    def perhaps_made(self) -> bool:
        """Return whether the change may be complete although reads do not show it yet.

        This is so if the resource to create already exists, if the resource to delete does not exist, or for a lost response if
        a repetition would create a second resource.
        """
        if self.change.action in ("delete", "detach"):
            return self.reason is ErrorKind.MISSING
        once_only = self.failure.cause is not None and self.failure.cause.once_only
        return once_only or (self.change.action == "create" and self.reason is ErrorKind.EXISTS)

    @property
    def outcome_unknown(self) -> bool:
        """Return whether the change may have been carried out completely or partly."""
        return self.failure.partly or (self.failure.cause is not None and self.failure.cause.outcome_unknown)


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

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return the completed changes, in check mode the planned ones."""
        return self.plan.changes if self.check_mode else tuple(done.change for done in self.done)


def joined(earlier: Change, later: Change) -> Change:
    """Return one change for the two parts of an update that two rounds carried out.

    For any other action, return the later change.
    """
    if earlier.action != later.action or later.action != "update":
        return later
    return replace(
        later,
        before={**(later.before or {}), **(earlier.before or {})},
        after={**(earlier.after or {}), **(later.after or {})},
        notes=(*earlier.notes, *later.notes),
    )


def unfinished(change: Change, made: Sequence[Call], error: AwsError, prefix: str = "") -> Failure:
    """Return the failure of a change that an error has ended after some of its requests."""
    note, operations = "", ", ".join(f"{call.service}:{call.operation}" for call in made)
    if made:
        error = error.amended(sentence(error.text), error.outcome_unknown)
        note = f" Done before the failure: {operations}."
    subject = change.workloads, change.target, change.action
    return request_failure(error, *subject, prefix=prefix, suffix=note, partly=bool(made))


@dataclass(slots=True)
class Journal:
    """A record of a run, over all rounds: its completed changes, and its refused changes that are not complete yet.

    ``observed`` and ``plan`` are the latest observation and plan. ``permanent`` has the failures of changes that are not tried
    again, by target.
    """

    observed: Observed | None = None
    plan: Plan = field(default_factory=Plan)
    permanent: dict[Target, Failure] = field(default_factory=dict)
    _done: dict[Target, Done] = field(default_factory=dict)
    _refused: dict[Target, Refusal] = field(default_factory=dict)
    _answered: dict[Target, list[Call]] = field(default_factory=dict)
    _awaited: set[Target] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> tuple[Done, ...]:
        """Return the completed changes, in the order of a plan."""
        with self._lock:
            return tuple(sorted(self._done.values(), key=lambda done: done.change.place))

    @property
    def refusals(self) -> list[Refusal]:
        """Return the last refusal of each change that is not complete, in the order of a plan."""
        return sorted(self._refused.values(), key=lambda refusal: refusal.change.place)

    def start_round(self, observed: Observed, plan: Plan) -> None:
        """Set the latest observation and plan, and drop refusals whose changes the plan does not contain: these are complete.

        A refusal is kept if one of its workloads fails in the plan. A change that may have been carried out counts as a change
        of this run.
        """
        self.observed, self.plan = observed, plan
        planned = {change.target for change in plan.changes}
        unknown = {key for failure in plan.failures for key in failure.workloads}
        for target, refusal in list(self._refused.items()):
            if refusal.reason is None:
                del self._refused[target]
            elif target not in planned and unknown.isdisjoint(refusal.change.workloads):
                del self._refused[target]
                self.permanent.pop(target, None)
                if refusal.outcome_unknown:
                    self._add(Done(refusal.change))

    def acknowledge(self, change: Change, call: Call) -> None:
        """Record that AWS carried out a request of a change."""
        with self._lock:
            self._answered.setdefault(change.target, []).append(call)

    def end(self, result: Done | Refusal) -> None:
        """Record the result of a change."""
        target, change = result.change.target, result.change
        with self._lock:
            self._answered.pop(target, None)
            earlier = self._refused.pop(target, None)
            if earlier is not None and earlier.outcome_unknown:
                change = joined(earlier.change, change)
            if isinstance(result, Done):
                self._add(replace(result, change=change))
            elif earlier is not None and result.reason is None:
                self._refused[target] = earlier
            else:
                partly = result.failure.partly or (earlier is not None and earlier.failure.partly)
                failure = replace(result.failure, partly=partly)
                self._refused[target] = replace(result, change=change, failure=failure)

    def _add(self, done: Done) -> None:
        target = done.change.target
        earlier = self._done.get(target)
        change = joined(earlier.change, done.change) if earlier else done.change
        self._done[target] = Done(change, done.answer)

    def give_up(self, retryable: Collection[Target]) -> None:
        """Give no further attempt to the refused changes of the plan, except to those of ``retryable``."""
        planned = {change.target for change in self.plan.changes} - set(retryable)
        self.permanent |= {
            target: refusal.failure
            for target, refusal in self._refused.items()
            if target in planned and refusal.reason is not None
        }

    def perhaps_made(self) -> list[Change]:
        """Return the refused changes that reads may show later.

        Most changes are returned only once, so that the run waits for them once. The exception is a change whose repetition
        would create a second resource: it is returned each time.
        """
        refusals = [refusal for refusal in self.refusals if refusal.perhaps_made]
        new = [
            refusal.change
            for refusal in refusals
            if refusal.change.target not in self._awaited
            or (refusal.failure.cause is not None and refusal.failure.cause.once_only)
        ]
        self._awaited |= {refusal.change.target for refusal in refusals}
        return new

    def failures(self) -> tuple[Failure, ...]:
        """Return the failures of the last plan, and of the changes that are not complete.

        A refusal of an earlier plan is left out if the last plan has a failure for the same target other than a failed read, or
        if the change certainly had no effect and could have been tried again. A change that was carried out partly is always
        reported.
        """
        planned = {change.target for change in self.plan.changes}
        explained = {failure.target for failure in self.plan.failures if failure.action != "read"}
        left = [
            refusal.failure
            for refusal in self.refusals
            if (target := refusal.change.target) in planned
            or (
                (refusal.failure.partly or target not in explained)
                and (refusal.outcome_unknown or target in self.permanent)
            )
        ]
        return (*self.plan.failures, *left)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings of the last plan, and the findings about completed changes of earlier plans."""
        notes = (note for done in self.done for note in done.change.notes)
        return tuple(dict.fromkeys((*self.plan.findings, *notes)))

    def cut_short(
        self, desired: Desired, state: str, cluster: Cluster, cause: AwsError, check_mode: bool
    ) -> Run:
        """Return the interrupted run. A planned change that is not complete and was not refused is a failure with the cause.

        Without such a change, the read of the associations is the failure.
        """
        observed = self.observed or Observed(cluster)
        ended = {*self._done, *self._refused}
        undone = [
            unfinished(change, self._answered.get(change.target, ()), cause, "not done: ")
            for change in self.plan.changes
            if change.target not in ended
        ]
        failures = [*self.plan.failures, *(refusal.failure for refusal in self.refusals), *undone]
        if not undone:
            # There is no plan yet, or all planned changes are complete or refused.
            failed = {key for failure in failures for key in failure.workloads}
            left = [workload.key for workload in desired.workloads if workload.key not in failed]
            keys = tuple(left or [workload.key for workload in desired.workloads])
            if keys or not failures:
                failures.append(request_failure(cause, keys, associations_target(cluster.name), "read"))
        return Run(desired, state, observed, self.plan, self.done, tuple(failures), self.findings, check_mode)
