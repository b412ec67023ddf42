# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the removal of workloads: only resources that are managed here and unused. Pure."""

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
from ..model.names import MANAGED_BY_TAG, MANAGED_BY_VALUE, is_of_another, may_change
from ..model.observed import Observed, ReadFailure
from ..model.policies import ObservedPolicy
from ..model.roles import ROLE_ATTRIBUTES, ObservedRole
from ..model.shared import SharedRole, granted_workloads, read_failure, shared_policies, shared_roles
from ..model.targets import Target, association_key, association_target, policy_target, role_target
from .associations import addon_owned, delete_association
from .attachments import detach_policy, outdated_records, record_key, recorded_clusters
from .present import without_failed
from .problems import (
    cluster_missing,
    grant_stays,
    of_another_owner,
    owned_by_another,
    perhaps_used,
    policy_not_made_here,
    role_holds,
    role_not_made_here,
    statement_stays,
    stays_attached,
    stays_for_users,
    stays_without_record,
    still_used,
    usage_unknown,
)
from .roles import update_trust
from .trust import foreign_principals, granted_elsewhere, may_let_in, still_granted, tied_to, without

# Whether a policy that nothing needs any more may go.
MayPurge = Callable[[ObservedPolicy], bool]

ASSOCIATION_REMOVAL = 1
DETACHMENT = 2
ROLE_REMOVAL = 3
POLICY_REMOVAL = 4


@dataclass(frozen=True, slots=True)
class _Removal:
    """What is known once the associations have been planned.

    ``going`` are the workloads whose associations this plan deletes, ``listed`` all that it is about.
    ``may_purge`` is given for a purge. ``freed`` says, by the ARN of a policy, which roles let go of it and by
    which change. ``unlisted`` has, by the ARN of a policy, the roles of other people that need it for these clusters no
    longer, with the workloads. ``before`` has the changes that come before the deletion of an association.
    """

    observed: Observed
    options: Options
    listed: frozenset[WorkloadKey]
    going: frozenset[WorkloadKey]
    unread: tuple[ReadFailure, ...]
    may_purge: MayPurge | None
    unassociated: frozenset[WorkloadKey] = frozenset()
    freed: dict[str, dict[str, set[Target]]] = field(default_factory=dict)
    unlisted: dict[str, list[tuple[ObservedRole, tuple[WorkloadKey, ...], list[str]]]] = field(
        default_factory=dict
    )
    before: dict[WorkloadKey, set[Target]] = field(default_factory=dict)

    def clusters(self, shared: SharedRole) -> Clusters:
        """The clusters of a role's workloads whose associations are known. What a role is granted in another cluster, this
        run cannot see."""
        return self.observed.clusters.among(shared.keys).without(self.observed.unread_clusters)

    @property
    def purges(self) -> bool:
        return self.may_purge is not None

    @property
    def removed(self) -> frozenset[WorkloadKey]:
        """The workloads that trust policies let in no longer."""
        return self.listed | self.unassociated

    def precede(self, changes: Iterable[Change], keys: Iterable[WorkloadKey]) -> list[Change]:
        """Let changes come before the deletion of associations, instead of after it."""
        going = self.going.intersection(keys)
        deletions = {association_target(key) for key in going}
        first = [
            replace(change, stage=ASSOCIATION_REMOVAL, needs=change.needs - deletions) for change in changes
        ]
        for key in going:
            self.before.setdefault(key, set()).update(change.target for change in first)
        return first

    def ordered(self, change: Change) -> Change:
        """Return the deletion of an association after the changes that precede it."""
        key = association_key(change.target)
        needs = self.before.get(key) if key is not None else None
        if needs is None:
            return change
        return replace(change, stage=DETACHMENT, needs=change.needs | needs)

    def free(self, arn: str, role_name: str, change: Target) -> None:
        self.freed.setdefault(arn, {}).setdefault(f"role {role_name}", set()).add(change)


def make_removal_plan(desired: Desired, observed: Observed, may_purge: MayPurge | None = None) -> Plan:
    """Associations first, then attachments, roles and policies, each only if it is ours and free.

    With ``may_purge`` it is a purge: nobody listed what is to go, and ``may_purge`` says which policies may.
    """
    draft = Draft()
    unread = observed.unread
    desired = _without_appeared(desired, observed)
    listed = frozenset(workload.key for workload in desired.workloads)
    removal = _Removal(
        observed,
        desired.options,
        listed,
        frozenset(_plan_associations(draft, desired, observed, listed)),
        tuple(failure for failure in observed.failures if association_key(failure.target)),
        may_purge,
        desired.unassociated,
    )
    for cluster in observed.clusters.among(listed).members.values():
        if not cluster.status:
            draft.findings.append(cluster_missing(cluster))
    for shared in shared_roles(observed.account, desired.workloads):
        if failure := unread.get(role_target(shared.spec.name.lower())):
            draft.failures.append(read_failure(failure, shared.keys))
            continue
        role = observed.roles.get(shared.spec.name.lower())
        if role is not None and (not shared.spec.existing or role.arn == shared.spec.arn):
            _plan_role(draft, removal, shared, role)
    for arn, (spec, users) in shared_policies(observed.account, desired.workloads).items():
        if failure := unread.get(policy_target(arn)):
            draft.failures.append(read_failure(failure, users))
            continue
        policy = observed.policies.get(arn)
        if policy is not None and spec.document is not None and (may_purge is None or may_purge(policy)):
            _plan_policy(draft, desired.options, policy, users, removal.freed.get(arn, {}))
    _plan_records(draft, removal)
    draft.changes = list(map(removal.ordered, draft.changes))
    return without_failed(draft.plan())


def _without_appeared(desired: Desired, observed: Observed) -> Desired:
    """Leave out the workloads that had no association, and have one by now, or may have."""
    appeared = {
        key
        for key in desired.unassociated
        if key in observed.associations or association_target(key) in observed.unread
    }
    workloads = tuple(workload for workload in desired.workloads if workload.key not in appeared)
    return replace(desired, workloads=workloads, unassociated=desired.unassociated - appeared)


def _plan_associations(
    draft: Draft, desired: Desired, observed: Observed, listed: frozenset[WorkloadKey]
) -> list[WorkloadKey]:
    """The keys of the associations that this plan deletes."""
    going = []
    keys = {association_target(key): key for key in listed}
    for failure in observed.failures:
        if failure.target.resource == "associations":
            affected = tuple(sorted(key for key in listed if key.cluster == failure.target.name))
            draft.failures.append(read_failure(failure, affected))
        elif failure.target in keys:
            draft.failures.append(read_failure(failure, (keys[failure.target],)))
    for workload in desired.workloads:
        association = observed.associations.get(workload.key)
        if association is None:
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
                    Code.ASSOCIATION_NOT_OWNED,
                    f"association {association.association_id} stays: it does not have the tag {MANAGED_BY_TAG}, so it "
                    "is not known to have been made here.",
                    f"If it was made here and has lost the tag, set it again ({MANAGED_BY_VALUE}) and run again. Else "
                    "delete it with workload_identity.aws.eks_pod_identity_association, or set ⟨force⟩: true.",
                    workload.key,
                )
            )
        else:
            draft.changes.append(delete_association(ASSOCIATION_REMOVAL, association))
            going.append(workload.key)
    return going


def _plan_role(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> None:
    """Let go of what is attached, delete the role, or at least take our statement out of its trust."""
    if _is_of_another(removal.options, role.tags):
        target, owner = role_target(role.name), removal.options.owner
        if not shared.spec.existing:
            draft.findings.append(of_another_owner(target, role.tags, owner, shared.keys))
            return
        # Nobody names what a purge takes; whoever removes a workload names its role.
        if removal.purges:
            if _lets_in(removal, shared, role):
                draft.findings.append(grant_stays(role, owner, shared.keys))
            return
    part = Draft()
    if not role.owned and not shared.spec.existing:
        part.findings.append(role_not_made_here(role, shared.keys))
    users = _users(removal, shared, role) + _foreigners(shared, role)
    unsure = not users and _perhaps_used(removal, shared, role)
    deleted = not users and not unsure and _may_delete(part, removal, shared, role)
    if users and role.owned and not shared.spec.existing:
        part.findings.append(still_used("role", role.arn, shared.keys, users))
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
        # Only the association leads the next purge to a role of other people.
        changes = removal.precede(changes, shared.keys)
    draft.changes += changes
    draft.findings += part.findings


def _lets_in(removal: _Removal, shared: SharedRole, role: ObservedRole) -> bool:
    """Whether a trust policy grants the role to what is removed."""
    return without(removal.clusters(shared), role.trust, removal.listed, frozenset()) is not None


def _is_of_another(options: Options, tags: Mapping[str, str]) -> bool:
    return is_of_another(tags, options.owner) and not options.adopt


def _users(removal: _Removal, shared: SharedRole, role: ObservedRole) -> list[str]:
    """Who still uses a role once the workloads are gone: in these clusters, and by our grants elsewhere."""
    keys = removal.observed.role_users.get(role.arn.lower(), ())
    here = [f"{key.cluster} {key}" for key in keys if key not in removal.going]
    return [
        *here,
        *_unread_users(removal, shared, role),
        *granted_elsewhere(removal.clusters(shared), role.trust),
    ]


def _unread_users(removal: _Removal, shared: SharedRole, role: ObservedRole) -> list[str]:
    """The clusters of the run that may use a role beside those that could be read."""
    if not removal.clusters(shared).members:
        return []
    asking = {key.cluster for key in shared.keys}
    return [
        f"workloads of cluster {name}, which was not read"
        for name in sorted(removal.observed.unread_clusters)
        if name in asking or may_let_in(name.rpartition("/")[2], role.trust)
    ]


def _foreigners(shared: SharedRole, role: ObservedRole) -> list[str]:
    """Whom else the trust policy of a role of ours lets in, by statements that nobody asked us for."""
    if not role.owned or shared.spec.existing:
        return []
    return foreign_principals(role.trust, shared.spec.trust_policy)


def _perhaps_used(removal: _Removal, shared: SharedRole, role: ObservedRole) -> bool:
    """Whether others may use the role who cannot be seen from this cluster."""
    if not role.owned or shared.spec.existing or removal.options.force:
        return False
    return not tied_to(removal.clusters(shared), role.trust)


def _may_delete(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> bool:
    """Whether nobody uses the role is known by now; here is asked what it is and what it holds."""
    if not role.owned or shared.spec.existing:
        return False
    foreign = [arn for arn in role.attached if not _may_detach(removal, shared, role, arn)]
    kept = [*role.inline, *foreign, *role.instance_profiles]
    if kept:
        draft.findings.append(role_holds(role, shared.keys, kept))
        return False
    return True


def _plan_detachments(
    draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole, deleted: bool
) -> None:
    for arn in role.attached:
        if deleted or _is_attached_here(removal, shared, role, arn):
            needs = _associations(removal, shared)
            change = detach_policy(DETACHMENT, role.name, arn, shared.keys, needs)
            draft.changes.append(replace(change, requires_unused=not shared.spec.existing))


def _is_attached_here(removal: _Removal, shared: SharedRole, role: ObservedRole, arn: str) -> bool:
    """Return whether a policy of ours was attached for these clusters alone: to a role of ours, or by its records."""
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
    """Return the policies that a removal is about, on a role of other people: those that are listed; a purge lists none."""
    if shared.spec.existing:
        return shared.policy_users
    return {**dict.fromkeys(role.attached, shared.keys), **shared.policy_users}


def _note_attached(
    draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole, users: Sequence[str]
) -> None:
    """Report what stays attached to a role of other people, and keep in mind what is not needed on it any more."""
    own = _cluster_arns(removal, shared)
    for arn, keys in _listed_for(shared, role).items():
        policy = removal.observed.policies.get(arn)
        if policy is None or not policy.owned:
            if arn in role.attached and shared.spec.existing:
                draft.findings.append(stays_attached(role, keys[0], arn))
            continue
        if not users:
            removal.unlisted.setdefault(arn, []).append((role, keys, sorted(own)))
        if arn not in role.attached:
            continue
        recorded = recorded_clusters(policy.tags or {}, role)
        others = [*users, *(f"workloads of cluster {cluster}" for cluster in sorted(recorded - own))]
        if others:
            draft.findings.append(stays_for_users(role, keys[0], arn, others))
        elif not recorded:
            tag = record_key(role.name, removal.observed.cluster_of(keys[0]).arn)
            draft.findings.append(stays_without_record(role, keys[0], arn, tag))


def _plan_records(draft: Draft, removal: _Removal) -> None:
    """Delete the records of these clusters from the policies that stay."""
    deleted = {change.target for change in draft.changes if change.action == "delete"}
    for arn, users in removal.unlisted.items():
        policy = removal.observed.policies.get(arn)
        present = (policy.tags if policy is not None else None) or {}
        if policy is None or not may_change(present, removal.options.owner, removal.options.adopt):
            continue
        if policy_target(arn) not in deleted:
            change = outdated_records(POLICY_REMOVAL, draft.changes, policy, users)
            draft.changes += [change] if change is not None else []


def _plan_trust(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> None:
    """Our grants to workloads go, except to those whose association stays and names this role."""
    clusters = removal.clusters(shared)
    staying = frozenset(
        key for key in removal.observed.role_users.get(role.arn.lower(), ()) if key not in removal.going
    )
    narrowed = without(clusters, role.trust, removal.removed - staying, staying)
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
        narrowed is not None or still_granted(clusters, role.trust, removal.listed)
    ):
        draft.findings.append(statement_stays(role, shared.keys))


def _may_detach(removal: _Removal, shared: SharedRole, role: ObservedRole, arn: str) -> bool:
    """Never detach what we did not attach: what is listed for our role, or a policy of ours. A purge lists nothing."""
    listed = role.owned and not shared.spec.existing and arn in shared.policy_users and not removal.purges
    return listed or _owned(removal.observed, arn)


def _owned(observed: Observed, arn: str) -> bool:
    policy = observed.policies.get(arn)
    return policy is not None and policy.owned


def _associations(removal: _Removal, shared: SharedRole) -> frozenset[Target]:
    """The deletions of associations that come before anything is taken from their role."""
    return frozenset(association_target(key) for key in shared.keys if key in removal.going)


def _delete_role(draft: Draft, removal: _Removal, shared: SharedRole, role: ObservedRole) -> Change:
    before = {"arn": role.arn, **changed_from_default(ROLE_ATTRIBUTES, role)}
    needs = _associations(removal, shared) | {change.target for change in draft.changes}
    call = Call("iam", "DeleteRole", {"RoleName": role.name})
    return Change(
        ROLE_REMOVAL,
        role_target(role.name),
        "delete",
        shared.keys,
        before,
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
        draft.findings.append(policy_not_made_here(policy, users))
        return
    present = policy.tags or {}
    if _is_of_another(options, present):
        target = policy_target(policy.arn)
        draft.findings.append(of_another_owner(target, present, options.owner, users))
        return
    others = [entity for entity in policy.attached_to if entity not in freed]
    if others:
        draft.findings.append(still_used("policy", policy.arn, users, others))
        return
    identity = {"PolicyArn": policy.arn}
    calls = [
        Call("iam", "DeletePolicyVersion", {**identity, "VersionId": version.version_id})
        for version in policy.versions
        if not version.is_default
    ]
    calls.append(Call("iam", "DeletePolicy", identity))
    needs = frozenset(change for changes in freed.values() for change in changes)
    before = {"arn": policy.arn, "tags": dict(policy.tags or {})}
    draft.changes.append(
        Change(POLICY_REMOVAL, policy_target(policy.arn), "delete", users, before, None, tuple(calls), needs)
    )
