# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan attachments of policies to roles: attach, detach, check the quota, and record attachments to unmanaged roles. Pure.

When this collection attaches one of its policies to a role that it does not manage (``role.arn``), it records the attachment
in a tag of the policy. A removal detaches the policy only if there is such a record. There is one record for each role and
each cluster whose workloads list the policy for this role. The key of the tag contains the name of the role and a hash of the
cluster's ARN. Its value is the ID of the role, which changes if the role is deleted and created again, and the cluster's ARN.
The first record is written before the policy is attached, so that an interrupted run leaves no attachment without a record. A
removal for the last recorded clusters detaches the policy.

Sources: iam AttachRolePolicy, DetachRolePolicy, TagPolicy (at most 50 tags), UntagPolicy; IAM User Guide, "IAM and AWS STS
quotas", managed policies attached to a role. Attachments that this collection did not create count towards the quota, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..model.attributes import iam_tags
from ..model.changes import Call, Change, Proof, Stage, TagChange, iam_tag_calls, tags_after
from ..model.cluster import Clusters
from ..model.desired import Options
from ..model.errors import ErrorKind, listed
from ..model.names import ATTACHED_TAG, may_change
from ..model.observed import Observed
from ..model.policies import ObservedPolicy
from ..model.roles import ObservedRole
from ..model.shared import POLICIES_OF_A_ROLE, SharedRole
from ..model.targets import Failure, Target, attachment_target, policy_target, role_target

ATTACHMENT_STAGE = Stage.ATTACHMENT
DETACHING_STAGE = Stage.TAKE


def attach_policy(
    role_name: str, policy_arn: str, workloads: tuple[WorkloadKey, ...], is_new: bool
) -> Change:
    """Return the change that attaches a policy to a role.

    :arg workloads: the workloads that need the attachment.
    :arg is_new: the same plan creates the role or the policy, so IAM may not find it at once.
    """
    needs = frozenset((policy_target(policy_arn), role_target(role_name)))
    return _attachment(ATTACHMENT_STAGE, "attach", role_name, policy_arn, workloads, needs, is_new)


def detach_policy(
    stage: int,
    role_name: str,
    policy_arn: str,
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target] = frozenset(),
) -> Change:
    """Return the change that detaches a policy from a role. ``needs`` are the changes that must succeed first."""
    return _attachment(stage, "detach", role_name, policy_arn, workloads, needs, False)


def swap_policies(detaching: Change, attaching: Change) -> Change:
    """Combine a detachment and an attachment into one change, for a role with the maximum number of policies.

    Before the detachment, the permission to attach is checked for both policies, because the former policy is attached again if
    the attachment of the new policy fails.

    :arg detaching: the change that detaches a policy.
    :arg attaching: the change that attaches another policy.
    """
    (detachment,), (attachment,) = detaching.calls, attaching.calls
    again = Call("iam", "AttachRolePolicy", detachment.parameters)
    return replace(
        attaching,
        action="replace",
        before=detaching.before,
        calls=(detachment, attachment),
        needs=detaching.needs | attaching.needs,
        proofs=tuple(Proof(call, ErrorKind.FULL) for call in (attachment, again)),
        restoration=again,
    )


def _attachment(
    stage: int,
    action: Literal["attach", "detach"],
    role_name: str,
    policy_arn: str,
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target],
    awaits: bool,
) -> Change:
    state = {"role": role_name, "policy": policy_arn}
    attaching = action == "attach"
    operation = "AttachRolePolicy" if attaching else "DetachRolePolicy"
    return Change(
        stage,
        attachment_target(role_name, policy_arn),
        action,
        workloads,
        None if attaching else state,
        state if attaching else None,
        (Call("iam", operation, {"RoleName": role_name, "PolicyArn": policy_arn}),),
        needs,
        awaits,
    )


# At least the maximum number of policies of a role, so that a message lists all of them.
_SHOWN = 25


def policy_limit(observed: Observed, role: ObservedRole | None) -> int:
    """Return the maximum number of managed policies of the role.

    If the quota of the account is unknown, return the default quota, or the number of attached policies if that is larger.
    """
    return observed.quotas.attachments or max(POLICIES_OF_A_ROLE, len(role.attached if role else ()))


def find_overfull(
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    joining: Sequence[Change],
    leaving: Sequence[Change],
) -> Failure | None:
    """Return a failure if the role would have more policies than the quota allows, or None.

    The failure belongs to the workloads whose policies would be attached. Policies that are attached but not listed
    are the cause: the validation of the input has already compared the number of listed policies with the quota.

    :arg joining: the attachments in the plan.
    :arg leaving: the detachments in the plan.
    """
    count = len(role.attached if role else ()) - len(leaving) + len(joining)
    limit = policy_limit(observed, role)
    if role is None or not joining or count <= limit:
        return None
    detached = {change.target for change in leaving}
    unlisted = [
        arn
        for arn in role.attached
        if arn not in shared.policy_users and attachment_target(role.name, arn) not in detached
    ]
    allowed = (
        "allowed"
        if observed.quotas.attachments
        else "assumed to be allowed, because iam:GetAccountSummary did not return the quota of the account"
    )
    purge_note = (
        ""
        if not unlisted or shared.spec.existing or options.purge_policies
        else " ⟨purge_policies⟩: true detaches the unlisted policies, unless the trust policy of the role names workloads "
        "outside the run."
    )
    unlisted_note = f" Attached but not listed: {listed(unlisted, _SHOWN)}." if unlisted else ""
    return Failure(
        tuple(dict.fromkeys(key for change in joining for key in change.workloads)),
        role_target(role.name),
        "update",
        Code.ROLE_POLICIES_OVER_QUOTA,
        f"role {role.arn} would have {count} policies; {limit} are {allowed}.{unlisted_note}",
        "Detach unneeded policies, merge some of the listed policies, or request an increase of the quota 'Managed policies per "
        f"role'.{purge_note}",
    )


Tags = Mapping[str, str]
TAGS_OF_A_POLICY = 50


def record_key(role_name: str, cluster_arn: str) -> str:
    """Return the key of the tag that records an attachment.

    A comma in the name of the role becomes a colon: IAM allows commas in role names but not in tag keys, and colons in tag keys
    but not in role names.
    """
    cluster = hashlib.sha256(cluster_arn.encode()).hexdigest()[:8]
    return f"{ATTACHED_TAG}{role_name.replace(',', ':')}/{cluster}"


def recorded_clusters(present: Tags, role: ObservedRole) -> set[str]:
    """Return the ARNs of the clusters for which this collection attached a policy to the role.

    :arg present: the tags of the policy.
    """
    prefix = record_key(role.name, "").rpartition("/")[0]
    values = (value.partition(" ") for key, value in present.items() if key.rpartition("/")[0] == prefix)
    return {cluster_arn for role_id, _separator, cluster_arn in values if role_id and role_id == role.role_id}


def _missing_records(present: Tags, role: ObservedRole, cluster_arns: Iterable[str]) -> dict[str, str]:
    """Return the tags that a policy lacks to record its attachment to a role for these clusters.

    Return no tags if the policy would exceed the maximum number of tags, or if the ID of the role is unknown.

    :arg present: the tags of the policy.
    """
    records = {record_key(role.name, arn): f"{role.role_id} {arn}" for arn in cluster_arns}
    missing = {key: value for key, value in records.items() if present.get(key) != value}
    return missing if role.role_id and len({**present, **missing}) <= TAGS_OF_A_POLICY else {}


def _find_cluster_arns(clusters: Clusters, keys: Iterable[WorkloadKey]) -> list[str]:
    """Return the sorted ARNs of the clusters of these workloads, except clusters that could not be read."""
    return sorted({clusters.of_workload(key).arn for key in keys if key in clusters})


def further_records(
    policy: ObservedPolicy, users: Iterable[tuple[SharedRole, ObservedRole]], clusters: Clusters
) -> dict[str, str]:
    """Return the tags that record the present attachments of a policy for further clusters of this run.

    Only an attachment that already has a record, for any cluster, gets further records.

    :arg users: the roles of the run that have the policy.
    """
    present = dict(policy.tags or {})
    records: dict[str, str] = {}
    for shared, role in users:
        keys = shared.policy_users.get(policy.arn, ()) if shared.spec.existing else ()
        if keys and policy.arn in role.attached and recorded_clusters(present, role):
            records |= _missing_records({**present, **records}, role, _find_cluster_arns(clusters, keys))
    return records


def record_further(
    stage: int, policy: ObservedPolicy, records: Tags, workloads: tuple[WorkloadKey, ...]
) -> Change:
    """Return the change that adds ``records``, a result of ``further_records``, to the tags of a policy."""
    return _tag_change(stage, policy, TagChange(records, ()), workloads, frozenset())


def with_records(
    changes: Sequence[Change], observed: Observed, options: Options, all_shared: Iterable[SharedRole]
) -> list[Change]:
    """Return the changes. An attachment to an unmanaged role (``role.arn``) also gets the request that writes a missing record.

    No record is written if the run may not change the policy, or if the policy would have too many tags. A removal then keeps
    the attachment.
    """
    roles = {
        role.name: role
        for shared in all_shared
        if shared.spec.existing and (role := observed.roles.get(shared.spec.name.lower())) is not None
    }
    present: dict[str, Tags] = {
        arn: policy.tags or {} for arn, policy in observed.policies.items() if policy is not None
    }
    for change in changes:
        created = (change.after or {}).get("tags") if change.action == "create" else None
        if change.target.resource == "policy" and isinstance(created, Mapping):
            present[change.target.name] = created
    recorded = []
    for change in changes:
        role, arn = roles.get(change.target.name), change.target.policy_arn
        tags = present.get(arn, {})
        if (
            change.action == "attach"
            and role is not None
            and may_change(tags, options.owner, options.adopt)
            and (
                missing := _missing_records(
                    tags, role, _find_cluster_arns(observed.clusters, change.workloads)
                )
            )
        ):
            present[arn] = {**tags, **missing}
            change = _recording(change, missing)
        recorded.append(change)
    return recorded


def _recording(change: Change, records: Tags) -> Change:
    call = Call("iam", "TagPolicy", {"PolicyArn": change.target.policy_arn, "Tags": iam_tags(records)})
    state = {**(change.after or {}), "policy_tags": dict(records)}
    return replace(change, calls=(call, *change.calls), after=state)


def outdated_records(
    stage: int,
    changes: Iterable[Change],
    policy: ObservedPolicy,
    users: Sequence[tuple[ObservedRole, tuple[WorkloadKey, ...], Sequence[str]]],
) -> Change | None:
    """Return the change that deletes a policy's records of attachments for removed workloads, or None if it has no such record.

    A record is a tag of the policy for one role and one cluster (see ``record_key``).

    :arg stage: the stage of the returned change in the plan.
    :arg changes: the changes of the removal. A record is deleted after its policy is detached from the role.
    :arg users: the unmanaged roles that no longer need the policy, each with the removed workloads that list the policy for the
        role, and the ARNs of the clusters of these workloads.
    """
    going = {change.target for change in changes if change.action == "detach"}
    keys, workloads, needs = set[str](), dict[WorkloadKey, None](), set[Target]()
    for role, listing, cluster_arns in users:
        outdated = {record_key(role.name, arn) for arn in cluster_arns} & (policy.tags or {}).keys()
        if outdated:
            keys |= outdated
            workloads |= dict.fromkeys(listing)
            needs |= {attachment_target(role.name, policy.arn)} & going
    if not keys:
        return None
    change = TagChange({}, tuple(sorted(keys)))
    return replace(_tag_change(stage, policy, change, tuple(workloads), frozenset(needs)), takes=True)


def _tag_change(
    stage: int,
    policy: ObservedPolicy,
    change: TagChange,
    workloads: tuple[WorkloadKey, ...],
    needs: frozenset[Target],
) -> Change:
    present = policy.tags or {}
    return Change(
        stage,
        policy_target(policy.arn),
        "update",
        workloads,
        {"tags": dict(present)},
        {"tags": tags_after(present, change)},
        tuple(iam_tag_calls("Policy", {"PolicyArn": policy.arn}, change)),
        needs,
    )
