# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Execute an order for a run: apply or remove workloads, purge unlisted ones, and verify the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..._findings.finding import WorkloadKey
from ..._policy.permissions.catalogue import load_catalogue
from ..model.associations import ObservedAssociation
from ..model.checks import Verified
from ..model.desired import Desired, State
from ..model.observed import Observed, VerificationReads
from ..model.targets import Failure
from ..plan.predict import predict
from ..plan.purge import PurgeScope
from ..read.observe import Observer
from ..read.verification_reads import read_for_verification
from ..verify.chain import consider_age, verify
from ..verify.documents import lint_workloads
from ..verify.trust import set_kept_remedies
from .addons import (
    AddonRun,
    add_addons,
    converge_addons,
    predicted_agents,
    refusals,
    role_runs,
    with_addon_associations,
)
from .consistency import not_yet_visible
from .engine import Engine, Guard
from .outcome import Run
from .purge import run_with_purge


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
            observed = engine.observe_after(run)
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
    runs_for = partial(
        role_runs,
        engine.api,
        engine.clusters,
        state=order.state,
        wait_policy=engine.wait_policy,
    )
    if order.state == "absent":
        addons += runs_for(workloads=desired.workloads, check_mode=order.check_mode)
        converge_addons(addons, engine.width)
        failed = {key for addon in addons if addon.failure is not None for key in addon.keys}
        left = tuple(workload for workload in desired.workloads if workload.key not in failed)
        run = engine.run(replace(desired, workloads=left), order.state, order.check_mode)
        deleted = run.plan.changes if order.check_mode else [done.change for done in run.done]
        converge_addons(order.agents, engine.width, deleted)
        return run
    converge_addons(order.agents, engine.width)
    # Check first, without a change, that the add-ons accept the roles.
    checks = runs_for(workloads=desired.workloads, check_mode=True)
    converge_addons(checks, engine.width)
    desired = replace(desired, refused=(*desired.refused, *refusals(checks)))
    if order.purge is not None:
        run = run_with_purge(engine, desired, order.purge, order.check_mode)
    else:
        run = engine.run(desired, order.state, order.check_mode)
    failed = {key for failure in run.failures for key in failure.workloads}
    accepted = [workload for workload in desired.workloads if workload.key not in failed]
    addons += runs_for(workloads=accepted, check_mode=order.check_mode)
    converge_addons(addons, engine.width)
    return run


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
