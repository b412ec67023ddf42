# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the creation and update of workloads: compare desired and observed state, and keep the changes that can succeed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change, Draft, Plan, with_managed_tag
from ..model.cluster import Account
from ..model.desired import Desired, Options, Workload
from ..model.names import OWNER_TAG
from ..model.observed import Observed
from ..model.roles import RoleSpec
from ..model.shared import Unread, find_unread, shared_policies, shared_roles
from ..model.targets import (
    Failure,
    Target,
    association_target,
    associations_target,
    policy_target,
    role_target,
)
from .associations import DesiredAssociation, find_extra_settings, plan_association, replacement_finding
from .attachments import with_records
from .ordering import restrict_first
from .outside_users import PolicyUsers
from .policies import plan_policy
from .problems import breaks, pattern_conflicts, refused_in_kubernetes
from .replaced_permissions import ReplacedPermissions
from .shared_role import gains, plan_shared_role, without_claim
from .trust import effective_scope, is_shut_out


def without_failed(plan: Plan) -> Plan:
    """Return the plan without the changes that only failed workloads need, and without those that depend on them or on failures.

    A workload without a failure gets one if it needs a skipped change. For a skipped removal of permissions, the workloads that
    prevent it get the failure instead.
    """
    failed = {key for failure in plan.failures for key in failure.workloads}
    kept_changes: list[Change] = []
    skipped: list[Failure] = []
    skipped_targets: set[Target] = set()
    # The targets of failed and skipped changes, each with its failed workloads. The plan may have no change for such a target.
    failed_targets = {failure.target: failure.workloads for failure in plan.failures}
    failed_targets |= {association_target(key): (key,) for key in sorted(failed)}
    for change in plan.changes:
        need = change.needed_among(skipped_targets)
        missing = change.needed_among(failed_targets.keys())
        if all(key in failed for key in change.workloads):
            skipped_targets.add(change.target)
            failed_targets.setdefault(change.target, change.workloads)
        elif change.takes and missing is not None:
            skipped_targets.add(change.target)
            skipped.append(_skipped_removal(change, missing, failed_targets[missing]))
        elif need is not None or (
            missing is not None
            and (change.target.resource == "association" or missing in change.common_needs)
        ):
            skipped_targets.add(change.target)
            failed_targets.setdefault(change.target, change.workloads)
            skipped.append(_skipped(change, need or missing or change.target, failed))
        else:
            kept_changes.append(change)
    return replace(plan, changes=tuple(kept_changes), failures=(*plan.failures, *skipped))


def _skipped_removal(change: Change, need: Target, workloads: tuple[WorkloadKey, ...]) -> Failure:
    """Return the failure of a skipped removal of permissions.

    :arg workloads: the failed workloads. The failure belongs to them instead of the workloads of ``change``, which have
        everything that they need even if the permission is not removed.
    """
    return Failure(
        workloads,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done: it depends on the {need.display}, which is unchanged because of other failures.",
        "Resolve those failures and run again.",
    )


def _skipped(change: Change, need: Target, failed: Collection[WorkloadKey]) -> Failure:
    return Failure(
        tuple(key for key in change.workloads if key not in failed),
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done: it depends on the {need.display}, which is unchanged because of other failures.",
        "Resolve those failures and run again.",
    )


def make_plan(desired: Desired, observed: Observed) -> Plan:
    """Plan the creation and update of the desired workloads. Return the changes in their order, failures and findings."""
    draft = Draft()
    account, options = observed.account, desired.options
    workloads = [_as_associated(draft, workload, observed) for workload in desired.workloads]
    keys = frozenset(workload.key for workload in workloads)
    unread = find_unread(observed, keys)
    draft.failures += [*refused_in_kubernetes(desired.refused), *pattern_conflicts(workloads, "update")]
    # A cluster that could not be read and has no workload in the run gets its own failure. In the other clusters that could not
    # be read, each workload gets a failure below.
    draft.failures += [
        observed.unread[target].for_workloads(()) for target in sorted(unread.unknown_clusters)
    ]
    all_shared = shared_roles(account, workloads)
    policy_users = PolicyUsers(desired, observed, all_shared, draft.unread)
    for arn, (spec, users) in shared_policies(account, workloads).items():
        if failure := observed.unread.get(policy_target(arn)):
            draft.failures.append(failure.for_workloads(users))
        else:
            policy = observed.policies.get(arn)
            plan_policy(draft, observed.clusters, options, spec, policy, users, policy_users)
    created_arns = frozenset(change.target.name for change in draft.changes if change.action == "create")
    observed = _with_new_tags(observed, draft.changes)
    for shared in all_shared:
        if failure := observed.unread.get(role_target(shared.spec.name.lower())):
            draft.failures.append(failure.for_workloads(shared.keys))
        else:
            shared = without_claim(draft, observed, options, shared, keys)
            plan_shared_role(draft, observed, options, shared, keys, created_arns, unread)
    draft.changes = with_records(draft.changes, observed, options, all_shared)
    gained = {
        shared.spec.name.lower(): gains(shared, observed.roles.get(shared.spec.name.lower()))
        for shared in all_shared
    }
    # The plan skips the policies of roles that could not be read. Count them as added permissions, so that no permission is
    # removed that one of these policies should replace.
    left_out = {
        target
        for name, targets in gained.items()
        if role_target(name) in observed.unread
        for target in targets
    }
    added = _added_permissions(draft.changes) | observed.unread.keys() | left_out
    movers = _movers(account, workloads, observed, unread)
    replaced = ReplacedPermissions(observed, all_shared, gained, added, movers, draft.changes)
    draft.changes = [replaced.ordered(step) for change in draft.changes for step in replaced.steps(change)]
    _plan_associations(draft, desired, workloads, observed, observed.unread, gained)
    draft.changes = restrict_first(draft.changes, observed, all_shared, account, workloads)
    plan = without_failed(draft.plan())
    owners, replacements = (map(find, plan.changes) for find in (_other_owner, replacement_finding))
    return replace(plan, findings=(*plan.findings, *filter(None, owners), *filter(None, replacements)))


def _with_new_tags(observed: Observed, changes: Sequence[Change]) -> Observed:
    """Return the observed state with the tags that this plan sets on policies, so that an adopted policy counts as managed."""
    policies = dict(observed.policies)
    for change in changes:
        policy = policies.get(change.target.name) if change.action == "update" else None
        tags = (change.after or {}).get("tags")
        if policy is not None and isinstance(tags, Mapping):
            policies[policy.arn] = replace(policy, tags=tags)
    return replace(observed, policies=policies)


def _added_permissions(changes: Sequence[Change]) -> frozenset[Target]:
    """Return the targets of the changes that may add permissions to a role: attachments, and new or updated policies."""
    return frozenset(
        change.target
        for change in changes
        if change.target.resource in ("attachment", "policy")
        and not change.takes
        and change.action != "detach"
    )


def _movers(
    account: Account, workloads: Sequence[Workload], observed: Observed, unread: Unread
) -> dict[str, frozenset[Target]]:
    """Return the associations that move to another role, by the lower-case ARN of the role that they leave.

    The key "" has a target for each cluster with associations that could not be read, because they may leave any role.
    """
    movers: dict[str, set[Target]] = {}
    for workload in workloads:
        association = observed.associations.get(workload.key)
        if association is None or workload.role is None:
            continue
        if association.role_arn != account.role_arn(workload.role):
            movers.setdefault(association.role_arn.lower(), set()).add(association_target(workload.key))
    movers[""] = set(unread.associations.values())
    return {arn: frozenset(targets) for arn, targets in movers.items()}


def _other_owner(change: Change) -> Finding | None:
    """Return a finding if a change replaces the owner of a resource, because the lists of both owners may contain it."""
    old_tags, new_tags = (side.get("tags") if side else None for side in (change.before, change.after))
    if not isinstance(old_tags, Mapping) or not isinstance(new_tags, Mapping):
        return None
    old, new = old_tags.get(OWNER_TAG), new_tags.get(OWNER_TAG)
    if not old or old == new:
        return None
    return Finding(
        Code.OWNER_CHANGED,
        f"the owner of {change.target.label} changes from '{old}' to '{new}'.",
        "List the resource for one owner only. If the change of owner is intended, no action is needed.",
        change.workloads[0],
    )


def _as_associated(draft: Draft, workload: Workload, observed: Observed) -> Workload:
    """Return the workload, with the present ``disable_session_tags`` of its association if the workload does not set this option.

    The option determines the default trust scope. The workload is returned unchanged if its role requires session tags but its
    association has them turned off, because another process must have turned them off. Add a finding to the draft if the
    association has settings that the workload does not set.
    """
    association = observed.associations.get(workload.key)
    if association is None:
        return workload
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    shut_out = is_shut_out(workload, association, role, observed.clusters)
    extra = find_extra_settings(workload.association, association, shut_out)
    draft.findings += [extra] if extra is not None else []
    if workload.association.disable_session_tags is not None or not association.disable_session_tags:
        return workload
    if shut_out:
        return workload
    return replace(workload, association=replace(workload.association, disable_session_tags=True))


def _plan_associations(
    draft: Draft,
    desired: Desired,
    workloads: Sequence[Workload],
    observed: Observed,
    unread: Mapping[Target, Failure],
    gained: Mapping[str, frozenset[Target]],
) -> None:
    """Add the changes and failures of the associations to the draft.

    :arg gained: the gains of each role, by its lower-case name. An association that moves to the role needs these changes first.
    """
    account, options = observed.account, desired.options
    by_key: dict[WorkloadKey, list[Change]] = {}
    for change in draft.changes:
        for key in change.workloads:
            by_key.setdefault(key, []).append(change)
    for workload in workloads:
        role = workload.role
        failure = unread.get(associations_target(workload.key.cluster)) or unread.get(
            association_target(workload.key)
        )
        if failure is not None:
            draft.failures.append(failure.for_workloads((workload.key,)))
            continue
        if role is None:
            continue
        changes = by_key.get(workload.key, [])
        association = observed.associations.get(workload.key)
        spec = workload.association
        owned = association is None or association.owned or options.adopt
        moves = association is not None and association.role_arn != account.role_arn(role)
        desired_association = DesiredAssociation(
            key=workload.key,
            role_arn=account.role_arn(role),
            spec=spec,
            tags=with_managed_tag(spec.tags) if owned else spec.tags,
            purge_tags=options.purge_tags,
            force=options.force,
            adopt=options.adopt,
            owner=options.owner,
            needs=frozenset(change.target for change in changes if not change.takes)
            | (gained[role.name.lower()] if moves else frozenset()),
            awaits=any(change.target.resource in ("role", "trust_policy") for change in changes),
        )
        planned = plan_association(desired_association, association)
        if isinstance(planned, Change) and association is None and workload.key in desired.would_break:
            draft.failures.append(breaks(desired.would_break[workload.key], planned))
        elif isinstance(planned, Change):
            draft.changes.append(planned)
        elif isinstance(planned, Failure):
            draft.failures.append(planned)
        _note_account_scope(draft, role, options, workload)


def _note_account_scope(draft: Draft, role: RoleSpec, options: Options, workload: Workload) -> None:
    """Add a finding to the draft if a role's trust scope is the whole account only because session tags are turned off.

    There is no finding if the role sets a trust scope, or if the trust scope of the run is the account.
    """
    if (
        workload.association.disable_session_tags
        and not role.existing
        and role.trust_policy is None
        and role.trust_scope is None
        and options.trust_scope != "account"
        and effective_scope(role, options, workload) == "account"
    ):
        draft.findings.append(
            Finding(
                Code.TRUST_SCOPE_WITHOUT_SESSION_TAGS,
                f"role {role.name} can be used from every cluster of the account: without session "
                "tags its trust policy cannot distinguish workloads.",
                "To limit the role, turn session tags on. To confirm the wide scope, set trust_scope: account.",
                workload.key,
            )
        )
