# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Why a role or an association is not made or changed: the failures that planning finds, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import policy_size
from ..model.changes import Change
from ..model.cluster import Account
from ..model.desired import Options, RoleSpec, Workload
from ..model.errors import listed
from ..model.names import MANAGED_BY_TAG, OWNER_TAG
from ..model.observed import ObservedAssociation, ObservedRole
from ..model.shared import SharedRole
from ..model.targets import (
    Action,
    Failure,
    Target,
    association_target,
    policy_target,
    role_target,
    trust_target,
)
from . import roles
from .outside_users import OutsideUsers

UNMARKED = f"It does not have the tag {MANAGED_BY_TAG}, so it is not known to have been made here, and is left as it is."
TAKE_BACK = (
    "If it was made here and has lost the tag, or is to be taken over, set ⟨adopt⟩: true, which sets the tag (check mode "
    "with diff shows what would change)."
)


def role_missing(account: Account, shared: SharedRole, role: ObservedRole | None) -> Failure:
    path = f"; the role of that name is {role.arn}" if role is not None else ""
    return Failure(
        shared.keys,
        role_target(shared.spec.arn or shared.spec.name),
        "read",
        Code.ROLE_MISSING,
        f"role {shared.spec.arn} does not exist (asked in account {account.account_id}){path}.",
        "Correct the ARN, or give role.name instead of role.arn to have the role made.",
    )


def other_path(shared: SharedRole, role: ObservedRole) -> Failure:
    return Failure(
        shared.keys,
        role_target(shared.spec.name),
        "update",
        Code.ROLE_PATH_DIFFERS,
        f"role {role.name} exists with path {role.path}, not {shared.spec.path}; IAM cannot move a "
        "role to another path.",
        f"Set role.path to {role.path}, or choose another role name.",
    )


def other_case(shared: SharedRole, role: ObservedRole) -> Failure:
    return Failure(
        shared.keys,
        role_target(shared.spec.name),
        "update",
        Code.ROLE_NAME_DIFFERS,
        f"role {shared.spec.name} exists as {role.name}; IAM takes both for the same name, but ARNs "
        "tell them apart.",
        f"Set role.name to {role.name}, or choose another role name.",
    )


def not_owned(shared: SharedRole, role: ObservedRole, changes: Sequence[Change]) -> Failure:
    return Failure(
        shared.keys,
        role_target(role.name),
        "update",
        Code.ROLE_NOT_OWNED,
        f"role {role.arn} exists and would have to change ({roles.role_differences(changes)}). {UNMARKED}",
        f"{TAKE_BACK} Else give role.arn to use it as it is (extend_trust: true adds only our trust statement), or "
        "another role.name.",
    )


def owned_by_another(
    target: Target,
    tags: Mapping[str, str],
    owner: str | None,
    workloads: tuple[WorkloadKey, ...],
    action: Action,
) -> Failure:
    message, remedy = another_owner(target.display, tags, owner)
    return Failure(workloads, target, action, Code.OWNED_BY_ANOTHER, message, remedy)


def another_owner(name: str, tags: Mapping[str, str], owner: str | None) -> tuple[str, str]:
    """What is said of it, and what to do."""
    run = f"this run is for owner '{owner}'" if owner else "this run has no owner"
    return (
        f"{name} belongs to owner '{tags[OWNER_TAG]}', and {run}, so it is left as it is.",
        f"Run it for owner '{tags[OWNER_TAG]}', use another name, or set ⟨adopt⟩: true to take it over (check mode with "
        "diff shows what would change).",
    )


def association_not_owned(association: ObservedAssociation) -> Failure:
    return Failure(
        (association.key,),
        association_target(association.key),
        "update",
        Code.ASSOCIATION_NOT_OWNED,
        f"association {association.association_id} of {association.key.cluster} {association.key} exists with role "
        f"{association.role_arn}, and would have to change. {UNMARKED}",
        f"{TAKE_BACK} Else delete it first.",
    )


def boundary_missing(account: Account, shared: SharedRole) -> Failure:
    return Failure(
        shared.keys,
        policy_target(str(shared.spec.permissions_boundary)),
        "read",
        Code.POLICY_MISSING,
        f"policy {shared.spec.permissions_boundary}, the permissions boundary of role {shared.spec.name}, "
        f"does not exist (asked in account {account.account_id}).",
        "Correct the ARN, or make that policy first.",
    )


def tags_turned_off(spec: RoleSpec, workload: Workload) -> Failure:
    return Failure(
        (workload.key,),
        trust_target(spec.name),
        "update",
        Code.TRUST_SCOPE_NEEDS_SESSION_TAGS,
        f"the association of {workload.key} has session tags turned off, which stays so unless "
        f"disable_session_tags says otherwise; trust_scope '{spec.trust_scope}' needs them: its "
        "aws:RequestTag conditions would never match.",
        "Set disable_session_tags: false for the workload, or trust_scope: account for its role.",
    )


def too_long_on_the_way(shared: SharedRole, changes: Sequence[Change], options: Options) -> list[Failure]:
    """Where a trust policy has to let in those who leave until those who come are there."""
    limit = options.trust_policy_size_limit
    for change in changes:
        trust = (change.after or {}).get("trust_policy")
        narrowed_later = any(other.target == trust_target(change.target.name, True) for other in changes)
        if not isinstance(trust, Mapping) or not narrowed_later or policy_size(trust) <= limit:
            continue
        return [
            Failure(
                shared.keys,
                trust_target(shared.spec.name),
                "update",
                Code.TRUST_POLICY_TOO_LONG,
                f"the trust policy of role {shared.spec.name} would have {policy_size(trust)} characters "
                f"while it lets in both the workloads that leave the role and those that join it; {limit} are "
                "allowed.",
                "Let the workloads leave in one run and the others join in the next, use a wider trust_scope "
                "for this role, or have the quota 'Role trust policy length' raised and set "
                "⟨trust_policy_size_limit⟩.",
            )
        ]
    return []


def too_long(shared: SharedRole, trust: Mapping[str, object], options: Options) -> list[Failure]:
    size = policy_size(trust)
    if size <= options.trust_policy_size_limit:
        return []
    return [
        Failure(
            shared.keys,
            trust_target(shared.spec.name),
            "update",
            Code.TRUST_POLICY_TOO_LONG,
            f"the trust policy of role {shared.spec.name} for its {len(shared.users)} workloads has "
            f"{size} characters; {options.trust_policy_size_limit} are allowed.",
            "Use a wider trust_scope for this role (namespace, then cluster), give the workloads "
            "roles of their own, or have the quota 'Role trust policy length' raised and set "
            "⟨trust_policy_size_limit⟩.",
        )
    ]


def role_used_elsewhere(
    shared: SharedRole, role: ObservedRole, users: OutsideUsers, lost: Sequence[str]
) -> Failure | None:
    """Return the refusal to change what a role means for users outside the run; None where nothing of that changes.

    :arg lost: the users whom a trust policy that is given as a whole would shut out.
    """
    differences, users = _differences(shared, role, users, lost)
    if not users:
        return None
    return Failure(
        shared.keys,
        role_target(role.name),
        "update",
        Code.ROLE_USED_ELSEWHERE,
        f"role {role.arn} is not as this run defines it for {listed(map(str, shared.keys))}: {' and '.join(differences)}. It "
        f"{users.description or _UNREAD}, so it stays as it is.",
        "Define the same wherever the role is listed, list all its workloads in one run, or give these workloads a role of their "
        "own. To change the role for all of its users, set ⟨force⟩: true (check mode with diff shows the change).",
    )


def role_changed_elsewhere(
    shared: SharedRole, role: ObservedRole, users: OutsideUsers, lost: Sequence[str]
) -> Finding:
    """Name the users outside the run for whom a run with ``force`` changes the role."""
    differences, users = _differences(shared, role, users, lost)
    return Finding(
        Code.ROLE_USED_ELSEWHERE,
        f"role {role.arn} changes also for users outside this run: {' and '.join(differences)}. It "
        f"{users.description or _UNREAD}.",
        "Tell those who run them, and define the same wherever the role is listed.",
        shared.keys[0],
        raised_as="warning",
    )


def _differences(
    shared: SharedRole, role: ObservedRole, users: OutsideUsers, lost: Sequence[str]
) -> tuple[list[str], OutsideUsers]:
    """Return what differs from the definition of the run, and the users outside the run for whom it would change."""
    differences = [
        f"its {name.replace('_', ' ')} is {present or 'none'}, not {wanted or 'none'}"
        for name, present, wanted in roles.differing_limits(shared.spec, role)
    ]
    users = users if differences else OutsideUsers()
    if lost:
        users = replace(users, known=tuple(sorted({*users.known, *lost})))
        differences.append("role.trust_policy does not let all of its users in")
    return differences, users


# Only until the associations have been read, or as long as they cannot be.
_UNREAD = "may be used by others"


def breaks(finding: Finding, change: Change) -> Failure:
    """An association that is not made, because Pods that run would lose their credentials by it."""
    return Failure(
        change.workloads, change.target, change.action, finding.code, finding.message, finding.remedy
    )


def refused_in_kubernetes(findings: Iterable[Finding]) -> list[Failure]:
    """One failure for all workloads of a namespace that lacks the same."""
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
