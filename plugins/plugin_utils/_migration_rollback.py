# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Roll a migration back: restore IRSA, delete the associations of the migration, and restart the Pods."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.irsa import (
    annotations_patch,
    restart_injected,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    listed,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    Migrant,
    recorded_annotations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.migration import (
    check_rollback,
    find_rollback_remains,
    is_half_rolled_back,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    TrustEditor,
    workload_rows,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._migration_session import MigrationSession
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import restart_timeout

# Findings of a teardown about resources that it keeps. A rollback reports them, too.
_LEFT = frozenset((Code.NOT_OWNED, Code.TRUST_STATEMENT_STAYS))


def roll_back(session: MigrationSession, migrants: Sequence[Migrant]) -> frozenset[WorkloadKey]:
    """Restore the IRSA statements and annotations of service accounts, delete their associations, and restart their Pods.

    Return the service accounts whose association is kept because its tags do not show that a migration created it.
    """
    recorded = [migrant for migrant in migrants if _is_recorded(session, migrant)]
    unrecorded = [
        migrant
        for migrant in migrants
        if migrant.key in session.state.associations and migrant not in recorded
    ]
    session.findings += map(_not_recorded, unrecorded)
    # An earlier rollback may have been interrupted after it deleted these associations.
    half = [migrant for migrant in migrants if is_half_rolled_back(session.state, migrant)]
    session.findings += find_rollback_remains(session.state, [*recorded, *half])
    refusals = [
        finding for migrant in recorded if (finding := check_rollback(session.state, migrant)) is not None
    ]
    session.findings += refusals
    refused = {finding.workload for finding in refusals if finding.workload is not None}
    session.failed |= refused
    todo = [migrant for migrant in recorded if migrant.key not in refused]
    if todo or half:
        editor = session.editor()
        todo = [*_restore(session, editor, todo), *half]
        _delete_associations(session, todo)
        if not session.task.check_mode:
            _restart(session, editor, todo)
    return frozenset(migrant.key for migrant in unrecorded)


def _is_recorded(session: MigrationSession, migrant: Migrant) -> bool:
    """Return whether a migration created the association. The tags of such an association record annotations."""
    association = session.state.associations.get(migrant.key)
    return association is not None and bool(recorded_annotations(association.tags))


def _restore(session: MigrationSession, editor: TrustEditor, migrants: Sequence[Migrant]) -> list[Migrant]:
    """Restore the IRSA statements and annotations. Return the service accounts without a failure."""
    with session.guarded():
        session.steps.begin("restoring the IRSA statements")
        failed = session.edit(editor.restore(migrants))
    left = [migrant for migrant in migrants if migrant.key not in failed]
    accounts = session.estate.accounts
    bare = [m for m in left if (account := accounts.get(m.key)) is not None and not account.role_arn]
    patches = [annotations_patch(accounts[m.key], m.annotations) for m in bare]
    refused = {bare[index].key for index in session.patch(patches, "restore the IRSA annotations of")}
    return [migrant for migrant in left if migrant.key not in refused]


def _delete_associations(session: MigrationSession, migrants: Sequence[Migrant]) -> None:
    if not migrants:
        return
    session.steps.begin("deleting the associations")
    _prepared, aws = session.run_aws(session.source(workload_rows(migrants), state="absent", agent="ignore"))
    session.failures += aws.failures
    # In check mode, IRSA statements are not restored. So the plan may report that a trust policy would have no other statement,
    # although the rollback restores one.
    left = _LEFT - {Code.TRUST_STATEMENT_STAYS} if session.task.check_mode else _LEFT
    session.findings += [finding for finding in aws.findings if finding.code in left]


def _restart(session: MigrationSession, editor: TrustEditor, migrants: Sequence[Migrant]) -> None:
    """Restart the owners of the Pods with EKS Pod Identity, then revoke the grants that the migration recorded in roles.

    Roles that an association still uses are not changed.
    """
    session.steps.begin("restarting the owners of Pods with EKS Pod Identity")
    session.take_inventory()
    associations = session.state.associations
    restored = [migrant for migrant in migrants if migrant.key not in associations]
    restarted = restart_injected(
        session.kubernetes,
        session.opened.cluster.name,
        [migrant.key for migrant in restored],
        restart_timeout(session.values),
        session.clock,
    )
    session.changes += [f"restart {name}" for name in restarted.restarted]
    session.failures += restarted.failures
    warnings = [f"{text} New Pods already use IRSA." for text in restarted.blocked]
    if restarted.error is not None:
        session.stopped = (
            f"the Pods could not be listed: {sentence(restarted.error.text)} New Pods already use IRSA. Restart the Pods "
            "yourself, or run the rollback again."
        )
    if restarted.remaining:
        warnings.append(_remaining(restarted.remaining))
    session.warnings = [*session.warnings, *warnings]
    # A statement for the whole account also allows associations that no migration created.
    used = {found.role_arn for found in associations.values()}
    with session.guarded():
        session.edit(editor.revoke_grants([m for m in restored if m.role_arn not in used]))


def _not_recorded(migrant: Migrant) -> Finding:
    return Finding(
        Code.MIGRATION_OTHER_ASSOCIATION,
        f"no migration created the association of {migrant.key}, so a rollback keeps it.",
        "Delete the association yourself if the service account must use IRSA again.",
        migrant.key,
        raised_as="warning",
    )


def _remaining(names: Sequence[str]) -> str:
    return (
        f"Pods {listed(names, 10)} still use EKS Pod Identity, and their credentials expire within 6 hours. "
        "Wait for the rollouts of their Deployments, DaemonSets and StatefulSets, and recreate the other Pods."
    )
