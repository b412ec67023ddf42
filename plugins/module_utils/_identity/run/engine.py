# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The engine: observe, plan, apply, and observe again, up to the verification of the result."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Literal

from ..._aws.client import Api
from ..._aws.interrupt import DEADLINE, Interrupted, Stop, stoppable
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._findings.text import with_option_names
from ..._policy.permissions.catalogue import load_catalogue
from ..model.associations import ObservedAssociation
from ..model.changes import Change, NullProgress, Plan, Progress
from ..model.checks import Verified
from ..model.cluster import Cluster, Clusters
from ..model.desired import Desired, State
from ..model.errors import AwsError, InputError
from ..model.observed import Observed, OutsideAssociations, Reach, VerificationReads
from ..model.targets import Failure, Target, association_key
from ..plan.absent import MayPurge, make_removal_plan
from ..plan.attachments import has_overfull
from ..plan.predict import predict
from ..plan.present import make_plan
from ..plan.purge import (
    PurgeAccount,
    PurgeScope,
    find_left_behind,
    freed_policies,
    leaving_roles,
    left_roles,
    other_owners_findings,
    remaining_associations,
    remaining_grants,
    unlisted_workloads,
    validate_purge_limit,
)
from ..plan.recent_changes import find_possibly_unseen
from ..plan.trust import trust_subject
from ..plan.unlisted import find_unlisted
from ..read.account import read_account, read_attachment_quota
from ..read.observe import Observer
from ..read.verification_reads import read_for_verification
from ..verify.chain import verify
from ..verify.documents import lint_workloads
from ..verify.trust import set_kept_remedies
from .addons import AddonRun, add_addons, converge_addons, predicted_agents
from .apply import apply_plan, hold_trust, restore_grants, restore_outside_grants
from .consistency import (
    UseCheck,
    WaitPolicy,
    may_become_usable,
    merge,
    not_yet_visible,
    overlay,
    unchanged_resources,
    unseen,
    without_unseen,
)
from .outcome import Attempts, Cause, Journal, Outcome, Refusal, Run

# Errors that a module reports itself.
PASSED_THROUGH: tuple[type[Exception], ...] = (InputError, AwsError)


@dataclass(slots=True)
class Guard:
    """A context that ends a run at its deadline, on an interrupt or an unexpected error, and then has the ``cause``.

    Errors in ``passed_through`` are not caught: modules report them.
    """

    deadline: float | None = None
    passed_through: tuple[type[Exception], ...] = PASSED_THROUGH
    cause: Cause | None = None
    trace: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)
    _stop: Stop = field(default_factory=Stop)

    def __enter__(self) -> Guard:
        self._stop = self._stack.enter_context(stoppable(self.deadline))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[True] | None:
        self._stack.close()
        if isinstance(error, Interrupted):
            self.cause = _stopped(self._stop.reason, self.deadline)
            return True
        if isinstance(error, Exception) and not isinstance(error, self.passed_through):
            self.cause = _unexpected(error)
            self.trace = "".join(traceback.format_exception(kind, error, trace))
            return True
        return None


def interrupted_result(cause: Cause, prefix: str = "") -> dict[str, str]:
    """Return the result of an interrupted info module. ``prefix`` is the prefix of the caller's options."""
    remedy = str(with_option_names(cause.remedy, prefix))
    return {
        "msg": f"not everything was read: {cause.text} {remedy}",
        "error_code": str(cause.code),
        "remedy": remedy,
    }


def _stopped(reason: str, deadline: float | None) -> Cause:
    if reason == DEADLINE:
        return Cause(
            Code.DEADLINE,
            f"the deadline of {deadline:g} s has passed.",
            "Run again: completed changes are kept. Raise ⟨deadline⟩ for more in one run.",
        )
    return Cause(
        Code.INTERRUPTED,
        f"the run was ended by {'the timeout of its task' if reason == 'SIGALRM' else reason}.",
        "Run again: completed changes are kept.",
    )


def _unexpected(error: Exception) -> Cause:
    return Cause(
        Code.INTERNAL_ERROR,
        f"an internal error of the collection: {type(error).__name__}: {error}.",
        "Report it to the maintainers of workload_identity.aws, with the output of -vvv. Then run again: completed "
        "changes are kept.",
    )


Associations = Mapping[WorkloadKey, ObservedAssociation]


# A conflict means that another process changes the same resources. Give up after two more rounds.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of a run for clusters of one account: observe, plan, apply, read again.

    ``unread`` has the errors of clusters that could not be read, by the cluster in workload keys. Their workloads are planned
    and fail, so that the permissions that they may need are kept.
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
        """Read the present state. Associations in ``just_read`` are only listed again."""
        return self.observer().observe(desired, removal, unchanged=just_read, unlisted=unlisted)

    def observe_after(self, run: Run) -> Observed:
        """Read until the changes of a run are visible, for its verification and for later runs.

        Describing each association would dominate the cost of a large run, so unchanged associations are only listed.
        """
        if not run.done:
            return run.observed
        changes = (*run.plan.changes, *(done.change for done in run.done))
        touched = {association_key(change.target) for change in changes}
        associations = run.observed.associations.items()
        untouched = {key: association for key, association in associations if key not in touched}

        def look(desired: Desired) -> Observed:
            return self.observer("verify").observe(desired, planning=False, unchanged=untouched)

        # A stale replica may omit a resource that an earlier read has shown.
        observed = self._settled(run.desired, look, unchanged_resources(run))
        # The users outside the run are read once.
        return replace(observed, outside=run.observed.outside, unlisted=run.observed.unlisted)

    def _settled(
        self, desired: Desired, look: Callable[[Desired], Observed], perhaps: Sequence[Change] = ()
    ) -> Observed:
        """Observe until the changes of this run are visible or the timeout is over; then count the others as not read.

        ``perhaps`` are changes that may not be complete: they are awaited, too, but may remain invisible.
        """
        made = [done.change for done in self.journal.done]
        awaited = (*made, *perhaps)
        observed: Observed | None = None
        missing: tuple[Change, ...] = ()
        for _attempt in self.wait_policy.attempts():
            if observed is None:
                observed = look(desired)
            else:
                keys = {key for change in missing for key in change.workloads}
                some = tuple(workload for workload in desired.workloads if workload.key in keys)
                part = look(replace(desired, workloads=some))
                observed = merge(observed, overlay(observed, part, keys), awaited)
            missing = unseen(awaited, observed)
            if not missing:
                break
        if observed is None:
            raise AssertionError("nothing was observed")
        behind = [change for change in missing if change in made]
        return without_unseen(observed, behind, self.wait_policy.timeout)

    def plan(self, desired: Desired, observed: Observed) -> tuple[Plan, Observed]:
        """Plan, and read the state that only some plans need. Return the plan, with the extended observation.

        It is the associations outside the run of roles that lose a permission, and the attachment quota if a role exceeds the
        default.
        """
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
        """Bring workloads to ``state``. Failures of single workloads are in the result.

        ``first_look`` is the observation for the first round. ``may_purge`` selects the policies that a purge may delete.
        """
        removal = state == "absent"
        attempts = Attempts()
        unlisted: list[Finding] = []
        restored: list[Finding] = []
        for turn in range(ROUNDS):
            first = first_look if turn == 0 else None
            observed = first or self._look(desired, removal, attempts, turn == 0)
            if turn == 0:
                surroundings = observed
                unlisted = (
                    find_possibly_unseen(desired, observed) if removal else find_unlisted(desired, observed)
                )
            if removal:
                plan = make_removal_plan(desired, observed, may_purge)
            else:
                plan, observed = self.plan(desired, observed)
            self.journal.begin(observed, plan)
            if check_mode:
                left = [] if removal else find_left_behind(desired, surroundings, plan.changes)
                findings = (*plan.findings, *unlisted, *left)
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
            restored += self._restore_outside_grants(desired, observed, outcome)
            if not turn:
                # Another process deleted or attached a resource after the read, or IAM is very slow: try once more.
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
        findings = (*plan.findings, *unlisted, *left, *restored)
        return Run(desired, state, observed, plan, tuple(attempts.done), failures, findings)

    def _restore_outside_grants(
        self, desired: Desired, observed: Observed, outcome: Outcome
    ) -> list[Finding]:
        """Restore grants of users outside the run that the last changes revoked, except in a trust policy from the input."""
        roles = (workload.role for workload in desired.workloads)
        whole = {role.name.lower() for role in roles if role is not None and role.trust_policy is not None}
        written = [done.change for done in outcome.done if done.change.target.resource == "trust_policy"]
        changes = [change for change in written if change.target.name.lower() not in whole]
        if not changes:
            return []
        keys = frozenset(workload.key for workload in desired.workloads)
        return restore_outside_grants(
            self.observer("check"), observed, changes, keys, self.journal, self.wait_policy
        )

    def restore_grants(self, run: Run, observed: Observed) -> bool:
        """Restore grants of this run that its last observation does not show. Return whether a new observation is needed."""
        return restore_grants(self.api, (done.change for done in run.done), observed, self.wait_policy)

    def _look(self, desired: Desired, removal: bool, attempts: Attempts, first: bool) -> Observed:
        perhaps = attempts.perhaps_made()
        look = partial(self.observe, removal=removal, unlisted=first and not removal)
        return self._settled(desired, look, perhaps)

    def cut_short(self, desired: Desired, state: str, cause: Cause, check_mode: bool) -> Run:
        """Return the result of an interrupted run."""
        return self.journal.cut_short(desired, state, self.clusters, cause, check_mode)

    def _retryable(self, desired: Desired, outcome: Outcome) -> set[Target]:
        """Return the targets of refused changes that another round may complete."""
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
            """Return whether EKS will accept the role soon: an interrupted run may have created it moments ago."""
            (key,) = refusal.change.workloads
            role_arn, disabled = roles[key]
            subject = trust_subject(self.clusters.of_workload(key), key, role_arn, bool(disabled))
            return may_become_usable(self.api, role_arn, subject)

        usable = map_concurrently(is_usable_soon, waiting, self.width)
        retryable |= {refusal.change.target for refusal, soon in zip(waiting, usable, strict=True) if soon}
        return retryable - {refusal.change.target for refusal in outcome.refusals if refusal.half_replaced}


def _awaiting(plan: Plan) -> Plan:
    """Return a plan whose changes wait for new resources: IAM may not know them everywhere yet."""
    return replace(plan, changes=tuple(replace(change, awaits=True) for change in plan.changes))


def run_with_purge(engine: Engine, desired: Desired, scope: PurgeScope, check_mode: bool) -> Run:
    """Apply the desired workloads, then delete unlisted resources that this collection manages.

    :raises InputError: before any change, if the purge exceeds the limit of its scope.
    :raises AwsError: before any change, if the account cannot be read.
    """
    (cluster,) = engine.clusters.members.values()
    desired = replace(desired, options=replace(desired.options, purge=True))
    account = PurgeAccount(engine.observer().all_associations(), *read_account(engine.api, engine.width))
    observed = engine.observe(desired, just_read=account.associations)
    observed = replace(observed, outside=_outside(engine, desired, account))
    leaving = leaving_roles(unlisted_workloads(desired, cluster, scope, account), cluster, account)
    desired = replace(desired, leaving=leaving)
    plan, observed = engine.plan(desired, observed)
    freed = freed_policies(plan, observed)
    unlisted = unlisted_workloads(desired, cluster, scope, account, freed)
    validate_purge_limit(desired, unlisted, cluster, scope, account)
    all_unlisted = unlisted
    if scope.owner is None:
        all_unlisted = unlisted_workloads(desired, cluster, replace(scope, any_owner=True), account, freed)
    kept_associations = remaining_associations(desired, all_unlisted, account)
    observed = replace(
        observed,
        unlisted={cluster.key: kept_associations},
        unassociated=remaining_grants(desired, all_unlisted, cluster, account),
    )
    converge = engine.run(desired, "present", check_mode, observed)
    if scope.owner is None:
        converge = replace(
            converge, findings=(*converge.findings, *other_owners_findings(unlisted, all_unlisted))
        )
    if converge.failures:
        waits = (_purge_waits(unlisted),) if unlisted.workloads else ()
        return replace(converge, findings=(*converge.findings, *waits))
    left = left_roles(desired, unlisted, cluster, scope, account)
    converge = replace(converge, findings=(*converge.findings, *left))
    if not unlisted.workloads:
        return converge
    look = engine.observe(unlisted, removal=True)
    if check_mode:
        look = predict(look, observed, converge.plan)
    may_purge = partial(scope.includes_policy, cluster=cluster)
    removal = engine.run(unlisted, "absent", check_mode, look, may_purge)
    purged = replace(
        _joined(converge, removal),
        failures=removal.failures,
        purged=len({workload.key for workload in unlisted.workloads}),
        findings=(*converge.findings, *removal.findings),
    )
    if purged.failures or not removal.plan.changes or not any(map(_is_kept, converge.findings)):
        return purged
    return _converge_without_purged(engine, purged, cluster, scope)


# Codes of findings about grants and attachments that are kept for users outside the run.
_KEPT = (Code.POLICY_ATTACHED_EXTRA, Code.TRUST_KEPT_FOR_OTHERS)


def _is_kept(finding: Finding) -> bool:
    return finding.code in _KEPT


def _joined(first: Run, second: Run) -> Run:
    changes = (*first.plan.changes, *second.plan.changes)
    return replace(first, plan=replace(first.plan, changes=changes), done=(*first.done, *second.done))


def _converge_without_purged(engine: Engine, purged: Run, cluster: Cluster, scope: PurgeScope) -> Run:
    """Converge again without the purged users, for which the listed roles kept grants and policies."""
    deleted = {association_key(change.target) for change in purged.plan.changes if change.after is None}
    outside = purged.observed.outside
    left = {key: association for key, association in outside.associations.items() if key not in deleted}
    check_mode = purged.check_mode
    observed = engine.observe_after(purged)
    observed = replace(observed, outside=replace(outside, associations=left))
    desired = purged.desired
    if check_mode:
        now = predict(observed, observed, purged.plan)
    else:
        # A plan needs more reads than a verification.
        look = engine.observe(desired, just_read=observed.associations)
        now = replace(look, outside=observed.outside, unlisted=observed.unlisted)
    again = engine.run(desired, "present", check_mode, now)
    run = _joined(purged, again)
    findings = [finding for finding in run.findings if not _is_kept(finding)]
    findings += filter(_is_kept, again.findings)
    run = replace(run, observed=observed, findings=tuple(findings))
    if again.failures:
        return replace(run, failures=again.failures, purged=0)
    idle = unlisted_workloads(
        desired, cluster, scope, PurgeAccount({}, (), ()), freed_policies(again.plan, now)
    )
    if not idle.workloads:
        return run
    look = engine.observe(idle, removal=True)
    if check_mode:
        look = predict(look, now, again.plan)
    removal = engine.run(idle, "absent", check_mode, look, partial(scope.includes_policy, cluster=cluster))
    return replace(
        _joined(run, removal), failures=removal.failures, findings=(*run.findings, *removal.findings)
    )


def _outside(engine: Engine, desired: Desired, account: PurgeAccount) -> OutsideAssociations:
    """Return the associations outside the run, which a purge has read already."""
    keys = {workload.key for workload in desired.workloads}
    associations = {key: found for key, found in account.associations.items() if key not in keys}
    return OutsideAssociations(frozenset(map(Reach, engine.clusters.members)), associations)


def _purge_waits(unlisted: Desired) -> Finding:
    return Finding(
        Code.PURGE_WAITS,
        f"{len(unlisted.workloads)} unlisted workloads were not purged, because other workloads failed.",
        "Resolve the failures and run again: a purge starts only after all listed workloads succeeded.",
    )


@dataclass(frozen=True, slots=True)
class Order:
    """The order for a run. ``purge`` is the scope of unlisted resources to remove; ``deadline`` is in seconds.

    ``agents`` are the runs for the agent's add-on, one for each cluster.
    """

    state: State
    check_mode: bool = False
    verify: bool = False
    purge: PurgeScope | None = None
    deadline: float | None = None
    agents: Sequence[AddonRun] = ()


@dataclass(frozen=True, slots=True)
class Performed:
    """The outcome of an order. ``verified`` is None without a verification; ``observed`` is the verified state, in check mode
    the predicted one."""

    run: Run
    guard: Guard
    observed: Observed
    verified: Sequence[Verified] | None = None


def perform(engine: Engine, desired: Desired, order: Order) -> Performed:
    """Execute an order. Raises InputError and AwsError, both before any change."""
    run: Run | None = None
    observed: Observed | None = None
    verified: Sequence[Verified] | None = None
    with Guard(order.deadline) as guard:
        if order.state == "present":
            converge_addons(order.agents, engine.width)
        if order.purge is not None and order.state == "present":
            run = run_with_purge(engine, desired, order.purge, order.check_mode)
        else:
            run = engine.run(desired, order.state, order.check_mode)
        if order.state == "absent":
            deleted = run.plan.changes if order.check_mode else [done.change for done in run.done]
            converge_addons(order.agents, engine.width, deleted)
        # Without changes, the observation of the run serves for the verification.
        observed = engine.observe_after(run)
        if engine.restore_grants(run, observed):
            observed = engine.observe_after(run)
        if order.verify and order.state == "present":
            if order.check_mode:
                observed = predict(observed, observed, run.plan)
            proof = _read_proof(engine, desired, observed, made=bool(run.done))
            proof = replace(proof, agents={**proof.agents, **predicted_agents(order.agents)})
            lints = lint_workloads(desired.workloads, load_catalogue())
            verified = set_kept_remedies(verify(desired, observed, proof, lints), run.findings)
        else:
            late = not_yet_visible(observed, (done.change for done in run.done))
            run = replace(run, findings=(*run.findings, *late))
    if guard.cause is not None:
        run = engine.cut_short(desired, order.state, guard.cause, order.check_mode)
    if run is None:
        raise AssertionError("a run that ended early has no cause")
    run = add_addons(run, order.agents)
    return Performed(run, guard, observed or run.observed, verified)


def _read_proof(engine: Engine, desired: Desired, observed: Observed, made: bool) -> VerificationReads:
    """Read the parts that only a verification needs.

    :arg made: whether this run changed a resource. A replica may not have a new role yet, so missing parts are read again
        until the timeout.
    """
    for _attempt in engine.wait_policy.attempts():
        proof = read_for_verification(engine.api, desired, observed, engine.width)
        behind = any(isinstance(part, Failure) and part.error.missing for part in proof.inline.values())
        if not (made and behind):
            break
    return proof
