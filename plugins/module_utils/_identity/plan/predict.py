# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The state of AWS once a plan is carried out. Pure.

In check mode nothing is carried out. A purge then has to name its removals all the same, and the verification reports what
the run would leave as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..model.changes import Plan
from ..model.observed import Observed
from ..model.policies import ObservedPolicy
from ..model.resource_types import ObservedDraft
from ..model.roles import ObservedRole


def predict(observed: Observed, look: Observed, plan: Plan) -> Observed:
    """Apply the changes of ``plan``, which was made of ``look``, to what was ``observed``."""
    present = {**look.roles, **observed.roles}
    draft = ObservedDraft(replace(observed, roles=present, policies={**look.policies, **observed.policies}))
    for change in plan.changes:
        draft.apply(change)
    after = draft.result()
    roles = {name: after.roles.get(name) for name in observed.roles}
    # The owner of a policy that a role managed here takes up would be read once it is attached.
    taken_up = {arn for role in roles.values() if role is not None and role.owned for arn in role.attached}
    known = {f"role {role.name}" for role in present.values() if role is not None}
    users = _users_by_policy(after.roles)
    return replace(
        after,
        roles=roles,
        policies={
            arn: _with_users(policy, known, users.get(arn, ()))
            for arn, policy in after.policies.items()
            if arn in observed.policies or arn in taken_up
        },
    )


def _users_by_policy(roles: Mapping[str, ObservedRole | None]) -> dict[str, list[str]]:
    """Return the roles that have a policy attached, or as their boundary, by the ARN of the policy."""
    users: dict[str, list[str]] = {}
    for role in filter(None, roles.values()):
        for arn in {*role.attached, role.permissions_boundary}:
            users.setdefault(arn, []).append(f"role {role.name}")
    return users


def _with_users(
    policy: ObservedPolicy | None, known: Collection[str], users: Iterable[str]
) -> ObservedPolicy | None:
    """Replace the ``known`` roles in ``attached_to`` by the ``users`` that the plan leaves."""
    if policy is None:
        return None
    others = (entity for entity in policy.attached_to if entity not in known)
    return replace(policy, attached_to=(*others, *users))
