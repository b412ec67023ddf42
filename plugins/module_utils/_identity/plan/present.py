# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Desired beside observed gives the plan. Pure: no request is made here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from ..model import tags
from ..model.changes import Change, Draft, Plan
from ..model.cluster import Cluster
from ..model.desired import Desired, Options, RoleSpec, Workload
from ..model.failures import Failure
from ..model.findings import Finding
from ..model.observed import Observed, ObservedAssociation, ObservedRole, ReadFailure
from ..model.ownership import OWNER_TAG
from ..model.shared import SharedRole, read_failure, shared_policies, shared_roles, unread_targets
from ..model.targets import Target, association_target, policy_target, role_target
from . import problems, retained, roles
from .associations import WantedAssociation, plan_association
from .policies import plan_policy
from .trust import TAGGED_SCOPES, extended_trust, grants_of_others, scope_of, wanted_trust
from .trust_usability import trust_failures


def make_plan(desired: Desired, observed: Observed) -> Plan:
    """The changes that the desired workloads need, and what stands in the way of some."""
    draft = Draft()
    cluster, options = observed.cluster, desired.options
    workloads = [
        _as_associated(workload, observed.associations.get(workload.key)) for workload in desired.workloads
    ]
    listed = frozenset(workload.key for workload in workloads)
    unread = unread_targets(observed.failures)
    for arn, (spec, users) in shared_policies(cluster, workloads).items():
        if failure := unread.get(policy_target(arn)):
            draft.failures.append(read_failure(failure, users))
        else:
            plan_policy(draft, cluster, options, spec, observed.policies.get(arn), users)
    made = frozenset(change.target.name for change in draft.changes if change.action == "create")
    for shared in shared_roles(cluster, workloads):
        if failure := unread.get(role_target(shared.spec.name.lower())):
            draft.failures.append(read_failure(failure, shared.keys))
        else:
            _plan_shared_role(draft, observed, options, shared, listed, made)
    _plan_associations(draft, workloads, observed, options, unread)
    taken_over = (_other_owner(change) for change in draft.changes)
    draft.findings += [finding for finding in taken_over if finding is not None]
    return without_failed(draft.plan())


def _other_owner(change: Change) -> Finding | None:
    """A list that takes over what another list made: one of them should not have it."""
    before, after = (side.get("tags") if side else None for side in (change.before, change.after))
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return None
    old, new = before.get(OWNER_TAG), after.get(OWNER_TAG)
    if not old or old == new:
        return None
    return Finding(
        Code.OWNER_CHANGED,
        "warning",
        change.workloads[0],
        f"{change.target.label} belonged to owner '{old}', and now belongs to '{new}'.",
        "List it for one owner only; when it has moved for good, there is nothing to do.",
    )


def _as_associated(workload: Workload, association: ObservedAssociation | None) -> Workload:
    """Session tags that an association has turned off stay off when nothing is said of them, and
    then the role has to be usable without them."""
    if workload.association.disable_session_tags is not None or association is None:
        return workload
    if not association.disable_session_tags:
        return workload
    return replace(workload, association=replace(workload.association, disable_session_tags=True))


def _plan_shared_role(
    draft: Draft,
    observed: Observed,
    options: Options,
    shared: SharedRole,
    listed: frozenset[WorkloadKey],
    made: Collection[str],
) -> None:
    """``made`` holds the ARNs of the policies that this plan makes."""
    cluster, spec = observed.cluster, shared.spec
    role = observed.roles.get(spec.name.lower())
    if spec.existing and (role is None or role.arn != spec.arn):
        draft.failures.append(problems.role_missing(cluster, shared, role))
        return
    if role is not None and not spec.existing and role.name != spec.name:
        draft.failures.append(problems.other_case(shared, role))
        return
    if role is not None and not spec.existing and role.path != spec.path:
        draft.failures.append(problems.other_path(shared, role))
        return
    if _boundary_missing(observed, spec, role, made):
        draft.failures.append(problems.boundary_missing(cluster, shared))
        return
    changes, failures = _role_changes(cluster, options, shared, role, listed, made)
    if failures:
        draft.failures.extend(failures)
        others = shared.without(frozenset(key for failure in failures for key in failure.workloads))
        if others.users:
            _plan_shared_role(draft, observed, options, others, listed, made)
        return
    joining = _attachments(shared, role, made)
    changes += joining
    if role is not None and not spec.existing:
        if changes and not role.owned and not options.adopt:
            draft.failures.append(problems.not_owned(shared, role, changes))
            return
        # A full role takes a policy only after another one has left; else there is never one too few.
        full = len(role.attached) + len(joining) > roles.POLICIES_OF_A_ROLE
        stage = roles.ROLE_STAGE if full else roles.ATTACHMENT_STAGE
        changes += _detachments(draft, observed, options, shared, role, listed, stage)
    draft.changes.extend(changes)


def _boundary_missing(
    observed: Observed, spec: RoleSpec, role: ObservedRole | None, made: Collection[str]
) -> bool:
    boundary = spec.permissions_boundary
    if not boundary or boundary in made or (role is not None and role.permissions_boundary == boundary):
        return False
    return boundary in observed.policies and observed.policies[boundary] is None


def _role_changes(
    cluster: Cluster,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    listed: frozenset[WorkloadKey],
    made: Collection[str],
) -> tuple[list[Change], list[Failure]]:
    spec, keys = shared.spec, shared.keys
    failures: list[Failure] = []
    if spec.trust_scope in TAGGED_SCOPES and (spec.extend_trust or not spec.existing):
        failures += [
            problems.tags_turned_off(spec, workload)
            for workload in shared.users
            if workload.association.disable_session_tags
        ]
    if spec.existing and role is not None:
        trust = role.trust
        if spec.extend_trust:
            trust = extended_trust(cluster, spec, options, shared.users, role.trust)
        failures += trust_failures(cluster, shared.users, trust, role.arn)
        change = roles.update_trust(role, trust, keys)
        if change is not None:
            failures += problems.too_long(shared, trust, options)
        return ([change] if change else []), failures
    present = role.trust if role is not None else None
    trust = wanted_trust(cluster, spec, options, shared.users, listed, present)
    failures += problems.too_long(shared, trust, options)
    if spec.trust_policy is not None:
        failures += trust_failures(cluster, shared.users, trust, cluster.role_arn(spec))
    boundary_made = spec.permissions_boundary in made
    if role is None:
        return [roles.create_role(cluster, spec, trust, keys, boundary_made)], failures
    changes = (
        roles.update_role(spec, role, options, keys, boundary_made),
        roles.update_trust(role, trust, keys),
    )
    if (
        not role.owned
        and not options.adopt
        and all(change is None or set(change.after or ()) <= {"tags"} for change in changes)
    ):
        # An unowned role that already is as wanted is used; it does not become ours by that.
        return [], failures
    return [change for change in changes if change is not None], failures


def _attachments(shared: SharedRole, role: ObservedRole | None, made: Collection[str]) -> list[Change]:
    """What is missing on the role, each for those who asked for it: so a policy that is refused, with
    all who asked for it, stays off."""
    attached = role.attached if role is not None else ()
    changes = []
    for arn, asking in shared.policy_users.items():
        users = tuple(key for key in asking if key in shared.keys)
        if users and arn not in attached:
            new = role is None or arn in made
            changes.append(roles.attach(shared.spec.name, arn, users, new))
    return changes


def _detachments(
    draft: Draft,
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole,
    listed: frozenset[WorkloadKey],
    stage: int,
) -> list[Change]:
    """Policies of ours that the role is no longer to have. Others stay, and are reported; so does
    everything on a role that workloads outside this run use too, for it may be theirs."""
    if not role.owned and not options.adopt:
        return []
    changes = []
    theirs = grants_of_others(observed.cluster, role.trust, listed)
    for arn in role.attached:
        if arn in shared.policy_users:
            continue
        policy = observed.policies.get(arn)
        if options.purge_policies or (policy is not None and policy.owned and not theirs):
            changes.append(roles.detach(stage, role.name, arn, shared.keys))
        else:
            unread = unread_targets(observed.failures).get(Target("owner", arn))
            draft.findings.append(retained.attached_extra(role, shared.keys[0], arn, unread))
    return changes


def _plan_associations(
    draft: Draft,
    workloads: Sequence[Workload],
    observed: Observed,
    options: Options,
    unread: Mapping[Target, ReadFailure],
) -> None:
    cluster = observed.cluster
    by_key: dict[WorkloadKey, list[Change]] = {}
    for change in draft.changes:
        for key in change.workloads:
            by_key.setdefault(key, []).append(change)
    for workload in workloads:
        role = workload.role
        failure = unread.get(Target("associations", cluster.name)) or unread.get(
            association_target(workload.key)
        )
        if failure is not None:
            draft.failures.append(read_failure(failure, (workload.key,)))
            continue
        if role is None:
            continue
        before = by_key.get(workload.key, [])
        association = observed.associations.get(workload.key)
        spec = workload.association
        ours = association is None or association.owned or options.adopt
        wanted = WantedAssociation(
            key=workload.key,
            role_arn=cluster.role_arn(role),
            spec=spec,
            tags=tags.with_owner(spec.tags) if ours else spec.tags,
            purge_tags=options.purge_tags,
            force=options.force,
            needs=frozenset(change.target for change in before),
            awaits=any(change.target.resource in ("role", "trust_policy") for change in before),
        )
        planned = plan_association(wanted, association)
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
        and options.trust_scope != "account"
        and scope_of(role, options, workload) == "account"
    ):
        draft.findings.append(
            Finding(
                Code.TRUST_SCOPE_WITHOUT_SESSION_TAGS,
                "note",
                workload.key,
                f"role {role.name} can be used from every cluster of the account: without session "
                "tags its trust policy cannot tell workloads apart.",
                "Keep session tags on where the role must be for this workload alone, or say "
                "trust_scope: account to show that this is meant.",
            )
        )


def without_failed(plan: Plan) -> Plan:
    """Leave out the changes that serve only workloads which cannot be completed anyway, and those
    that need one which is left out."""
    failed = {key for failure in plan.failures for key in failure.workloads}
    kept: list[Change] = []
    skipped: list[Failure] = []
    left_out: set[Target] = set()
    for change in plan.changes:
        need = min(change.needs & left_out, default=None)
        if all(key in failed for key in change.workloads):
            left_out.add(change.target)
        elif need is not None:
            left_out.add(change.target)
            skipped.append(_skipped(change, need, failed))
        else:
            kept.append(change)
    return Plan(tuple(kept), (*plan.failures, *skipped), plan.findings)


def _skipped(change: Change, need: Target, failed: Collection[WorkloadKey]) -> Failure:
    return Failure(
        tuple(key for key in change.workloads if key not in failed),
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because it needs a change of {need.display}, which is left out: that is "
        "for workloads that failed.",
        "Resolve those failures and run again.",
    )
