# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Execute the steps of a run: apply or remove workloads, purge unlisted ones, and verify the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.permissions.catalogue import load_catalogue
from ..model.associations import ObservedAssociation
from ..model.changes import Change
from ..model.checks import Verified
from ..model.desired import Desired, State, Workload
from ..model.errors import AwsError, InputError, sentence
from ..model.names import is_of_another
from ..model.observed import Observed, VerificationReads
from ..model.roles import decode_role
from ..model.targets import Failure, association_target, request_failure, role_target
from ..plan.predict import predict
from ..plan.problems import breaks, owned_by_another
from ..plan.purge import PurgeScope, find_left_behind
from ..read.observe import Observer
from ..read.reader import none_if_missing
from ..read.verification_reads import Agents, begin_reading_agents, read_for_verification
from ..verify.chain import consider_age, verify
from ..verify.documents import lint_workloads
from ..verify.trust import set_kept_remedies
from .addons import (
    AddonRun,
    add_addons,
    addon_runs,
    converge_addons,
    failures_by_workload,
    moved_associations,
    predicted_agents,
    with_addon_associations,
)
from .consistency import not_yet_visible
from .engine import Engine
from .guard import Guard
from .outcome import Cause, Run
from .purge import run_with_purge


@dataclass(frozen=True, slots=True)
class Order:
    """The steps that a run must execute. ``purge`` is the scope of unlisted resources to delete; ``deadline`` is in seconds.

    ``agents`` has the runs for the EKS Pod Identity Agent add-on. ``read_ahead`` returns the state for the first plan if the
    caller has read it, otherwise None.
    """

    state: State
    check_mode: bool = False
    verify: bool = False
    purge: PurgeScope | None = None
    deadline: float | None = None
    agents: Sequence[AddonRun] = ()
    read_ahead: Callable[[], Observed | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Performed:
    """The result of an order.

    ``guard`` has the reason for an early end, if there was one. ``observed`` is the latest observation; before a verification in
    check mode, it is the predicted state. ``verified`` is the verification of this state, or None without a verification.
    """

    run: Run
    guard: Guard
    observed: Observed
    verified: Sequence[Verified] | None = None


def perform(engine: Engine, desired: Desired, order: Order) -> Performed:
    """Execute the steps of an order. Raises InputError and AwsError, both before any change."""
    run: Run | None = None
    observed: Observed | None = None
    verified: Sequence[Verified] | None = None
    addons: list[AddonRun] = []
    guard = Guard(order.deadline)
    try:
        with guard:
            run = _apply(engine, desired, order, addons)
            verifies = order.verify and order.state == "present"
            agents = begin_reading_agents(engine.api, engine.clusters, engine.width) if verifies else None
            # If the run has changed nothing, observe_after returns the observation of the run without another read.
            changed = [key for addon in addons if addon.made for key in addon.keys]
            observed = engine.observe_after(run, changed, verifies)
            if engine.restore_grants(run, observed):
                observed = engine.observe_after(run, changed, verifies)
            if agents is not None:
                if order.check_mode:
                    observed = with_addon_associations(predict(observed, observed, run.plan), addons)
                verified = _verify(engine, desired, order, run, observed, agents)
            else:
                late = not_yet_visible(observed, (done.change for done in run.done))
                run = replace(run, findings=(*run.findings, *late))
    except (AwsError, InputError) as error:
        if not (engine.journal.done or any(addon.made for addon in (*order.agents, *addons))):
            raise
        guard.cause = _late_error(error)
    if guard.cause is not None:
        run = engine.cut_short(desired, order.state, guard.cause, order.check_mode)
    if run is None:
        raise AssertionError("a run that ended early has no cause")
    present = order.state == "present"
    run = add_addons(add_addons(run, addons, first=not present), order.agents, first=present)
    return Performed(run, guard, observed or run.observed, verified)


def _late_error(error: AwsError | InputError) -> Cause:
    """Convert an error that occurred after the first change of a run to the cause of its early end."""
    if isinstance(error, AwsError):
        return Cause(error.code, f"{error.operation}: {sentence(error.text)}", error.remedy)
    # After the first change, only the purge limit is checked again.
    return Cause(
        Code.PURGE_WAITS,
        " ".join(error.problems),
        "Correct the list or raise ⟨purge_limit⟩, and run again: completed changes are kept.",
    )


def _apply(engine: Engine, desired: Desired, order: Order, addons: list[AddonRun]) -> Run:
    """Apply or remove the workloads.

    The add-on of the EKS Pod Identity Agent is installed before the workloads, and removed after them. Other add-ons get their
    roles after the roles were created, and lose them before the roles are deleted.

    :arg addons: a list to which the runs for the add-ons of workloads are appended.
    """
    check_mode, width = order.check_mode, engine.width
    runs_for = partial(
        addon_runs, engine.api, engine.clusters, state=order.state, wait_policy=engine.wait_policy
    )
    if order.state == "present":
        converge_addons(order.agents, width)
    # Check, without a change, that the add-ons can get or release the roles.
    checks = runs_for(workloads=desired.workloads, check_mode=True, single=True)
    converge_addons(checks, width)
    failures = (*failures_by_workload(checks), *_refusals(engine, desired, checks))
    if order.state == "absent":
        released = _without(desired.workloads, failures)
        addons += runs_for(workloads=released, check_mode=check_mode)
        converge_addons(addons, width)
        failures += failures_by_workload(addons)
        run = engine.run(
            replace(desired, failed_addons=failures), order.state, check_mode, order.read_ahead()
        )
        deleted = run.plan.changes if check_mode else [done.change for done in run.done]
        converge_addons(order.agents, width, deleted)
        return run
    desired = replace(desired, failed_addons=failures)
    changing = [] if check_mode else [addon for addon in checks if addon.change is not None]
    moves = moved_associations(changing)
    if moves or (changing and order.purge is not None):
        return _apply_in_two_passes(engine, desired, order, addons, runs_for, moves)
    run = _apply_and_purge(engine, desired, order)
    addons += runs_for(workloads=_without(desired.workloads, run.failures), check_mode=check_mode)
    converge_addons(addons, width)
    return _with_left_roles(desired, run, addons) if order.purge is None else run


def _apply_in_two_passes(
    engine: Engine,
    desired: Desired,
    order: Order,
    addons: list[AddonRun],
    runs_for: Callable[..., list[AddonRun]],
    moves: Sequence[Change],
) -> Run:
    """Apply the workloads, then the add-ons, then the changes that need the add-ons: removals of permissions, and the purge.

    :arg addons: a list to which the runs for the add-ons of workloads are appended.
    :arg moves: the associations that the add-ons will move to other roles.
    """
    first = desired
    findings: tuple[Finding, ...] = ()
    if order.purge is not None:
        # Plan the purge first, because its errors must be raised before any change.
        planned = run_with_purge(engine, desired, order.purge, True)
        first = planned.desired
        findings = tuple(finding for finding in planned.findings if finding.code == Code.ROLE_LEFT)
        # Running Pods may still have the credentials of the roles that the add-ons leave.
        former = frozenset(str((change.before or {}).get("role_arn")).lower() for change in moves)
        order = replace(order, purge=replace(order.purge, kept=former))
    run = engine.run(replace(first, addons_pending=True), order.state, False)
    addons += runs_for(workloads=_without(desired.workloads, run.failures), check_mode=False)
    converge_addons(addons, engine.width)
    if order.purge is None:
        run = _with_left_roles(desired, run, addons)
    users = frozenset(workload.key for workload in desired.workloads if workload.addon)
    refused = [
        failure.for_workloads(keys)
        for failure in run.failures
        if (keys := tuple(key for key in failure.workloads if key in users))
    ]
    failed = tuple(dict.fromkeys((*refused, *failures_by_workload(addons))))
    again = _apply_and_purge(engine, replace(desired, failed_addons=failed), order)
    return replace(
        again,
        plan=replace(again.plan, changes=(*run.plan.changes, *again.plan.changes)),
        done=(*run.done, *again.done),
        findings=tuple(dict.fromkeys((*run.findings, *findings, *again.findings))),
    )


def _with_left_roles(desired: Desired, run: Run, addons: Iterable[AddonRun]) -> Run:
    """Return the run with the findings about roles that add-ons have left."""
    left = find_left_behind(desired, run.observed, moved_associations(addons))
    return replace(run, findings=tuple(dict.fromkeys((*run.findings, *left))))


def _apply_and_purge(engine: Engine, desired: Desired, order: Order) -> Run:
    if order.purge is not None:
        return run_with_purge(engine, desired, order.purge, order.check_mode)
    return engine.run(desired, order.state, order.check_mode, order.read_ahead())


def _without(workloads: Iterable[Workload], failures: Iterable[Failure]) -> list[Workload]:
    """Return the workloads without a failure."""
    failed = {key for failure in failures for key in failure.workloads}
    return [workload for workload in workloads if workload.key not in failed]


def _refusals(engine: Engine, desired: Desired, checks: Iterable[AddonRun]) -> tuple[Failure, ...]:
    """Return the failures of add-ons whose change would break running Pods, or would replace or remove another owner's role.

    A present role that cannot be read is a failure, too.

    :arg checks: runs in check mode, each for one workload.
    """
    options = desired.options
    roles = {workload.key: workload.role for workload in desired.workloads}

    def find(check: AddonRun) -> Failure | None:
        change, (key,) = check.change, check.keys
        if change is None or check.failure is not None:
            return None
        present = (change.before or {}).get("roles", {})
        arn = present.get(key.service_account) if isinstance(present, Mapping) else None
        target = association_target(key)
        if not arn:
            finding = desired.would_break.get(key)
            return breaks(finding, replace(change, target=target, workloads=(key,))) if finding else None
        role = roles[key]
        joins = role is not None and role.existing and engine.clusters.account.role_arn(role) == arn
        if options.adopt or joins:
            return None
        request = {"RoleName": str(arn).rpartition("/")[2]}
        try:
            response = none_if_missing(lambda: engine.api.call("iam", "GetRole", request))
        except AwsError as error:
            return request_failure(error, (key,), role_target(request["RoleName"]), "read")
        tags = decode_role(response["Role"], ()).tags if response is not None else {}
        if not is_of_another(tags, options.owner):
            return None
        return owned_by_another(target, tags, options.owner, (key,), change.action)

    failures = map_concurrently(find, list(checks), engine.width)
    return tuple(failure for failure in failures if failure is not None)


def _verify(
    engine: Engine,
    desired: Desired,
    order: Order,
    run: Run,
    observed: Observed,
    agents: Callable[[], Agents],
) -> Sequence[Verified]:
    reads = _read_for_verification(engine, desired, observed, agents, made=bool(run.done))
    reads = replace(reads, agents={**reads.agents, **predicted_agents(order.agents)})
    lints = lint_workloads(desired.workloads, load_catalogue())
    return set_kept_remedies(verify(desired, observed, reads, lints), run.findings)


def _read_for_verification(
    engine: Engine, desired: Desired, observed: Observed, agents: Callable[[], Agents], made: bool
) -> VerificationReads:
    """Read the data that only a verification needs.

    :arg agents: the result of ``begin_reading_agents``.
    :arg made: whether this run changed a resource. If so, the inline policies of a missing role are read again until the
        timeout, because a new role may not be in all replicas of IAM yet.
    """
    for _attempt in engine.wait_policy.attempts():
        reads = read_for_verification(engine.api, desired, observed, engine.width, agents)
        behind = any(isinstance(part, Failure) and part.error.missing for part in reads.inline.values())
        if not (made and behind):
            break
    return reads


def verify_workloads(
    observer: Observer,
    desired: Desired,
    present: Mapping[WorkloadKey, ObservedAssociation] | None = None,
    read_ahead: Observed | None = None,
) -> tuple[Sequence[Verified], Observed]:
    """Read and verify workloads without a run. Return the verification, and the verified state.

    :arg present: associations that were already read.
    :arg read_ahead: the state, if it was already read.
    """
    agents = begin_reading_agents(observer.api, observer.clusters, observer.width)
    observed = read_ahead or observer.observe(
        desired, planning=False, present=present, unlisted=True, inline=True
    )
    reads = read_for_verification(observer.api, desired, observed, observer.width, agents)
    lints = lint_workloads(desired.workloads, load_catalogue())
    return consider_age(verify(desired, observed, reads, lints), observed), observed
