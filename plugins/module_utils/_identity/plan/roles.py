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
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import to_json
from ..model.changes import Call, Change, Stage, compare_tags, iam_tag_calls, iam_tags, tags_after, with_owner
from ..model.cluster import Account
from ..model.desired import Options, RoleSpec
from ..model.names import is_mark
from ..model.observed import ObservedRole
from ..model.targets import Target, policy_target, role_target, trust_target
from .attachments import DETACHING_STAGE
from .trust import widened

ROLE_STAGE = Stage.ROLE


def create_role(
    account: Account,
    spec: RoleSpec,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    boundary_made: bool = False,
) -> Change:
    """``boundary_made`` says that the permissions boundary is made by this very plan."""
    owned = with_owner(spec.tags)
    parameters: dict[str, object] = {
        "RoleName": spec.name,
        "Path": spec.path,
        "AssumeRolePolicyDocument": to_json(trust),
        "Tags": iam_tags(owned),
    }
    after: dict[str, object] = {"arn": account.role_arn(spec), "trust_policy": trust, "tags": owned}
    if spec.description is not None:
        parameters["Description"] = after["description"] = spec.description
    if spec.max_session_duration is not None:
        parameters["MaxSessionDuration"] = spec.max_session_duration
        after["max_session_duration"] = spec.max_session_duration
    needs = frozenset[Target]()
    if spec.permissions_boundary:
        parameters["PermissionsBoundary"] = spec.permissions_boundary
        after["permissions_boundary"] = spec.permissions_boundary
        needs = frozenset((policy_target(spec.permissions_boundary),))
    call = Call("iam", "CreateRole", parameters)
    return Change(
        ROLE_STAGE, role_target(spec.name), "create", workloads, None, after, (call,), needs, boundary_made
    )


def update_role(
    spec: RoleSpec,
    role: ObservedRole,
    options: Options,
    workloads: tuple[WorkloadKey, ...],
    boundary_made: bool = False,
) -> Change | None:
    """Everything of a role but its trust policy and attachments; None when it is as wanted."""
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    calls: list[Call] = []
    identity = {"RoleName": role.name}
    update: dict[str, object] = {}
    if spec.description is not None and spec.description != role.description:
        before["description"], after["description"] = role.description, spec.description
        update["Description"] = spec.description
    duration = spec.max_session_duration
    if duration is not None and duration != role.max_session_duration:
        before["max_session_duration"] = role.max_session_duration
        update["MaxSessionDuration"] = after["max_session_duration"] = duration
    if update:
        # UpdateRole sets what it is not given to its default, so both are always given.
        kept = {
            "Description": role.description,
            "MaxSessionDuration": role.max_session_duration,
        }
        calls.append(Call("iam", "UpdateRole", {**identity, **kept, **update}))
    boundary = spec.permissions_boundary
    needs = frozenset[Target]()
    if boundary is not None and boundary != role.permissions_boundary:
        needs = frozenset((policy_target(boundary),))
        before["permissions_boundary"] = role.permissions_boundary
        after["permissions_boundary"] = boundary
        operation = "PutRolePermissionsBoundary" if boundary else "DeleteRolePermissionsBoundary"
        parameters = {"PermissionsBoundary": boundary} if boundary else {}
        calls.append(Call("iam", operation, {**identity, **parameters}))
    change = compare_tags(role.tags, with_owner(spec.tags), options.purge_tags)
    if change:
        before["tags"], after["tags"] = dict(role.tags), tags_after(role.tags, change)
        calls += iam_tag_calls("Role", identity, change)
    if not calls:
        return None
    made = tuple(calls)
    return Change(
        ROLE_STAGE, role_target(role.name), "update", workloads, before, after, made, needs, boundary_made
    )


def differing_limits(spec: RoleSpec, role: ObservedRole) -> list[tuple[str, object, object]]:
    """Return the attributes that sessions of the role depend on and that would change: name, present and desired value.

    Policies can compare a tag of the role as aws:PrincipalTag, so a tag with another value is one of them.
    """
    names = ("permissions_boundary", "max_session_duration")
    values = [(name, getattr(role, name), getattr(spec, name)) for name in names]
    values += [
        (f"tag {key}", role.tags[key], value)
        for key, value in sorted(spec.tags.items())
        if key in role.tags and not is_mark(key)
    ]
    return [
        (name, present, desired)
        for name, present, desired in values
        if desired is not None and desired != present
    ]


def update_trust(
    role: ObservedRole,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target] = frozenset(),
) -> Change | None:
    if same_meaning(role.trust, trust, "trust"):
        return None
    return _trust_change(role.name, role.trust, trust, workloads, needs)


def change_trust(
    role: ObservedRole,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    holders: frozenset[Target],
) -> list[Change]:
    """At once, where nobody still needs the present trust policy. Else first wider, so that it lets in all whom
    either does, and narrow once the associations of ``holders`` have changed."""
    if same_meaning(role.trust, trust, "trust"):
        return []
    wide = widened(role.trust, trust)
    if not holders or same_meaning(wide, trust, "trust"):
        return [_trust_change(role.name, role.trust, trust, workloads, frozenset())]
    changes = []
    needs = set(holders)
    if not same_meaning(wide, role.trust, "trust"):
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
    before: Mapping[str, object],
    after: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target],
) -> Change:
    parameters = {"RoleName": role_name, "PolicyDocument": to_json(after)}
    return Change(
        ROLE_STAGE,
        trust_target(role_name),
        "update",
        workloads,
        {"trust_policy": before},
        {"trust_policy": after},
        (Call("iam", "UpdateAssumeRolePolicy", parameters),),
        needs,
    )


def role_differences(changes: Sequence[Change]) -> str:
    """The attributes that a list of changes would alter, for a message."""
    names = sorted({name for change in changes for name in (change.after or change.before or {})})
    return ", ".join(name.replace("_", " ") for name in names)
