# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What there will be once a plan is carried out, as far as the removal of other workloads turns on it. Pure.

In check mode nothing is carried out, and yet a purge has to say what it would remove after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..model.changes import Plan
from ..model.observed import Observed, ObservedAssociation, ObservedPolicy, ObservedRole, users_of


def predict(observed: Observed, look: Observed, plan: Plan) -> Observed:
    """What was ``observed``, with trust policies, boundaries, attachments and associations as ``plan``, which
    was made of ``look``, leaves them."""
    present = {**look.roles, **observed.roles}
    roles = {name: role for name, role in present.items() if role is not None}
    associations = dict(observed.associations)
    for change in plan.changes:
        after = change.after or {}
        target = change.target
        role = roles.get(target.name.lower())
        if target.resource == "association":
            (key,) = change.workloads
            association = associations.get(key) or ObservedAssociation(key, "", "", "")
            associations[key] = replace(
                association,
                role_arn=str(after.get("role_arn", association.role_arn)),
                target_role_arn=str(after.get("target_role_arn", association.target_role_arn)),
            )
        elif role is not None and target.resource == "attachment":
            leaving = {target.policy_arn, (change.before or {}).get("policy")}
            staying = tuple(arn for arn in role.attached if arn not in leaving)
            attached = staying if change.action == "detach" else (*staying, target.policy_arn)
            roles[target.name.lower()] = replace(role, attached=attached)
        elif role is not None and target.resource in ("role", "trust_policy"):
            roles[target.name.lower()] = _role_after(role, after)
    policies = {arn: _policy_after(policy, present, roles) for arn, policy in observed.policies.items()}
    # Who owns what a role of ours takes up would be read once it is attached.
    policies |= {
        arn: look.policies[arn]
        for name in observed.roles
        if (role := roles.get(name)) is not None and role.owned
        for arn in role.attached
        if arn not in policies and arn in look.policies
    }
    return replace(
        observed,
        roles={name: roles.get(name) for name in observed.roles},
        policies=policies,
        associations=associations,
        role_users=users_of(associations),
    )


def _role_after(role: ObservedRole, after: Mapping[str, object]) -> ObservedRole:
    trust = after.get("trust_policy", role.trust)
    boundary = after.get("permissions_boundary", role.permissions_boundary)
    return replace(
        role,
        trust=trust if isinstance(trust, Mapping) else role.trust,
        permissions_boundary=str(boundary),
    )


def _policy_after(
    policy: ObservedPolicy | None,
    before: Mapping[str, ObservedRole | None],
    after: Mapping[str, ObservedRole],
) -> ObservedPolicy | None:
    """``attached_to`` without the roles that let go of the policy, and with those that take it up."""
    if policy is None:
        return None
    known = {f"role {role.name}" for role in before.values() if role is not None}
    others = tuple(entity for entity in policy.attached_to if entity not in known)
    now = (role for role in after.values() if policy.arn in (*role.attached, role.permissions_boundary))
    return replace(policy, attached_to=(*others, *(f"role {role.name}" for role in now)))
