# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a policy loses is taken only when what replaces it is there: which changes that is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..model.changes import Change
from ..model.observed import Observed, ObservedPolicy
from ..model.shared import SharedRole
from ..model.targets import Target, association_target, role_target
from .document_steps import denies_more
from .policies import STAGE, TAKING_STAGE, in_steps


def boundaries_of(observed: Observed, all_shared: Iterable[SharedRole]) -> frozenset[str]:
    """Return the ARNs of the policies that bound roles of the run, now or from then on."""
    present = (role.permissions_boundary for role in observed.roles.values() if role is not None)
    wanted = (shared.spec.permissions_boundary for shared in all_shared)
    return frozenset(arn for arn in (*present, *wanted) if arn)


class Replacing:
    """What takes the place of statements that a policy loses: what its roles get, and the roles that their workloads
    move to. Indexed once, as each policy asks.

    :arg gained: all that a role gets, by its name, of which this plan gives, or may leave out, what is ``given``.
    :arg movers: the associations that leave a role, by its ARN in lower case.
    :arg changes: the changes of the plan so far.
    """

    def __init__(
        self,
        observed: Observed,
        all_shared: Sequence[SharedRole],
        gained: Mapping[str, frozenset[Target]],
        given: frozenset[Target],
        movers: Mapping[str, frozenset[Target]],
        changes: Iterable[Change],
    ) -> None:
        self.policies, self.gained, self.given, self.movers = observed.policies, gained, given, movers
        # By the ARN of a policy: the roles that have it or are to have it, and the ARNs of those that have it.
        self.roles: dict[str, list[SharedRole]] = {}
        self.role_arns: dict[str, list[str]] = {}
        # They may have any policy, as they were not looked at.
        self.unknown_roles: list[SharedRole] = []
        # Of roles that could not be read, what they get, by its name, and one user, which stands for all: they fail.
        self.unread_gain: set[str] = set()
        unread_users: list[Target] = []
        for shared in all_shared:
            name = shared.spec.name.lower()
            if role_target(name) in observed.unread:
                self.unread_gain |= {target.name for target in gained[name] & given}
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
        self.boundaries = boundaries_of(observed, all_shared)
        # By the name of a role, the targets' names of the changes that concern it.
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
        # Those that leave a role that was not looked at, which may have any policy.
        self.movers_unseen = frozenset(
            target for role_arn, targets in movers.items() if role_arn not in seen for target in targets
        )

    def steps(self, change: Change) -> tuple[Change, ...]:
        """A policy that gives and takes does so at once, unless something else replaces what it takes, or is to be denied by it.
        One that bounds a role changes at once: what it loses is a restriction."""
        policy = self.policies.get(change.target.name) if change.target.resource == "policy" else None
        if policy is None or change.action != "update":
            return (change,)
        arn = policy.arn
        if arn in self.boundaries:
            return (replace(change, stage=STAGE, takes=False),)
        if change.takes:
            return (change,)
        elsewhere = (
            (self._denies_otherwise(change, policy) and self._has_other_changes(arn))
            or self.movers_unseen
            or len(self.unread_gain) > (arn in self.unread_gain)
            or self._leaving(arn)
            or self._gained(arn) & self.given
        )
        return in_steps(change, policy) if elsewhere else (change,)

    def _has_other_changes(self, arn: str) -> bool:
        """Return whether the plan changes a role of the policy, or another policy of one."""
        return any(self.changed.get(shared.spec.name.lower(), set()) - {arn} for shared in self._roles(arn))

    def _denies_otherwise(self, change: Change, policy: ObservedPolicy) -> bool:
        """Return whether a change adds a Deny, or takes one away."""
        wanted = (change.after or {}).get("document")
        if not isinstance(wanted, Mapping) or policy.document is None:
            return False
        return denies_more(policy.document, wanted) or denies_more(wanted, policy.document)

    def ordered(self, change: Change) -> Change:
        """A policy that loses statements waits for all that may replace them."""
        if change.stage != TAKING_STAGE or change.target.resource != "policy":
            return change
        arn = change.target.name
        needs = self._gained(arn) | self._leaving(arn) | self._users(arn) | self.unread_user
        return replace(change, needs=change.needs | needs, common_needs=self.movers_unseen)

    def _gained(self, arn: str) -> frozenset[Target]:
        """What the roles of the policy get beside it."""
        return frozenset(
            target
            for shared in self._roles(arn)
            for target in self.gained[shared.spec.name.lower()]
            if target.name != arn
        )

    def _users(self, arn: str) -> frozenset[Target]:
        """The associations of all who use the policy's roles: where one of them fails, what it gets instead is not
        even planned."""
        return frozenset(association_target(key) for shared in self._roles(arn) for key in shared.keys)

    def _roles(self, arn: str) -> list[SharedRole]:
        return [*self.roles.get(arn, ()), *self.unknown_roles]

    def _leaving(self, arn: str) -> frozenset[Target]:
        """The associations that leave a role of the policy."""
        leaving = (self.movers.get(role_arn, ()) for role_arn in self.role_arns.get(arn, ()))
        return frozenset(target for targets in leaving for target in targets)
