# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan the removal of workloads: a teardown removes the listed workloads, and a purge the unlisted workloads. Pure.

Both take the same: associations, the statements of the owner, roles that nobody may use any more, and unused policies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.statements import closed_for
from ..model.associations import ObservedAssociation
from ..model.cluster import Cluster
from ..model.desired import Desired, PurgeScope, Workload
from ..model.errors import SHOWN_UNLISTED, InputError, listed
from ..model.migration import RecordError, read_record
from ..model.names import CLUSTER_TAG, MANAGED_BY_TAG, is_marked, is_own
from ..model.observed import Inventory, Observed, is_new
from ..model.policies import ObservedPolicy
from ..model.roles import ObservedRole
from ..model.shared import named_workloads, own_grants, shared_policies, shared_roles
from ..model.targets import association_target, policy_target, role_target
from . import problems
from .associations import addon_owned, delete_association
from .policies import delete_policy
from .roles import plan_left_role
from .scene import Scene


def plan_departures(scene: Scene, removes: bool) -> None:
    """Find the workloads to remove, and add the deletions of their associations to the plan.

    :arg removes: True for a teardown of the listed workloads; otherwise they are kept, and a purge removes the others.
    :raises InputError: if a purge would remove more workloads than its scope permits.
    """
    desired, observed, inventory = scene.desired, scene.observed, scene.observed.inventory
    if removes:
        keys = {workload.key for workload in desired.workloads if workload.conflict is None}
        associations = observed.associations
    elif desired.purge is not None and inventory is not None:
        keys, associations = _unlisted(desired, observed, inventory), inventory.associations
        _validate_limit(desired, observed, inventory, desired.purge, keys)
        scene.everything = True
    else:
        return
    unread = {key: failure for key in sorted(keys) if (failure := observed.association_failure(key))}
    scene.fail(*(replace(failure, workloads=(key,)) for key, failure in unread.items()))
    listed_workloads = {workload.key: workload for workload in desired.workloads}
    read = filter(None, observed.roles.values())
    known = (*(inventory.roles if inventory is not None else ()), *observed.former_roles.values(), *read)
    roles = {role.arn.lower(): role for role in known}
    kept = set[WorkloadKey]()
    for key in sorted(keys & associations.keys()):
        role = roles.get(associations[key].role_arn.lower())
        recorded = role if role is not None and _has_record(observed, role, key) else None
        if not _delete(scene, associations[key], listed_workloads.get(key), recorded):
            kept.add(key)
    scene.gone = frozenset(keys - kept - unread.keys())


def _delete(
    scene: Scene, association: ObservedAssociation, workload: Workload | None, recorded: ObservedRole | None
) -> bool:
    """Add the deletion of an association to the plan, or the reason to keep it. Return whether it is deleted.

    :arg workload: the workload in the list of a teardown.
    :arg recorded: the role of the association, if its tags have the record of a migration of the workload.
    """
    options, tags, key = scene.options, association.tags, association.key
    forced, returns = options.forces((key,)), workload is not None and workload.returns
    if association.owner_arn and not forced:
        scene.fail(addon_owned(association, "delete"))
    elif is_marked(tags) and not (is_own(tags, options.owner) or options.adopt):
        target, reason = association_target(key), "the list removes it"
        scene.fail(problems.refuse_other(target, tags, options.owner, (key,), reason, "delete"))
    elif not is_marked(tags) and not (forced or options.single):
        scene.findings.append(
            Finding(
                Code.NOT_OWNED,
                f"association {association.association_id} of {association.key} is kept: it does not have the tag "
                f"{MANAGED_BY_TAG}, so this collection may not have created it.",
                "If this collection created it, restore the tag and run again. Otherwise delete it with "
                "workload_identity.aws.eks_pod_identity_association, or set ⟨force⟩: true.",
                association.key,
            )
        )
    elif returns and workload is not None and workload.role and workload.role.arn != association.role_arn:
        scene.findings.append(
            Finding(
                Code.MIGRATION_OTHER_ASSOCIATION,
                f"association {association.association_id} of {association.key} is kept: it has role {association.role_arn} "
                "meanwhile.",
                "Delete the association yourself if the service account must use IRSA again.",
                association.key,
                raised_as="warning",
            )
        )
    elif recorded is not None and not returns and not forced:
        scene.findings.append(_recorded(association, recorded, "is kept, because"))
    else:
        scene.changes.append(delete_association(association, scene.roles_of([key])))
        if recorded is not None and not returns:
            scene.findings.append(_recorded(association, recorded, "is deleted, although"))
        return True
    return False


def _has_record(observed: Observed, role: ObservedRole, key: WorkloadKey) -> bool:
    """Return whether the tags of a role have, or may have, the record of a migration of a workload from IRSA."""
    try:
        record = read_record(observed.cluster.arn, role.tags)
    except RecordError:
        return True
    return (key.namespace, key.service_account) in record.accounts


def _unlisted(desired: Desired, observed: Observed, inventory: Inventory) -> set[WorkloadKey]:
    """Return the workloads that a purge removes: with an association or a trust statement of the owner, and not listed.

    A workload whose association belongs to another owner keeps its statement. New roles are left out, because another run may be
    about to create the association.
    """
    owner = desired.options.owner
    present = {workload.key for workload in desired.workloads} | inventory.associations.keys()
    whole = {
        role.name.lower()
        for workload in desired.workloads
        if (role := workload.role) is not None and role.trust_policy is not None
    }
    associated = {
        key
        for key, association in inventory.associations.items()
        if is_own(association.tags, owner) and not association.owner_arn
    } - {workload.key for workload in desired.workloads}
    named = {
        key
        for role in inventory.roles
        if role.name.lower() not in whole and not is_new(role.created_at, observed.cluster.answered_at)
        for key in named_workloads(observed.cluster, own_grants(observed.cluster, owner, role.trust))
    }
    return associated | (named - present)


def _validate_limit(
    desired: Desired, observed: Observed, inventory: Inventory, scope: PurgeScope, keys: Iterable[WorkloadKey]
) -> None:
    names = [str(key) for key in sorted(keys)]
    owner, associations = desired.options.owner, inventory.associations
    listed_count = sum(
        workload.key in associations and is_own(associations[workload.key].tags, owner)
        for workload in desired.workloads
    )
    count = len(names)
    allowed = scope.allowed(listed_count + count)
    if count <= allowed:
        return
    cluster = observed.cluster
    limit = (
        str(scope.limit)
        if scope.percent is None
        else f"{scope.percent}% of the {listed_count + count} managed workloads, which is {allowed}"
    )
    raise InputError(
        [
            f"purge would remove {count} unlisted workloads of cluster {cluster.name} (account {cluster.account_id}, region "
            f"{cluster.region}): {listed(names, SHOWN_UNLISTED)}. ⟨purge_limit⟩ allows only {limit}. Check that the list is "
            "complete (check mode with diff shows the removals if ⟨purge_limit⟩ allows them), or raise ⟨purge_limit⟩ to "
            f"{count}."
        ]
    )


def plan_leaving(scene: Scene, removes: bool) -> None:
    """Add the removal of statements, roles and policies to the plan."""
    if removes:
        _tear_down(scene)
    elif scene.observed.inventory is not None:
        _purge(scene, scene.observed.inventory)
    else:
        _leave_former_roles(scene)


def _leave_former_roles(scene: Scene) -> None:
    """Take back the statements for workloads that have left a role that the run does not list."""
    for name, role in sorted(scene.observed.former_roles.items()):
        if name not in scene.listed_names:
            keys = tuple(sorted(scene.holders.get(role.arn.lower(), ())))
            plan_left_role(scene, role, keys, may_delete=False)


def _tear_down(scene: Scene) -> None:
    observed, desired = scene.observed, scene.desired
    if desired.workloads and not observed.cluster.status:
        scene.findings.append(
            Finding(
                Code.CLUSTER_MISSING,
                f"cluster {observed.cluster.name} was not found in account {observed.cluster.account_id}, region "
                f"{observed.cluster.region}; only the IAM resources of its workloads are removed.",
                "If the cluster exists, check its name, the account and the region, and run again.",
            )
        )
    lost: dict[str, set[str]] = {}
    for shared in shared_roles(observed.cluster, desired.workloads):
        spec, role = shared.spec, observed.roles.get(shared.spec.name.lower())
        if failure := observed.unread.get(role_target(spec.name.lower())):
            scene.fail(replace(failure, workloads=shared.keys))
        elif role is not None and (not spec.existing or role.arn == spec.arn):
            arns = plan_left_role(scene, role, shared.keys, not spec.existing, shared)
            for arn in arns:
                lost.setdefault(arn, set()).add(f"role {role.name}")
    for name, role in sorted(observed.former_roles.items()):
        if name not in scene.listed_names:
            plan_left_role(scene, role, tuple(sorted(scene.gone)), may_delete=False)
    for arn, (policy_spec, users) in shared_policies(observed.cluster, desired.workloads).items():
        policy = observed.policies.get(arn)
        if failure := observed.unread.get(policy_target(arn)):
            scene.fail(replace(failure, workloads=users))
        elif policy is not None and policy_spec.document is not None:
            _remove_policy(scene, policy, users, lost.get(arn, set()))


def _remove_policy(
    scene: Scene, policy: ObservedPolicy, users: tuple[WorkloadKey, ...], lost: set[str]
) -> None:
    options, tags = scene.options, policy.tags or {}
    if not (is_own(tags, options.owner) or (options.adopt and is_marked(tags))):
        scene.findings.append(problems.not_own(f"policy {policy.arn}", tags, options.owner, users))
        return
    others = [entity for entity in policy.attached_to if entity not in lost]
    if others:
        scene.findings.append(problems.policy_still_used(policy.arn, users, others))
        return
    roles = frozenset(entity.partition(" ")[2].lower() for entity in lost) | scene.roles_of(users)
    scene.changes.append(delete_policy(policy, users, roles))


def _purge(scene: Scene, inventory: Inventory) -> None:
    """Remove the unlisted resources of the owner in the cluster."""
    cluster = scene.observed.cluster
    users: dict[str, list[WorkloadKey]] = {}
    for key, association in sorted(inventory.associations.items()):
        for arn in association.roles:
            users.setdefault(arn.lower(), []).append(key)
    lost = Counter[str]()
    for role in inventory.roles:
        if role.name.lower() in scene.listed_names or not _belongs_to(scene, role, cluster, users):
            continue
        keys = [key for key in users.get(role.arn.lower(), ()) if key in scene.gone]
        named = named_workloads(cluster, own_grants(cluster, scene.options.owner, role.trust))
        keys = sorted({*keys, *(named & scene.gone)})
        staying = [key for key in users.get(role.arn.lower(), ()) if key not in scene.gone]
        lost.update(plan_left_role(scene, role, tuple(keys), not staying))
        if staying and is_own(role.tags, scene.options.owner):
            scene.findings.append(
                Finding(
                    Code.RESOURCE_KEPT,
                    f"role {role.arn} is no longer listed for cluster {cluster.name}, but Pods of "
                    f"{listed(map(str, staying), 5)} may still have its credentials, so the role is kept for now.",
                    "Restart those Pods; the next run with purge removes the role if no association names it.",
                    staying[0],
                    raised_as="info",
                )
            )
    _purge_policies(scene, inventory, cluster, lost)


def _belongs_to(
    scene: Scene,
    role: ObservedRole,
    cluster: Cluster,
    users: Mapping[str, Sequence[WorkloadKey]],
) -> bool:
    """Return whether a purge examines a role: it has statements of the owner for the cluster, or a purged workload uses it."""
    own = is_own(role.tags, scene.options.owner)
    if any(key in scene.gone for key in users.get(role.arn.lower(), ())):
        return True
    if is_new(role.created_at, cluster.answered_at):
        # Another run may be about to create the association.
        return False
    grants = own_grants(cluster, scene.options.owner, role.trust)
    if any(grant.cluster_arn for grant in grants):
        return True
    return own and closed_for(role.trust) == cluster.arn


def _purge_policies(scene: Scene, inventory: Inventory, cluster: Cluster, lost: Counter[str]) -> None:
    """Delete the unlisted policies of the owner and the cluster that are unused after the run."""
    needed = set(shared_policies(scene.observed.cluster, scene.desired.workloads))
    needed |= {shared.spec.permissions_boundary or "" for shared in scene.roles}
    losers: dict[str, set[str]] = {}
    for change in scene.changes:
        if change.target.resource == "attachment" and change.before is not None:
            arn = str(change.before["policy"])
            losers.setdefault(arn, set()).add(change.target.name.lower())
    for arn, policy in sorted(inventory.policies.items()):
        seen = scene.observed.policies.get(arn)
        tags = policy.tags or (seen.tags if seen is not None else None) or {}
        if (
            arn in needed
            or tags.get(CLUSTER_TAG, cluster.arn) != cluster.arn
            or not is_own(tags, scene.options.owner)
        ):
            continue
        freed = max(lost[arn], len(losers.get(arn, ())))
        if policy.user_count == freed:
            known = ObservedPolicy(arn, policy.name, policy.default_version, tags, versions=policy.versions)
            scene.changes.append(delete_policy(known, (), frozenset(losers.get(arn, ()))))
        elif policy.user_count is not None:
            users = [f"{policy.user_count - freed} other roles, users or groups"]
            scene.findings.append(problems.policy_still_used(arn, (), users))


def _recorded(association: ObservedAssociation, role: ObservedRole, fate: str) -> Finding:
    return Finding(
        Code.MIGRATION_RECORDED,
        f"association {association.association_id} of {association.key} {fate} role {role.arn} has the record of its "
        "migration from IRSA. If the migration has removed the annotation and the statement for IRSA, the Pods lose the role.",
        "To restore IRSA, roll the migration back (pod_identity_migration_step: rollback). To delete the association anyway, set "
        "⟨force⟩: true.",
        association.key,
    )
