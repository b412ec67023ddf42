# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the users of a policy outside a run, for whom the run neither narrows nor widens it. Pure.

Source: iam ListEntitiesForPolicy. A role is part of the run where the run lists it, or where only workloads of the run may
use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..._findings.key import WorkloadKey
from ..._policy.trust.statements import TrustGrant, read_grants
from ..model.cluster import Clusters
from ..model.desired import Desired
from ..model.messages import listed
from ..model.observed import Observed, ObservedPolicy, ObservedRole, Reach, ReadFailure
from ..model.ownership import CLUSTER_TAG, may_change
from ..model.shared import SharedRole
from ..model.targets import Target, role_target
from .outside_users import find_outside_users


class PolicyUsers:
    """The users of policies, indexed once for a plan.

    :arg all_shared: the roles of the run.
    """

    def __init__(self, desired: Desired, observed: Observed, all_shared: Sequence[SharedRole]) -> None:
        self.observed, self.options = observed, desired.options
        self.keys = frozenset(workload.key for workload in desired.workloads)
        self.leaving = desired.leaving
        # The roles of the run by the ARN of what is attached to them or bounds them, and the names of those that were read.
        self.roles: dict[str, list[tuple[SharedRole, ObservedRole]]] = {}
        self.names: set[str] = set()
        # The associations without which the users of a role are not known.
        self.unread_reaches: set[Reach] = set()
        # The workloads whose role could not be read, which fail.
        self.failing: set[WorkloadKey] = set()
        for shared in all_shared:
            name = shared.spec.name.lower()
            if role_target(name) in observed.unread:
                self.failing.update(shared.keys)
            elif (role := observed.roles.get(name)) is not None:
                self.names.add(name)
                for arn in {*role.attached, role.permissions_boundary}:
                    self.roles.setdefault(arn, []).append((shared, role))

    def unread(self, policy: ObservedPolicy) -> ReadFailure | None:
        return self.observed.unread.get(Target("users", policy.arn))

    def outside(self, policy: ObservedPolicy) -> list[str]:
        """Describe the users of a policy outside the run; empty where the run has them all."""
        in_run = (self._describe_listed(policy, *pair) for pair in self.roles.get(policy.arn, ()))
        others = map(self._describe_other, policy.attached_to)
        return [text for text in (*in_run, *others) if text]

    def reason_to_share(self, policy: ObservedPolicy) -> str:
        """Return why an owner's tag would shut out others; empty where the run has all users of the policy."""
        for cluster in self._other_clusters(policy):
            return f"it was first created for {cluster}, which is not part of this run"
        if (unread := self.unread(policy)) is not None:
            error = unread.error
            return f"its users could not be read ({error.operation}: {error.code}: {error.text})"
        users = self.outside(policy)
        return f"outside this run it is used by {listed(users, 5)}" if users else ""

    def _other_clusters(self, policy: ObservedPolicy) -> list[str]:
        """Return the cluster that the policy was created for, where it is not part of the run."""
        arn = (policy.tags or {}).get(CLUSTER_TAG, "")
        return [f"cluster {arn}"] if arn and self.observed.clusters.with_arn(arn) is None else []

    def _describe_listed(self, policy: ObservedPolicy, shared: SharedRole, role: ObservedRole) -> str:
        """Describe a role of the run where others use it too, or where the run does not list the policy for it."""
        listed_here = policy.arn in shared.policy_users or policy.arn == shared.spec.permissions_boundary
        managed = not shared.spec.existing and may_change(role.tags, self.options.owner, self.options.adopt)
        if not (listed_here or managed):
            return f"role {role.name}, for which this run does not list it"
        clusters = self.observed.clusters.among(shared.keys)
        found = find_outside_users(self.observed, clusters, role, role.trust, self.keys)
        self.unread_reaches.update(found.unread)
        users = [*found.known, *found.unreadable]
        if found.unseen and not users:
            # Whoever may use the role in other clusters, the cluster that the policy was created for does.
            users = self._other_clusters(policy)
        return f"role {role.name}, which {listed(users)} may use, too" if users else ""

    def _describe_other(self, entity: str) -> str:
        kind, _, name = entity.partition(" ")
        if kind != "role":
            return entity
        if name.lower() in self.names or name.lower() in self.leaving:
            return ""
        role = self.observed.roles.get(name.lower())
        if role is None:
            unread = role_target(name.lower()) in self.observed.unread
            return f"{entity}, which could not be read" if unread else entity
        if self._is_left(role):
            return ""
        grants, _others = read_grants(role.trust)
        users = [*self._other_users(role), *_describe(grants)]
        return f"{entity}, which {listed(users)} may use" if users else entity

    def _is_left(self, role: ObservedRole) -> bool:
        """Return whether a role that the run does not list can be used by workloads of the run alone."""
        if not may_change(role.tags, self.options.owner, adopt=False) or self._other_users(role):
            return False
        grants, others = read_grants(role.trust)
        return not others and all(_is_for(grant, self.observed.clusters, self.keys) for grant in grants)

    def _other_users(self, role: ObservedRole) -> list[str]:
        users = self.observed.role_users.get(role.arn.lower(), ())
        return [f"{key.cluster} {key}" for key in users if key not in self.keys]


def _is_for(grant: TrustGrant, clusters: Clusters, keys: frozenset[WorkloadKey]) -> bool:
    """Return whether a grant names one workload, and one of these."""
    cluster = clusters.with_arn(grant.cluster_arn)
    if cluster is None or not grant.service_account:
        return False
    return WorkloadKey(cluster.key, grant.namespace, grant.service_account) in keys


def _describe(grants: Iterable[TrustGrant]) -> list[str]:
    """Name the cluster of each grant, with namespace and service account where it has them."""
    parts = ((grant.cluster_arn, grant.namespace, grant.service_account) for grant in grants)
    return sorted("/".join(filter(None, names)) or "any cluster" for names in parts)
