# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the changes that may replace the permissions that a policy loses, and remove the permissions after these changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..model.changes import Change
from ..model.observed import Observed
from ..model.policies import ObservedPolicy
from ..model.shared import SharedRole
from ..model.targets import Target, association_target, role_target
from .policies import NARROWING_STAGE, POLICY_STAGE, denies_more, in_steps


def _find_boundaries(observed: Observed, all_shared: Iterable[SharedRole]) -> frozenset[str]:
    """Return the ARNs of the permissions boundaries that roles of the run have, or will have."""
    present = (role.permissions_boundary for role in observed.roles.values() if role is not None)
    desired = (shared.spec.permissions_boundary for shared in all_shared)
    return frozenset(arn for arn in (*present, *desired) if arn)


class ReplacedPermissions:
    """An index of the changes that may replace the permissions that a policy loses.

    A plan may move a permission to another policy of the same role, or to a policy of the role to which an association moves.
    The former policy must not lose the permission until the other policy gives it.

    :arg gained: the gains of each role, by its lower-case name.
    :arg added: the targets of changes that may add permissions, and of resources that could not be read.
    :arg movers: the associations that move to another role, by the lower-case ARN of the role that they leave.
    :arg changes: the changes of the plan so far.
    """

    def __init__(
        self,
        observed: Observed,
        all_shared: Sequence[SharedRole],
        gained: Mapping[str, frozenset[Target]],
        added: frozenset[Target],
        movers: Mapping[str, frozenset[Target]],
        changes: Iterable[Change],
    ) -> None:
        self.policies, self.gained, self.added, self.movers = observed.policies, gained, added, movers
        # By the ARN of a policy: the roles that have or get it, and the lower-case ARNs of the roles that have it.
        self.roles: dict[str, list[SharedRole]] = {}
        self.role_arns: dict[str, list[str]] = {}
        # Roles that were not read. They may have any policy.
        self.unknown_roles: list[SharedRole] = []
        # For roles whose read failed: the names of the targets that may add permissions to them, and one association that
        # represents all workloads of these roles. The workloads fail, so a change that depends on the association is skipped.
        self.unread_gain: set[str] = set()
        unread_users: list[Target] = []
        for shared in all_shared:
            name = shared.spec.name.lower()
            if role_target(name) in observed.unread:
                self.unread_gain |= {target.name for target in gained[name] & added}
                unread_users += map(association_target, shared.keys)
                continue
            if name not in observed.roles:
                self.unknown_roles.append(shared)
                continue
            role = observed.roles[name]
            attached = role.attached if role is not None else ()
            for arn in dict.fromkeys((*shared.policy_users, *attached)):
                self.roles.setdefault(arn, []).append(shared)
        self.unread_user = frozenset(sorted(unread_users)[:1])
        self.boundaries = _find_boundaries(observed, all_shared)
        # By the lower-case name of a role, the names of the targets of the changes that concern it.
        self.changed: dict[str, set[str]] = {}
        for change in changes:
            names = (shared.spec.name for shared in self._roles(change.target.name))
            for name in (change.target.name, *names):
                self.changed.setdefault(name.lower(), set()).add(change.target.name)
        seen = set()
        for role in observed.roles.values():
            if role is not None:
                seen.add(role.arn.lower())
                for arn in role.attached:
                    self.role_arns.setdefault(arn, []).append(role.arn.lower())
        # The associations that leave a role that was not read. The role may have any policy.
        self.movers_unseen = frozenset(
            target for role_arn, targets in movers.items() if role_arn not in seen for target in targets
        )

    def steps(self, change: Change) -> tuple[Change, ...]:
        """Split the update of a policy into steps if other changes may replace its permissions or depend on its Deny statements.

        The steps add statements before they remove statements (``policies.steps``). Any other change is returned unchanged. A
        permissions boundary is updated in one step: its Allow statements only limit other policies, so a step that adds
        them first would remove the limit too early.
        """
        policy = self.policies.get(change.target.name) if change.target.resource == "policy" else None
        if policy is None or change.action != "update":
            return (change,)
        arn = policy.arn
        if arn in self.boundaries:
            return (replace(change, stage=POLICY_STAGE, takes=False),)
        if change.takes:
            return (change,)
        elsewhere = (
            (self._changes_denies(change, policy) and self._has_other_changes(arn))
            or self.movers_unseen
            or len(self.unread_gain) > (arn in self.unread_gain)
            or self._leaving(arn)
            or self._gained(arn) & self.added
        )
        return in_steps(change, policy) if elsewhere else (change,)

    def _has_other_changes(self, arn: str) -> bool:
        """Return whether the plan changes a role with the policy, or another policy of such a role."""
        return any(self.changed.get(shared.spec.name.lower(), set()) - {arn} for shared in self._roles(arn))

    def _changes_denies(self, change: Change, policy: ObservedPolicy) -> bool:
        """Return whether a change adds or removes a Deny statement."""
        desired = (change.after or {}).get("document")
        if not isinstance(desired, Mapping) or policy.document is None:
            return False
        return denies_more(policy.document, desired) or denies_more(desired, policy.document)

    def ordered(self, change: Change) -> Change:
        """Order the removal of permissions from a policy after the changes that may replace them."""
        if change.stage != NARROWING_STAGE or change.target.resource != "policy":
            return change
        arn = change.target.name
        needs = self._gained(arn) | self._leaving(arn) | self._users(arn) | self.unread_user
        return replace(change, needs=change.needs | needs, common_needs=self.movers_unseen)

    def _gained(self, arn: str) -> frozenset[Target]:
        """Return the gains of the roles that have or get the policy, without the policy itself."""
        return frozenset(
            target
            for shared in self._roles(arn)
            for target in self.gained[shared.spec.name.lower()]
            if target.name != arn
        )

    def _users(self, arn: str) -> frozenset[Target]:
        """Return the associations of all workloads whose role has or gets the policy.

        If the change of such an association fails, the permissions of its workload are not replaced, so the policy must keep
        them.
        """
        return frozenset(association_target(key) for shared in self._roles(arn) for key in shared.keys)

    def _roles(self, arn: str) -> list[SharedRole]:
        """Return the roles that have or get a policy, and the roles that were not read, because they may have it."""
        return [*self.roles.get(arn, ()), *self.unknown_roles]

    def _leaving(self, arn: str) -> frozenset[Target]:
        """Return the associations that move away from a role with the policy."""
        leaving = (self.movers.get(role_arn, ()) for role_arn in self.role_arns.get(arn, ()))
        return frozenset(target for targets in leaving for target in targets)
