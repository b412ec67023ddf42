# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One run of the engine: observe, plan, apply; look again when something was made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..._aws.client import Api
from ..._aws.transport import map_concurrently
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change, NullProgress, Plan, Progress
from ..model.cluster import Clusters
from ..model.desired import Desired
from ..model.errors import AwsError
from ..model.observed import Observed, ObservedAssociation
from ..model.targets import Target
from ..plan.absent import MayPurge, make_removal_plan
from ..plan.attachments import has_overfull
from ..plan.present import make_plan
from ..plan.purge import find_left_behind
from ..plan.trust import subject_of
from ..plan.unlisted import find_unlisted
from ..plan.young import perhaps_unseen
from ..read.account import read_attachment_quota
from ..read.observe import Observer
from ..read.roles import may_become_usable
from .apply import apply_plan
from .attempts import Attempts
from .journal import Cause, Journal
from .outcome import Outcome, Refusal, Run
from .trust_write import hold_trust, let_in_again, restore_grants
from .use_check import UseCheck
from .visible import merge, overlay, seen_before, unseen, without_unseen
from .waiting import WaitPolicy

Associations = Mapping[WorkloadKey, ObservedAssociation]


# A conflict means that another process is at work; two fresh looks are enough, or it is a fight.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """Observe, plan and apply for the workloads of clusters of one account.

    ``unread`` says, by what keys of workloads call them, why other clusters of the run could not be read. Their workloads
    are planned with the others, and fail: nothing that they may need is taken away meanwhile.
    """

    api: Api
    clusters: Clusters
    width: int
    wait_policy: WaitPolicy
    progress: Progress = field(default_factory=NullProgress)
    journal: Journal = field(default_factory=Journal)
    unread: Mapping[str, AwsError] = field(default_factory=dict)

    def observer(self, stage: str = "read") -> Observer:
        return Observer(self.api, self.clusters, self.width, self.progress, stage, self.unread)

    def observe(
        self,
        desired: Desired,
        removal: bool = False,
        just_read: Associations | None = None,
        unlisted: bool = False,
    ) -> Observed:
        """What there is. Associations that were ``just_read`` are only listed again."""
        return self.observer().observe(desired, removal, unchanged=just_read, unlisted=unlisted)

    def observe_after(self, run: Run) -> Observed:
        """What there is after a run: read again until it shows what the run changed, for the verification and for
        whoever runs next. One request for each association is what a large run costs, so those that it did not
        touch are only listed again."""
        if not run.done:
            return run.observed
        changes = (*run.plan.changes, *(done.change for done in run.done))
        touched = {
            key for change in changes if change.target.resource == "association" for key in change.workloads
        }
        associations = run.observed.associations.items()
        untouched = {key: association for key, association in associations if key not in touched}

        def look(desired: Desired) -> Observed:
            return self.observer("verify").observe(desired, planning=False, unchanged=untouched)

        # What an earlier look showed and nobody here removed is not missing because a later one is late.
        observed = self._settled(run.desired, look, seen_before(run))
        # The users outside the run are read once.
        return replace(observed, outside=run.observed.outside, unlisted=run.observed.unlisted)

    def _settled(
        self, desired: Desired, look: Callable[[Desired], Observed], perhaps: Sequence[Change] = ()
    ) -> Observed:
        """A look that shows what this run changed. Where it does not, it is repeated for a while; what is still
        not visible then counts as not read. ``perhaps`` is waited for as well, but may not be there at all."""
        made = [done.change for done in self.journal.done]
        awaited = (*made, *perhaps)
        deadline = self.wait_policy.now() + self.wait_policy.timeout
        pause = self.wait_policy.first_pause
        observed = look(desired)
        while (missing := unseen(awaited, observed)) and self.wait_policy.now() + pause <= deadline:
            self.wait_policy.sleep(pause)
            pause = min(pause * 2, self.wait_policy.longest_pause)
            keys = {key for change in missing for key in change.workloads}
            some = tuple(workload for workload in desired.workloads if workload.key in keys)
            part = look(replace(desired, workloads=some))
            observed = merge(observed, overlay(observed, part, keys), awaited)
        behind = [change for change in missing if change in made]
        return without_unseen(observed, behind, self.wait_policy.timeout)

    def plan(self, desired: Desired, observed: Observed) -> tuple[Plan, Observed]:
        """Plan, and read what only some plans turn on: the associations of workloads outside the run that may use a role
        which is about to lose something, and the account's quota where the usual one would stand in the way."""
        plan = make_plan(desired, observed)
        while plan.unread - observed.outside.reaches:
            observed = self.observer().observe_outside(desired, observed, plan.unread)
            plan = make_plan(desired, observed)
        if has_overfull(plan):
            quota = read_attachment_quota(self.api)
            if quota is not None:
                observed = replace(observed, attachment_quota=quota)
                plan = make_plan(desired, observed)
        return plan, observed

    def run(
        self,
        desired: Desired,
        state: str,
        check_mode: bool,
        first_look: Observed | None = None,
        may_purge: MayPurge | None = None,
    ) -> Run:
        """Raises nothing for what goes wrong with single workloads; those are in ``failures``.

        ``first_look`` serves the first round. ``may_purge`` is for the removal that is a purge.
        """
        removal = state == "absent"
        attempts = Attempts()
        beside: list[Finding] = []
        restored: list[Finding] = []
        for turn in range(ROUNDS):
            first = first_look if turn == 0 else None
            observed = first or self._look(desired, removal, attempts, turn == 0)
            if turn == 0:
                surroundings = observed
                beside = perhaps_unseen(desired, observed) if removal else find_unlisted(desired, observed)
            if removal:
                plan = make_removal_plan(desired, observed, may_purge)
            else:
                plan, observed = self.plan(desired, observed)
            self.journal.begin(observed, plan)
            if check_mode:
                left = [] if removal else find_left_behind(desired, surroundings, plan.changes)
                findings = (*plan.findings, *beside, *left)
                return Run(desired, state, observed, plan, (), plan.failures, findings, True)
            if turn:
                plan = _awaiting(plan)
            attempts.look(plan)
            outcome = apply_plan(
                self.api,
                plan,
                self.width,
                self.wait_policy,
                attempts.permanent,
                self.progress,
                self.journal,
                UseCheck(self.observer("check"), observed, self.journal) if removal else None,
                self.clusters,
            )
            retryable = self._retryable(desired, outcome)
            if hold_trust(self.api, (done.change for done in outcome.done), self.wait_policy):
                # Meanwhile the role could not be used.
                retryable |= {
                    refusal.change.target for refusal in outcome.refusals if refusal.role_not_usable
                }
            restored += self._let_in_again(desired, observed, outcome)
            if not turn:
                # Something was removed or attached since it was looked at, or IAM is very slow: once more is enough.
                retryable |= {
                    refusal.change.target
                    for refusal in outcome.refusals
                    if (refusal.vanished or refusal.lacks_room) and not refusal.half_replaced
                }
            attempts.add(outcome, retryable)
            if not retryable or turn == ROUNDS - 1:
                break
            pause = self.wait_policy.first_pause * 2**turn
            self.wait_policy.sleep(min(pause, self.wait_policy.longest_pause))
        failures = attempts.failures(plan, outcome)
        changes = [done.change for done in attempts.done]
        left = [] if removal else find_left_behind(desired, surroundings, changes)
        findings = (*plan.findings, *beside, *left, *restored)
        return Run(desired, state, observed, plan, tuple(attempts.done), failures, findings)

    def _let_in_again(self, desired: Desired, observed: Observed, outcome: Outcome) -> list[Finding]:
        """Let in users outside the run that what was written just now has shut out. A trust policy that is given as a whole
        says itself whom it is for."""
        roles = (workload.role for workload in desired.workloads)
        whole = {role.name.lower() for role in roles if role is not None and role.trust_policy is not None}
        written = [done.change for done in outcome.done if done.change.target.resource == "trust_policy"]
        changes = [change for change in written if change.target.name.lower() not in whole]
        if not changes:
            return []
        keys = frozenset(workload.key for workload in desired.workloads)
        return let_in_again(self.observer("check"), observed, changes, keys, self.journal, self.wait_policy)

    def restore_grants(self, run: Run, observed: Observed) -> bool:
        """Put back grants of this run that its last look does not show. Return whether it has to look again."""
        return restore_grants(self.api, (done.change for done in run.done), observed, self.wait_policy)

    def _look(self, desired: Desired, removal: bool, attempts: Attempts, first: bool) -> Observed:
        perhaps = attempts.perhaps_made()
        look = partial(self.observe, removal=removal, unlisted=first and not removal)
        return self._settled(desired, look, perhaps)

    def cut_short(self, desired: Desired, state: str, cause: Cause, check_mode: bool) -> Run:
        """What there is to tell of a run that ended before its time."""
        return self.journal.cut_short(desired, state, self.clusters, cause, check_mode)

    def _retryable(self, desired: Desired, outcome: Outcome) -> set[Target]:
        """The targets of refused changes that another look, or time, may bring about."""
        retryable = {refusal.change.target for refusal in outcome.refusals if refusal.conflict}
        roles = {
            workload.key: (
                self.clusters.account.role_arn(workload.role),
                workload.association.disable_session_tags,
            )
            for workload in desired.workloads
            if workload.role is not None
        }
        waiting = [
            refusal for refusal in outcome.refusals if refusal.role_not_usable and not refusal.change.awaits
        ]

        def is_usable_soon(refusal: Refusal) -> bool:
            """EKS is merely behind: a run that ended early may have made the role moments ago."""
            (key,) = refusal.change.workloads
            role_arn, disabled = roles[key]
            subject = subject_of(self.clusters.of(key), key, role_arn, bool(disabled))
            return may_become_usable(self.api, role_arn, subject)

        usable = map_concurrently(is_usable_soon, waiting, self.width)
        retryable |= {refusal.change.target for refusal, soon in zip(waiting, usable, strict=True) if soon}
        return retryable - {refusal.change.target for refusal in outcome.refusals if refusal.half_replaced}


def _awaiting(plan: Plan) -> Plan:
    """What was made a moment ago, here or elsewhere, may still be unknown to AWS."""
    return replace(plan, changes=tuple(replace(change, awaits=True) for change in plan.changes))
