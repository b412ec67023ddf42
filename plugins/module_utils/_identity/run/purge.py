# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A run with a purge: apply the listed workloads, then delete the resources of unlisted ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.observed import Observed, OutsideAssociations, Reach
from ..model.targets import association_key
from ..plan.predict import predict
from ..plan.purge import (
    PurgeAccount,
    PurgeScope,
    freed_policies,
    leaving_roles,
    left_roles,
    other_owners_findings,
    remaining_associations,
    remaining_grants,
    unlisted_workloads,
    validate_purge_limit,
)
from ..read.account import read_account
from .engine import Engine
from .outcome import Run

# Codes of findings about grants and attachments that may be kept for workloads outside the run.
_KEPT = (Code.POLICY_ATTACHED_EXTRA, Code.TRUST_KEPT_FOR_OTHERS)


@dataclass(frozen=True, slots=True)
class _Purge:
    """A purge of a cluster.

    ``unlisted`` are the workloads to remove. If the purge runs without an owner, ``all_unlisted`` also has the unlisted
    workloads that have an owner; otherwise it is the same.
    """

    cluster: Cluster
    scope: PurgeScope
    account: PurgeAccount
    desired: Desired
    observed: Observed
    unlisted: Desired
    all_unlisted: Desired


def run_with_purge(engine: Engine, desired: Desired, scope: PurgeScope, check_mode: bool) -> Run:
    """Apply the desired workloads, then delete unlisted resources that this collection manages.

    :raises InputError: before any change, if the purge exceeds the limit of its scope.
    :raises AwsError: before any change, if the account cannot be read.
    """
    purge = _read_unlisted(engine, desired, scope)
    converge = engine.run(purge.desired, "present", check_mode, purge.observed)
    converge = replace(converge, findings=(*converge.findings, *_findings(purge, converge)))
    if converge.failures or not purge.unlisted.workloads:
        return converge
    removal = _remove(engine, purge.unlisted, purge, converge, purge.observed)
    purged = replace(
        _joined(converge, removal),
        failures=removal.failures,
        purged=len({workload.key for workload in purge.unlisted.workloads}),
        findings=(*converge.findings, *removal.findings),
    )
    if purged.failures or not removal.plan.changes or not any(map(_is_kept, converge.findings)):
        return purged
    return _converge_without_purged(engine, purge, purged)


def _read_unlisted(engine: Engine, desired: Desired, scope: PurgeScope) -> _Purge:
    """Read the account, and find the unlisted workloads. Raise InputError if the purge exceeds its limit."""
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
    observed = replace(
        observed,
        unlisted={cluster.name: remaining_associations(desired, all_unlisted, account)},
        unassociated=remaining_grants(desired, all_unlisted, cluster, account),
    )
    return _Purge(cluster, scope, account, desired, observed, unlisted, all_unlisted)


def _findings(purge: _Purge, converge: Run) -> list[Finding]:
    """Return findings about unlisted resources that are kept.

    A purge without owner reports the workloads that have an owner. If a listed workload failed, a finding reports that the purge
    did not start. Otherwise, findings report the roles that listed workloads have just left.
    """
    findings: list[Finding] = []
    if purge.scope.owner is None:
        findings += other_owners_findings(purge.unlisted, purge.all_unlisted)
    if not converge.failures:
        findings += left_roles(purge.desired, purge.unlisted, purge.cluster, purge.scope, purge.account)
    elif purge.unlisted.workloads:
        findings.append(_purge_waits(purge.unlisted))
    return findings


def _remove(engine: Engine, unlisted: Desired, purge: _Purge, converge: Run, observed: Observed) -> Run:
    """Remove unlisted workloads.

    :arg converge: the run for the listed workloads. In check mode, the removal is planned as if its changes were made.
    :arg observed: the state of AWS before that run.
    """
    look = engine.observe(unlisted, removal=True)
    if converge.check_mode:
        look = predict(look, observed, converge.plan)
    may_purge = partial(purge.scope.includes_policy, cluster=purge.cluster)
    return engine.run(unlisted, "absent", converge.check_mode, look, may_purge)


def _converge_without_purged(engine: Engine, purge: _Purge, purged: Run) -> Run:
    """Apply the listed workloads again after a purge, to revoke access that only the purged workloads needed.

    The first run kept some grants and attachments of listed roles, because workloads outside the list still needed them. Also
    delete the policies that are then unused.
    """
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
        # The observation after a purge is for a verification; a plan needs more reads.
        look = engine.observe(desired, just_read=observed.associations)
        now = replace(look, outside=observed.outside, unlisted=observed.unlisted)
    again = engine.run(desired, "present", check_mode, now)
    run = _joined(purged, again)
    findings = [finding for finding in run.findings if not _is_kept(finding)]
    findings += filter(_is_kept, again.findings)
    run = replace(run, observed=observed, findings=tuple(findings))
    if again.failures:
        return replace(run, failures=again.failures, purged=0)
    freed = freed_policies(again.plan, now)
    idle = unlisted_workloads(desired, purge.cluster, purge.scope, PurgeAccount({}, (), ()), freed)
    if not idle.workloads:
        return run
    removal = _remove(engine, idle, purge, again, now)
    return replace(
        _joined(run, removal), failures=removal.failures, findings=(*run.findings, *removal.findings)
    )


def _is_kept(finding: Finding) -> bool:
    return finding.code in _KEPT


def _joined(first: Run, second: Run) -> Run:
    changes = (*first.plan.changes, *second.plan.changes)
    return replace(first, plan=replace(first.plan, changes=changes), done=(*first.done, *second.done))


def _outside(engine: Engine, desired: Desired, account: PurgeAccount) -> OutsideAssociations:
    """Return the associations of workloads outside the run. The purge has read them already."""
    keys = {workload.key for workload in desired.workloads}
    associations = {key: value for key, value in account.associations.items() if key not in keys}
    return OutsideAssociations(frozenset(map(Reach, engine.clusters.members)), associations)


def _purge_waits(unlisted: Desired) -> Finding:
    count = len({workload.key for workload in unlisted.workloads})
    plural = "" if count == 1 else "s"
    return Finding(
        Code.PURGE_WAITS,
        f"the purge of {count} unlisted workload{plural} was skipped, because not all listed workloads succeeded.",
        "Resolve the failures and run again: a purge starts only after all listed workloads succeeded.",
    )
