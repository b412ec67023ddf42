# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the failures of a plan, and the findings about resources that a run does not change. Pure.

Text in ⟨⟩ is the name of an option. For the Ansible role, the report adds the prefix of role variables to that name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.grammar.storable import TRUST
from ..._policy.language.document import policy_size
from ..model.attributes import describe_value
from ..model.changes import Change, Plan
from ..model.desired import Workload
from ..model.errors import as_clause, listed, sentence
from ..model.names import MANAGED_BY_TAG, MANAGED_BY_VALUE, OWNER_TAG, is_marked
from ..model.observed import Observed
from ..model.roles import ObservedRole
from ..model.shared import SharedRole
from ..model.targets import (
    Action,
    Failure,
    Target,
    association_target,
    trust_target,
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


def exceeds_default_quota(plan: Plan) -> bool:
    """Return whether the plan has a failure for a quota, so that the quotas of the account must be read."""
    return not {Code.ROLE_POLICIES_OVER_QUOTA, Code.TRUST_POLICY_TOO_LONG}.isdisjoint(
        failure.error_code for failure in plan.failures
    )


def too_long(shared: SharedRole, trust: Mapping[str, object], observed: Observed) -> list[Failure]:
    """Return a failure if the desired trust policy is too long; an empty list otherwise."""
    size, limit = policy_size(trust), observed.quotas.trust_policy or TRUST
    if size <= limit:
        return []
    plural = "" if len(shared.users) == 1 else "s"
    by_default = " by default (to use your quota, allow iam:GetAccountSummary)"
    return [
        Failure(
            shared.keys,
            trust_target(shared.spec.name),
            "update",
            Code.TRUST_POLICY_TOO_LONG,
            f"the trust policy of role {shared.spec.name} for its {len(shared.users)} workload{plural} has "
            f"{size} characters; {limit} are allowed{'' if observed.quotas.trust_policy else by_default}.",
            "Use a wider trust_scope for this role (namespace, then cluster), give the workloads separate roles, "
            "or request an increase of the quota 'Role trust policy length'.",
        )
    ]


def refuse_other(
    target: Target,
    tags: Mapping[str, str],
    owner: str,
    workloads: tuple[WorkloadKey, ...],
    reason: str,
    action: Action = "update",
) -> Failure:
    """Return the failure of a change of a resource that does not belong to the owner of the run.

    :arg tags: the tags of the resource.
    :arg reason: the reason why the resource would have to change, as a clause.
    """
    has_name = target.resource != "association"
    if is_marked(tags):
        message = f"{target.display} belongs to owner '{tags.get(OWNER_TAG, '')}', and this run is for owner '{owner}'"
        remedy = f"Change it in a run for owner '{tags.get(OWNER_TAG, '')}'{', use another name' if has_name else ''}"
    else:
        message = f"{target.display} exists without the tag {MANAGED_BY_TAG}, so this collection may not have created it"
        remedy = (
            "Use another name, or the existing resource by its ARN"
            if has_name
            else "List its role and settings"
        )
    return Failure(
        workloads,
        target,
        action,
        Code.NOT_OWNED,
        f"{message}. It is unchanged, although {reason}.",
        f"{remedy}, or set ⟨adopt⟩: true to take it over (check mode with diff shows the changes).",
    )


def differing_tags(present: Mapping[str, str], desired: Mapping[str, str]) -> list[str]:
    """Return a clause for each listed tag that a resource does not have, like "tag team is (none), not shop"."""
    return [
        f"tag {key} is {describe_value(present.get(key))}, not {describe_value(value)}"
        for key, value in desired.items()
        if present.get(key) != value
    ]


def tags_kept(
    code: Code, subject: str, present: Mapping[str, str], desired: Mapping[str, str], key: WorkloadKey
) -> list[Finding]:
    """Report the listed tags that a resource of another owner does not have. The run uses it unchanged."""
    texts = differing_tags(present, desired)
    finding = Finding(
        code,
        f"{subject} differs from its configuration: {'; '.join(texts)}. It does not belong to the owner of this list, so it "
        "is unchanged.",
        "Leave these tags out of the list, or set ⟨adopt⟩: true to take the resource over.",
        key,
        raised_as="warning",
    )
    return [finding] if texts else []


def not_attached(role: ObservedRole, key: WorkloadKey, arn: str) -> Finding:
    """Report a listed policy that a role given by its ARN does not have. This collection attaches nothing to such a role."""
    return Finding(
        Code.POLICY_NOT_ATTACHED,
        f"policy {arn} is not attached to role {role.arn}.",
        "A role that is given by its ARN belongs to another owner, so a run does not change it: attach the policy yourself, "
        f"or list the role by its name with ⟨adopt⟩: true. To attach it: aws iam attach-role-policy --role-name {role.name} "
        f"--policy-arn {arn}",
        key,
    )


def skip(change: Change, reason: Failure, failed: Collection[WorkloadKey] = ()) -> Failure:
    """Return the failure of a change that another failure stops.

    A skipped removal does not fail its own workloads, because they have all permissions that they need: it fails the workloads
    of the other failure.

    :arg failed: workloads that have a failure already.
    """
    unfailed = tuple(key for key in change.workloads if key not in failed)
    action = reason.action
    if reason.target.policy_arn:
        action = "delete" if action == "detach" else "create"
    return Failure(
        reason.workloads if change.takes else unfailed,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because {action.removesuffix('e')}ing the {reason.target.display} failed ({reason.error_code})."
        f"{' Until the run succeeds, the resource is not changed.' if change.takes else ''}",
        "Resolve that failure and run again.",
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
    role: ObservedRole, key: WorkloadKey, arn: str, unread: Failure | None = None, administers: bool = False
) -> Finding:
    """Report an attached policy that no workload lists.

    :arg unread: the failed read that is the reason to keep the policy, or None.
    :arg administers: the policy lets the role administer the account.
    """
    message = f"role {role.name} also has {arn} attached, which is not part of the role's configuration."
    remedy = "List it under policies, detach it, or set ⟨purge_policies⟩: true, which detaches it unless others use the role."
    if administers:
        message = f"role {role.name} also has {arn} attached, which lets it administer the account."
        remedy = (
            "Set ⟨purge_policies⟩: true, or detach it; list it under policies only if the workload must administer the "
            f"account. To detach it: aws iam detach-role-policy --role-name {role.name} --policy-arn {arn}"
        )
    if unread is not None:
        error = unread.error
        message += f" The policy could not be read: {error.operation}: {error.code}: {sentence(error.text)}"
        remedy = f"{error.remedy} Or: {as_clause(remedy)}"
    return Finding(
        Code.POLICY_ADMINISTERS if administers else Code.POLICY_ATTACHED_EXTRA, message, remedy, key
    )


def restricted_by_policy(role: ObservedRole, key: WorkloadKey, name: str, attached: bool = True) -> Finding:
    """Report a policy that only denies requests and that no workload lists.

    :arg name: the ARN of an attached policy, or the name of an inline policy.
    :arg attached: True for an attached policy, False for an inline policy.
    """
    text, event, step, command, option = (
        (f"also has {name} attached", "AttachRolePolicy", "detach it", "detach-role-policy", "--policy-arn")
        if attached
        else (
            f"has the inline policy {name}",
            "PutRolePolicy",
            "delete it",
            "delete-role-policy",
            "--policy-name",
        )
    )
    return Finding(
        Code.ROLE_RESTRICTED,
        f"role {role.name} {text}, which only denies requests, and so restricts the role. The policy is not "
        "part of the role's configuration, and is kept.",
        f"Find out who restricts the role and why (event {event} of the role in CloudTrail). To remove the policy, {step}: aws "
        f"iam {command} --role-name {role.name} {option} {name}",
        key,
        raised_as="warning",
    )


def policy_still_used(arn: str, keys: tuple[WorkloadKey, ...], users: Sequence[str]) -> Finding:
    return Finding(
        Code.RESOURCE_KEPT,
        f"policy {arn} is kept: it is still used by {listed(users, 10)}.",
        "If a user is a role of these workloads, follow the remedy of that role's finding. If a user is a role of another "
        "list of workloads, apply that list without the policy, which detaches it. Detach it from all other users. Then run "
        "again.",
        next(iter(keys), None),
    )


def not_own(subject: str, tags: Mapping[str, str], owner: str, keys: tuple[WorkloadKey, ...]) -> Finding:
    """Report a resource that a removal keeps, because it does not belong to the owner of the run."""
    key, other = next(iter(keys), None), tags.get(OWNER_TAG, "")
    if is_marked(tags):
        return Finding(
            Code.NOT_OWNED,
            f"{subject} belongs to owner '{other}', and this run is for owner '{owner}', so it is kept.",
            f"Remove it in a run for owner '{other}', or in a teardown with ⟨adopt⟩: true.",
            key,
        )
    return Finding(
        Code.RESOURCE_KEPT,
        f"{subject} is kept: it does not have the tag {MANAGED_BY_TAG}, so this collection may not have created it.",
        f"If this collection created it, restore the tag {MANAGED_BY_TAG} ({MANAGED_BY_VALUE}) and run again; otherwise no "
        "action is needed.",
        key,
        raised_as="info",
    )
