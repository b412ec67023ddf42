# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply the steps of a run: apply or remove workloads, purge unlisted ones, and verify the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.permissions.catalogue import load_catalogue
from ..model.associations import ObservedAssociation
from ..model.checks import Verified
from ..model.desired import Desired, State
from ..model.errors import NOT_APPROVED_REMEDY, AwsError, ErrorKind, InputError, NotApprovedError
from ..model.observed import Observed
from ..model.targets import Failure
from ..plan.plan import predict
from ..read.observe import Observer
from ..read.verification_reads import Agent, begin_reading_agent, read_for_verification
from ..verify.chain import consider_age, verify
from ..verify.documents import lint_workloads
from .consistency import not_yet_visible
from .engine import Engine
from .guard import Guard
from .outcome import Run


@dataclass(frozen=True, slots=True)
class Order:
    """The steps that a run must apply. ``deadline`` is in seconds.

    ``finish_reading`` returns the state for the first plan if the caller has read it, otherwise None.
    """

    state: State
    check_mode: bool = False
    verify: bool = False
    deadline: float | None = None
    finish_reading: Callable[[], Observed | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of an order.

    ``guard`` has the reason for an early end, if there was one. ``observed`` is the latest observation; before a verification in
    check mode, it is the predicted state. ``verified`` is the verification of this state, or None without a verification.
    """

    run: Run
    guard: Guard
    observed: Observed
    verified: Sequence[Verified] | None = None


def apply_order(engine: Engine, desired: Desired, order: Order) -> Applied:
    """Apply an order. Raises InputError and AwsError, both before any change."""
    run: Run | None = None
    observed: Observed | None = None
    verified: Sequence[Verified] | None = None
    guard = Guard(order.deadline)
    try:
        with guard:
            run = engine.run(desired, order.state, order.check_mode, order.finish_reading())
            verifies = order.verify and order.state == "present"
            agent_read = begin_reading_agent(engine.api, engine.cluster) if verifies else None
            # If the run has changed nothing, observe_after returns the observation of the run without another read.
            observed = engine.observe_after(run, verifies)
            if agent_read is not None:
                if order.check_mode:
                    observed = predict(observed, run.plan)
                verified = _verify(engine, desired, order, run, observed, agent_read)
            else:
                late = not_yet_visible(observed, (done.change for done in run.done))
                run = replace(run, findings=(*run.findings, *late))
    except (AwsError, InputError) as error:
        if not engine.journal.done:
            raise
        guard.cause = error if isinstance(error, AwsError) else _late_error(error)
    if guard.cause is not None:
        run = engine.journal.cut_short(desired, order.state, engine.cluster, guard.cause, order.check_mode)
    if run is None:
        raise AssertionError("a run that ended early has no cause")
    return Applied(run, guard, observed or run.observed, verified)


def _late_error(error: InputError) -> AwsError:
    """Convert an error that occurred after the first change of a run to the cause of its early end."""
    # After the first change, otherwise only the purge limit is checked again.
    code, remedy = (
        (Code.NOT_APPROVED, NOT_APPROVED_REMEDY)
        if isinstance(error, NotApprovedError)
        else (
            Code.PURGE_WAITS,
            "Correct the list or raise ⟨purge_limit⟩, and run again: completed changes are kept.",
        )
    )
    return AwsError("", code, " ".join(error.problems), ErrorKind.OTHER, remedy)


def _verify(
    engine: Engine,
    desired: Desired,
    order: Order,
    run: Run,
    observed: Observed,
    agent_read: Callable[[], Agent],
) -> Sequence[Verified]:
    for _attempt in engine.wait_policy.attempts():
        reads = read_for_verification(engine.api, desired, observed, engine.width, agent_read)
        # A role that this run has created may not be in all replicas of IAM yet.
        behind = any(isinstance(part, Failure) and part.error.missing for part in reads.inline.values())
        if not (run.done and behind):
            break
    if order.check_mode and engine.addon is not None and engine.addon.observed is not None:
        reads = replace(reads, agent=engine.addon.observed)
    return verify(desired, observed, reads, lint_workloads(desired.workloads, load_catalogue()))


def verify_workloads(
    observer: Observer,
    desired: Desired,
    present: Mapping[WorkloadKey, ObservedAssociation] | None = None,
    first_look: Observed | None = None,
) -> tuple[Sequence[Verified], Observed]:
    """Read and verify workloads without a run. Return the verification, and the verified state.

    :arg present: associations that were already read.
    :arg first_look: the state, if it was already read.
    """
    agent_read = begin_reading_agent(observer.api, observer.cluster)
    observed = first_look or observer.observe(
        desired, planning=False, present=present, unlisted=True, inline=True
    )
    reads = read_for_verification(observer.api, desired, observed, observer.width, agent_read)
    verified = verify(desired, observed, reads, lint_workloads(desired.workloads, load_catalogue()))
    return consider_age(verified, observed), observed
