# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A plan without the changes that cannot be completed. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..model.changes import Change, Plan
from ..model.targets import Failure, Target, association_target


def without_failed(plan: Plan) -> Plan:
    """Leave out the changes that serve only workloads which cannot be completed anyway, and those
    that need one which is left out."""
    failed = {key for failure in plan.failures for key in failure.workloads}
    kept: list[Change] = []
    skipped: list[Failure] = []
    left_out: set[Target] = set()
    # What replaces something may have failed before it became a change.
    hindered = {failure.target: failure.workloads for failure in plan.failures}
    hindered |= {association_target(key): (key,) for key in sorted(failed)}
    for change in plan.changes:
        need = change.needed_among(left_out)
        missing = change.needed_among(hindered.keys())
        if all(key in failed for key in change.workloads):
            left_out.add(change.target)
            hindered.setdefault(change.target, change.workloads)
        elif change.takes and missing is not None:
            left_out.add(change.target)
            skipped.append(_kept(change, missing, hindered[missing]))
        elif need is not None or (
            missing is not None
            and (change.target.resource == "association" or missing in change.common_needs)
        ):
            left_out.add(change.target)
            hindered.setdefault(change.target, change.workloads)
            skipped.append(_skipped(change, need or missing or change.target, failed))
        else:
            kept.append(change)
    return replace(plan, changes=tuple(kept), failures=(*plan.failures, *skipped))


def _kept(change: Change, need: Target, workloads: tuple[WorkloadKey, ...]) -> Failure:
    """Those who have all they asked for do not fail because something stays."""
    return Failure(
        workloads,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done: what is there stays, because {need.display} is left out, for workloads that failed.",
        "Resolve those failures and run again.",
    )


def _skipped(change: Change, need: Target, failed: Collection[WorkloadKey]) -> Failure:
    return Failure(
        tuple(key for key in change.workloads if key not in failed),
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because it needs a change of {need.display}, which is left out: that is "
        "for workloads that failed.",
        "Resolve those failures and run again.",
    )
