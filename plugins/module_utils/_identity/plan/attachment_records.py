# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Record the roles of other people that a policy was attached to here, so that a removal detaches it from no others. Pure.

A record is a tag of the policy for one role and one cluster whose workloads use the role. Its key has the name of the role, its
value the ID of the role and the ARN of the cluster: a role that is created anew under the name has another ID. The first record
of a role is written before the attachment, so that none is left without; a further cluster adds its own to those that there are.
The last one that goes takes the attachment with it. Source: iam TagPolicy (at most 50 tags), UntagPolicy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.finding import WorkloadKey
from ..model.changes import Call, Change, TagChange, iam_tag_calls, iam_tags, tags_after
from ..model.cluster import Clusters
from ..model.desired import Options
from ..model.names import ATTACHED_TAG, may_change
from ..model.observed import Observed, ObservedPolicy, ObservedRole
from ..model.shared import SharedRole
from ..model.targets import Target, attachment_target, policy_target

Tags = Mapping[str, str]
TAGS_OF_A_POLICY = 50


def record_key(role_name: str, cluster_arn: str) -> str:
    """Return the key of a record. A role name may have a comma, which a key may not, and no colon."""
    cluster = hashlib.sha256(cluster_arn.encode()).hexdigest()[:8]
    return f"{ATTACHED_TAG}{role_name.replace(',', ':')}/{cluster}"


def recorded_clusters(present: Tags, role: ObservedRole) -> set[str]:
    """Return the ARNs of the clusters for which a policy with these tags was attached to this very role here."""
    prefix = record_key(role.name, "").rpartition("/")[0]
    values = (value.partition(" ") for key, value in present.items() if key.rpartition("/")[0] == prefix)
    return {cluster_arn for role_id, _separator, cluster_arn in values if role_id and role_id == role.role_id}


def missing_records(present: Tags, role: ObservedRole, cluster_arns: Iterable[str]) -> dict[str, str]:
    """Return the records that a policy with these tags lacks; none where it may not have so many tags."""
    records = {record_key(role.name, arn): f"{role.role_id} {arn}" for arn in cluster_arns}
    missing = {key: value for key, value in records.items() if present.get(key) != value}
    return missing if role.role_id and len({**present, **missing}) <= TAGS_OF_A_POLICY else {}


def cluster_arns_of(clusters: Clusters, keys: Iterable[WorkloadKey]) -> list[str]:
    """Return the ARNs of the clusters of some workloads, as far as the clusters could be read."""
    return sorted({clusters.of(key).arn for key in keys if key in clusters})


def further_records(
    policy: ObservedPolicy, users: Iterable[tuple[SharedRole, ObservedRole]], clusters: Clusters
) -> dict[str, str]:
    """Return the records for clusters of the run that use an attachment which was made for another one.

    :arg users: the roles of the run that have the policy attached.
    """
    present = dict(policy.tags or {})
    records: dict[str, str] = {}
    for shared, role in users:
        keys = shared.policy_users.get(policy.arn, ()) if shared.spec.existing else ()
        if keys and policy.arn in role.attached and recorded_clusters(present, role):
            records |= missing_records({**present, **records}, role, cluster_arns_of(clusters, keys))
    return records


def record_further(
    stage: int, policy: ObservedPolicy, records: Tags, workloads: tuple[WorkloadKey, ...]
) -> Change:
    """Return the change that adds records to a policy of which nothing else changes."""
    return _tag_change(stage, policy, TagChange(records, ()), workloads, frozenset())


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
        known = present.get(arn, {})
        if (
            change.action == "attach"
            and role is not None
            and may_change(known, options.owner, options.adopt)
            and (
                missing := missing_records(known, role, cluster_arns_of(observed.clusters, change.workloads))
            )
        ):
            present[arn] = {**known, **missing}
            change = _recording(change, missing)
        recorded.append(change)
    return recorded


def _recording(change: Change, records: Tags) -> Change:
    call = Call("iam", "TagPolicy", {"PolicyArn": change.target.policy_arn, "Tags": iam_tags(records)})
    after = {**(change.after or {}), "policy_tags": dict(records)}
    return replace(change, calls=(call, *change.calls), after=after)


def outdated_records(
    stage: int,
    changes: Iterable[Change],
    policy: ObservedPolicy,
    users: Sequence[tuple[ObservedRole, tuple[WorkloadKey, ...], Sequence[str]]],
) -> Change | None:
    """Return the deletion of the records that nothing stands behind any more, once ``changes`` are made.

    :arg users: roles of other people, with the workloads that list the policy for them and the clusters of these.
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
