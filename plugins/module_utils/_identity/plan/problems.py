# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Build the failures of a plan, and the findings about resources that a run does not change. Pure.

Text in ⟨⟩ is the name of an option. For the Ansible role, the report adds the prefix of role variables to that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.grammar.storable import TRUST
from ..._policy.language.document import policy_size
from ..model.changes import Change, Plan
from ..model.cluster import Account, Cluster, Clusters
from ..model.desired import Workload
from ..model.errors import as_clause, listed, sentence
from ..model.names import MANAGED_BY_TAG, OWNER_TAG
from ..model.observed import Observed
from ..model.roles import ObservedRole, RoleSpec
from ..model.shared import SharedRole
from ..model.targets import (
    Action,
    Failure,
    Target,
    association_target,
    policy_target,
    request_failure,
    role_target,
    trust_target,
)
from .outside_users import OutsideUsers
from .roles import differing_limits


def role_missing(account: Account, shared: SharedRole, role: ObservedRole | None) -> Failure:
    path = f"; the role of that name is {role.arn}" if role is not None else ""
    return Failure(
        shared.keys,
        role_target(shared.spec.arn or shared.spec.name),
        "read",
        Code.ROLE_MISSING,
        f"role {shared.spec.arn} does not exist in account {account.account_id}{path}.",
        missing_role_remedy(shared.users, role),
    )


def missing_role_remedy(users: Iterable[Workload], role: ObservedRole | None) -> str:
    """Return the remedy for workloads with the ARN of a role that does not exist.

    :arg role: the role with the same name but another ARN, or None.
    """
    origins = dict.fromkeys(workload.origin for workload in users)
    places = [f" in {origin.place} ({origin.text})" if origin else "" for origin in origins]
    return " ".join(
        f"Correct the ARN{place}, or set role.name instead of role.arn to create the role."
        if role is None
        else f"Change the ARN{place} to {role.arn}."
        for place in places
    )


def other_name(shared: SharedRole, role: ObservedRole) -> Failure:
    """Return the failure for a role that exists with another letter case or with another path."""
    message = f"role {role.name} exists with path {role.path}, not {shared.spec.path}; IAM cannot move a role to another path."
    setting = f"role.path to {role.path}"
    if role.name != shared.spec.name:
        message = f"role {shared.spec.name} exists as {role.name}; IAM names are case-insensitive, but ARNs are case-sensitive."
        setting = f"role.name to {role.name}"
    return Failure(
        shared.keys,
        role_target(shared.spec.name),
        "update",
        Code.ROLE_NAME_DIFFERS,
        message,
        f"Set {setting}, or choose another role name.",
    )


def not_owned(target: Target, workloads: tuple[WorkloadKey, ...], subject: str, alternative: str) -> Failure:
    """Return the failure of a change to a resource without the tag of this collection.

    :arg subject: a clause about the resource.
    :arg alternative: how to go on without the change.
    """
    return Failure(
        workloads,
        target,
        "update",
        Code.NOT_OWNED,
        f"{subject}. It does not have the tag {MANAGED_BY_TAG}, so this collection may not have created it, and does not change "
        "it.",
        "To let this collection manage it, set ⟨adopt⟩: true, which sets the tag (check mode with diff shows the changes). "
        f"Otherwise {alternative}",
    )


def describe_owner(owner: str | None) -> str:
    """Return a clause about the owner of the run."""
    return f"this run is for owner '{owner}'" if owner else "this run has no owner"


def owned_by_another(
    target: Target,
    tags: Mapping[str, str],
    owner: str | None,
    workloads: tuple[WorkloadKey, ...],
    action: Action,
) -> Failure:
    return Failure(
        workloads,
        target,
        action,
        Code.NOT_OWNED,
        f"{target.display} belongs to owner '{tags[OWNER_TAG]}', and {describe_owner(owner)}, so it is unchanged.",
        f"Change it in a run for owner '{tags[OWNER_TAG]}', use another name, or set ⟨adopt⟩: true to adopt it (check mode "
        "with diff shows the changes).",
    )


def boundary_missing(account: Account, shared: SharedRole) -> Failure:
    return Failure(
        shared.keys,
        policy_target(str(shared.spec.permissions_boundary)),
        "read",
        Code.POLICY_MISSING,
        f"policy {shared.spec.permissions_boundary}, the permissions boundary of role {shared.spec.name}, "
        f"does not exist in account {account.account_id}.",
        "Correct the ARN, or create that policy first.",
    )


def tags_turned_off(spec: RoleSpec, workload: Workload) -> Failure:
    return Failure(
        (workload.key,),
        trust_target(spec.name),
        "update",
        Code.SESSION_TAGS_CONFLICT,
        f"the association of {workload.key} has session tags turned off, but trust_scope '{spec.trust_scope}' needs them: "
        "without them, its aws:RequestTag conditions never match.",
        "Set disable_session_tags: false for the workload, or trust_scope: account for its role.",
    )


def trust_policy_limit(observed: Observed) -> int:
    """Return the maximum size of a trust policy in characters, which is the default quota if that of the account is unknown."""
    return observed.quotas.trust_policy or TRUST


def _allowed(observed: Observed) -> str:
    by_default = (
        "" if observed.quotas.trust_policy else " by default (to use your quota, allow iam:GetAccountSummary)"
    )
    return f"{trust_policy_limit(observed)} are allowed{by_default}"


def exceeds_default_quota(plan: Plan) -> bool:
    """Return whether the plan has a failure for a quota, so that the quotas of the account must be read."""
    codes = (Code.ROLE_POLICIES_OVER_QUOTA, Code.TRUST_POLICY_TOO_LONG)
    return any(failure.error_code in codes for failure in plan.failures)


def too_long_on_the_way(shared: SharedRole, changes: Sequence[Change], observed: Observed) -> list[Failure]:
    """Return a failure if the intermediate trust policy is too long; an empty list otherwise.

    While associations move, or turn session tags on or off, the trust policy allows the users of both the present and the desired
    trust policy.
    """
    for change in changes:
        trust = (change.after or {}).get("trust_policy")
        narrowed_later = any(other.target == trust_target(change.target.name, True) for other in changes)
        if (
            not isinstance(trust, Mapping)
            or not narrowed_later
            or policy_size(trust) <= trust_policy_limit(observed)
        ):
            continue
        return [
            Failure(
                shared.keys,
                trust_target(shared.spec.name),
                "update",
                Code.TRUST_POLICY_TOO_LONG,
                f"the trust policy of role {shared.spec.name} would have {policy_size(trust)} characters while it allows "
                f"the users of both the present and the desired trust policy; {_allowed(observed)}.",
                "Let workloads leave the role in one run and others join it in the next, use a wider trust_scope "
                "for this role, or request an increase of the quota 'Role trust policy length'.",
            )
        ]
    return []


def too_long(shared: SharedRole, trust: Mapping[str, object], observed: Observed) -> list[Failure]:
    """Return a failure if the desired trust policy is too long; an empty list otherwise."""
    size = policy_size(trust)
    if size <= trust_policy_limit(observed):
        return []
    plural = "" if len(shared.users) == 1 else "s"
    return [
        Failure(
            shared.keys,
            trust_target(shared.spec.name),
            "update",
            Code.TRUST_POLICY_TOO_LONG,
            f"the trust policy of role {shared.spec.name} for its {len(shared.users)} workload{plural} has "
            f"{size} characters; {_allowed(observed)}.",
            "Use a wider trust_scope for this role (namespace, then cluster), give the workloads separate roles, "
            "or request an increase of the quota 'Role trust policy length'.",
        )
    ]


def role_used_elsewhere(
    shared: SharedRole, role: ObservedRole, users: OutsideUsers, lost: Sequence[str]
) -> Failure | None:
    """Return a failure if the changes of the role would affect its users outside the run, or None.

    :arg users: the users of the role outside the run.
    :arg lost: descriptions of users that would lose access, because the input has ``role.trust_policy`` without them.
    """
    differences, users = _differences(shared, role, users, lost)
    if not users:
        return None
    return Failure(
        shared.keys,
        role_target(role.name),
        "update",
        Code.ROLE_USED_ELSEWHERE,
        f"role {role.arn} differs from the definition of this run for {listed(map(str, shared.keys))}: "
        f"{' and '.join(differences)}. The role {users.description}, so it is unchanged.",
        "Use the same definition in all lists with the role, list all its workloads in one run, or give these workloads a "
        "separate role. To change the role for all of its users, set ⟨force⟩: true (check mode with diff shows the change).",
    )


def role_changed_elsewhere(
    shared: SharedRole, role: ObservedRole, users: OutsideUsers, lost: Sequence[str]
) -> Finding:
    """Return the finding about users outside the run that a change with ``force`` affects.

    See ``role_used_elsewhere`` for the arguments.
    """
    differences, users = _differences(shared, role, users, lost)
    return Finding(
        Code.ROLE_USED_ELSEWHERE,
        f"this run changes role {role.arn} ({' and '.join(differences)}), which also affects its users outside this run. "
        f"The role {users.description}.",
        "Notify the owners of these users, and use the same definition in every list with the role.",
        shared.keys[0],
        raised_as="warning",
    )


def _differences(
    shared: SharedRole, role: ObservedRole, users: OutsideUsers, lost: Sequence[str]
) -> tuple[list[str], OutsideUsers]:
    """Return descriptions of the differences between a role and its definition, and the users outside the run that they
    affect.
    """
    differences = [
        f"its {name.replace('_', ' ')} is {present or 'none'}, not {desired or 'none'}"
        for name, present, desired in differing_limits(shared.spec, role)
    ]
    users = users if differences else OutsideUsers()
    if lost:
        users = replace(users, names=tuple(sorted({*users.names, *lost})))
        differences.append("role.trust_policy does not allow all users of the role")
    return differences, users


def breaks(finding: Finding, change: Change) -> Failure:
    """Return the failure of a new association that would break running Pods, because it replaces their present credentials."""
    return Failure(
        change.workloads, change.target, change.action, finding.code, finding.message, finding.remedy
    )


def refused_in_kubernetes(findings: Iterable[Finding]) -> list[Failure]:
    """Return a failure for each service account and namespace that a run cannot use, from the findings about them."""
    groups: dict[tuple[Code, str, str, Target], list[WorkloadKey]] = {}
    for finding in findings:
        if key := finding.workload:
            of_account = finding.code in (Code.SERVICE_ACCOUNT_MISSING, Code.SERVICE_ACCOUNT_OTHER_OWNER)
            target = (
                Target("service_account", str(key), cluster=key.cluster)
                if of_account
                else Target("namespace", key.namespace, cluster=key.cluster)
            )
            groups.setdefault((finding.code, finding.message, finding.remedy, target), []).append(key)
    return [
        Failure(tuple(keys), target, "read", code, message, remedy)
        for (code, message, remedy, target), keys in groups.items()
    ]


def pattern_conflicts(workloads: Iterable[Workload], action: Action) -> list[Failure]:
    """Return a failure for each workload whose service account several entries of the input match."""
    return [
        Failure(
            (workload.key,), association_target(workload.key), action, found.code, found.message, found.remedy
        )
        for workload in workloads
        if (found := workload.conflict) is not None
    ]


def attached_extra(
    role: ObservedRole,
    key: WorkloadKey,
    arn: str,
    users: OutsideUsers,
    unread: Failure | None = None,
    administers: bool = False,
) -> Finding:
    """Report an attached policy that no workload lists.

    :arg users: the users of the role outside the run, who may need the policy.
    :arg unread: the failed read that is the reason to keep the policy, or None.
    :arg administers: the policy lets the role administer the account.
    """
    message = f"role {role.name} also has {arn} attached, which is not part of the role's configuration."
    if administers:
        message = f"role {role.name} also has {arn} attached, which lets it administer the account."
    if users.description:
        message += f" The role {users.description}. These users may need the policy."
    remedy = _how_to_detach(role, arn, users, administers)
    if unread is not None:
        error, part = unread.error, "tags" if unread.target.resource == "owner" else unread.target.resource
        message += (
            f" The policy's {part} could not be read: {error.operation}: {error.code}: {sentence(error.text)}"
        )
        remedy = f"{error.remedy} Or: {as_clause(remedy)}"
    return Finding(
        Code.POLICY_ADMINISTERS if administers else Code.POLICY_ATTACHED_EXTRA, message, remedy, key
    )


def denies_meanwhile(role: ObservedRole, key: WorkloadKey, arn: str, unread: Failure) -> Finding:
    """Report an unlisted policy that may deny requests, and is kept because another attached policy could not be read.

    If the policy were detached, the role might get permissions of the unread policy that are denied now.

    :arg unread: the failure of the other policy.
    """
    error = unread.error
    return Finding(
        Code.POLICY_ATTACHED_EXTRA,
        f"role {role.name} also has {arn} attached, which is not part of the role's configuration. "
        f"The policy is kept because it may deny requests that {unread.target.name} allows. That policy is attached, too, and "
        f"could not be read: {error.operation}: {error.code}: {sentence(error.text)}",
        error.remedy,
        key,
    )


def _how_to_detach(role: ObservedRole, arn: str, users: OutsideUsers, administers: bool = False) -> str:
    command = f"aws iam detach-role-policy --role-name {role.name} --policy-arn {arn}"
    if administers and users:
        return (
            "Detach it. Or, if all workloads of the role must administer the account, add it to the policies of each of them. "
            f"To detach it: {command}"
        )
    if users.remedy:
        return users.remedy
    if users.names or users.unread:
        return (
            "If the users outside this run need the policy, no action is needed. Otherwise list these users in this run, too, "
            f"or give them a separate role; if the policy is unused, detach it: {command}"
        )
    if users.unseen:
        return (
            "List it under policies. Or, if nothing outside this run uses the role, set ⟨purge_policies⟩: true and "
            "⟨force⟩: true, which detaches the policy."
        )
    if administers:
        return (
            "Set ⟨purge_policies⟩: true, or detach it; list it under policies only if the workload must administer the "
            f"account. To detach it: {command}"
        )
    return (
        "List it under policies, detach it, or set ⟨purge_policies⟩: true, which detaches it unless workloads outside the run "
        "use the role."
    )


def restricted_by_policy(role: ObservedRole, key: WorkloadKey, name: str, attached: bool = True) -> Finding:
    """Report a policy that only denies requests and that no workload lists.

    :arg name: the ARN of an attached policy, or the name of an inline policy.
    :arg attached: True for an attached policy, False for an inline policy.
    """
    command = f"detach-role-policy --role-name {role.name} --policy-arn {name}"
    text, event, how = f"also has {name} attached", "AttachRolePolicy", "detach it"
    if not attached:
        command = f"delete-role-policy --role-name {role.name} --policy-name {name}"
        text, event, how = f"has the inline policy {name}", "PutRolePolicy", "delete it"
    return Finding(
        Code.ROLE_RESTRICTED,
        f"role {role.name} {text}, which only denies requests, and so restricts the role. The policy is not "
        "part of the role's configuration, and is kept.",
        f"Find out who restricts the role and why (event {event} of the role in CloudTrail). To remove the policy, {how}: aws "
        f"iam {command}",
        key,
        raised_as="warning",
    )


def boundary_set(role: ObservedRole, key: WorkloadKey) -> Finding:
    """Report that a role has a permissions boundary, although its workloads do not list a permissions boundary."""
    return Finding(
        Code.ROLE_RESTRICTED,
        f"role {role.name} has the permissions boundary {role.permissions_boundary}, which is not part of the "
        "role's configuration, and is kept.",
        "If it is intended, list it as role.permissions_boundary. Otherwise find out who restricts the role and why (event "
        "PutRolePermissionsBoundary of the role in CloudTrail). To remove it, set permissions_boundary: '' in the role and run "
        "again.",
        key,
        raised_as="warning",
    )


def owner_not_set(
    target: Target, tags: Mapping[str, str], reason: str, keys: tuple[WorkloadKey, ...]
) -> Finding:
    """Report a resource that does not get the tag with the owner of the run.

    The resource may have users outside the run. If it had the tag with this run's owner, runs for these users could no
    longer change the resource.

    :arg tags: the desired tags, with the owner.
    :arg reason: a clause about the users that the resource has, or may have, outside the run.
    """
    return Finding(
        Code.NOT_OWNED,
        f"{target.display} does not get the tag {OWNER_TAG}: {tags[OWNER_TAG]}, because {reason}. With the "
        "tag, runs for other owners or without an owner could no longer change it.",
        "If only this owner uses the resource, set ⟨adopt⟩: true, which sets the tag. Otherwise no action is needed.",
        keys[0],
        raised_as="info",
    )


def statement_kept(role: ObservedRole, keys: tuple[WorkloadKey, ...]) -> Finding:
    return Finding(
        Code.TRUST_STATEMENT_STAYS,
        f"role {role.arn} keeps this collection's trust statement, because the statement also allows other "
        "workloads, or because the trust policy has no other statement.",
        "If no workload needs the statement, remove it from the trust policy, or delete the role.",
        keys[0],
    )


def cluster_missing(cluster: Cluster) -> Finding:
    return Finding(
        Code.CLUSTER_MISSING,
        f"cluster {cluster.name} was not found in account {cluster.account_id}, region {cluster.region}; "
        "only the IAM resources of its workloads are removed.",
        "If the cluster exists, check its name, the account and the region, and run again.",
    )


def perhaps_used(clusters: Clusters, role: ObservedRole, keys: tuple[WorkloadKey, ...]) -> Finding:
    members = clusters.members.values()
    if all(cluster.status for cluster in members):
        unseen = "it is not known whether another cluster uses the role."
        remedy = (
            "Check whether an association in another cluster of the account uses the role (aws eks "
            "list-pod-identity-associations, describe-pod-identity-association), and when the role was last "
            "used (aws iam get-role). If no association uses it, delete the role, or run with ⟨state⟩: absent and "
            "⟨force⟩: true for the workloads of the role alone."
        )
    else:
        missing = [cluster.name for cluster in members if not cluster.status]
        verb, their, they = (
            ("was", "its", "the cluster is") if len(missing) == 1 else ("were", "their", "they are")
        )
        unseen = f"{_name_clusters(missing)} {verb} not found, so {their} associations are not known."
        remedy = f"Check name, account and region; if {they} deleted, set ⟨force⟩: true."
    names = _name_clusters([cluster.name for cluster in members])
    return Finding(
        Code.RESOURCE_KEPT,
        f"role {role.arn} is kept: its trust policy is not limited to {names}, and {unseen}",
        remedy,
        keys[0],
    )


def _name_clusters(names: Sequence[str]) -> str:
    return f"cluster{'' if len(names) == 1 else 's'} {listed(names)}"


def usage_unknown(failure: Failure, shared: SharedRole, role: ObservedRole) -> Failure:
    note = f"{failure.target.label} could not be read, so it is not known whether it uses role {role.arn}: "
    return request_failure(failure.error, shared.keys, role_target(role.name), "delete", prefix=note)
