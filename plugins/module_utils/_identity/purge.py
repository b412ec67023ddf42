# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is ours but no longer wanted. Pure; the engine reads before and removes after.

A workload that left the list is known by its association, which carries our tag; a role that lost its
last association by its tag and by our grants, which all name this cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.arns import (
    parse_policy_arn,
    parse_role_arn,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.messages import (
    SHOWN_STALE,
    listed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import (
    OWNER_NAME_TAG,
    Cluster,
    Desired,
    PolicySpec,
    RoleSpec,
    Workload,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.observed import (
    ObservedAssociation,
    ObservedRole,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.scope import read_grants

# Stands for the namespace of a role that no association names any more.
NO_ASSOCIATION = "(no association)"


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """What may be purged: that of one owner, or of some namespaces, or all that is ours in the cluster."""

    owner: str | None = None
    namespaces: frozenset[str] = frozenset()
    limit: int = 10

    def holds(self, tags: Mapping[str, str], namespaces: Iterable[str]) -> bool:
        if self.owner is not None and tags.get(OWNER_NAME_TAG) != self.owner:
            return False
        return not self.namespaces or set(namespaces) <= self.namespaces


def stale_workloads(
    desired: Desired,
    cluster: Cluster,
    scope: PurgeScope,
    associations: Mapping[WorkloadKey, ObservedAssociation],
    roles: Iterable[ObservedRole],
) -> Desired:
    """The workloads to remove, in the form of a removal. What a wanted workload uses is left out."""
    wanted = {workload.key for workload in desired.workloads}
    kept_roles = {cluster.role_arn(one.role) for one in desired.workloads if one.role is not None}
    kept_policies = {cluster.policy_arn(spec) for workload in desired.workloads for spec in workload.policies}
    by_arn = {role.arn: role for role in roles}
    used = {association.role_arn for association in associations.values()}
    stale = [
        Workload(found.key, *_parts(by_arn.get(found.role_arn), kept_roles, kept_policies))
        for found in sorted(associations.values(), key=lambda one: one.key)
        if found.key not in wanted
        and found.owned
        and not found.owner_arn
        and scope.holds(found.tags, (found.key.namespace,))
    ]
    orphans = [
        Workload(WorkloadKey(NO_ASSOCIATION, role.name), *_parts(role, kept_roles, kept_policies))
        for role in by_arn.values()
        if role.owned and role.arn not in used | kept_roles and _is_orphan(role, cluster, scope)
    ]
    return replace(desired, workloads=(*stale, *orphans))


def check_limit(stale: Desired, scope: PurgeScope) -> None:
    """InputError when more would go than the limit allows, before anything is changed."""
    count = len(stale.workloads)
    if count <= scope.limit:
        return
    names = [str(workload.key) for workload in stale.workloads]
    raise InputError(
        [
            f"purge would remove {count} workloads that are not listed, but purge_limit is {scope.limit}: "
            f"{listed(names, SHOWN_STALE)}. Check that the list is complete (check mode with diff shows "
            f"what would go when purge_limit allows it), or raise purge_limit to {count}."
        ]
    )


def _is_orphan(role: ObservedRole, cluster: Cluster, scope: PurgeScope) -> bool:
    grants, others = read_grants(role.trust)
    ours = bool(grants) and not others and all(one.cluster_arn == cluster.arn for one in grants)
    return ours and scope.holds(role.tags, (one.namespace for one in grants))


def _parts(
    role: ObservedRole | None, kept_roles: set[str], kept_policies: set[str]
) -> tuple[RoleSpec | None, tuple[PolicySpec, ...]]:
    """A role and what is attached to it, as far as it may go; who owns it is looked at later."""
    if role is None or role.arn in kept_roles:
        return None, ()
    parts = parse_role_arn(role.arn)
    spec = RoleSpec(name=role.name, path=parts.path if parts else "/")
    policies = []
    for arn in role.attached:
        policy = parse_policy_arn(arn)
        if policy is not None and policy.account_id != "aws" and arn not in kept_policies:
            # The document stands for "one that we made"; a removal does not look into it.
            policies.append(PolicySpec(name=policy.name, path=policy.path, document={}))
    return spec, tuple(policies)
