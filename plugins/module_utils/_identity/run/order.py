# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Execute an order for a run: apply or remove workloads, purge unlisted ones, and verify the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.permissions.catalogue import load_catalogue
from ..model.associations import ObservedAssociation
from ..model.checks import Verified
from ..model.desired import Desired, State, Workload
from ..model.errors import AwsError, InputError
from ..model.names import is_of_another
from ..model.observed import Observed, VerificationReads
from ..model.targets import Failure, association_target, associations_target, request_failure, role_target
from ..plan.predict import predict
from ..plan.problems import owned_by_another
from ..plan.purge import PurgeScope, find_left_behind
from ..read.observe import Observer
from ..read.verification_reads import read_for_verification
from ..verify.chain import consider_age, verify
from ..verify.documents import lint_workloads
from ..verify.trust import set_kept_remedies
from .addons import (
    AddonRun,
    add_addons,
    converge_addons,
    failures_by_workload,
    moved_associations,
    predicted_agents,
    role_runs,
    with_addon_associations,
)
from .consistency import not_yet_visible
from .engine import Engine, Guard
from .outcome import Run
from .purge import purge_waits, run_with_purge


@dataclass(frozen=True, slots=True)
class Order:
    """The parts that a run must execute. ``purge`` is the scope of unlisted resources to remove; ``deadline`` is in seconds.

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
    addons: list[AddonRun] = []
    with Guard(order.deadline) as guard:
        run = _apply(engine, desired, order, addons)
        # Without changes, the observation of the run serves for the verification.
        changed = [key for addon in addons if addon.made for key in addon.keys]
        observed = engine.observe_after(run, changed)
        if engine.restore_grants(run, observed):
            observed = engine.observe_after(run, changed)
        if order.verify and order.state == "present":
            if order.check_mode:
                observed = with_addon_associations(predict(observed, observed, run.plan), addons)
            verified = _verify(engine, desired, order, run, observed)
        else:
            late = not_yet_visible(observed, (done.change for done in run.done))
            run = replace(run, findings=(*run.findings, *late))
    if guard.cause is not None:
        run = engine.cut_short(desired, order.state, guard.cause, order.check_mode)
    if run is None:
        raise AssertionError("a run that ended early has no cause")
    present = order.state == "present"
    run = add_addons(add_addons(run, addons, first=not present), order.agents, first=present)
    return Performed(run, guard, observed or run.observed, verified)


def _apply(engine: Engine, desired: Desired, order: Order, addons: list[AddonRun]) -> Run:
    """Apply or remove the workloads.

    The add-on of the EKS Pod Identity Agent is installed before the workloads, and removed after them. Other add-ons get their
    roles after these exist, and lose them before they are removed.

    :arg addons: gets the runs for the add-ons of workloads.
    """
    check_mode, width = order.check_mode, engine.width
    runs_for = partial(
        role_runs, engine.api, engine.clusters, state=order.state, wait_policy=engine.wait_policy
    )
    if order.state == "present":
        converge_addons(order.agents, width)
    # Check, without a change, that the add-ons can get or release the roles.
    checks = runs_for(workloads=desired.workloads, check_mode=True, single=True)
    converge_addons(checks, width)
    failures = failures_by_workload(checks)
    if order.state == "absent":
        failures += _of_other_owners(engine, desired)
        released = _without(desired.workloads, failures)
        addons += runs_for(workloads=released, check_mode=check_mode)
        converge_addons(addons, width)
        failures += failures_by_workload(addons)
        run = engine.run(replace(desired, failed_addons=failures), order.state, check_mode)
        deleted = run.plan.changes if check_mode else [done.change for done in run.done]
        converge_addons(order.agents, width, deleted)
        return run
    desired = replace(desired, failed_addons=failures)
    changing = [] if check_mode else [addon for addon in checks if addon.change is not None]
    moves = bool(moved_associations(changing))
    waits = bool(changing) and order.purge is not None
    unlisted = 0
    if waits and order.purge is not None:
        # The purge follows the add-ons, but its errors must be raised before any change.
        unlisted = run_with_purge(engine, desired, order.purge, True).purged
    if moves or waits:
        run = engine.run(replace(desired, addons_pending=True), order.state, check_mode)
    else:
        run = _apply_and_purge(engine, desired, order)
    addons += runs_for(workloads=_without(desired.workloads, run.failures), check_mode=check_mode)
    converge_addons(addons, width)
    if order.purge is None:
        left = find_left_behind(desired, run.observed, moved_associations(addons))
        run = replace(run, findings=tuple(dict.fromkeys((*run.findings, *left))))
    if not (moves or waits):
        return run
    if failures_by_workload(addons):
        return replace(run, findings=(*run.findings, purge_waits(unlisted))) if unlisted else run
    # No add-on needs the role that it has left any more.
    try:
        again = _apply_and_purge(engine, desired, order)
    except (AwsError, InputError) as error:
        return replace(run, failures=(*run.failures, _not_purged(desired, error)))
    changes = (*run.plan.changes, *again.plan.changes)
    return replace(
        again,
        plan=replace(again.plan, changes=changes),
        done=(*run.done, *again.done),
        findings=tuple(dict.fromkeys((*run.findings, *again.findings))),
    )


def _not_purged(desired: Desired, error: AwsError | InputError) -> Failure:
    """Return the failure of a purge after the add-ons of the run have changed."""
    keys = tuple(workload.key for workload in desired.workloads)
    target = associations_target(keys[0].cluster)
    if isinstance(error, AwsError):
        return request_failure(error, keys, target, "read", prefix="nothing was purged: ")
    text = f"nothing was purged: {' '.join(error.problems)}"
    return Failure(keys, target, "read", Code.PURGE_WAITS, text, "Run again.")


def _apply_and_purge(engine: Engine, desired: Desired, order: Order) -> Run:
    if order.purge is not None:
        return run_with_purge(engine, desired, order.purge, order.check_mode)
    return engine.run(desired, order.state, order.check_mode)


def _without(workloads: Iterable[Workload], failures: Iterable[Failure]) -> list[Workload]:
    """Return the workloads without a failure."""
    failed = {key for failure in failures for key in failure.workloads}
    return [workload for workload in workloads if workload.key not in failed]


def _of_other_owners(engine: Engine, desired: Desired) -> tuple[Failure, ...]:
    """Return a failure for each workload of an add-on whose role belongs to another owner, so that the add-on keeps it."""
    workloads = tuple(
        workload for workload in desired.workloads if workload.addon and workload.role is not None
    )
    if not workloads or desired.options.adopt:
        return ()
    observed = engine.observe(replace(desired, workloads=workloads), removal=True)
    failures = []
    for workload in workloads:
        name = workload.role.name.lower() if workload.role is not None else ""
        role, owner = observed.roles.get(name), desired.options.owner
        if failure := observed.unread.get(role_target(name)):
            failures.append(failure.for_workloads((workload.key,)))
        elif (
            role is not None
            and not (workload.role and workload.role.existing)
            and is_of_another(role.tags, owner)
        ):
            target = association_target(workload.key)
            failures.append(owned_by_another(target, role.tags, owner, (workload.key,), "delete"))
    return tuple(failures)


def _verify(
    engine: Engine, desired: Desired, order: Order, run: Run, observed: Observed
) -> Sequence[Verified]:
    proof = _read_proof(engine, desired, observed, made=bool(run.done))
    proof = replace(proof, agents={**proof.agents, **predicted_agents(order.agents)})
    lints = lint_workloads(desired.workloads, load_catalogue())
    return set_kept_remedies(verify(desired, observed, proof, lints), run.findings)


def _read_proof(engine: Engine, desired: Desired, observed: Observed, made: bool) -> VerificationReads:
    """Read the data that only a verification needs.

    :arg made: whether this run changed a resource. If so, missing data are read again until the timeout, because a new role
        may not be in all replicas of IAM yet.
    """
    for _attempt in engine.wait_policy.attempts():
        proof = read_for_verification(engine.api, desired, observed, engine.width)
        behind = any(isinstance(part, Failure) and part.error.missing for part in proof.inline.values())
        if not (made and behind):
            break
    return proof


def verify_workloads(
    observer: Observer, desired: Desired, present: Mapping[WorkloadKey, ObservedAssociation] | None = None
) -> tuple[Sequence[Verified], Observed]:
    """Read and verify workloads without a run. Return the verification, and the verified state.

    :arg present: associations that are not read again.
    """
    observed = observer.observe(desired, planning=False, present=present, unlisted=True)
    proof = read_for_verification(observer.api, desired, observed, observer.width)
    lints = lint_workloads(desired.workloads, load_catalogue())
    return consider_age(verify(desired, observed, proof, lints), observed), observed
