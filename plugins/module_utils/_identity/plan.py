# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Desired beside observed gives the plan. Pure: no request is made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.workload_identity.aws.plugins.module_utils._identity import plan_role, tags
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.change import (
    Change,
    Draft,
    Failure,
    Finding,
    Plan,
    label,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import (
    Cluster,
    Desired,
    Options,
    PolicySpec,
    RoleSpec,
    Workload,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.observed import (
    Observed,
    ObservedRole,
    ReadFailure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan_association import (
    WantedAssociation,
    plan_association,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan_policy import (
    plan_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.trust import (
    extended_trust,
    scope_of,
    wanted_trust,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.trust_check import (
    judge_trust,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.text import policy_size


@dataclass(frozen=True, slots=True)
class SharedRole:
    """One role of the run with all who use it and everything to be attached to it."""

    spec: RoleSpec
    users: tuple[Workload, ...]
    policy_arns: tuple[str, ...]

    @property
    def keys(self) -> tuple[WorkloadKey, ...]:
        return tuple(workload.key for workload in self.users)


def shared_roles(cluster: Cluster, workloads: Iterable[Workload]) -> list[SharedRole]:
    users: dict[str, list[Workload]] = {}
    for workload in workloads:
        if workload.role is not None:
            users.setdefault(workload.role.name.lower(), []).append(workload)
    roles = []
    for found in users.values():
        arns = {cluster.policy_arn(spec): None for workload in found for spec in workload.policies}
        spec = found[0].role
        if spec is not None:
            roles.append(SharedRole(spec, tuple(found), tuple(arns)))
    return roles


def shared_policies(
    cluster: Cluster, workloads: Iterable[Workload]
) -> dict[str, tuple[PolicySpec, list[WorkloadKey]]]:
    """Policies by ARN, with the workloads that use each."""
    policies: dict[str, tuple[PolicySpec, list[WorkloadKey]]] = {}
    for workload in workloads:
        for spec in workload.policies:
            users = policies.setdefault(cluster.policy_arn(spec), (spec, []))[1]
            if workload.key not in users:
                users.append(workload.key)
    return policies


def make_plan(desired: Desired, observed: Observed) -> Plan:
    """The changes that bring about the desired workloads, and what stands in the way of some."""
    draft = Draft()
    cluster, options = observed.cluster, desired.options
    listed = frozenset(workload.key for workload in desired.workloads)
    unread = unread_resources(observed.failures)
    for arn, (spec, users) in shared_policies(cluster, desired.workloads).items():
        if failure := unread.get(("policy", arn)):
            draft.failures.append(read_failure(failure, tuple(users)))
        else:
            plan_policy(draft, cluster, options, spec, observed.policies.get(arn), users)
    for role in shared_roles(cluster, desired.workloads):
        if failure := unread.get(("role", role.spec.name.lower())):
            draft.failures.append(read_failure(failure, role.keys))
        else:
            _plan_shared_role(draft, observed, options, role, listed)
    _plan_associations(draft, desired, observed, unread)
    return without_failed(draft.plan())


def unread_resources(
    failures: Iterable[ReadFailure],
) -> dict[tuple[str, str], ReadFailure]:
    return {(failure.resource, failure.name): failure for failure in failures}


def read_failure(failure: ReadFailure, workloads: tuple[WorkloadKey, ...]) -> Failure:
    return Failure(
        workloads,
        failure.resource,
        failure.name,
        "read",
        failure.code,
        f"{failure.operation}: {failure.text}",
        failure.remedy,
    )


def _plan_shared_role(
    draft: Draft,
    observed: Observed,
    options: Options,
    role: SharedRole,
    listed: frozenset[WorkloadKey],
) -> None:
    cluster, spec = observed.cluster, role.spec
    found = observed.roles.get(spec.name.lower())
    if spec.existing and (found is None or found.arn != spec.arn):
        draft.failures.append(_role_missing(cluster, role, found))
        return
    if found is not None and not spec.existing and found.path != spec.path:
        draft.failures.append(_other_path(role, found))
        return
    changes, failures = _role_changes(cluster, options, role, found, listed)
    if failures:
        draft.failures.extend(failures)
        return
    made = any(change.action == "create" for change in (*changes, *draft.changes))
    attached = found.attached if found is not None else ()
    changes += [
        plan_role.attach(spec.name, arn, role.keys, made) for arn in role.policy_arns if arn not in attached
    ]
    if found is not None and not spec.existing:
        if changes and not found.owned and not options.adopt:
            draft.failures.append(_not_owned(role, found, changes))
            return
        changes += _detachments(draft, observed, options, role, found)
    draft.changes.extend(changes)


def _role_changes(
    cluster: Cluster,
    options: Options,
    role: SharedRole,
    found: ObservedRole | None,
    listed: frozenset[WorkloadKey],
) -> tuple[list[Change], list[Failure]]:
    spec, keys = role.spec, role.keys
    if spec.existing and found is not None:
        trust = found.trust
        if spec.extend_trust:
            trust = extended_trust(cluster, spec, options, role.users, found.trust)
        failures = judge_trust(cluster, role.users, trust, found.arn, options)
        change = plan_role.update_trust(found, trust, keys)
        return ([change] if change else []), failures
    present = found.trust if found is not None else None
    trust = wanted_trust(cluster, spec, options, role.users, listed, present)
    failures = _too_long(role, trust, options)
    if spec.trust_policy is not None:
        failures += judge_trust(cluster, role.users, trust, cluster.role_arn(spec), options)
    if found is None:
        return [plan_role.create_role(cluster, spec, trust, keys)], failures
    changes = (
        plan_role.update_role(spec, found, options, keys),
        plan_role.update_trust(found, trust, keys),
    )
    if (
        not found.owned
        and not options.adopt
        and all(change is None or set(change.after or ()) <= {"tags"} for change in changes)
    ):
        # An unowned role that already is as wanted is used; it does not become ours by that.
        return [], failures
    return [change for change in changes if change is not None], failures


def _too_long(role: SharedRole, trust: Mapping[str, object], options: Options) -> list[Failure]:
    size = policy_size(trust)
    if size <= options.trust_policy_size_limit:
        return []
    return [
        Failure(
            role.keys,
            "trust_policy",
            role.spec.name,
            "update",
            "TRUST_POLICY_TOO_LONG",
            f"the trust policy of role {role.spec.name} for its {len(role.users)} workloads has "
            f"{size} characters; {options.trust_policy_size_limit} are allowed.",
            "Use a wider trust_scope for this role (namespace, then cluster), give the workloads "
            "roles of their own, or have the quota 'Role trust policy length' raised and set "
            "trust_policy_size_limit.",
        )
    ]


def _detachments(
    draft: Draft, observed: Observed, options: Options, role: SharedRole, found: ObservedRole
) -> list[Change]:
    """Policies of ours that the role is no longer to have. Others stay, and are reported."""
    if not found.owned:
        return []
    changes = []
    for arn in found.attached:
        if arn in role.policy_arns:
            continue
        policy = observed.policies.get(arn)
        if options.purge_policies or (policy is not None and policy.owned):
            stage = plan_role.ATTACHMENT_STAGE
            changes.append(plan_role.detach(stage, found.name, arn, role.keys))
        else:
            draft.findings.append(
                Finding(
                    "POLICY_ATTACHED_EXTRA",
                    "note",
                    role.keys[0],
                    f"role {found.name} also has {arn} attached, which is not asked for.",
                    "List it under policies, detach it, or set purge_policies: true.",
                )
            )
    return changes


def _plan_associations(
    draft: Draft,
    desired: Desired,
    observed: Observed,
    unread: Mapping[tuple[str, str], ReadFailure],
) -> None:
    cluster, options = observed.cluster, desired.options
    by_role: dict[str, list[Change]] = {}
    for change in draft.changes:
        for key in change.workloads:
            by_role.setdefault(str(key), []).append(change)
    for workload in desired.workloads:
        role = workload.role
        failure = unread.get(("associations", cluster.name)) or unread.get(("association", str(workload.key)))
        if failure is not None:
            draft.failures.append(read_failure(failure, (workload.key,)))
            continue
        if role is None:
            continue
        before = by_role.get(str(workload.key), [])
        found = observed.associations.get(workload.key)
        wanted = WantedAssociation(
            cluster_name=cluster.name,
            key=workload.key,
            role_arn=cluster.role_arn(role),
            spec=workload.association,
            tags=tags.with_owner(workload.association.tags),
            purge_tags=options.purge_tags,
            force=options.force,
            needs=frozenset(change.label for change in before),
            awaits=any(change.resource in ("role", "trust_policy") for change in before),
        )
        planned = plan_association(wanted, found)
        if isinstance(planned, Change):
            draft.changes.append(planned)
        elif isinstance(planned, Failure):
            draft.failures.append(planned)
        _note_narrower(draft, role, options, workload)


def _note_narrower(draft: Draft, role: RoleSpec, options: Options, workload: Workload) -> None:
    if (
        workload.association.disable_session_tags
        and not role.existing
        and role.trust_policy is None
        and role.trust_scope is None
        and scope_of(role, options, workload) == "account"
    ):
        draft.findings.append(
            Finding(
                "TRUST_SCOPE_WITHOUT_SESSION_TAGS",
                "note",
                workload.key,
                f"role {role.name} can be used from every cluster of the account: without session "
                "tags its trust policy cannot tell workloads apart.",
                "Keep session tags on where the role must be for this workload alone, or say "
                "trust_scope: account to show that this is meant.",
            )
        )


def without_failed(plan: Plan) -> Plan:
    """Leave out the changes that serve only workloads which cannot be completed anyway."""
    failed = {key for failure in plan.failures for key in failure.workloads}
    if not failed:
        return plan
    kept = tuple(change for change in plan.changes if any(key not in failed for key in change.workloads))
    labels = {change.label for change in plan.changes} - {change.label for change in kept}
    return Plan(tuple(change for change in kept if not change.needs & labels), plan.failures, plan.findings)


def _role_missing(cluster: Cluster, role: SharedRole, found: ObservedRole | None) -> Failure:
    path = f"; the role of that name is {found.arn}" if found is not None else ""
    return Failure(
        role.keys,
        "role",
        role.spec.arn or role.spec.name,
        "read",
        "ROLE_MISSING",
        f"role {role.spec.arn} does not exist (asked in account {cluster.account_id}){path}.",
        "Correct the ARN, or give role.name instead of role.arn to have the role made.",
    )


def _other_path(role: SharedRole, found: ObservedRole) -> Failure:
    return Failure(
        role.keys,
        "role",
        role.spec.name,
        "update",
        "ROLE_PATH_DIFFERS",
        f"role {found.name} exists with path {found.path}, not {role.spec.path}; IAM cannot move a "
        "role to another path.",
        f"Set role.path to {found.path}, or choose another role name.",
    )


def _not_owned(role: SharedRole, found: ObservedRole, changes: Sequence[Change]) -> Failure:
    return Failure(
        role.keys,
        "role",
        found.name,
        "update",
        "ROLE_NOT_OWNED",
        f"role {found.arn} exists, was not made by this collection and would have to change "
        f"({plan_role.role_differences(changes)}), so it is left as it is.",
        "Give role.arn to use it as it is (extend_trust: true adds only our trust statement), "
        "another role.name, or adopt: true to take it over (check mode with diff shows what "
        "would change).",
    )


__all__ = ["label", "make_plan", "shared_policies", "shared_roles"]
