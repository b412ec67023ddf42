# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan roles and their trust policies. Pure.

Source: iam CreateRole, UpdateRole, PutRolePermissionsBoundary, UpdateAssumeRolePolicy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..._findings.finding import WorkloadKey
from ..._policy.language.document import to_json
from ..model.attributes import compare, creation, split_states, update_parameters
from ..model.changes import Call, Change, Stage, compare_tags, iam_tag_calls, tags_after, with_managed_tag
from ..model.cluster import Account
from ..model.desired import Options
from ..model.names import is_mark
from ..model.roles import (
    PERMISSIONS_BOUNDARY,
    ROLE_ATTRIBUTES,
    ROLE_DETAILS,
    ROLE_SETTINGS,
    TRUST_POLICY,
    ObservedRole,
    RoleSpec,
)
from ..model.targets import Target, policy_target, role_target, trust_target
from .attachments import DETACHING_STAGE
from .trust import union_trust

ROLE_STAGE = Stage.ROLE


def create_role(
    account: Account,
    spec: RoleSpec,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    boundary_is_new: bool = False,
) -> Change:
    """Return the change that creates a role.

    :arg trust: the trust policy.
    :arg boundary_is_new: the same plan creates the permissions boundary, so IAM may not find it at once.
    """
    values = {attribute.name: getattr(spec, attribute.name) for attribute in ROLE_SETTINGS}
    values |= {"trust_policy": trust, "tags": with_managed_tag(spec.tags)}
    parameters, state = creation(ROLE_ATTRIBUTES, values)
    parameters |= {"RoleName": spec.name, "Path": spec.path}
    state["arn"] = account.role_arn(spec)
    boundary = spec.permissions_boundary
    needs = frozenset((policy_target(boundary),)) if boundary else frozenset[Target]()
    call = Call("iam", "CreateRole", parameters)
    return Change(
        ROLE_STAGE, role_target(spec.name), "create", workloads, None, state, (call,), needs, boundary_is_new
    )


def update_role(
    spec: RoleSpec,
    role: ObservedRole,
    options: Options,
    workloads: tuple[WorkloadKey, ...],
    boundary_is_new: bool = False,
) -> Change | None:
    """Return the update of all attributes of a role except its trust policy, or None if they have their desired values.

    :arg boundary_is_new: the same plan creates the permissions boundary, so IAM may not find it at once.
    """
    differences = compare(ROLE_SETTINGS, spec, role)
    old, new = split_states(differences)
    details = [difference for difference in differences if difference.attribute in ROLE_DETAILS]
    calls: list[Call] = []
    identity = {"RoleName": role.name}
    if details:
        # UpdateRole sets the session duration to one hour if the request has none, so send the present values, too.
        present = {attribute.parameter: attribute.observed_value(role) for attribute in ROLE_DETAILS}
        calls.append(Call("iam", "UpdateRole", {**identity, **present, **update_parameters(details)}))
    boundary = new.get(PERMISSIONS_BOUNDARY.name)
    needs = frozenset[Target]()
    if isinstance(boundary, str):
        needs = frozenset((policy_target(boundary),))
        operation = "PutRolePermissionsBoundary" if boundary else "DeleteRolePermissionsBoundary"
        parameters = {PERMISSIONS_BOUNDARY.parameter: boundary} if boundary else {}
        calls.append(Call("iam", operation, {**identity, **parameters}))
    change = compare_tags(role.tags, with_managed_tag(spec.tags), options.purge_tags)
    if change:
        old["tags"], new["tags"] = dict(role.tags), tags_after(role.tags, change)
        calls += iam_tag_calls("Role", identity, change)
    if not calls:
        return None
    requests = tuple(calls)
    return Change(
        ROLE_STAGE, role_target(role.name), "update", workloads, old, new, requests, needs, boundary_is_new
    )


def differing_limits(spec: RoleSpec, role: ObservedRole) -> list[tuple[str, object, object]]:
    """Return the attributes whose change would affect the users of a role, each as (name, present value, desired value).

    These are the attributes that limit the sessions of the role, and tags with another value: policies can compare a tag of the
    role as aws:PrincipalTag.
    """
    limits = [attribute for attribute in ROLE_SETTINGS if attribute.limits_sessions]
    differences = [
        (difference.attribute.name, difference.present, difference.desired)
        for difference in compare(limits, spec, role)
    ]
    tags: list[tuple[str, object, object]] = [
        (f"tag {key}", role.tags[key], value)
        for key, value in sorted(spec.tags.items())
        if role.tags.get(key, value) != value and not is_mark(key)
    ]
    return [*differences, *tags]


def update_trust(
    role: ObservedRole,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target] = frozenset(),
) -> Change | None:
    """Return the change of a trust policy, or None if both policies have the same meaning."""
    if TRUST_POLICY.equals(role.trust, trust):
        return None
    return _trust_change(role.name, role.trust, trust, workloads, needs)


def change_trust(
    role: ObservedRole,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    holders: frozenset[Target],
) -> list[Change]:
    """Return the changes that set a trust policy: at most two, and none if both policies have the same meaning.

    If ``holders`` still need the present trust policy, the first change allows the users of both trust policies, and the second
    one sets the desired trust policy after the changes of ``holders``. A change without an effect is left out.

    :arg trust: the desired trust policy.
    :arg holders: the associations that need the present trust policy until they are changed.
    """
    if TRUST_POLICY.equals(role.trust, trust):
        return []
    wide = union_trust(role.trust, trust)
    if not holders or TRUST_POLICY.equals(wide, trust):
        return [_trust_change(role.name, role.trust, trust, workloads, frozenset())]
    changes = []
    needs = set(holders)
    if not TRUST_POLICY.equals(wide, role.trust):
        widening = _trust_change(role.name, role.trust, wide, workloads, frozenset())
        changes.append(widening)
        needs.add(widening.target)
    narrowing = _trust_change(role.name, wide, trust, workloads, frozenset(needs))
    return [
        *changes,
        replace(narrowing, stage=DETACHING_STAGE, target=trust_target(role.name, narrows=True), takes=True),
    ]


def _trust_change(
    role_name: str,
    present: Mapping[str, object],
    desired: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target],
) -> Change:
    parameters = {"RoleName": role_name, "PolicyDocument": to_json(desired)}
    return Change(
        ROLE_STAGE,
        trust_target(role_name),
        "update",
        workloads,
        {"trust_policy": present},
        {"trust_policy": desired},
        (Call("iam", "UpdateAssumeRolePolicy", parameters),),
        needs,
    )


def role_differences(changes: Sequence[Change]) -> str:
    """Return the names of all attributes that the changes set, separated by commas, for a message."""
    names: set[str] = set()
    for change in changes:
        if change.target.resource == "attachment":
            names.add("attached policies")
        else:
            names.update(change.after or change.before or {})
    return ", ".join(name.replace("_", " ") for name in sorted(names))
