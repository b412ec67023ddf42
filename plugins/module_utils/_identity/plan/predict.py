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
from typing import Any

from ..model.attributes import (
    ASSOCIATION_ATTRIBUTES,
    POLICY_ATTRIBUTES,
    ROLE_ATTRIBUTES,
    fields_after,
)
from ..model.changes import Change, Plan
from ..model.names import parse_role_arn
from ..model.observed import Observed, ObservedAssociation, ObservedPolicy, ObservedRole, users_of


def predict(observed: Observed, look: Observed, plan: Plan) -> Observed:
    """Apply the changes of ``plan``, which was made of ``look``, to what was ``observed``."""
    present = {**look.roles, **observed.roles}
    roles = {name: role for name, role in present.items() if role is not None}
    policies = {**look.policies, **observed.policies}
    associations = dict(observed.associations)
    for change in plan.changes:
        target = change.target
        name = target.name.lower()
        if target.resource == "association":
            (key,) = change.workloads
            if change.after is None:
                associations.pop(key, None)
            else:
                associations[key] = _association_after(associations.get(key), change)
        elif target.resource == "policy":
            policies[target.name] = _policy_after(policies.get(target.name), change)
        elif change.action == "delete":
            roles.pop(name, None)
        elif change.action == "create":
            roles[name] = _created_role(change)
        elif name in roles:
            roles[name] = _role_after(roles[name], change)
    roles_left = {name: roles.get(name) for name in observed.roles}
    # The owner of a policy that a role managed here takes up would be read once it is attached.
    taken_up = {
        arn for role in roles_left.values() if role is not None and role.owned for arn in role.attached
    }
    known = {f"role {role.name}" for role in present.values() if role is not None}
    users = _users_by_policy(roles)
    return replace(
        observed,
        roles=roles_left,
        policies={
            arn: _with_users(policy, known, users.get(arn, ()))
            for arn, policy in policies.items()
            if arn in observed.policies or arn in taken_up
        },
        associations=associations,
        role_users=users_of(associations),
    )


def _association_after(association: ObservedAssociation | None, change: Change) -> ObservedAssociation:
    (key,) = change.workloads
    fields = fields_after(ASSOCIATION_ATTRIBUTES, change.after or {})
    if association is None or change.action == "replace":
        # Only EKS knows the ID.
        fields |= {"association_id": "", "association_arn": "", "external_id": ""}
    return replace(association or ObservedAssociation(key, "", "", ""), **fields)


def _policy_after(policy: ObservedPolicy | None, change: Change) -> ObservedPolicy | None:
    if change.action == "delete":
        return None
    after, arn = change.after or {}, change.target.name
    policy = policy or ObservedPolicy(arn, arn.rpartition("/")[2], "")
    if "document" in after:
        # The versions are compared only where the document is not as desired.
        policy = replace(policy, default_version="", versions=())
    return replace(policy, **fields_after(POLICY_ATTRIBUTES, after))


def _created_role(change: Change) -> ObservedRole:
    after: Mapping[str, Any] = change.after or {}
    parts = parse_role_arn(after["arn"])
    return ObservedRole(
        change.target.name,
        after["arn"],
        parts.path if parts else "/",
        inline_documents={},
        **fields_after(ROLE_ATTRIBUTES, after),
    )


def _role_after(role: ObservedRole, change: Change) -> ObservedRole:
    """``change`` is one of the role, of its trust policy or of its attachments."""
    after: Mapping[str, Any] = change.after or {}
    if change.target.resource == "attachment":
        arn = change.target.policy_arn
        leaving = {arn, (change.before or {}).get("policy")}
        staying = tuple(attached for attached in role.attached if attached not in leaving)
        return replace(role, attached=staying if change.action == "detach" else (*staying, arn))
    return replace(role, **fields_after(ROLE_ATTRIBUTES, after))


def _users_by_policy(roles: Mapping[str, ObservedRole]) -> dict[str, list[str]]:
    """Return the roles that have a policy attached, or as their boundary, by the ARN of the policy."""
    users: dict[str, list[str]] = {}
    for role in roles.values():
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
