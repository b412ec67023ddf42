# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find managed resources that are no longer desired. A purge removes them; any other run reports them. Pure.

A resource is managed if it has the tag of this collection. A purge of a cluster finds

- a workload that is no longer listed, by its managed association;
- a managed role without associations, if all grants in its trust policy name this cluster;
- a managed policy without attachments, if its tag names this cluster;
- a grant in the trust policy of a managed role, if its workload is not listed and has no association.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import PolicyDocument
from ..._policy.trust.statements import TrustGrant, closed_for, read_grants, read_pattern
from ..model.associations import ObservedAssociation, group_by_role
from ..model.changes import Change, Plan
from ..model.cluster import Cluster, describe_place, group_clusters
from ..model.desired import Desired, Workload, allowed_purge
from ..model.errors import SHOWN_UNLISTED, InputError, as_clause, listed
from ..model.names import CLUSTER_TAG, OWNER_TAG, is_of_another, parse_policy_arn, parse_role_arn
from ..model.observed import Observed, UnlistedAssociations, is_new
from ..model.policies import ObservedPolicy, PolicySpec
from ..model.roles import ObservedRole, RoleSpec
from ..model.rows import NO_ASSOCIATION, NO_ROLE, describe_key
from ..model.shared import granted_workloads, shared_policies
from ..model.targets import association_target
from .trust import is_allow
from .unlisted import SHOWN_ASSOCIATIONS


@dataclass(frozen=True, slots=True)
class PurgeAccount:
    """The state of a cluster and its account that a purge reads.

    ``associations`` has the associations of the cluster. ``roles`` has all roles of the account. ``idle_policies`` has the
    customer managed policies that no entity uses.
    """

    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Sequence[ObservedRole]
    idle_policies: Sequence[ObservedPolicy]


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """The scope of a purge: the resources of ``owner``, or the resources without owner if ``owner`` is None.

    A purge removes at most ``limit``
    workloads, unused roles and unused policies, or ``percent`` per cent of the managed workloads if ``percent`` is set. With
    ``any_owner`` the scope has the resources of all owners, to report the workloads that a purge without owner keeps.
    """

    owner: str | None = None
    limit: int = 10
    any_owner: bool = False
    percent: int | None = None

    def includes(self, tags: Mapping[str, str]) -> bool:
        """Return whether a resource with these tags is in the scope."""
        return self.any_owner or tags.get(OWNER_TAG) == self.owner

    def includes_policy(self, policy: ObservedPolicy, cluster: Cluster) -> bool:
        """Return whether an unused policy may be deleted: it is managed for this cluster and for the owner of the scope."""
        tags = policy.tags or {}
        return policy.owned and tags.get(CLUSTER_TAG) == cluster.arn and self.includes(tags)


def unlisted_workloads(
    desired: Desired,
    cluster: Cluster,
    scope: PurgeScope,
    account: PurgeAccount,
    freed: Iterable[ObservedPolicy] = (),
) -> Desired:
    """Return the workloads that a purge removes, as the input of ``make_removal_plan``.

    Policies that listed workloads use are left out. A role that they use is given by its ARN, so that the removal only revokes
    grants in its trust policy. For a role or policy without workload, the result has a workload whose namespace is
    NO_ASSOCIATION or NO_ROLE.

    :arg desired: the listed workloads.
    :arg freed: the policies that the plan for the listed workloads detaches.
    """
    listed_keys = {workload.key for workload in desired.workloads}
    kept_roles = _desired_roles(desired, cluster)
    kept_policies = {
        cluster.account.policy_arn(spec) for workload in desired.workloads for spec in workload.policies
    }
    kept_policies |= {
        workload.role.permissions_boundary or ""
        for workload in desired.workloads
        if workload.role is not None
    }
    # Keep a role that a listed workload used until now: running Pods may still have its credentials.
    kept_roles |= {
        arn for key, used in account.associations.items() if key in listed_keys for arn in _roles(used)
    }
    by_arn = {role.arn.lower(): role for role in account.roles}
    used = {arn for association in account.associations.values() for arn in _roles(association)}

    def parts(role: ObservedRole | None) -> tuple[RoleSpec | None, tuple[PolicySpec, ...]]:
        """Return the role and the policies to remove together with a workload. The removal plan checks their owners."""
        if role is None:
            return None, ()
        if role.arn.lower() in kept_roles or not scope.includes(role.tags):
            # The role is kept. A role that is given by its ARN is not deleted; only the grants to the workload are revoked.
            return RoleSpec(name=role.name, arn=role.arn), ()
        arn = parse_role_arn(role.arn)
        attached = (policy_arn for policy_arn in role.attached if policy_arn not in kept_policies)
        return RoleSpec(name=role.name, path=arn.path if arn else "/"), _managed_policies(attached)

    unlisted = [
        Workload(key, *parts(by_arn.get(association.role_arn.lower())))
        for key, association in sorted(account.associations.items())
        if key not in listed_keys
        and association.owned
        and not association.owner_arn
        and scope.includes(association.tags)
    ]
    orphans = [
        Workload(WorkloadKey(cluster.name, NO_ASSOCIATION, role.name), *parts(role))
        for role in by_arn.values()
        if role.owned and role.arn.lower() not in used | kept_roles and _is_orphan(role, cluster, scope)
    ]
    unused = [
        Workload(WorkloadKey(cluster.name, NO_ROLE, policy.name), None, _managed_policies((policy.arn,)))
        for policy in (*account.idle_policies, *freed)
        if policy.arn not in kept_policies and scope.includes_policy(policy, cluster)
    ]
    grants = _unused_grants(desired, cluster, scope, account)
    purged = {
        role.name for workload in (*unlisted, *orphans) if (role := workload.role) and not role.existing
    }
    # Grants of a role that is deleted need not be revoked. A role that is given by its ARN is not deleted.
    guests = [
        Workload(key, RoleSpec(name=role.name, arn=role.arn))
        for role, keys in grants
        if role.name not in purged
        for key in sorted(keys)
    ]
    return replace(
        desired,
        workloads=(*unlisted, *orphans, *guests, *unused),
        unassociated=frozenset(key for _role, keys in grants for key in keys),
    )


def _unused_grants(
    desired: Desired, cluster: Cluster, scope: PurgeScope, account: PurgeAccount
) -> list[tuple[ObservedRole, set[WorkloadKey]]]:
    """Return the roles with grants to unlisted workloads without association, each with these workloads.

    Skip roles for which the input has ``role.trust_policy``, and new roles: another run may be about to create the association.
    """
    present = {workload.key for workload in desired.workloads} | account.associations.keys()
    input_roles = {
        role.name.lower()
        for workload in desired.workloads
        if (role := workload.role) is not None and role.trust_policy is not None
    }
    grants = [
        (
            role,
            {
                key
                for key in granted_workloads(group_clusters(cluster), role.trust) - present
                if scope.includes(role.tags)
            },
        )
        for role in account.roles
        if role.owned
        and role.name.lower() not in input_roles
        and not is_new(role.created_at, cluster.answered_at)
    ]
    return [(role, keys) for role, keys in grants if keys]


def leaving_roles(unlisted: Desired, cluster: Cluster, account: PurgeAccount) -> frozenset[str]:
    """Return the lower-case names of the managed roles that only purged workloads use, so that the purge may delete them."""
    purged = {workload.key for workload in unlisted.workloads}
    names = {
        workload.role.name.lower()
        for workload in unlisted.workloads
        if workload.role is not None and not workload.role.existing
    }
    used = {arn for key, other in account.associations.items() if key not in purged for arn in _roles(other)}
    return frozenset(
        name
        for role in account.roles
        if (name := role.name.lower()) in names
        and role.owned
        and role.arn.lower() not in used
        and _only_cluster(role) == cluster.arn
    )


def remaining_associations(desired: Desired, purged: Desired, account: PurgeAccount) -> UnlistedAssociations:
    """Return the associations of the cluster that remain after the purge and are not listed.

    :arg purged: the workloads that the purge removes.
    """
    excluded = {workload.key for workload in (*desired.workloads, *purged.workloads)}
    rest = {key: account.associations[key] for key in sorted(account.associations) if key not in excluded}
    owned = {key: association for key, association in rest.items() if not association.owner_arn}
    addons = tuple(key for key in rest if key not in owned)
    return UnlistedAssociations(tuple(owned), addons, described=owned)


def remaining_grants(
    desired: Desired, purged: Desired, cluster: Cluster, account: PurgeAccount
) -> frozenset[WorkloadKey]:
    """Return the unlisted workloads without association that managed roles still allow after the purge.

    :arg purged: the workloads that the purge removes.
    """
    granted = {
        key
        for role in account.roles
        if role.owned and not is_new(role.created_at, cluster.answered_at)
        for key in granted_workloads(group_clusters(cluster), role.trust)
    }
    excluded = {workload.key for workload in (*desired.workloads, *purged.workloads)}
    return frozenset(granted - excluded - account.associations.keys())


def other_owners_findings(unlisted: Desired, all_unlisted: Desired) -> tuple[Finding, ...]:
    """Report the unlisted workloads that a purge without owner keeps because they have an owner. Return at most one finding.

    :arg unlisted: the workloads that the purge removes.
    :arg all_unlisted: the unlisted workloads of all owners.
    """
    purged = {workload.key for workload in unlisted.workloads}
    rest = (describe_key(workload.key) for workload in all_unlisted.workloads if workload.key not in purged)
    names = list(dict.fromkeys(rest))
    if not names:
        return ()
    number = (
        "1 unlisted workload with an owner is"
        if len(names) == 1
        else f"{len(names)} unlisted workloads with owners are"
    )
    return (
        Finding(
            Code.NOT_OWNED,
            f"{number} kept, because this purge runs without an owner: {listed(names, SHOWN_UNLISTED)}.",
            "Purge each workload in a run for its owner.",
        ),
    )


def left_roles(
    desired: Desired, unlisted: Desired, cluster: Cluster, scope: PurgeScope, account: PurgeAccount
) -> tuple[Finding, ...]:
    """Report the managed roles that lose their last association, because listed workloads move to other roles."""
    moving = {workload.key for workload in desired.workloads if workload.role is not None}
    purged = {workload.key for workload in unlisted.workloads}
    associations = account.associations.items()
    used_roles = _desired_roles(desired, cluster)
    used_roles |= {arn for key, other in associations if key not in moving | purged for arn in _roles(other)}
    last_users = {
        association.role_arn.lower(): key
        for key, association in associations
        if key in moving and association.role_arn.lower() not in used_roles
    }
    return tuple(
        Finding(
            Code.RESOURCE_KEPT,
            f"role {role.arn} loses its last association with cluster {cluster.name}, but running Pods may still have its "
            "credentials, so the role is kept for now.",
            "Restart those Pods; the next run with purge removes the role.",
            last_users[role.arn.lower()],
            raised_as="info",
        )
        for role in account.roles
        if role.arn.lower() in last_users and role.owned and _is_orphan(role, cluster, scope)
    )


def freed_policies(plan: Plan, observed: Observed) -> list[ObservedPolicy]:
    """Return the policies that the changes of a plan detach from a role."""
    detached = {
        str(change.before["policy"])
        for change in plan.changes
        if change.target.resource == "attachment" and change.before
    }
    return [policy for arn in sorted(detached) if (policy := observed.policies.get(arn)) is not None]


def validate_purge_limit(
    desired: Desired, unlisted: Desired, cluster: Cluster, scope: PurgeScope, account: PurgeAccount
) -> None:
    """Check that a purge does not remove more workloads than the scope permits.

    :arg desired: the listed workloads.
    :arg unlisted: the workloads that the purge would remove.
    :raises InputError: if the limit is exceeded.
    """
    names = list(dict.fromkeys(describe_key(workload.key) for workload in unlisted.workloads))
    count = len(names)
    associations = account.associations
    listed_count = sum(
        workload.key in associations and associations[workload.key].owned for workload in desired.workloads
    )
    allowed = allowed_purge(listed_count + count, scope.limit, scope.percent)
    if count <= allowed:
        return
    limit = (
        str(scope.limit)
        if scope.percent is None
        else f"{scope.percent}% of the {listed_count + count} managed workloads, which is {allowed}"
    )
    raise InputError(
        [
            f"purge would remove {count} unlisted workloads, roles and policies of cluster {cluster.name} (account "
            f"{cluster.account_id}, region {cluster.region}): {listed(names, SHOWN_UNLISTED)}. "
            f"⟨purge_limit⟩ allows only {limit}. Check that the list is complete (check mode with diff shows the removals if "
            f"⟨purge_limit⟩ allows them), or raise ⟨purge_limit⟩ to {count}."
        ]
    )


def _desired_roles(desired: Desired, cluster: Cluster) -> set[str]:
    """Return the ARNs, in lower case, of the roles and target roles of the listed workloads."""
    workloads = desired.workloads
    role_arns = {
        cluster.account.role_arn(workload.role).lower() for workload in workloads if workload.role is not None
    }
    return role_arns | {(workload.association.target_role_arn or "").lower() for workload in workloads}


def _roles(association: ObservedAssociation) -> set[str]:
    return {arn.lower() for arn in association.roles}


def _is_orphan(role: ObservedRole, cluster: Cluster, scope: PurgeScope) -> bool:
    """Return whether a role without associations belongs to this cluster alone, so that a purge of the scope may delete it."""
    return _only_cluster(role) == cluster.arn and scope.includes(role.tags)


def _only_cluster(role: ObservedRole) -> str:
    """Return the ARN of the only cluster whose workloads a role's trust policy allows.

    If the trust policy has no Allow statement, return the ARN of the cluster in its Deny statement (``closed_policy``). Return ""
    if it allows several clusters or other principals.
    """
    grants, rest = read_grants(role.trust)
    patterns = [read_pattern(statement) for statement in rest if is_allow(statement)]
    arns = {grant.cluster_arn for grant in grants} | {
        grant.cluster_arn if grant else "" for grant in patterns
    }
    arns = arns or {closed_for(role.trust)}
    return next(iter(arns)) if len(arns) == 1 else ""


def _managed_policies(arns: Iterable[str]) -> tuple[PolicySpec, ...]:
    """Return a definition of each customer managed policy among ``arns``.

    The document is empty: a removal only distinguishes definitions with a document from policies that are listed by their ARN.
    """
    parts = [parse_policy_arn(arn) for arn in arns]
    return tuple(
        PolicySpec(name=part.name, path=part.path, document=PolicyDocument())
        for part in parts
        if part is not None and part.account_id != "aws"
    )


_Users = Mapping[str, frozenset[WorkloadKey]]
_PURGE = "run for this cluster alone with ⟨purge⟩: true"


def find_left_behind(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Report managed roles and policies that are unused after a run without purge.

    The report has roles and policies that workloads used before the changes of the run, and roles without association that
    the run has read.
    """
    if desired.options.purge:
        return []
    scope = PurgeScope(desired.options.owner)
    users = _users(observed)
    return [
        *_left_roles(observed, scope, users, changes),
        *_left_policies(desired, observed, changes),
        *_unused_roles(observed, scope, users),
    ]


def _users(observed: Observed) -> _Users:
    """Return the workloads whose associations were read, by the lower-case ARN of their role and target role."""
    described = {
        key: association
        for unlisted in observed.unlisted.values()
        for key, association in unlisted.described.items()
    }
    users = group_by_role({**described, **observed.associations})
    return {arn: frozenset(keys) for arn, keys in users.items()}


def _left_roles(
    observed: Observed, scope: PurgeScope, users: _Users, changes: Sequence[Change]
) -> list[Finding]:
    """Return a finding for each role from which the changes moved the last known association."""
    moved: dict[str, list[WorkloadKey]] = {}
    for change in changes:
        role_arn = (change.before or {}).get("role_arn")
        if change.target.resource == "association" and isinstance(role_arn, str) and change.after:
            moved.setdefault(role_arn.lower(), []).append(change.workloads[0])
    findings = []
    for arn, keys in sorted(moved.items()):
        parts = parse_role_arn(arn)
        role = observed.unlisted_roles.get(parts.name) if parts is not None else None
        if role is None or users.get(arn, frozenset()) - set(keys):
            continue
        if role.owned and _is_orphan(role, observed.clusters.of_workload(keys[0]), scope):
            findings.append(_left_role(role, keys))
    return findings


def _left_role(role: ObservedRole, keys: Sequence[WorkloadKey]) -> Finding:
    return Finding(
        Code.RESOURCE_KEPT,
        f"role {role.arn} is managed by this collection, and is no longer used by "
        f"{listed(map(str, keys), SHOWN_ASSOCIATIONS)}. It is kept, with its trust policy and its policies.",
        f"Restart the Pods that may still hold its credentials. A later {_PURGE} removes the role if it is unused.",
        keys[0],
        raised_as="info",
    )


def _left_policies(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Return a finding for each managed policy that the changes detached from all entities that had it."""
    attachments = [change for change in changes if change.target.resource == "attachment"]
    detached: dict[str, list[Change]] = {}
    for change in attachments:
        if change.before:
            detached.setdefault(str(change.before["policy"]), []).append(change)
    joined = Counter(str(change.after["policy"]) for change in attachments if change.after)
    desired_policies = shared_policies(observed.account, desired.workloads)
    findings = []
    for arn, leavers in sorted(detached.items()):
        policy = observed.policies.get(arn)
        if policy is None or arn in desired_policies or joined[arn] or policy.user_count != len(leavers):
            continue
        if policy.owned and not is_of_another(policy.tags or {}, desired.options.owner):
            findings.append(_left_policy(observed, policy, leavers[0].workloads[0]))
    return findings


def _left_policy(observed: Observed, policy: ObservedPolicy, key: WorkloadKey) -> Finding:
    arn = (policy.tags or {}).get(CLUSTER_TAG, "")
    cluster = observed.clusters.with_arn(arn)
    if cluster is not None and cluster.name == key.cluster:
        remedy = f"A {_PURGE} deletes it."
    else:
        command = f"aws iam delete-policy --policy-arn {policy.arn}"
        remedy = f"Delete the non-default versions of the policy, then the policy itself: {command}"
        if arn:
            remedy = f"The policy was created for cluster {arn}: {_PURGE}. Or {as_clause(remedy)}"
    return Finding(
        Code.RESOURCE_KEPT,
        f"policy {policy.arn} is managed by this collection, and is no longer attached. It is kept in IAM.",
        remedy,
        key,
        raised_as="info",
    )


def _unused_roles(observed: Observed, scope: PurgeScope, users: _Users) -> list[Finding]:
    """Return a finding for each cluster with managed roles that no association uses."""
    names: dict[str, list[str]] = {}
    for role in observed.unlisted_roles.values():
        if not role.owned or role.arn.lower() in users:
            continue
        cluster = observed.clusters.with_arn(_only_cluster(role))
        if cluster is None or is_new(role.created_at, observed.account.answered_at):
            continue
        grants, _others = read_grants(role.trust)
        if scope.includes(role.tags) and all(_is_unused(grant, cluster, observed) for grant in grants):
            names.setdefault(cluster.name, []).append(role.name)
    clusters = observed.clusters.members
    return [_unused(cluster, sorted(names[key])) for key, cluster in clusters.items() if key in names]


def _is_unused(grant: TrustGrant, cluster: Cluster, observed: Observed) -> bool:
    """Return whether all associations that a grant allows were read. The caller has checked that none of them uses the role."""
    unlisted = observed.unlisted.get(cluster.name)
    if unlisted is None:
        return False
    if not grant.service_account:
        return not (unlisted.more or unlisted.addons or set(unlisted.keys) - unlisted.described.keys())
    key = WorkloadKey(cluster.name, grant.namespace, grant.service_account)
    if key in observed.associations or key in unlisted.described:
        return True
    return not (unlisted.more or key in unlisted or association_target(key) in observed.unread)


def _unused(cluster: Cluster, names: Sequence[str]) -> Finding:
    noun, verb = ("role", "is") if len(names) == 1 else ("roles", "are")
    return Finding(
        Code.RESOURCE_KEPT,
        f"{len(names)} {noun} that this collection manages for {describe_place(cluster)} {verb} unused: "
        f"{listed(names, SHOWN_ASSOCIATIONS)}.",
        f"A {_PURGE} removes unused resources; its check mode lists them.",
    )
