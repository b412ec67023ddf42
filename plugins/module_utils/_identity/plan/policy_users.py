# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the users of a policy outside a run, for whom the run neither narrows nor widens it. Pure.

Source: iam ListEntitiesForPolicy. A role is part of the run where the run lists it, or where only workloads of the run may
use it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.finding import WorkloadKey
from ..model.desired import Desired
from ..model.errors import listed
from ..model.names import CLUSTER_TAG, may_change
from ..model.observed import Observed, ObservedPolicy, ObservedRole, Reach, ReadFailure
from ..model.shared import SharedRole
from ..model.targets import Target, role_target
from .outside_users import OutsideUsers, find_outside_users


class PolicyUsers:
    """The users of policies, indexed once for a plan.

    :arg all_shared: the roles of the run.
    :arg reaches: gets the associations that have to be read before the users of a role are known.
    """

    def __init__(
        self,
        desired: Desired,
        observed: Observed,
        all_shared: Sequence[SharedRole],
        reaches: set[Reach],
    ) -> None:
        self.observed, self.options, self.reaches = observed, desired.options, reaches
        self.keys = frozenset(workload.key for workload in desired.workloads)
        self.leaving = desired.leaving
        # The roles of the run by the ARN of what is attached to them or bounds them, and the names of those that were read.
        self.roles: dict[str, list[tuple[SharedRole, ObservedRole]]] = {}
        self.names: set[str] = set()
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
        if cluster := self._other_cluster(policy):
            return f"it was first created for cluster {cluster}, which is not part of this run"
        if (unread := self.unread(policy)) is not None:
            error = unread.error
            return f"its users could not be read ({error.operation}: {error.code}: {error.text})"
        users = self.outside(policy)
        return f"it has users outside this run ({listed(users, 5)})" if users else ""

    def _other_cluster(self, policy: ObservedPolicy) -> str:
        """Return the ARN of the cluster that the policy was created for, where that is not part of the run."""
        arn = (policy.tags or {}).get(CLUSTER_TAG, "")
        return arn if arn and self.observed.clusters.with_arn(arn) is None else ""

    def _describe_listed(self, policy: ObservedPolicy, shared: SharedRole, role: ObservedRole) -> str:
        """Describe a role of the run that has other users, or for which the run does not list the policy."""
        arn = policy.arn
        listed_here = arn in shared.policy_users or arn == shared.spec.permissions_boundary
        managed = not shared.spec.existing and may_change(role.tags, self.options.owner, self.options.adopt)
        if not (listed_here or managed):
            return f"role {role.name}, for which this run does not list it"
        clusters = self.observed.clusters.among(shared.keys)
        # Where any cluster may use the role, other clusters cannot be seen; the policy tells whether it was created for one.
        vouched = not self._other_cluster(policy)
        users = find_outside_users(self.observed, clusters, role, role.trust, self.keys, vouched)
        return self._describe(role, users)

    def _describe_other(self, entity: str) -> str:
        """Describe an entity that the run does not list, unless only workloads of the run may use it."""
        kind, _separator, name = entity.partition(" ")
        if kind != "role":
            return entity
        if name.lower() in self.names or name.lower() in self.leaving:
            return ""
        role = self.observed.roles.get(name.lower())
        if role is None:
            unread = role_target(name.lower()) in self.observed.unread
            return f"{entity}, which could not be read" if unread else entity
        users = find_outside_users(self.observed, self.observed.clusters, role, role.trust, self.keys)
        if may_change(role.tags, self.options.owner, adopt=False):
            return self._describe(role, users)
        return f"{entity}{_in_brackets(users)}"

    def _describe(self, role: ObservedRole, users: OutsideUsers) -> str:
        self.reaches.update(users.unread)
        return f"role {role.name}{_in_brackets(users)}" if users else ""


def _in_brackets(users: OutsideUsers) -> str:
    names = listed([*users.known, *users.unseen, *users.unreadable])
    return f" ({names})" if names else ""
