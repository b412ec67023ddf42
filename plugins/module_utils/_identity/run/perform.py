# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A run from its first read to its verification, as far as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..._policy.permissions.catalogue import load_catalogue
from ..model.checks import Verified
from ..model.desired import Desired, State
from ..model.observed import Observed, ReadFailure, VerificationReads
from ..plan.predict import predict
from ..plan.purge import PurgeScope
from ..read.verification_reads import read_for_verification
from ..verify.chain import verify
from ..verify.documents import lint_workloads
from ..verify.trust import with_kept
from .ending import Guard
from .engine import Engine
from .outcome import Run
from .purge import run_with_purge
from .visible import not_yet_visible


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is to do. ``purge`` is what it may remove that is not listed, and ``deadline`` is in seconds."""

    state: State
    check_mode: bool = False
    verify: bool = False
    purge: PurgeScope | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Performed:
    """The outcome of an order. ``verified`` is None without a verification; ``observed`` is the state that was verified, in
    check mode the one that the plan leads to."""

    run: Run
    guard: Guard
    observed: Observed
    verified: Sequence[Verified] | None = None


def perform(engine: Engine, desired: Desired, order: Order) -> Performed:
    """Raises InputError, and AwsError before any change."""
    run: Run | None = None
    observed: Observed | None = None
    verified: Sequence[Verified] | None = None
    with Guard(order.deadline) as guard:
        if order.purge is not None and order.state == "present":
            run = run_with_purge(engine, desired, order.purge, order.check_mode)
        else:
            run = engine.run(desired, order.state, order.check_mode)
        # What has just been read and needed no change is the proof already.
        observed = engine.observe_after(run)
        if engine.restore_grants(run, observed):
            observed = engine.observe_after(run)
        if order.verify and order.state == "present":
            if order.check_mode:
                observed = predict(observed, observed, run.plan)
            proof = _read_proof(engine, desired, observed, made=bool(run.done))
            lints = lint_workloads(desired.workloads, load_catalogue())
            verified = with_kept(verify(desired, observed, proof, lints), run.findings)
        else:
            late = not_yet_visible(observed, (done.change for done in run.done))
            run = replace(run, findings=(*run.findings, *late))
    if guard.cause is not None:
        run = engine.cut_short(desired, order.state, guard.cause, order.check_mode)
    if run is None:
        raise AssertionError("a run that ended early has no cause")
    return Performed(run, guard, observed or run.observed, verified)


def _read_proof(engine: Engine, desired: Desired, observed: Observed, made: bool) -> VerificationReads:
    """What only a verification reads. Where this run ``made`` something, a replica may not know a role yet that another
    one has shown; then it is read again for a while."""
    wait = engine.wait_policy
    deadline, pause = wait.now() + wait.timeout, wait.first_pause
    while True:
        proof = read_for_verification(engine.api, desired, observed, engine.width)
        behind = any(isinstance(part, ReadFailure) and part.error.missing for part in proof.inline.values())
        if not (made and behind) or wait.now() + pause > deadline:
            return proof
        wait.sleep(pause)
        pause = min(pause * 2, wait.longest_pause)
