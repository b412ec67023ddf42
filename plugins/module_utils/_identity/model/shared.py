# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Roles and policies that the workloads of a run share, each with its workloads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..._findings.finding import WorkloadKey
from ..._policy.trust.statements import read_grants
from .cluster import Account, Clusters
from .desired import Workload
from .observed import Observed
from .policies import PolicySpec
from .roles import RoleSpec
from .targets import Target, association_target, associations_target

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

    def excluding(self, keys: frozenset[WorkloadKey]) -> SharedRole:
        """Return a copy without these workloads in ``users``. ``policy_users`` is unchanged."""
        return replace(self, users=tuple(user for user in self.users if user.key not in keys))


def granted_workloads(clusters: Clusters, trust: Mapping[str, object]) -> set[WorkloadKey]:
    """Return the workloads of these clusters to which managed statements of a trust policy grant access by name."""
    grants, _others = read_grants(trust)
    named = ((clusters.with_arn(grant.cluster_arn), grant) for grant in grants if grant.service_account)
    return {
        WorkloadKey(cluster.name, grant.namespace, grant.service_account)
        for cluster, grant in named
        if cluster is not None
    }


def shared_roles(account: Account, workloads: Iterable[Workload]) -> list[SharedRole]:
    users: dict[str, list[Workload]] = {}
    for workload in workloads:
        if workload.role is not None:
            users.setdefault(workload.role.name.lower(), []).append(workload)
    roles = []
    for sharers in users.values():
        policies: dict[str, list[WorkloadKey]] = {}
        for workload in sharers:
            for arn in dict.fromkeys(account.policy_arn(spec) for spec in workload.policies):
                policies.setdefault(arn, []).append(workload.key)
        spec = sharers[0].role
        if spec is not None:
            policy_users = {arn: tuple(keys) for arn, keys in policies.items()}
            roles.append(SharedRole(spec, tuple(sharers), policy_users))
    return roles


def shared_policies(
    account: Account, workloads: Iterable[Workload]
) -> dict[str, tuple[PolicySpec, tuple[WorkloadKey, ...]]]:
    """Return the policies that workloads list, by ARN, each with the workloads that need it, also as permissions boundary.

    If one workload defines a policy and another workload lists its ARN, the result has the definition.
    """
    workloads = list(workloads)
    specs: dict[str, PolicySpec] = {}
    users: dict[str, dict[WorkloadKey, None]] = {}
    for workload in workloads:
        for spec in workload.policies:
            arn = account.policy_arn(spec)
            if arn not in specs or specs[arn].document is None:
                specs[arn] = spec
            users.setdefault(arn, {})[workload.key] = None
    for workload in workloads:
        boundary = workload.role.permissions_boundary if workload.role is not None else None
        if boundary in users:
            users[boundary][workload.key] = None
    return {arn: (specs[arn], tuple(keys)) for arn, keys in users.items()}


@dataclass(frozen=True, slots=True)
class Unread:
    """The associations that could not be read. They may use any role whose trust policy allows their workloads.

    ``clusters`` are the clusters whose associations could not be listed, by the cluster part of workload keys.
    ``unknown_clusters`` has the targets of the clusters among them in which the run has no workload. ``associations`` has, by
    cluster name, one target that represents all unread associations of clusters with this name. No plan changes this target, so
    a change that depends on it is skipped.
    """

    clusters: frozenset[str]
    unknown_clusters: frozenset[Target]
    associations: Mapping[str, Target]


def find_unread(observed: Observed, keys: Iterable[WorkloadKey]) -> Unread:
    """Find the associations that could not be read. ``keys`` are the workloads of the run."""
    unread, clusters = observed.unread, observed.unread_clusters
    if not unread:
        return Unread(frozenset(), frozenset(), {})
    listed_clusters, associations = set(), []
    for key in keys:
        listed_clusters.add(key.cluster)
        target = association_target(key)
        if key.cluster in clusters or target in unread:
            associations.append((key.cluster, target))
    unknown = frozenset(map(associations_target, clusters - listed_clusters))
    associations += [(target.name.rpartition("/")[2], target) for target in unknown]
    least = dict(sorted(associations, reverse=True))
    return Unread(clusters, unknown, least)
