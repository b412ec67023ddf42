# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is ours but no longer wanted. Pure; the engine reads before and removes after.

A workload that left the list is known by its association, which carries our tag; a role that lost its
last association by its tag and by our grants, which all name this cluster; a policy that nothing has
attached by the tag that names this cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from ..._policy.language.text import Document
from ..._policy.trust.statements import read_grants
from ..model.arns import parse_policy_arn, parse_role_arn
from ..model.changes import Plan
from ..model.cluster import Cluster
from ..model.desired import Desired, PolicySpec, RoleSpec, Workload
from ..model.errors import InputError
from ..model.findings import Finding
from ..model.messages import SHOWN_UNLISTED, listed
from ..model.observed import Observed, ObservedAssociation, ObservedPolicy, ObservedRole
from ..model.ownership import CLUSTER_TAG, OWNER_TAG

# Stands for the namespace of a role that no association names any more.
NO_ASSOCIATION = "(no association)"
# The same for a policy that no role has attached any more.
NO_ROLE = "(no role)"


@dataclass(frozen=True, slots=True)
class Account:
    """What a purge looks through: the cluster's associations, the account's roles, and the policies that
    nothing has attached."""

    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Sequence[ObservedRole]
    idle_policies: Sequence[ObservedPolicy]


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """What may be purged: that of one owner, or of some namespaces, or all that is ours in the cluster."""

    owner: str | None = None
    namespaces: frozenset[str] = frozenset()
    limit: int = 10

    def holds(self, tags: Mapping[str, str], namespaces: Iterable[str]) -> bool:
        if self.owner is not None and tags.get(OWNER_TAG) != self.owner:
            return False
        return not self.namespaces or set(namespaces) <= self.namespaces

    def takes(self, policy: ObservedPolicy, cluster: Cluster) -> bool:
        """Whether a policy that nothing needs any more may go: one that we made for this cluster."""
        tags = policy.tags or {}
        return policy.owned and tags.get(CLUSTER_TAG) == cluster.arn and self.holds(tags, ())


def unlisted_workloads(
    desired: Desired,
    cluster: Cluster,
    scope: PurgeScope,
    account: Account,
    freed: Iterable[ObservedPolicy] = (),
) -> Desired:
    """The workloads to remove, in the form of a removal. What a wanted workload uses is left out.

    ``freed`` are policies that are attached now, but will not be once the wanted workloads are as wanted.
    """
    wanted = {workload.key for workload in desired.workloads}
    kept_roles = _wanted_roles(desired, cluster)
    kept_policies = {cluster.policy_arn(spec) for workload in desired.workloads for spec in workload.policies}
    kept_policies |= {
        one.role.permissions_boundary or "" for one in desired.workloads if one.role is not None
    }
    # A role that a wanted workload is about to leave: Pods that run hold its credentials.
    kept_roles |= {arn for key, one in account.associations.items() if key in wanted for arn in one.roles}
    by_arn = {role.arn: role for role in account.roles}
    used = {arn for association in account.associations.values() for arn in association.roles}

    def parts(role: ObservedRole | None) -> tuple[RoleSpec | None, tuple[PolicySpec, ...]]:
        """A role and what is attached to it, as far as it may go; who owns it is looked at later."""
        if role is None:
            return None, ()
        if role.arn in kept_roles or not scope.holds(role.tags, ()):
            # It stays. Given by its ARN, it only loses what we grant to the workload.
            return RoleSpec(name=role.name, arn=role.arn), ()
        found = parse_role_arn(role.arn)
        attached = (arn for arn in role.attached if arn not in kept_policies)
        return RoleSpec(name=role.name, path=found.path if found else "/"), _made_policies(attached)

    stale = [
        Workload(found.key, *parts(by_arn.get(found.role_arn)))
        for found in sorted(account.associations.values(), key=lambda one: one.key)
        if found.key not in wanted
        and found.owned
        and not found.owner_arn
        and scope.holds(found.tags, (found.key.namespace,))
    ]
    orphans = [
        Workload(WorkloadKey(NO_ASSOCIATION, role.name), *parts(role))
        for role in by_arn.values()
        if role.owned and role.arn not in used | kept_roles and _is_orphan(role, cluster, scope)
    ]
    unused = [
        Workload(WorkloadKey(NO_ROLE, policy.name), None, _made_policies((policy.arn,)))
        for policy in (*account.idle_policies, *freed)
        # A policy has no namespace: a purge of namespaces leaves it.
        if policy.arn not in kept_policies and not scope.namespaces and scope.takes(policy, cluster)
    ]
    return replace(desired, workloads=(*stale, *orphans, *unused))


def left_roles(
    desired: Desired, stale: Desired, cluster: Cluster, scope: PurgeScope, account: Account
) -> tuple[Finding, ...]:
    """The roles that the wanted workloads move away from, and that nobody else has an association with."""
    moving = {one.key for one in desired.workloads if one.role is not None}
    gone = {one.key for one in stale.workloads}
    others = [one for key, one in account.associations.items() if key not in moving | gone]
    kept = _wanted_roles(desired, cluster) | {arn for one in others for arn in one.roles}
    left = {
        one.role_arn: key
        for key, one in account.associations.items()
        if key in moving and one.role_arn not in kept
    }
    return tuple(
        Finding(
            Code.ROLE_LEFT,
            "note",
            left[role.arn],
            f"role {role.arn} loses its last association with cluster {cluster.name}, but Pods that run "
            "may still hold its credentials, so it stays for now.",
            "Restart those Pods; the next run with purge removes the role.",
        )
        for role in account.roles
        if role.arn in left and role.owned and _is_orphan(role, cluster, scope)
    )


def freed_policies(plan: Plan, observed: Observed) -> list[ObservedPolicy]:
    """The policies that a plan detaches from roles."""
    names = {
        one.name.partition(" ")[2]
        for one in plan.changes
        if one.resource == "attachment" and one.action == "detach"
    }
    return [policy for arn in sorted(names) if (policy := observed.policies.get(arn)) is not None]


def validate_purge_limit(stale: Desired, cluster: Cluster, scope: PurgeScope) -> None:
    """InputError when more would go than the limit allows, before anything is changed."""
    count = len(stale.workloads)
    if count <= scope.limit:
        return
    names = [str(workload.key) for workload in stale.workloads]
    raise InputError(
        [
            f"purge would remove {count} workloads of cluster {cluster.name} (account {cluster.account_id}, "
            f"region {cluster.region}) that are not listed, but purge_limit is {scope.limit}: "
            f"{listed(names, SHOWN_UNLISTED)}. Check that the list is complete (check mode with diff shows "
            f"what would go when purge_limit allows it), or raise purge_limit to {count}."
        ]
    )


def _wanted_roles(desired: Desired, cluster: Cluster) -> set[str]:
    """The ARNs of the roles that wanted workloads use, also as their target role."""
    own = {cluster.role_arn(one.role) for one in desired.workloads if one.role is not None}
    return own | {one.association.target_role_arn or "" for one in desired.workloads}


def _is_orphan(role: ObservedRole, cluster: Cluster, scope: PurgeScope) -> bool:
    grants, others = read_grants(role.trust)
    ours = bool(grants) and not others and all(one.cluster_arn == cluster.arn for one in grants)
    return ours and scope.holds(role.tags, (one.namespace for one in grants))


def _made_policies(arns: Iterable[str]) -> tuple[PolicySpec, ...]:
    """Those of the account. The document stands for "one that we made"; a removal does not look into it."""
    parts = [parse_policy_arn(arn) for arn in arns]
    return tuple(
        PolicySpec(name=one.name, path=one.path, document=Document())
        for one in parts
        if one is not None and one.account_id != "aws"
    )
