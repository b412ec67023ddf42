# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine of a run: observe, plan and apply, repeat after conflicts, and observe the result for its verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..._aws.client import Api
from ..._aws.transport import map_concurrently
from ..._findings.finding import Finding
from ..model.changes import Change, Plan
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import ErrorKind
from ..model.observed import Observed, Quotas
from ..model.resource_types import of_observed_resources
from ..model.targets import Target, association_key
from ..plan.plan import make_plan
from ..plan.problems import exceeds_default_quota
from ..plan.recent_changes import find_possibly_unseen
from ..plan.trust import trust_subject
from ..plan.unlisted import find_left_behind, find_unlisted
from ..read.account import read_quotas
from ..read.observe import Observer
from .addons import AddonRun
from .apply import ApplyContext, apply_plan
from .consistency import (
    WaitPolicy,
    existing_resources,
    may_become_usable,
    merge,
    overlay,
    unseen,
    without_unseen,
)
from .outcome import Done, Journal, Refusal, Run
from .trust_writes import hold_trust

# A conflict means that another process is changing the same resources. Give up after two more rounds.
ROUNDS = 3

# A function that receives the changes of a plan before they are applied. It raises NotApprovedError if they must not be applied.
Approve = Callable[[Sequence[Change]], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of a run for a cluster: observe, plan, apply, read again."""

    api: Api
    cluster: Cluster
    width: int
    wait_policy: WaitPolicy
    journal: Journal = field(default_factory=Journal)
    approve: Approve | None = None
    addon: AddonRun | None = None

    def observer(self) -> Observer:
        return Observer(self.api, self.cluster, self.width)

    def observe_after(self, run: Run, verifies: bool = False) -> Observed:
        """Observe until the changes of a run are visible, for its verification and for later runs.

        If nothing was changed, return the observation of the run. Unchanged associations are only listed, because a request for
        each of them would dominate the time of a large run.

        :arg verifies: a verification follows, so also read the inline policies of the roles.
        """
        if not run.done:
            return run.observed
        touched = {association_key(change.target) for change in (*run.plan.changes, *run.changes)}
        associations = run.observed.associations.items()
        untouched = {key: association for key, association in associations if key not in touched}
        look = partial(self.observer().observe, planning=False, unchanged=untouched, inline=verifies)
        # A stale replica may omit a resource that an earlier read has shown.
        observed = self._settled(run.desired, look, existing_resources(run))
        return replace(observed, unlisted=run.observed.unlisted)

    def _settled(
        self, desired: Desired, look: Callable[[Desired], Observed], perhaps: Sequence[Change] = ()
    ) -> Observed:
        """Observe until the changes of this run are visible, or the timeout is over.

        A resource whose change is still not visible counts as a failed read. ``perhaps`` has changes that may not be
        complete. The run waits for these changes, too, but does not fail if they remain invisible.
        """
        made = [done.change for done in self.journal.done]
        awaited = of_observed_resources((*made, *perhaps))
        observed, retries = look(desired), self.wait_policy.retries()
        while (missing := unseen(awaited, observed)) and bool(next(retries, False)):
            keys = {key for change in missing for key in change.workloads}
            some = tuple(workload for workload in desired.workloads if workload.key in keys)
            part = look(replace(desired, workloads=some))
            observed = merge(observed, overlay(observed, part, keys), awaited)
        behind = [change for change in missing if change in made]
        return without_unseen(observed, behind, self.wait_policy.timeout)

    def run(self, desired: Desired, state: str, check_mode: bool, first_look: Observed | None = None) -> Run:
        """Bring workloads to ``state``, "present" or "absent", and purge if ``desired`` has the scope of a purge.

        Failures of single workloads are in the result. ``first_look`` is the observation for the first round.

        :raises InputError: before any change, if a purge would remove more workloads than its scope permits.
        :raises AwsError: before any change, if the account cannot be read for a purge.
        """
        observed = first_look or self._look(desired, state, first=True)
        surroundings = observed
        plan, observed = self._plan(desired, state, observed)
        for turn in range(0 if check_mode else ROUNDS):
            context = ApplyContext(self.api, self.wait_policy, self.width, self.journal, turn > 0, self.addon)
            results = apply_plan(plan, context)
            trust_rewritten = hold_trust(
                self.api, (result.change for result in results if isinstance(result, Done)), self.wait_policy
            )
            retryable = self._retryable(desired, observed.cluster, results, trust_rewritten, first=turn == 0)
            self.journal.give_up(retryable)
            if not retryable or turn == ROUNDS - 1:
                break
            pause = self.wait_policy.first_pause * 2**turn
            self.wait_policy.sleep(min(pause, self.wait_policy.longest_pause))
            observed = replace(self._look(desired, state), unlisted=surroundings.unlisted)
            plan, observed = self._plan(desired, state, observed)
        done, failures = self.journal.done, self.journal.failures()
        run = Run(desired, state, observed, plan, done, failures, (), check_mode)
        run = replace(run, findings=self._findings(desired, state, surroundings, run.changes))
        return self.addon.settle(run) if self.addon is not None else run

    def _look(self, desired: Desired, state: str, first: bool = False) -> Observed:
        """Read the state for a plan. The ``first`` look includes unlisted associations, unless workloads are removed."""
        removal = state == "absent"
        inventory = (
            self.observer().read_inventory(desired) if desired.purge is not None and not removal else None
        )
        look = partial(
            self.observer().observe,
            removal=removal,
            unchanged=inventory.associations if inventory is not None else None,
            unlisted=first and not removal and not desired.options.single,
        )
        return replace(self._settled(desired, look, self.journal.perhaps_made()), inventory=inventory)

    def _plan(self, desired: Desired, state: str, observed: Observed) -> tuple[Plan, Observed]:
        """Make a plan and record it in the journal. Return it with the observation.

        If the plan exceeds a default quota, read the quotas of the account and plan again.
        """
        plan = make_plan(desired, observed, state == "absent")
        if exceeds_default_quota(plan) and (quotas := read_quotas(self.api)) != Quotas():
            observed = replace(observed, quotas=quotas)
            plan = make_plan(desired, observed, state == "absent")
        made = [done.change for done in self.journal.done]
        if self.addon is not None and not any(change.target.resource == "addon" for change in made):
            plan = self.addon.add_change(plan, made)
        self.journal.start_round(observed, plan)
        if self.approve is not None:
            self.approve(plan.changes)
        return plan, observed

    def _findings(
        self, desired: Desired, state: str, surroundings: Observed, changes: Sequence[Change]
    ) -> tuple[Finding, ...]:
        """Return the findings of the plans, and the findings about unlisted resources.

        For a removal, these are instead findings about resources that may exist although the run did not find them.

        :arg surroundings: the first observation of the run.
        :arg changes: the completed changes, in check mode the planned ones.
        """
        left = find_left_behind(desired, surroundings, changes)
        if state == "absent":
            return (*self.journal.findings, *left, *find_possibly_unseen(desired, surroundings))
        keys = {association_key(change.target) for change in changes if change.action == "delete"}
        unlisted = find_unlisted(desired, surroundings, frozenset(key for key in keys if key is not None))
        return (*self.journal.findings, *unlisted, *left)

    def _retryable(
        self,
        desired: Desired,
        cluster: Cluster,
        results: Sequence[Done | Refusal],
        trust_rewritten: bool,
        first: bool,
    ) -> set[Target]:
        """Return the targets of incomplete changes that another round may complete.

        :arg cluster: the cluster of the observation, which knows the ARNs of roles with another path.
        :arg trust_rewritten: whether this round has restored trust policies that another run had overwritten. EKS may have
            refused changes because their grants were missing.
        :arg first: whether this was the first round.
        """
        # Another process deleted or attached a resource after the read, or the resource is not yet in all replicas of IAM: try
        # once more.
        reasons: set[ErrorKind | None] = {
            reason
            for reason, tries in (
                (ErrorKind.MISSING, first),
                (ErrorKind.FULL, first),
                (ErrorKind.ROLE_NOT_USABLE, trust_rewritten),
            )
            if tries
        }
        workloads = {workload.key: workload for workload in desired.workloads}

        def is_retryable(refusal: Refusal) -> bool:
            """Return whether another round may succeed. EKS may accept a role that an interrupted run created a moment ago."""
            conflict = refusal.failure.cause is not None and refusal.failure.cause.conflict
            if conflict or refusal.reason in reasons:
                return True
            if refusal.reason is not ErrorKind.ROLE_NOT_USABLE or refusal.awaited:
                return False
            (key,) = refusal.change.workloads
            role, spec = workloads[key].role, workloads[key].association
            role_arn = cluster.role_arn(role) if role is not None else spec.role_arn
            subject = trust_subject(cluster, key, role_arn, bool(spec.disable_session_tags))
            return may_become_usable(self.api, role_arn, subject)

        refusals = [result for result in results if isinstance(result, Refusal)]
        retryable = map_concurrently(is_retryable, refusals, self.width)
        return {refusal.change.target for refusal, soon in zip(refusals, retryable, strict=True) if soon}
