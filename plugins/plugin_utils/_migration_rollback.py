# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roll a migration back: return service accounts from EKS Pod Identity to IRSA, group by group.

A group is restarted only after a probe has shown that new Pods of all its service accounts get IRSA. If they do not, the
associations are created again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ..module_utils._identity.kubernetes.run.irsa import (
    annotation_patch,
    probe_irsa,
    restart_injected,
)
from ..module_utils._identity.model.errors import listed
from ..module_utils._identity.model.migration import (
    Migrant,
    MigrationGroup,
)
from ..module_utils._identity.plan.migration import (
    check_return,
    plan_return,
)
from ..module_utils._identity.run.migration import (
    read_again,
    workload_rows,
)
from ._migration_session import MigrationSession
from ._role_run import (
    guarded,
    kubernetes_settings,
    restart_timeout,
)

# Creates the associations of service accounts, as the step associate does. The text names this part of the run on the screen.
Associate = Callable[[Sequence[Migrant], str, bool], Collection[WorkloadKey]]
# Findings of a teardown about an association that it keeps.
_LEFT = frozenset((Code.NOT_OWNED, Code.MIGRATION_OTHER_ASSOCIATION))
_STOPPED = "{names} failed in {group}, so no later group was changed. The causes are above. Resolve them and run again."


def roll_back(
    session: MigrationSession, migrants: Sequence[Migrant], associate: Associate
) -> frozenset[WorkloadKey]:
    """Return service accounts to IRSA, group by group. A failing group ends the rollback.

    Return the service accounts with an association that the rollback does not touch.
    """
    plan = plan_return(session.state, migrants)
    session.findings += plan.findings
    session.failed |= plan.refused
    session.groups = groups = plan.groups
    if session.task.check_mode and groups:
        groups = [MigrationGroup("plan", tuple(migrant for group in groups for migrant in group.migrants))]
    for group in groups:
        failed = _return_group(session, group, associate)
        session.failed |= failed
        if failed:
            names = listed(sorted(map(str, failed)), 5)
            session.stopped = session.stopped or _STOPPED.format(names=names, group=group.name)
            break
    return plan.kept


def _return_group(session: MigrationSession, group: MigrationGroup, associate: Associate) -> set[WorkloadKey]:
    """Return a group to IRSA. Return the service accounts that failed."""
    gone = _delete_associations(session, group, _restore(session, group))
    failed = {migrant.key for migrant in group.migrants if migrant not in gone}
    if session.task.check_mode:
        owners = {name for migrant in gone for name in migrant.pods.restarts(migrant.pods.agent)}
        session.changes += [f"restart {name}" for name in sorted(owners)]
    elif gone:
        back, late = _probe(session, group, gone), set[WorkloadKey]()
        if not back:
            back, late = _restart(session, group, gone)
        if lost := [replace(migrant, stage="irsa") for migrant in gone if migrant.key in back]:
            associate(lost, f"{group.name}: creating the associations again", False)
        failed |= back | late
    used = {found.role_arn for found in session.state.associations.values()}
    with guarded(session.steps):
        session.edit(session.editor().release([m for m in gone if m.key not in failed], used))
    return failed


def _restore(session: MigrationSession, group: MigrationGroup) -> list[Migrant]:
    """Restore the IRSA statements and annotations. Return the service accounts that their roles allow with IRSA."""
    session.steps.begin(f"{group.name}: restoring IRSA")
    with guarded(session.steps):
        failed = session.edit(session.editor().restore(group.migrants))
        if not session.task.check_mode:
            arns = {migrant.role_arn for migrant in group.migrants}
            roles = read_again(session.api, session.state.roles, arns, session.width)
            session.state = replace(session.state, roles=roles)
    left = [migrant for migrant in group.migrants if migrant.key not in failed]
    refusals = {migrant.key: finding for migrant in left if (finding := check_return(session.state, migrant))}
    session.findings += refusals.values()
    accounts = session.state.accounts
    left = [migrant for migrant in left if migrant.key not in refusals]
    bare = [m for m in left if (account := accounts.get(m.key)) is not None and not account.role_arn]
    patches = [annotation_patch(accounts[migrant.key], migrant.role_arn) for migrant in bare]
    refused = {bare[index].key for index in session.patch(patches, "restore the IRSA annotation of")}
    return [migrant for migrant in left if migrant.key not in refused]


def _delete_associations(
    session: MigrationSession, group: MigrationGroup, migrants: Sequence[Migrant]
) -> list[Migrant]:
    """Delete the associations and the statements for EKS Pod Identity. Return the service accounts without an association."""
    if not migrants:
        return []
    session.steps.begin(f"{group.name}: deleting the associations")
    run = session.role_run(workload_rows(migrants), state="absent", agent="ignore")
    workloads = tuple(replace(workload, returns=True) for workload in run.parsed.workloads)
    run.parsed = replace(run.parsed, workloads=workloads)
    aws = session.run_aws(run)
    session.failures += aws.failures
    kept = [finding for finding in aws.findings if finding.code in _LEFT]
    session.findings += kept
    failed = {row["workload"] for row in aws.failures} | {str(finding.workload) for finding in kept}
    gone = [migrant for migrant in migrants if str(migrant.key) not in failed]
    keys = {migrant.key for migrant in gone}
    left = {key: found for key, found in session.state.associations.items() if key not in keys}
    session.state = replace(session.state, associations=left)
    return gone


def _probe(session: MigrationSession, group: MigrationGroup, migrants: Sequence[Migrant]) -> set[WorkloadKey]:
    """Probe whether new Pods get IRSA. Return all service accounts of the group if one does not, and add the findings."""
    session.steps.begin(f"{group.name}: probing the injection of IRSA")
    settings = kubernetes_settings(session.values, False).injection
    probed = {migrant.key: migrant.role_arn for migrant in migrants if migrant.key in session.state.accounts}
    cluster, observe = session.opened.cluster, session.options.observe
    if settings is None or not probed:
        return set()
    faults = probe_irsa(session.kubernetes, probed, settings, cluster.region, observe, session.clock)
    session.findings += [
        Finding(
            Code.INJECTION_NOT_YET,
            f"without its association, a Pod that starts now under {key} {fault}, not {probed[key]} by IRSA. No Pod of "
            f"{group.name} was restarted, and the associations were created again.",
            "Check the webhook of EKS (kubectl get mutatingwebhookconfigurations), and run the rollback again.",
            key,
        )
        for key, fault in faults.items()
    ]
    return {migrant.key for migrant in migrants} if faults else set()


def _restart(
    session: MigrationSession, group: MigrationGroup, migrants: Sequence[Migrant]
) -> tuple[set[WorkloadKey], set[WorkloadKey]]:
    """Restart the owners of the Pods with EKS Pod Identity, and wait until these Pods are replaced.

    Return the service accounts that need their association again, and those whose Pods are replaced too slowly.
    """
    session.steps.begin(f"{group.name}: restarting the owners of Pods with EKS Pod Identity")
    timeout, state = restart_timeout(session.values), session.estate.state
    if state is None:
        return set(), set()
    keys = [migrant.key for migrant in migrants]
    run = restart_injected(session.kubernetes, state, keys, timeout, session.clock)
    session.changes += [f"restart {name}" for name in run.restarted]
    session.failures += run.failures
    late = set[WorkloadKey]()
    for migrant in migrants:
        names = [] if migrant.key in run.refused else list(run.remaining.get(migrant.key, ()))
        if names:
            late |= {migrant.key} if set(names) - migrant.pods.held.keys() else set()
            remaining = (
                f"Pods {listed(names, 10)} of {migrant.key} still use EKS Pod Identity, and their credentials expire within 6 "
                "hours. Recreate them, or wait for their rollout. New Pods already use IRSA."
            )
            session.warnings = [*session.warnings, remaining]
    return set(run.refused), late
