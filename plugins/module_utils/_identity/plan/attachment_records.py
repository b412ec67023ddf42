# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Record the roles of other people that a policy was attached to here, so that a removal detaches it from no others. Pure.

A record is a tag of the policy, with the name of the role in its key and the ID of the role as its value: a role that is
created anew under the name has another ID. It is written before the attachment, so that none is left without. Source: iam
TagPolicy (at most 50 tags), UntagPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.key import WorkloadKey
from ..model import tags
from ..model.changes import Call, Change
from ..model.desired import Options
from ..model.observed import Observed, ObservedPolicy, ObservedRole
from ..model.ownership import ATTACHED_TAG, may_change
from ..model.shared import SharedRole
from ..model.targets import Target, attachment_target, policy_target

TAGS_OF_A_POLICY = 50


def record_key(role_name: str) -> str:
    """Return the key of the tag. A role name may have a comma, which a key may not; a colon only a key may have."""
    return ATTACHED_TAG + role_name.replace(",", ":")


def is_recorded(policy: ObservedPolicy, role: ObservedRole) -> bool:
    """Return whether the policy was attached to this very role here."""
    return bool(role.role_id) and (policy.tags or {}).get(record_key(role.name)) == role.role_id


def with_records(
    changes: Sequence[Change], observed: Observed, options: Options, all_shared: Iterable[SharedRole]
) -> list[Change]:
    """Return the changes, in which attachments to roles that are given by their ARN record themselves.

    A policy of other people is not tagged, and one that has all the tags it may have gets no more: a removal leaves it attached.
    """
    roles = {
        role.name: role
        for shared in all_shared
        if shared.spec.existing and (role := observed.roles.get(shared.spec.name.lower())) is not None
    }
    present = {arn: policy.tags or {} for arn, policy in observed.policies.items() if policy is not None}
    for change in changes:
        created = (change.after or {}).get("tags") if change.action == "create" else None
        if change.target.resource == "policy" and isinstance(created, Mapping):
            present[change.target.name] = created
    return [_with_record(change, roles, present, options) for change in changes]


def _with_record(
    change: Change,
    roles: Mapping[str, ObservedRole],
    present: dict[str, Mapping[str, str]],
    options: Options,
) -> Change:
    """Add the record of one attachment, and note its tag in ``present``."""
    if change.action != "attach" or change.target.name not in roles:
        return change
    role, arn = roles[change.target.name], change.target.policy_arn
    known = present.get(arn, {})
    record = {record_key(role.name): role.role_id}
    if (
        not role.role_id
        or not may_change(known, options.owner, options.adopt)
        or record.items() <= known.items()
    ):
        return change
    if len({**known, **record}) > TAGS_OF_A_POLICY:
        return change
    present[arn] = {**known, **record}
    call = Call("iam", "TagPolicy", {"PolicyArn": arn, "Tags": tags.iam_list(record)})
    return replace(change, calls=(call, *change.calls), after={**(change.after or {}), "policy_tag": record})


def outdated_records(
    stage: int,
    changes: Iterable[Change],
    policies: Iterable[ObservedPolicy],
    users: Mapping[str, Sequence[tuple[ObservedRole, tuple[WorkloadKey, ...]]]],
) -> list[Change]:
    """Return the changes that delete the records of attachments which are gone, or go by ``changes``.

    :arg policies: the policies that stay.
    :arg users: by the ARN of a policy, the roles of other people and the workloads that list it for them.
    """
    going = {change.target for change in changes if change.action == "detach"}
    deletions = []
    for policy in policies:
        keys, needs = dict[str, tuple[WorkloadKey, ...]](), set[Target]()
        for role, workloads in users.get(policy.arn, ()):
            target = attachment_target(role.name, policy.arn)
            if record_key(role.name) in (policy.tags or {}) and (
                target in going or policy.arn not in role.attached
            ):
                keys[record_key(role.name)] = workloads
                needs |= {target} & going
        if keys:
            deletions.append(_deletion(stage, policy, keys, frozenset(needs)))
    return deletions


def _deletion(
    stage: int,
    policy: ObservedPolicy,
    keys: Mapping[str, tuple[WorkloadKey, ...]],
    needs: frozenset[Target],
) -> Change:
    present = policy.tags or {}
    change = tags.TagChange({}, tuple(sorted(keys)))
    return Change(
        stage,
        policy_target(policy.arn),
        "update",
        tuple(dict.fromkeys(key for workloads in keys.values() for key in workloads)),
        {"tags": dict(present)},
        {"tags": tags.after(present, change)},
        tuple(tags.iam_calls("Policy", {"PolicyArn": policy.arn}, change)),
        needs,
        takes=True,
    )
