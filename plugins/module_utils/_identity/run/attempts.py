# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the rounds of one run come to: nothing that was made or failed is lost or repeated. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ..model.changes import Change, Plan
from ..model.targets import Failure, Target
from .outcome import Done, Outcome, Refusal


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
