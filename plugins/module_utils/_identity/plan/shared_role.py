# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the attributes, the trust policy and the attached policies of a role, for all workloads that share it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change, Draft, without_owner
from ..model.cluster import Clusters
from ..model.desired import Options
from ..model.names import lacks_owner, may_change
from ..model.observed import Observed
from ..model.roles import ObservedRole, RoleSpec
from ..model.shared import (
    SharedRole,
    Unread,
)
from ..model.targets import (
    Failure,
    Target,
    association_target,
    attachment_target,
    policy_target,
    role_target,
)
from . import problems
from .attachments import (
    DETACHING_STAGE,
    attach_policy,
    detach_policy,
    find_overfull,
    policy_limit,
    swap_policies,
)
from .narrowing import Narrowed, narrow_trust
from .outside_users import OutsideUsers, find_outside_users
from .policies import denies, only_denies
from .roles import change_trust, create_role, differing_limits, role_differences, update_role, update_trust
from .trust import (
    TAGGED_SCOPES,
    desired_trust,
    extended_trust,
    find_foreign_access,
    find_public_access,
    find_restrictions,
    may_allow_cluster,
    trust_failures,
    trust_subject,
)


def plan_shared_role(
    draft: Draft,
    observed: Observed,
    options: Options,
    shared: SharedRole,
    keys: frozenset[WorkloadKey],
    created_arns: Collection[str],
    unread: Unread,
) -> None:
    """Add the changes of one role, its trust policy and its attachments to the draft, or failures of its workloads.

    If only some of its workloads fail, the role is planned for the other workloads.

    :arg shared: the role with its workloads. Workloads in clusters that could not be read are skipped; the policies that they
        list are not detached.
    :arg keys: all workloads of the run.
    :arg created_arns: the ARNs of the policies that this plan creates.
    :arg unread: the associations that could not be read.
    """
    shared = shared.excluding(frozenset(key for key in shared.keys if key.cluster in unread.clusters))
    if not shared.users:
        return
    clusters, spec = observed.clusters.among(shared.keys), shared.spec
    role = observed.roles.get(spec.name.lower())
    if obstacle := _find_obstacle(observed, clusters, shared, role, created_arns):
        draft.failures.append(obstacle)
        return

    def plan_others(failures: Sequence[Failure]) -> None:
        """Add the failures, and plan the role for the workloads without a failure."""
        draft.failures.extend(failures)
        rest = shared.excluding(frozenset(key for failure in failures for key in failure.workloads))
        if rest.users:
            plan_shared_role(draft, observed, options, rest, keys, created_arns, unread)

    holders = _holders(observed, shared, role, keys, unread)
    narrowed = _next_trust(observed, clusters, options, shared, role, keys)
    draft.unread.update(narrowed.unread)
    changes, failures = _role_changes(observed, options, shared, role, narrowed.trust, created_arns, holders)
    users = _outside_users(observed, clusters, options, shared, role, narrowed.trust, keys)
    refused, forced = _changes_elsewhere(draft, options, shared, role, users, narrowed)
    if failures := [*failures, *refused]:
        plan_others(failures)
        return
    joining = _attachments(shared, role, created_arns)
    if unowned := _find_other_owner(options, shared, role, [*changes, *joining]):
        draft.failures.append(unowned)
        return
    leaving, staying = _detachments(draft, observed, options, shared, role, users)
    overfull = find_overfull(observed, options, shared, role, joining, leaving)
    if overfull is not None:
        plan_others([overfull])
        return
    if role is not None and not spec.existing:
        draft.findings.extend(_restrictions(clusters, shared, role, changes))
        if spec.trust_policy is None and _may_change_role(role, options):
            draft.findings.extend(find_public_access(role, shared.keys[0]))
            draft.findings.extend(find_foreign_access(role, shared.keys[0]))
        draft.findings.extend([*narrowed.findings, *staying, *forced])
        joining, later = _make_room(observed, role, joining, leaving)
        needs = gains(shared, role) | {role_target(role.name)} | holders
        changes += [replace(change, needs=change.needs | needs) for change in later]
    draft.changes.extend([*changes, *joining])


def _find_obstacle(
    observed: Observed,
    clusters: Clusters,
    shared: SharedRole,
    role: ObservedRole | None,
    created_arns: Collection[str],
) -> Failure | None:
    """Return the failure that prevents any change of a role, or None."""
    spec = shared.spec
    if spec.existing and (role is None or role.arn != spec.arn):
        return problems.role_missing(clusters.account, shared, role)
    if role is not None and not spec.existing and (role.name, role.path) != (spec.name, spec.path):
        return problems.other_name(shared, role)
    if _boundary_missing(observed, spec, role, created_arns):
        return problems.boundary_missing(clusters.account, shared)
    return None


def _changes_elsewhere(
    draft: Draft,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    users: OutsideUsers,
    narrowed: Narrowed,
) -> tuple[list[Failure], list[Finding]]:
    """Return (failures, findings): a failure if the changes affect users outside the run, or with ``force`` a finding instead."""
    if role is None or not _may_change_role(role, options):
        return [], []
    refusal = problems.role_used_elsewhere(shared, role, users, narrowed.lost)
    if refusal is None:
        return [], []
    draft.unread.update(users.unread)
    if options.force:
        return [], [problems.role_changed_elsewhere(shared, role, users, narrowed.lost)]
    return [refusal], []


def _find_other_owner(
    options: Options, shared: SharedRole, role: ObservedRole | None, changes: Sequence[Change]
) -> Failure | None:
    """Return the failure of changes to a role that is unmanaged or has another owner, or None if they are permitted."""
    if role is None or shared.spec.existing or not changes or _may_change_role(role, options):
        return None
    target = role_target(role.name)
    if role.owned:
        return problems.owned_by_another(target, role.tags, options.owner, shared.keys, "update")
    return problems.not_owned(
        target,
        shared.keys,
        f"role {role.arn} exists and would have to change ({role_differences(changes)})",
        "set another role.name, or set role.arn to use the role unchanged (extend_trust: true adds only the trust statement of "
        "this collection).",
    )


def _make_room(
    observed: Observed, role: ObservedRole, joining: Sequence[Change], leaving: Sequence[Change]
) -> tuple[list[Change], list[Change]]:
    """Return the attachments to apply, and the detachments to apply after them.

    If the role has the maximum number of policies, IAM accepts an attachment only after a detachment. Such an attachment is
    combined with one of the detachments into one change, which is among the attachments.
    """
    excess = max(0, len(role.attached) + len(joining) - policy_limit(observed, role))
    # Policies with a Deny are last, because the first ones are detached early.
    ordered = sorted(
        leaving, key=lambda change: denies(find_document(observed, change.target.policy_arn) or {})
    )
    swaps = list(map(swap_policies, ordered[:excess], joining))
    return [*swaps, *joining[len(swaps) :]], ordered[excess:]


def _restrictions(
    clusters: Clusters, shared: SharedRole, role: ObservedRole, changes: Sequence[Change]
) -> list[Finding]:
    """Report the unmanaged Deny statements that the trust policy of a role has after these changes."""
    trust = role.trust
    for change in changes:
        document = (change.after or {}).get("trust_policy")
        trust = document if isinstance(document, Mapping) else trust
    subjects = {
        workload.key: trust_subject(
            clusters.of_workload(workload.key),
            workload.key,
            role.arn,
            bool(workload.association.disable_session_tags),
        )
        for workload in shared.users
    }
    return find_restrictions(role.arn, trust, shared.spec.trust_policy, subjects)


def without_claim(
    draft: Draft,
    observed: Observed,
    options: Options,
    shared: SharedRole,
    keys: frozenset[WorkloadKey],
) -> SharedRole:
    """Return the role without the desired tag for the owner, if the role has no owner yet and may have users outside the run.

    With the tag of this run's owner, runs for those users could no longer change the role. A finding reports the omitted tag.
    In any other case return ``shared`` unchanged.
    """
    spec, role = shared.spec, observed.roles.get(shared.spec.name.lower())
    if role is None or spec.existing or options.adopt or not lacks_owner(role.tags, spec.tags):
        return shared
    users = find_outside_users(observed, observed.clusters.among(shared.keys), role, role.trust, keys)
    if not users:
        return shared
    draft.unread.update(users.unread)
    reason = f"it {users.description}"
    draft.findings.append(problems.owner_not_set(role_target(role.name), spec.tags, reason, shared.keys))
    spec = replace(spec, tags=without_owner(spec.tags))
    return replace(shared, spec=spec, users=tuple(replace(user, role=spec) for user in shared.users))


def _may_change_role(role: ObservedRole, options: Options) -> bool:
    """Return whether a run may change a role: it is managed and has no other owner, or ``adopt`` is set."""
    return may_change(role.tags, options.owner, options.adopt)


def _holders(
    observed: Observed,
    shared: SharedRole,
    role: ObservedRole | None,
    keys: frozenset[WorkloadKey],
    unread: Unread,
) -> frozenset[Target]:
    """Return the associations that need the present trust policy of the role until this plan has changed them.

    These are the associations that move to another role, and those whose session tags are turned on or off. Associations that
    could not be read are included if the trust policy may allow them.
    """
    if role is None:
        return frozenset()
    unseen = (
        target for name, target in sorted(unread.associations.items()) if may_allow_cluster(name, role.trust)
    )
    using = (
        observed.associations[key] for key in observed.role_users.get(role.arn.lower(), ()) if key in keys
    )
    users = {workload.key: workload for workload in shared.users}
    return frozenset(
        association_target(association.key)
        for association in using
        if association.key not in users
        or users[association.key].association.disable_session_tags
        not in (None, association.disable_session_tags)
    ) | frozenset(unseen)


def find_document(observed: Observed, arn: str) -> Mapping[str, object] | None:
    """Return the document of a policy, or None if it was not read."""
    policy = observed.policies.get(arn)
    return observed.documents.get(arn) if policy is None or policy.document is None else policy.document


def gains(shared: SharedRole, role: ObservedRole | None) -> frozenset[Target]:
    """Return the targets of the desired policies of a role, and of the attachments that the role does not have yet."""
    arns = shared.policy_users
    attached = role.attached if role is not None else ()
    joining = (attachment_target(shared.spec.name, arn) for arn in arns if arn not in attached)
    return frozenset((*map(policy_target, arns), *joining))


def _boundary_missing(
    observed: Observed, spec: RoleSpec, role: ObservedRole | None, created_arns: Collection[str]
) -> bool:
    boundary = spec.permissions_boundary
    if (
        not boundary
        or boundary in created_arns
        or (role is not None and role.permissions_boundary == boundary)
    ):
        return False
    return boundary in observed.policies and observed.policies[boundary] is None


def _next_trust(
    observed: Observed,
    clusters: Clusters,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    keys: frozenset[WorkloadKey],
) -> Narrowed:
    """Return the trust policy that the role will have, with the findings about kept access."""
    spec = shared.spec
    if role is None:
        return Narrowed(desired_trust(clusters, spec, options, shared.users, keys, None))
    if spec.existing:
        extended = spec.extend_trust
        trust = extended_trust(clusters, spec, options, shared.users, role.trust) if extended else role.trust
        return Narrowed(trust)
    trust = desired_trust(clusters, spec, options, shared.users, keys, role.trust)
    if not _may_change_role(role, options):
        return Narrowed(trust)
    return narrow_trust(observed, options, shared, role, trust, keys)


def _outside_users(
    observed: Observed,
    clusters: Clusters,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    trust: Mapping[str, object],
    keys: frozenset[WorkloadKey],
) -> OutsideUsers:
    """Return the users of the role outside the run, or an empty result if no planned change can affect them.

    Users that cannot be listed are ignored for an adopted role, and with both ``force`` and ``purge_policies``: with these
    options, the caller accepts that the changes affect such users.
    """
    if role is None or shared.spec.existing:
        return OutsideUsers()
    if set(role.attached) <= shared.policy_users.keys() and not differing_limits(shared.spec, role):
        return OutsideUsers()
    vouched = not role.owned or (options.force and options.purge_policies)
    return find_outside_users(observed, clusters, role, trust, keys, vouched)


def _role_changes(
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    trust: Mapping[str, object],
    created_arns: Collection[str],
    holders: frozenset[Target],
) -> tuple[list[Change], list[Failure]]:
    spec, keys, clusters = shared.spec, shared.keys, observed.clusters
    failures: list[Failure] = []
    if spec.trust_scope in TAGGED_SCOPES and (spec.extend_trust or not spec.existing):
        failures += [
            problems.tags_turned_off(spec, workload)
            for workload in shared.users
            if workload.association.disable_session_tags
        ]
    if spec.existing and role is not None:
        change = update_trust(role, trust, keys)
        failures += trust_failures(clusters, shared.users, trust if change else role.trust, role.arn)
        if change is not None:
            failures += problems.too_long(shared, trust, observed)
        return ([change] if change else []), failures
    failures += problems.too_long(shared, trust, observed)
    if spec.trust_policy is not None:
        failures += trust_failures(clusters, shared.users, spec.trust_policy, clusters.account.role_arn(spec))
    boundary_is_new = spec.permissions_boundary in created_arns
    if role is None:
        return [create_role(clusters.account, spec, trust, keys, boundary_is_new)], failures
    update = update_role(spec, role, options, keys, boundary_is_new)
    changes = [*([update] if update else []), *change_trust(role, trust, keys, holders)]
    failures += problems.too_long_on_the_way(shared, changes, observed)
    if not _may_change_role(role, options) and all(set(change.after or ()) <= {"tags"} for change in changes):
        # If only the tags of this role differ, it is used unchanged.
        return [], failures
    return changes, failures


def _attachments(
    shared: SharedRole, role: ObservedRole | None, created_arns: Collection[str]
) -> list[Change]:
    """Return the attachment of each policy that the role lacks.

    An attachment belongs only to the workloads that list the policy. So if a change of the policy fails, only these workloads
    fail, and the policy is not attached.
    """
    attached = role.attached if role is not None else ()
    changes, present = [], frozenset(shared.keys)
    for arn, requesters in shared.policy_users.items():
        users = tuple(key for key in requesters if key in present)
        if users and arn not in attached:
            new = role is None or arn in created_arns
            changes.append(attach_policy(shared.spec.name, arn, users, new))
    return changes


def _detachments(
    draft: Draft,
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    users: OutsideUsers,
) -> tuple[list[Change], list[Finding]]:
    """Return the detachments of policies that no workload lists, and a finding for each such policy that is kept.

    Without ``purge_policies`` only policies that this collection manages are detached. A policy is kept if users outside the
    run may need it, or if a policy could not be read. An unmanaged policy that only denies requests is always kept.
    """
    if role is None or shared.spec.existing or not _may_change_role(role, options):
        return [], []
    changes, findings = [], []
    extra = [arn for arn in role.attached if arn not in shared.policy_users]
    failures = {
        arn: failure
        for arn in extra
        if (
            failure := observed.unread.get(Target("owner", arn))
            or observed.unread.get(Target("document", arn))
        )
    }
    for arn in extra:
        policy = observed.policies.get(arn)
        is_managed = policy is not None and policy.owned
        document = find_document(observed, arn)
        if not is_managed and document is not None and only_denies(document):
            findings.append(problems.restricted_by_policy(role, shared.keys[0], arn))
            continue
        unread = None if is_managed else observed.unread.get(Target("document", arn))
        removable = unread is None and (options.purge_policies or is_managed)
        unread_grant = next((failures[other] for other in failures if other != arn), None)
        if removable and not users and unread_grant is not None and (document is None or denies(document)):
            findings.append(problems.denies_meanwhile(role, shared.keys[0], arn, unread_grant))
            continue
        if removable and not users:
            # The same plan may adopt the policy. Its tags are then set before it is detached.
            needs = frozenset((policy_target(arn),))
            change = detach_policy(DETACHING_STAGE, role.name, arn, shared.keys, needs)
            changes.append(replace(change, takes=True))
            continue
        if removable:
            draft.unread.update(users.unread)
        failure = unread or observed.unread.get(Target("owner", arn))
        findings.append(problems.attached_extra(role, shared.keys[0], arn, users, failure))
    return changes, findings
