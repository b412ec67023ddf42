# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A run that also removes what is ours but no longer listed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.observed import OutsideAssociations, Reach
from ..plan.predict import predict
from ..plan.purge import (
    PurgeAccount,
    PurgeScope,
    freed_policies,
    leaving_roles,
    left_roles,
    left_to_others,
    staying_associations,
    staying_grants,
    unlisted_workloads,
    validate_purge_limit,
)
from ..read.account import read_account
from .engine import Engine
from .outcome import Run


def run_with_purge(engine: Engine, desired: Desired, scope: PurgeScope, check_mode: bool) -> Run:
    """Apply the desired workloads, then remove those of ours that are not desired.

    InputError when more would go than the scope allows, AwsError when what there is cannot be
    read; both before anything is changed.
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
    everybodys = unlisted
    if scope.owner is None:
        everybodys = unlisted_workloads(desired, cluster, replace(scope, whosever=True), account, freed)
    staying = staying_associations(desired, everybodys, account)
    observed = replace(
        observed,
        unlisted={cluster.key: staying},
        unassociated=staying_grants(desired, everybodys, cluster, account),
    )
    converge = engine.run(desired, "present", check_mode, observed)
    if scope.owner is None:
        converge = replace(converge, findings=(*converge.findings, *left_to_others(unlisted, everybodys)))
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
    return _take_kept(engine, purged, cluster, scope)


# What a converge leaves to users outside the run.
_KEPT = (Code.POLICY_ATTACHED_EXTRA, Code.TRUST_KEPT_FOR_OTHERS)


def _is_kept(finding: Finding) -> bool:
    return finding.code in _KEPT


def _joined(first: Run, second: Run) -> Run:
    changes = (*first.plan.changes, *second.plan.changes)
    return replace(first, plan=replace(first.plan, changes=changes), done=(*first.done, *second.done))


def _take_kept(engine: Engine, purged: Run, cluster: Cluster, scope: PurgeScope) -> Run:
    """Converge once more without the users that were purged, for whom the listed roles kept something."""
    gone = {
        change.workloads[0]
        for change in purged.plan.changes
        if change.target.resource == "association" and change.after is None
    }
    outside = purged.observed.outside
    left = {key: one for key, one in outside.associations.items() if key not in gone}
    check_mode = purged.check_mode
    observed = engine.observe_after(purged)
    observed = replace(observed, outside=replace(outside, associations=left))
    desired = purged.desired
    if check_mode:
        now = predict(observed, observed, purged.plan)
    else:
        # A plan turns on more than a verification does.
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
    """Return what a purge has read anyway."""
    keys = {workload.key for workload in desired.workloads}
    associations = {key: found for key, found in account.associations.items() if key not in keys}
    return OutsideAssociations(frozenset(map(Reach, engine.clusters.members)), associations)


def _purge_waits(unlisted: Desired) -> Finding:
    return Finding(
        Code.PURGE_WAITS,
        f"{len(unlisted.workloads)} workloads that are not listed were not purged, because others failed.",
        "Resolve the failures and run again; a purge starts only from a complete converge.",
    )
