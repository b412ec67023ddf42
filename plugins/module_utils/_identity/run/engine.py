# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One run of the engine: observe, plan, apply; look again when something was made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from ..._aws.client import Api
from ..._aws.concurrency import map_concurrently
from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from ..._policy.trust.trust import Subject
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.findings import Finding
from ..model.observed import Observed, ObservedAssociation
from ..model.progress import NullProgress, Progress
from ..model.targets import Target
from ..plan.absent import Takes, make_removal_plan
from ..plan.predict import predict
from ..plan.present import make_plan
from ..plan.purge import (
    Account,
    PurgeScope,
    freed_policies,
    left_roles,
    unlisted_workloads,
    validate_purge_limit,
)
from ..read.account import read_account
from ..read.observe import Observer
from ..read.role_propagation import may_become_usable
from .apply import apply_plan
from .attempts import Attempts
from .outcome import Outcome, Refusal, Run
from .waiting import WaitPolicy

Associations = Mapping[WorkloadKey, ObservedAssociation]


# A conflict means that someone else is at work; two fresh looks are enough, or it is a fight.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """Observe, plan and apply for the workloads of one cluster."""

    api: Api
    cluster: Cluster
    width: int
    wait_policy: WaitPolicy
    progress: Progress = field(default_factory=NullProgress)

    def observe(
        self, desired: Desired, removal: bool = False, just_read: Associations | None = None
    ) -> Observed:
        """What there is. Associations that were ``just_read`` are only listed again."""
        return self._observer().observe(desired, removal, unchanged=just_read)

    def _observer(self, stage: str = "read") -> Observer:
        return Observer(self.api, self.cluster, self.width, self.progress, stage)

    def observe_after(self, run: Run) -> Observed:
        """What there is after a run, for its verification. One request for each association is what a
        large run costs, so those that it did not touch are only listed again."""
        if not run.done:
            return run.observed
        changes = (*run.plan.changes, *(done.change for done in run.done))
        touched = {
            key for change in changes if change.target.resource == "association" for key in change.workloads
        }
        kept = {key: one for key, one in run.observed.associations.items() if key not in touched}
        return self._observer("verify").observe(run.desired, planning=False, unchanged=kept)

    def run(
        self,
        desired: Desired,
        state: str,
        check_mode: bool,
        first_look: Observed | None = None,
        takes: Takes | None = None,
    ) -> Run:
        """Raises nothing for what goes wrong with single workloads; those are in ``failures``.

        ``first_look`` serves the first round. ``takes`` is for the removal that is a purge.
        """
        removal = state == "absent"
        rounds = Attempts()
        for turn in range(ROUNDS):
            first = first_look if turn == 0 else None
            observed = first or self.observe(desired, removal)
            if removal:
                plan = make_removal_plan(desired, observed, takes)
            else:
                plan = make_plan(desired, observed)
            if check_mode:
                return Run(desired, state, observed, plan, (), plan.failures, plan.findings, True)
            if turn:
                # What was made a moment ago, here or elsewhere, may still be unknown to AWS.
                plan = replace(plan, changes=tuple(replace(one, awaits=True) for one in plan.changes))
            rounds.look(plan)
            outcome = apply_plan(self.api, plan, self.width, self.wait_policy, rounds.settled, self.progress)
            retryable = self._hopeful(desired, outcome)
            if not turn:
                # Somebody removed it since it was looked at, or IAM is very slow: once more is enough.
                retryable |= {one.change.target for one in outcome.refusals if one.vanished}
            rounds.add(outcome, retryable)
            if not retryable or turn == ROUNDS - 1:
                break
            self.wait_policy.sleep(
                min(self.wait_policy.first_pause * 2**turn, self.wait_policy.longest_pause)
            )
        failures = rounds.failures(plan, outcome)
        return Run(desired, state, observed, plan, tuple(rounds.done), failures, plan.findings)

    def _hopeful(self, desired: Desired, outcome: Outcome) -> set[Target]:
        """The targets of refused changes that another look, or time, may bring about."""
        retryable = {one.change.target for one in outcome.refusals if one.conflict}
        roles = {one.key: (self.cluster.role_arn(one.role), one) for one in desired.workloads if one.role}
        waiting = [one for one in outcome.refusals if one.role_not_usable and not one.change.awaits]

        def usable_soon(refusal: Refusal) -> bool:
            """EKS is merely behind: a run that ended early may have made the role moments ago."""
            (key,) = refusal.change.workloads
            role_arn, workload = roles[key]
            return may_become_usable(self.api, role_arn, self._subject(workload, role_arn))

        known = map_concurrently(usable_soon, waiting, self.width)
        retryable |= {one.change.target for one, soon in zip(waiting, known, strict=True) if soon}
        return retryable - {one.change.target for one in outcome.refusals if one.half_replaced}

    def _subject(self, workload: Workload, role_arn: str) -> Subject:
        return Subject(
            cluster_arn=self.cluster.arn,
            namespace=workload.key.namespace,
            service_account=workload.key.service_account,
            account_id=self.cluster.account_id,
            partition=self.cluster.partition,
            role_arn=role_arn,
            session_tags=not workload.association.disable_session_tags,
        )

    def run_with_purge(self, desired: Desired, scope: PurgeScope, check_mode: bool) -> Run:
        """Apply the desired workloads, then remove those of ours that are not desired.

        InputError when more would go than the scope allows, AwsError when what there is cannot be
        read; both before anything is changed.
        """
        account = Account(self._observer().all_associations(), *read_account(self.api, self.width))
        observed = self.observe(desired, just_read=account.associations)
        freed = freed_policies(make_plan(desired, observed), observed)
        stale = unlisted_workloads(desired, self.cluster, scope, account, freed)
        validate_purge_limit(stale, self.cluster, scope)
        made = self.run(desired, "present", check_mode, observed)
        if made.failures:
            waits = (_purge_waits(stale),) if stale.workloads else ()
            return replace(made, findings=(*made.findings, *waits))
        left = left_roles(desired, stale, self.cluster, scope, account)
        made = replace(made, findings=(*made.findings, *left))
        if not stale.workloads:
            return made
        there = self.observe(stale, removal=True)
        if check_mode:
            there = predict(there, observed, made.plan)
        gone = self.run(stale, "absent", check_mode, there, partial(scope.takes, cluster=self.cluster))
        plan = replace(made.plan, changes=(*made.plan.changes, *gone.plan.changes))
        return replace(
            made,
            plan=plan,
            done=(*made.done, *gone.done),
            failures=gone.failures,
            purged=len(stale.workloads),
            findings=(*made.findings, *gone.findings),
        )


def _purge_waits(stale: Desired) -> Finding:
    return Finding(
        Code.PURGE_WAITS,
        "warning",
        None,
        f"{len(stale.workloads)} workloads that are not listed were not purged, because others failed.",
        "Resolve the failures and run again; a purge starts only from a complete converge.",
    )
