# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles and policies that the workloads of a run share, each with its workloads. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace

from ..._findings.finding import WorkloadKey
from ..._policy.trust.statements import TrustGrant, closed_for, read_grants, writer_of
from .cluster import Cluster
from .desired import Desired, Workload
from .names import is_own
from .observed import Inventory
from .policies import PolicySpec
from .roles import RoleSpec

# The default of the IAM quota "Managed policies per role".
POLICIES_OF_A_ROLE = 10


@dataclass(frozen=True, slots=True)
class SharedRole:
    """A role of the run with the workloads that share it.

    ``policy_users`` has the policies to attach, by ARN, each with the workloads that list it.
    """

    spec: RoleSpec
    users: tuple[Workload, ...]
    policy_users: Mapping[str, tuple[WorkloadKey, ...]]

    @property
    def keys(self) -> tuple[WorkloadKey, ...]:
        return tuple(workload.key for workload in self.users)

    def excluding(self, keys: Set[WorkloadKey]) -> SharedRole:
        """Return a copy without these workloads in ``users``. ``policy_users`` is unchanged."""
        return replace(self, users=tuple(user for user in self.users if user.key not in keys))


def named_workloads(cluster: Cluster, grants: Iterable[TrustGrant]) -> set[WorkloadKey]:
    """Return the workloads of a cluster that grants name one by one."""
    return {
        WorkloadKey(cluster.name, grant.namespace, grant.service_account)
        for grant in grants
        if grant.is_single and grant.cluster_arn == cluster.arn
    }


def own_grants(cluster: Cluster, owner: str, trust: Mapping[str, object]) -> set[TrustGrant]:
    """Return the grants of the statements that the owner has written for a cluster."""
    writers = {writer_of(owner), writer_of(owner, cluster.arn)}
    grants, _foreign = read_grants(trust)
    return {grant for grant in grants if grant.writer in writers}


def policies_of_going_workloads(cluster: Cluster, desired: Desired, inventory: Inventory) -> set[str]:
    """Return the policies of the unlisted roles that a purge may delete, or that workloads use which it removes."""
    owner = desired.options.owner
    names = {workload.role.name.lower() for workload in desired.workloads if workload.role is not None}
    used = {
        association.role_arn.lower()
        for association in inventory.associations.values()
        if is_own(association.tags, owner)
    }
    return {
        arn
        for role in inventory.roles
        if role.name.lower() not in names
        if role.arn.lower() in used
        or (is_own(role.tags, owner) and (own_grants(cluster, owner, role.trust) or closed_for(role.trust)))
        for arn in (*role.attached, role.permissions_boundary)
        if arn
    }


def shared_roles(cluster: Cluster, workloads: Iterable[Workload]) -> list[SharedRole]:
    users: dict[str, tuple[RoleSpec, list[Workload]]] = {}
    for workload in workloads:
        if workload.role is not None:
            users.setdefault(workload.role.name.lower(), (workload.role, []))[1].append(workload)
    return [
        SharedRole(
            spec, tuple(sharers), {arn: tuple(keys) for arn, keys in _policy_users(cluster, sharers).items()}
        )
        for spec, sharers in users.values()
    ]


def _policy_users(cluster: Cluster, workloads: Iterable[Workload]) -> dict[str, dict[WorkloadKey, None]]:
    """Return the policies that workloads list, by ARN, each with the keys of these workloads."""
    users: dict[str, dict[WorkloadKey, None]] = {}
    for workload in workloads:
        for spec in workload.policies:
            users.setdefault(cluster.policy_arn(spec), {})[workload.key] = None
    return users


def shared_policies(
    cluster: Cluster, workloads: Collection[Workload]
) -> dict[str, tuple[PolicySpec, tuple[WorkloadKey, ...]]]:
    """Return the policies that workloads list, by ARN, each with the workloads that need it, also as permissions boundary.

    If one workload defines a policy and another workload lists its ARN, the result has the definition.
    """
    specs: dict[str, PolicySpec] = {}
    for spec in (spec for workload in workloads for spec in workload.policies):
        arn = cluster.policy_arn(spec)
        if arn not in specs or specs[arn].document is None:
            specs[arn] = spec
    users = _policy_users(cluster, workloads)
    for workload in workloads:
        boundary = workload.role.permissions_boundary if workload.role is not None else None
        if boundary in users:
            users[boundary][workload.key] = None
    return {arn: (spec, tuple(users[arn])) for arn, spec in specs.items()}
