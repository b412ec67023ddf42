# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is ours but no longer wanted. Pure; the engine reads before and removes after.

A workload that left the list is known by its association, which carries our tag; a role that lost its
last association by its tag and by our grants, which all name this cluster; a policy that nothing has
attached by the tag that names this cluster; a grant by its workload, which has no association.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import PolicyDocument
from ..._policy.trust.statements import closed_for, read_grants
from ..model.changes import Plan
from ..model.cluster import Cluster, clusters_of
from ..model.desired import Desired, PolicySpec, RoleSpec, Workload, allowed_purge
from ..model.errors import SHOWN_UNLISTED, InputError, listed
from ..model.names import CLUSTER_TAG, OWNER_TAG, parse_policy_arn, parse_role_arn
from ..model.observed import (
    Observed,
    ObservedAssociation,
    ObservedPolicy,
    ObservedRole,
    UnlistedAssociations,
    is_new,
)
from ..model.rows import NO_ASSOCIATION, NO_ROLE, describe_key
from ..model.shared import granted_workloads
from .trust import is_allow


@dataclass(frozen=True, slots=True)
class Account:
    """What a purge looks through: the cluster's associations, the account's roles, and the policies that
    nothing has attached."""

    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Sequence[ObservedRole]
    idle_policies: Sequence[ObservedPolicy]


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """What may be purged: what belongs to one owner, or without one to nobody; limited to some namespaces or not.

    At most ``limit`` workloads, or with ``percent`` that share of what is there.
    With ``whosever`` it is what belongs to any owner or none, which is only counted.
    """

    owner: str | None = None
    namespaces: frozenset[str] = frozenset()
    limit: int = 10
    whosever: bool = False
    percent: int | None = None

    def includes(self, tags: Mapping[str, str], namespaces: Iterable[str]) -> bool:
        if not self.whosever and tags.get(OWNER_TAG) != self.owner:
            return False
        return not self.namespaces or set(namespaces) <= self.namespaces

    def includes_policy(self, policy: ObservedPolicy, cluster: Cluster) -> bool:
        """Whether a policy that nothing needs any more may go: one that we made for this cluster."""
        tags = policy.tags or {}
        return policy.owned and tags.get(CLUSTER_TAG) == cluster.arn and self.includes(tags, ())


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
    kept_policies = {
        cluster.account.policy_arn(spec) for workload in desired.workloads for spec in workload.policies
    }
    kept_policies |= {
        workload.role.permissions_boundary or ""
        for workload in desired.workloads
        if workload.role is not None
    }
    # A role that a wanted workload is about to leave: Pods that run hold its credentials.
    kept_roles |= {arn for key, used in account.associations.items() if key in wanted for arn in _roles(used)}
    by_arn = {role.arn.lower(): role for role in account.roles}
    used = {arn for association in account.associations.values() for arn in _roles(association)}

    def parts(role: ObservedRole | None) -> tuple[RoleSpec | None, tuple[PolicySpec, ...]]:
        """A role and what is attached to it, as far as it may go; who owns it is looked at later."""
        if role is None:
            return None, ()
        if role.arn.lower() in kept_roles or not scope.includes(role.tags, ()):
            # It stays. Given by its ARN, it only loses what we grant to the workload.
            return RoleSpec(name=role.name, arn=role.arn), ()
        arn = parse_role_arn(role.arn)
        attached = (policy_arn for policy_arn in role.attached if policy_arn not in kept_policies)
        return RoleSpec(name=role.name, path=arn.path if arn else "/"), _made_policies(attached)

    unlisted = [
        Workload(key, *parts(by_arn.get(association.role_arn.lower())))
        for key, association in sorted(account.associations.items())
        if key not in wanted
        and association.owned
        and not association.owner_arn
        and scope.includes(association.tags, (key.namespace,))
    ]
    orphans = [
        Workload(WorkloadKey(cluster.key, NO_ASSOCIATION, role.name), *parts(role))
        for role in by_arn.values()
        if role.owned and role.arn.lower() not in used | kept_roles and is_orphan(role, cluster, scope)
    ]
    unused = [
        Workload(WorkloadKey(cluster.key, NO_ROLE, policy.name), None, _made_policies((policy.arn,)))
        for policy in (*account.idle_policies, *freed)
        # A policy has no namespace: a purge of namespaces leaves it.
        if policy.arn not in kept_policies and not scope.namespaces and scope.includes_policy(policy, cluster)
    ]
    grants = _unused_grants(desired, cluster, scope, account)
    going = {role.name for workload in (*unlisted, *orphans) if (role := workload.role) and not role.existing}
    # A role that goes loses its grants with it. Given by its ARN, it loses only them.
    guests = [
        Workload(key, RoleSpec(name=role.name, arn=role.arn))
        for role, keys in grants
        if role.name not in going
        for key in sorted(keys)
    ]
    return replace(
        desired,
        workloads=(*unlisted, *orphans, *guests, *unused),
        unassociated=frozenset(key for _role, keys in grants for key in keys),
    )


def _unused_grants(
    desired: Desired, cluster: Cluster, scope: PurgeScope, account: Account
) -> list[tuple[ObservedRole, set[WorkloadKey]]]:
    """Return the roles that let in workloads which are not listed and have no association, with these workloads. A trust
    policy that a list gives as a whole has no grants to purge. The associations of a new role may be about to be created."""
    present = {workload.key for workload in desired.workloads} | account.associations.keys()
    given = {
        role.name.lower()
        for workload in desired.workloads
        if (role := workload.role) is not None and role.trust_policy is not None
    }
    grants = [
        (
            role,
            {
                key
                for key in granted_workloads(clusters_of(cluster), role.trust) - present
                if scope.includes(role.tags, (key.namespace,))
            },
        )
        for role in account.roles
        if role.owned and role.name.lower() not in given and not is_new(role.created_at, cluster.answered_at)
    ]
    return [(role, keys) for role, keys in grants if keys]


def leaving_roles(unlisted: Desired, cluster: Cluster, account: Account) -> frozenset[str]:
    """Return the roles, by lower-case name, that only the unlisted workloads use, so that a purge deletes them."""
    going = {workload.key for workload in unlisted.workloads}
    names = {
        workload.role.name.lower()
        for workload in unlisted.workloads
        if workload.role is not None and not workload.role.existing
    }
    used = {arn for key, other in account.associations.items() if key not in going for arn in _roles(other)}
    return frozenset(
        name
        for role in account.roles
        if (name := role.name.lower()) in names
        and role.owned
        and role.arn.lower() not in used
        and tied_cluster(role) == cluster.arn
    )


def staying_associations(desired: Desired, going: Desired, account: Account) -> UnlistedAssociations:
    """Return the unlisted associations that are not among the workloads ``going``."""
    known = {workload.key for workload in (*desired.workloads, *going.workloads)}
    rest = {key: account.associations[key] for key in sorted(account.associations) if key not in known}
    owned = {key: association for key, association in rest.items() if not association.owner_arn}
    addons = tuple(key for key in rest if key not in owned)
    return UnlistedAssociations(tuple(owned), addons, described=owned)


def staying_grants(
    desired: Desired, going: Desired, cluster: Cluster, account: Account
) -> frozenset[WorkloadKey]:
    """Return the workloads without association that roles let in, and that are not among the workloads ``going``."""
    granted = {
        key
        for role in account.roles
        if role.owned and not is_new(role.created_at, cluster.answered_at)
        for key in granted_workloads(clusters_of(cluster), role.trust)
    }
    known = {workload.key for workload in (*desired.workloads, *going.workloads)}
    return frozenset(granted - known - account.associations.keys())


def left_to_others(unlisted: Desired, everybodys: Desired) -> tuple[Finding, ...]:
    """What a purge without owner leaves because it has one. ``everybodys`` is what a purge for all would take."""
    going = {workload.key for workload in unlisted.workloads}
    rest = (describe_key(workload.key) for workload in everybodys.workloads if workload.key not in going)
    names = list(dict.fromkeys(rest))
    if not names:
        return ()
    return (
        Finding(
            Code.OWNED_BY_ANOTHER,
            f"{len(names)} workloads that are not listed belong to owners, and this purge has no owner, so they stay: "
            f"{listed(names, SHOWN_UNLISTED)}.",
            "Purge them in runs for their owners.",
        ),
    )


def left_roles(
    desired: Desired, unlisted: Desired, cluster: Cluster, scope: PurgeScope, account: Account
) -> tuple[Finding, ...]:
    """The roles that the wanted workloads move away from, and that nobody else has an association with."""
    moving = {workload.key for workload in desired.workloads if workload.role is not None}
    gone = {workload.key for workload in unlisted.workloads}
    associations = account.associations.items()
    kept = _wanted_roles(desired, cluster)
    kept |= {arn for key, other in associations if key not in moving | gone for arn in _roles(other)}
    left = {
        association.role_arn.lower(): key
        for key, association in associations
        if key in moving and association.role_arn.lower() not in kept
    }
    return tuple(
        Finding(
            Code.ROLE_LEFT,
            f"role {role.arn} loses its last association with cluster {cluster.name}, but Pods that run "
            "may still hold its credentials, so it stays for now.",
            "Restart those Pods; the next run with purge removes the role.",
            left[role.arn.lower()],
        )
        for role in account.roles
        if role.arn.lower() in left and role.owned and is_orphan(role, cluster, scope)
    )


def freed_policies(plan: Plan, observed: Observed) -> list[ObservedPolicy]:
    """The policies that a plan detaches from roles."""
    detached = {
        str(change.before["policy"])
        for change in plan.changes
        if change.target.resource == "attachment" and change.before
    }
    return [policy for arn in sorted(detached) if (policy := observed.policies.get(arn)) is not None]


def validate_purge_limit(
    desired: Desired, unlisted: Desired, cluster: Cluster, scope: PurgeScope, account: Account
) -> None:
    """InputError when more would go than the limit allows, before anything is changed."""
    names = list(dict.fromkeys(describe_key(workload.key) for workload in unlisted.workloads))
    count = len(names)
    associations = account.associations
    kept = sum(
        workload.key in associations and associations[workload.key].owned for workload in desired.workloads
    )
    allowed = allowed_purge(kept + count, scope.limit, scope.percent)
    if count <= allowed:
        return
    limit = (
        str(scope.limit)
        if scope.percent is None
        else f"{scope.percent}% of the {kept + count} that are there, which is {allowed}"
    )
    raise InputError(
        [
            f"purge would remove {count} workloads of cluster {cluster.name} (account {cluster.account_id}, "
            f"region {cluster.region}) that are not listed, but ⟨purge_limit⟩ is {limit}: "
            f"{listed(names, SHOWN_UNLISTED)}. Check that the list is complete (check mode with diff shows "
            f"what would go when ⟨purge_limit⟩ allows it), or raise ⟨purge_limit⟩ to {count}."
        ]
    )


def _wanted_roles(desired: Desired, cluster: Cluster) -> set[str]:
    """The ARNs in lower case of the roles that wanted workloads use, also as their target role."""
    workloads = desired.workloads
    own = {
        cluster.account.role_arn(workload.role).lower() for workload in workloads if workload.role is not None
    }
    return own | {(workload.association.target_role_arn or "").lower() for workload in workloads}


def _roles(association: ObservedAssociation) -> set[str]:
    return {arn.lower() for arn in association.roles}


def is_orphan(role: ObservedRole, cluster: Cluster, scope: PurgeScope) -> bool:
    """Return whether a purge may remove a role of ours that no association uses."""
    grants, _others = read_grants(role.trust)
    tied = tied_cluster(role) == cluster.arn
    return tied and scope.includes(role.tags, (grant.namespace for grant in grants))


def tied_cluster(role: ObservedRole) -> str:
    """Return the ARN of the only cluster whose workloads the trust policy allows; "" where it allows others."""
    grants, others = read_grants(role.trust)
    arns = {grant.cluster_arn for grant in grants} or {closed_for(role.trust)}
    return next(iter(arns)) if len(arns) == 1 and not any(map(is_allow, others)) else ""


def _made_policies(arns: Iterable[str]) -> tuple[PolicySpec, ...]:
    """Those of the account. The document stands for "one that we made"; a removal does not look into it."""
    parts = [parse_policy_arn(arn) for arn in arns]
    return tuple(
        PolicySpec(name=part.name, path=part.path, document=PolicyDocument())
        for part in parts
        if part is not None and part.account_id != "aws"
    )
