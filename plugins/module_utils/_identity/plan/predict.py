# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Predict the state of AWS after a plan. Pure.

A run in check mode does not apply the plan, so its purge and its verification use the predicted state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..model.changes import Plan
from ..model.observed import Observed
from ..model.policies import ObservedPolicy
from ..model.resource_types import ObservedDraft, of_observed_resources
from ..model.roles import ObservedRole


def predict(observed: Observed, plan: Plan) -> Observed:
    """Return the ``observed`` state with the changes of ``plan`` applied: the same roles, and the policies that they have."""
    present = {f"role {role.name}" for role in observed.roles.values() if role is not None}
    draft = ObservedDraft(observed)
    for change in of_observed_resources(plan.changes):
        draft.apply(change)
    predicted = draft.result()
    roles = {name: predicted.roles.get(name) for name in observed.roles}
    attached = {arn for role in roles.values() if role is not None for arn in role.attached}
    users = _users_by_policy(predicted.roles)
    return replace(
        predicted,
        roles=roles,
        policies={
            arn: _with_users(policy, present, users.get(arn, ()))
            for arn, policy in predicted.policies.items()
            if arn in observed.policies or arn in attached
        },
    )


def _users_by_policy(roles: Mapping[str, ObservedRole | None]) -> dict[str, list[str]]:
    """Return the roles that have a policy attached or as permissions boundary, like "role my-role", by the policy's ARN."""
    users: dict[str, list[str]] = {}
    for role in filter(None, roles.values()):
        for arn in {*role.attached, role.permissions_boundary}:
            users.setdefault(arn, []).append(f"role {role.name}")
    return users


def _with_users(
    policy: ObservedPolicy | None, present_roles: Collection[str], users: Iterable[str]
) -> ObservedPolicy | None:
    """Replace ``present_roles`` by ``users`` in the list of the entities that have a policy. Return the policy."""
    if policy is None:
        return None
    entities = (entity for entity in policy.attached_to if entity not in present_roles)
    return replace(policy, attached_to=(*entities, *users))
