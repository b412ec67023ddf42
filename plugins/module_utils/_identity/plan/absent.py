# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the removal of workloads. Without ``force``, delete only managed resources without other users.

Pure. A removal is the teardown of listed workloads (``state: absent``), or the purge of workloads that are no longer listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.statements import closed
from ..model.attributes import changed_from_default
from ..model.changes import Call, Change, Draft, Plan
from ..model.cluster import Clusters
from ..model.desired import Desired, Options
from ..model.errors import listed
from ..model.names import MANAGED_BY_TAG, MANAGED_BY_VALUE, OWNER_TAG, is_of_another, may_change
from ..model.observed import Observed
from ..model.policies import ObservedPolicy
from ..model.roles import ROLE_ATTRIBUTES, ObservedRole
from ..model.shared import SharedRole, granted_workloads, shared_policies, shared_roles
from ..model.targets import Failure, Target, association_key, association_target, policy_target, role_target
from .associations import addon_owned, delete_association
from .attachments import detach_policy, outdated_records, record_key, recorded_clusters
from .present import without_failed
from .problems import (
    cluster_missing,
    describe_owner,
    owned_by_another,
    pattern_conflicts,
    perhaps_used,
    statement_kept,
    usage_unknown,
)
from .roles import update_trust
from .trust import (
    foreign_principals,
    grants_elsewhere,
    is_limited_to,
    is_still_granted,
    may_allow_cluster,
    revoke_grants,
)

# A function that returns whether a purge may delete a policy.
MayPurge = Callable[[ObservedPolicy], bool]

# The stages of a removal. Changes of a lower stage are applied first.

ASSOCIATION_REMOVAL = 1
DETACHMENT = 2
ROLE_REMOVAL = 3
POLICY_REMOVAL = 4


@dataclass(frozen=True, slots=True)
class _Removal:
    """The state of a removal after its associations are planned.

    ``targets`` has all workloads of the removal.
    ``going`` has the workloads whose association this plan deletes.
    ``unassociated`` has the workloads without association that a purge found in trust policies.
    ``unread`` has the failed reads of single associations.
    ``may_purge`` is None for a teardown.

    Planning the roles fills three indexes:

    ``freed`` has the roles that lose a policy, by the ARN of the policy, each with the changes that remove the policy from
    the role.
    ``no_longer_needed`` has the unmanaged roles that no longer need a policy, by the ARN of the policy, each with the removed
    workloads and the ARNs of their clusters.
    ``predecessors`` has the changes that precede the deletion of an association, by its workload.
    """

    observed: Observed
    options: Options
    targets: frozenset[WorkloadKey]
    going: frozenset[WorkloadKey]
    unread: tuple[Failure, ...]
    may_purge: MayPurge | None
    unassociated: frozenset[WorkloadKey] = frozenset()
    freed: dict[str, dict[str, set[Target]]] = field(default_factory=dict)
    no_longer_needed: dict[str, list[tuple[ObservedRole, tuple[WorkloadKey, ...], list[str]]]] = field(
        default_factory=dict
    )
    predecessors: dict[WorkloadKey, set[Target]] = field(default_factory=dict)

    def clusters(self, shared: SharedRole) -> Clusters:
        """Return the clusters of the role's workloads, except clusters whose associations could not be read."""
        return self.observed.clusters.among(shared.keys).excluding(self.observed.unread_clusters)

    @property
    def purges(self) -> bool:
        """Return True for a purge, False for a teardown."""
        return self.may_purge is not None

    @property
    def removed(self) -> frozenset[WorkloadKey]:
        """Return the workloads that trust policies must no longer allow."""
        return self.targets | self.unassociated

    def precede(self, changes: Iterable[Change], keys: Iterable[WorkloadKey]) -> list[Change]:
        """Return the changes, ordered before the deletion of these workloads' associations instead of after it."""
        going = self.going.intersection(keys)
        deletions = {association_target(key) for key in going}
        first = [
            replace(change, stage=ASSOCIATION_REMOVAL, needs=change.needs - deletions) for change in changes
        ]
        for key in going:
            self.predecessors.setdefault(key, set()).update(change.target for change in first)
        return first

    def ordered(self, change: Change) -> Change:
        """Return the deletion of an association ordered after its ``predecessors``. Return any other change unchanged."""
        key = association_key(change.target)
        needs = self.predecessors.get(key) if key is not None else None
        if needs is None:
            return change
        return replace(change, stage=DETACHMENT, needs=change.needs | needs)

    def free(self, arn: str, role_name: str, change: Target) -> None:
        """Add to ``freed`` a change that detaches a policy from a role, or ends its use as the permissions boundary."""
        self.freed.setdefault(arn, {}).setdefault(f"role {role_name}", set()).add(change)


def make_removal_plan(desired: Desired, observed: Observed, may_purge: MayPurge | None = None) -> Plan:
    """Plan the removal of associations, then attachments, roles and policies. Return changes, failures and findings.

    Without ``force``, a resource is removed only if this collection manages it and it has no user outside the removal.

    :arg desired: the workloads to remove.
    :arg may_purge: for a purge, a function that selects the policies to delete.
    """
    draft = Draft()
    unread = observed.unread
    desired = _without_new_associations(desired, observed)
    targets = frozenset(workload.key for workload in desired.workloads)
    removal = _Removal(
        observed,
        desired.options,
        targets,
        frozenset(_plan_associations(draft, desired, observed, targets)),
        tuple(failure for failure in observed.failures if association_key(failure.target)),
        may_purge,
        desired.unassociated,
    )
    for cluster in observed.clusters.among(targets).members.values():
        if not cluster.status:
            draft.findings.append(cluster_missing(cluster))
    for shared in shared_roles(observed.account, desired.workloads):
        if failure := unread.get(role_target(shared.spec.name.lower())):
            draft.failures.append(failure.for_workloads(shared.keys))
            continue
        role = observed.roles.get(shared.spec.name.lower())
        if role is not None and (not shared.spec.existing or role.arn == shared.spec.arn):
            _plan_role(draft, removal, shared, role)
    for arn, (spec, users) in shared_policies(observed.account, desired.workloads).items():
        if failure := unread.get(policy_target(arn)):
            draft.failures.append(failure.for_workloads(users))
            continue
        policy = observed.policies.get(arn)
        if policy is not None and spec.document is not None and (may_purge is None or may_purge(policy)):
            _plan_policy(draft, desired.options, policy, users, removal.freed.get(arn, {}))
    _plan_records(draft, removal)
    draft.changes = list(map(removal.ordered, draft.changes))
    return without_failed(draft.plan())


def _without_new_associations(desired: Desired, observed: Observed) -> Desired:
    """Return ``desired`` without workloads that had no association when the purge found them, but may have one now.

    The association was created in the meantime, or could not be read.
    """
    appeared = {
        key
        for key in desired.unassociated
        if key in observed.associations or association_target(key) in observed.unread
    }
    workloads = tuple(workload for workload in desired.workloads if workload.key not in appeared)
    return replace(desired, workloads=workloads, unassociated=desired.unassociated - appeared)


def _plan_associations(
    draft: Draft, desired: Desired, observed: Observed, targets: frozenset[WorkloadKey]
) -> list[WorkloadKey]:
    """Add the deletions of associations to the draft, and failures and findings for those that are kept.

    Return the workloads whose association is deleted.
    """
    going = []
    draft.failures += pattern_conflicts(desired.workloads, "delete")
    keys = {association_target(key): key for key in targets}
    for failure in observed.failures:
        if failure.target.resource == "associations":
            affected = tuple(sorted(key for key in targets if key.cluster == failure.target.name))
            draft.failures.append(failure.for_workloads(affected))
        elif failure.target in keys:
            draft.failures.append(failure.for_workloads((keys[failure.target],)))
    for workload in desired.workloads:
        association = observed.associations.get(workload.key)
        if association is None or workload.conflict is not None:
            continue
        if association.owner_arn and not desired.options.force:
            draft.failures.append(addon_owned(association, "delete"))
        elif is_of_another(association.tags, desired.options.owner) and not desired.options.adopt:
            draft.failures.append(
                owned_by_another(
                    association_target(workload.key),
                    association.tags,
                    desired.options.owner,
                    (workload.key,),
                    "delete",
                )
            )
        elif not association.owned and not desired.options.force:
            draft.findings.append(
                Finding(
                    Code.NOT_OWNED,
                    f"association {association.association_id} is kept: it does not have the tag {MANAGED_BY_TAG}, so this "
                    "collection may not have created it.",
                    f"If this collection created it, restore the tag ({MANAGED_BY_VALUE}) and run again. Otherwise delete it "
                    "with workload_identity.aws.eks_pod_identity_association, or set ⟨force⟩: true.",
                    workload.key,
                )
            )
        else:
            draft.changes.append(delete_association(ASSOCIATION_REMOVAL, association))
            going.append(workload.key)
    return going


def _plan_role(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> None:
    """Plan to detach the policies of a role and to delete it or, if it is kept, to revoke its grants to removed workloads."""
    if _is_of_another(removal.options, role.tags):
        owner = removal.options.owner
        if not shared.spec.existing:
            draft.findings.append(_of_another(role_target(role.name), role.tags, owner, shared.keys))
            return
        # The input of a teardown lists the role, so the teardown may revoke grants to its workloads. A purge only found the
        # role, and leaves it to the other owner.
        if removal.purges:
            if _has_grant(removal, shared, role):
                allowed = listed(map(str, shared.keys), 10)
                draft.findings.append(
                    Finding(
                        Code.RESOURCE_KEPT,
                        f"role {role.arn} belongs to owner '{role.tags[OWNER_TAG]}', and {describe_owner(owner)}, so its trust "
                        f"policy is unchanged: it still allows {allowed}.",
                        "Set ⟨adopt⟩: true to revoke these grants, or remove the workloads in a run for the owner of the role.",
                        shared.keys[0],
                    )
                )
            return
    part = Draft()
    if not role.owned and not shared.spec.existing:
        part.findings.append(_not_managed(f"role {role.arn}", shared.keys))
    users = _users(removal, shared, role) + _foreigners(shared, role)
    unsure = not users and _perhaps_used(removal, shared, role)
    deleted = not users and not unsure and _may_delete(part, removal, shared, role)
    if users and role.owned and not shared.spec.existing:
        part.findings.append(
            Finding(
                Code.RESOURCE_KEPT,
                f"role {role.arn} is kept: it is still used by {listed(users, 10)}.",
                "If the users belong to another list of workloads, no action is needed: the teardown of that list removes the "
                "role. Otherwise remove the users first, then run again.",
                shared.keys[0],
            )
        )
    if unsure:
        part.findings.append(perhaps_used(removal.observed.clusters.among(shared.keys), role, shared.keys))
    elif not users:
        _plan_detachments(part, removal, shared, role, deleted)
    if shared.spec.existing or not role.owned:
        _note_attached(part, removal, shared, role, users)
    if deleted:
        part.changes.append(_delete_role(part, removal, shared, role))
    else:
        _plan_trust(part, removal, shared, role)
    if part.changes and removal.unread:
        draft.failures.append(usage_unknown(removal.unread[0], shared, role))
        return
    for change in part.changes:
        target = change.target
        if target.resource == "attachment" and (deleted or target.policy_arn != role.permissions_boundary):
            removal.free(target.policy_arn, role.name, target)
        elif target.resource == "role" and role.permissions_boundary:
            removal.free(role.permissions_boundary, role.name, target)
    changes = part.changes
    if removal.purges and not role.owned:
        # A purge finds an unmanaged role only by an association with it. If the association were deleted first and the run
        # failed, the next purge would not find the role.
        changes = removal.precede(changes, shared.keys)
    draft.changes += changes
    draft.findings += part.findings


def _has_grant(removal: _Removal, shared: SharedRole, role: ObservedRole) -> bool:
    """Return whether the trust policy has a managed grant that allows a removed workload."""
    return revoke_grants(removal.clusters(shared), role.trust, removal.targets, frozenset()) is not None


def _is_of_another(options: Options, tags: Mapping[str, str]) -> bool:
    return is_of_another(tags, options.owner) and not options.adopt


def _users(removal: _Removal, shared: SharedRole, role: ObservedRole) -> list[str]:
    """Describe the users that a role has after the removal.

    The users are workloads with an association in the clusters of the removal, workloads of clusters that could not be read,
    and managed grants for other clusters.
    """
    keys = removal.observed.role_users.get(role.arn.lower(), ())
    local_users = [f"{key.cluster} {key}" for key in keys if key not in removal.going]
    return [
        *local_users,
        *_unread_users(removal, shared, role),
        *grants_elsewhere(removal.clusters(shared), role.trust),
    ]


def _unread_users(removal: _Removal, shared: SharedRole, role: ObservedRole) -> list[str]:
    """Describe the users that a role may have in clusters that could not be read."""
    if not removal.clusters(shared).members:
        return []
    cluster_keys = {key.cluster for key in shared.keys}
    return [
        f"workloads of cluster {name} (not read)"
        for name in sorted(removal.observed.unread_clusters)
        if name in cluster_keys or may_allow_cluster(name.rpartition("/")[2], role.trust)
    ]


def _foreigners(shared: SharedRole, role: ObservedRole) -> list[str]:
    """Describe the principals other than EKS Pod Identity that a managed role allows.

    Statements of ``role.trust_policy`` in the input are left out.
    """
    if not role.owned or shared.spec.existing:
        return []
    return foreign_principals(role.trust, shared.spec.trust_policy)


def _perhaps_used(removal: _Removal, shared: SharedRole, role: ObservedRole) -> bool:
    """Return whether workloads of other clusters, which this run cannot list, may use the role.

    Return False for an unmanaged role, and with ``force``.
    """
    if not role.owned or shared.spec.existing or removal.options.force:
        return False
    return not is_limited_to(removal.clusters(shared), role.trust)


def _may_delete(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> bool:
    """Return whether an unused role may be deleted.

    This collection must manage the role, and the role must have no instance profile, no inline policy and no policy that
    must not be detached. If a managed role has one of these, add a finding.
    """
    if not role.owned or shared.spec.existing:
        return False
    foreign = [arn for arn in role.attached if not _may_detach(removal, shared, arn)]
    contents = [*role.inline, *foreign, *role.instance_profiles]
    if contents:
        draft.findings.append(
            Finding(
                Code.RESOURCE_KEPT,
                f"role {role.arn} is kept: it has resources that this collection does not manage ({', '.join(contents)}).",
                "Detach or delete them, then run again.",
                shared.keys[0],
            )
        )
        return False
    return True


def _plan_detachments(
    draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole, deleted: bool
) -> None:
    for arn in role.attached:
        if deleted or _may_detach_from_kept(removal, shared, role, arn):
            needs = _associations(removal, shared)
            change = detach_policy(DETACHMENT, role.name, arn, shared.keys, needs)
            draft.changes.append(replace(change, requires_unused=not shared.spec.existing))


def _may_detach_from_kept(removal: _Removal, shared: SharedRole, role: ObservedRole, arn: str) -> bool:
    """Return whether a policy may be detached from a role that is kept.

    This collection must manage the policy. It must also manage the role, or have recorded the attachment (see
    ``attachments``) for clusters of the removal only.
    """
    policy = removal.observed.policies.get(arn)
    if policy is None or not policy.owned:
        return False
    if role.owned and not shared.spec.existing:
        return True
    recorded = recorded_clusters(policy.tags or {}, role)
    return bool(recorded) and arn in _listed_for(shared, role) and recorded <= _cluster_arns(removal, shared)


def _cluster_arns(removal: _Removal, shared: SharedRole) -> set[str]:
    return {cluster.arn for cluster in removal.clusters(shared).members.values()}


def _listed_for(shared: SharedRole, role: ObservedRole) -> Mapping[str, tuple[WorkloadKey, ...]]:
    """Return the policies of an unmanaged role that a removal considers, by ARN, each with the workloads that list it.

    If the input names the role by its ARN, only listed policies are included. Otherwise the other attached policies are, too,
    each with all workloads of the role, because a purge has no list of policies.
    """
    if shared.spec.existing:
        return shared.policy_users
    return {**dict.fromkeys(role.attached, shared.keys), **shared.policy_users}


def _note_attached(
    draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole, users: Sequence[str]
) -> None:
    """Add findings about policies that remain attached to an unmanaged role.

    Add to ``removal.no_longer_needed`` the policies whose records of the attachment (see ``attachments``) may be outdated.

    :arg users: descriptions of the users that the role still has.
    """
    cluster_arns = _cluster_arns(removal, shared)
    unneeded = "If the role does not need the policy, detach it"
    for arn, keys in _listed_for(shared, role).items():
        policy = removal.observed.policies.get(arn)
        if policy is None or not policy.owned:
            if arn in role.attached and shared.spec.existing:
                reason = (
                    ": this collection does not manage the policy, so another process may have attached it."
                )
                draft.findings.append(_attachment_kept(role, keys[0], arn, reason, f"{unneeded}."))
            continue
        if not users:
            removal.no_longer_needed.setdefault(arn, []).append((role, keys, sorted(cluster_arns)))
        if arn not in role.attached:
            continue
        recorded = recorded_clusters(policy.tags or {}, role)
        other_users = [
            *users,
            *(f"workloads of cluster {cluster}" for cluster in sorted(recorded - cluster_arns)),
        ]
        if other_users:
            reason = f", which is still used by {listed(other_users, 10)}."
            remedy = "If these users do not need the role, remove them first, then run again."
            draft.findings.append(_attachment_kept(role, keys[0], f"policy {arn}", reason, remedy))
        elif not recorded:
            tag = record_key(role.name, removal.observed.clusters.of_workload(keys[0]).arn)
            cause = f"the policy does not have the tag {tag} with the ID of this role"
            reason = f": {cause}, so another process may have attached it."
            remedy = f"{unneeded} and run again: aws iam detach-role-policy --role-name {role.name} --policy-arn {arn}"
            draft.findings.append(_attachment_kept(role, keys[0], f"policy {arn}", reason, remedy))


def _attachment_kept(role: ObservedRole, key: WorkloadKey, policy: str, reason: str, remedy: str) -> Finding:
    message = f"{policy} is kept attached to role {role.arn}{reason}"
    return Finding(Code.RESOURCE_KEPT, message, remedy, key, raised_as="info")


def _not_managed(subject: str, keys: tuple[WorkloadKey, ...]) -> Finding:
    return Finding(
        Code.RESOURCE_KEPT,
        f"{subject} is kept: it does not have the tag {MANAGED_BY_TAG}, so this collection may not have created it.",
        f"If this collection created it, restore the tag {MANAGED_BY_TAG} ({MANAGED_BY_VALUE}) and run again; otherwise no "
        "action is needed.",
        keys[0],
        raised_as="info",
    )


def _of_another(
    target: Target, tags: Mapping[str, str], owner: str | None, keys: tuple[WorkloadKey, ...]
) -> Finding:
    return Finding(
        Code.RESOURCE_KEPT,
        f"{target.display} belongs to owner '{tags[OWNER_TAG]}', and {describe_owner(owner)}, so it is kept.",
        f"Remove it in a run for owner '{tags[OWNER_TAG]}', or set ⟨adopt⟩: true.",
        keys[0],
    )


def _plan_records(draft: Draft, removal: _Removal) -> None:
    """Plan to delete the policy tags that record attachments for the removed workloads (see ``attachments``).

    Policies that this plan deletes, or that the run may not change, are skipped.
    """
    deleted = {change.target for change in draft.changes if change.action == "delete"}
    for arn, users in removal.no_longer_needed.items():
        policy = removal.observed.policies.get(arn)
        present = (policy.tags if policy is not None else None) or {}
        if policy is None or not may_change(present, removal.options.owner, removal.options.adopt):
            continue
        if policy_target(arn) not in deleted:
            change = outdated_records(POLICY_REMOVAL, draft.changes, policy, users)
            draft.changes += [change] if change is not None else []


def _plan_trust(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> None:
    """Plan to revoke the grants to removed workloads in a trust policy, unless their association with the role is kept."""
    clusters = removal.clusters(shared)
    staying = frozenset(
        key for key in removal.observed.role_users.get(role.arn.lower(), ()) if key not in removal.going
    )
    narrowed = revoke_grants(clusters, role.trust, removal.removed - staying, staying)
    closes = role.owned and (removal.purges or not shared.spec.existing)
    if narrowed is not None and closes:
        narrowed = closed(narrowed, next(iter(clusters.members.values())).arn)
    if narrowed is not None and narrowed.get("Statement"):
        needs = _associations(removal, shared)
        change = update_trust(role, narrowed, shared.keys, needs)
        if change is not None:
            unassociated = removal.unassociated & granted_workloads(clusters, role.trust)
            change = replace(change, stage=DETACHMENT, unassociated=unassociated)
            draft.changes.append(change)
    elif shared.spec.extend_trust and (
        narrowed is not None or is_still_granted(clusters, role.trust, removal.targets)
    ):
        draft.findings.append(statement_kept(role, shared.keys))


def _may_detach(removal: _Removal, shared: SharedRole, arn: str) -> bool:
    """Return whether a policy may be detached from a managed role that is deleted.

    This collection must manage the policy, or the input of a teardown must list it. A purge has no list of policies.
    """
    is_listed = arn in shared.policy_users and not removal.purges
    return is_listed or _owned(removal.observed, arn)


def _owned(observed: Observed, arn: str) -> bool:
    policy = observed.policies.get(arn)
    return policy is not None and policy.owned


def _associations(removal: _Removal, shared: SharedRole) -> frozenset[Target]:
    """Return the targets of the deleted associations of a role. They must be deleted before the role loses permissions."""
    return frozenset(association_target(key) for key in shared.keys if key in removal.going)


def _delete_role(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> Change:
    old = {"arn": role.arn, **changed_from_default(ROLE_ATTRIBUTES, role)}
    needs = _associations(removal, shared) | {change.target for change in draft.changes}
    call = Call("iam", "DeleteRole", {"RoleName": role.name})
    return Change(
        ROLE_REMOVAL,
        role_target(role.name),
        "delete",
        shared.keys,
        old,
        None,
        (call,),
        needs,
        requires_unused=True,
    )


def _plan_policy(
    draft: Draft,
    options: Options,
    policy: ObservedPolicy,
    users: tuple[WorkloadKey, ...],
    freed: Mapping[str, Iterable[Target]],
) -> None:
    if not policy.owned:
        draft.findings.append(_not_managed(f"policy {policy.arn}", users))
        return
    present = policy.tags or {}
    if _is_of_another(options, present):
        target = policy_target(policy.arn)
        draft.findings.append(_of_another(target, present, options.owner, users))
        return
    other_entities = [entity for entity in policy.attached_to if entity not in freed]
    if other_entities:
        draft.findings.append(
            Finding(
                Code.RESOURCE_KEPT,
                f"policy {policy.arn} is kept: it is still used by {listed(other_entities, 10)}.",
                # If a role of these workloads keeps the policy in use, that role has its own finding with its own remedy.
                "If a user is a role of these workloads, follow the remedy of that role's finding. If a user is a role of "
                "another list of workloads, apply that list without the policy, which detaches it. Detach it from all other "
                "users. Then run again.",
                users[0],
            )
        )
        return
    identity = {"PolicyArn": policy.arn}
    calls = [
        Call("iam", "DeletePolicyVersion", {**identity, "VersionId": version.version_id})
        for version in policy.versions
        if not version.is_default
    ]
    calls.append(Call("iam", "DeletePolicy", identity))
    needs = frozenset(change for changes in freed.values() for change in changes)
    old = {"arn": policy.arn, "tags": dict(policy.tags or {})}
    draft.changes.append(
        Change(POLICY_REMOVAL, policy_target(policy.arn), "delete", users, old, None, tuple(calls), needs)
    )
