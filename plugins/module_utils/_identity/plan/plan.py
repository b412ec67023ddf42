# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan a run: compare desired and observed state, and keep the changes that can succeed. Pure.

A teardown is the same plan with an empty list, and a purge a part of it: see ``removal``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change, Draft, Plan, Stops
from ..model.desired import Desired, Options, Workload
from ..model.names import OWNER_TAG, parse_role_arn
from ..model.observed import Observed
from ..model.shared import shared_roles
from ..model.targets import (
    Failure,
)
from .associations import DesiredAssociation, find_extra_settings, plan_association
from .policies import plan_policies
from .problems import pattern_conflicts, refused_in_kubernetes, skip, tags_kept
from .removal import plan_departure, plan_leaving
from .roles import plan_roles
from .scene import Scene
from .trust import effective_scope, is_shut_out


def make_plan(desired: Desired, observed: Observed, removes: bool = False) -> Plan:
    """Plan a run. Return the changes in the order of their stages, failures and findings.

    :arg removes: True to remove the listed workloads; otherwise create and update them, and purge if ``desired`` has a scope.
    :raises InputError: if a purge would remove more workloads than its scope permits.
    """
    departure = plan_departure(desired, observed, removes)
    draft = Draft()
    workloads = (
        []
        if removes
        else [_as_associated(draft, workload, desired, observed) for workload in desired.workloads]
    )
    cluster = observed.cluster
    draft.failures += [
        *pattern_conflicts(desired.workloads, "delete" if removes else "update"),
        *refused_in_kubernetes(desired.refused),
    ]
    arns = {
        workload.key: cluster.role_arn(role) if role is not None else workload.association.role_arn
        for workload in workloads
        if (role := workload.role) is not None or workload.association.role_arn
    }
    users: dict[str, set[WorkloadKey]] = {}
    for key, arn in arns.items():
        users.setdefault(arn.lower(), set()).add(key)
    scene = Scene(
        desired.options,
        observed,
        tuple(workloads),
        tuple(shared_roles(cluster, workloads)),
        departure.gone,
        _role_names(desired, observed),
        arns,
        {arn: frozenset(keys) for arn, keys in users.items()},
        draft,
    )
    plan_policies(scene)
    plan_roles(scene)
    _plan_associations(scene, desired)
    plan_leaving(scene, desired, departure, removes)
    plan = _without_stopped(draft.plan(), scene)
    changes = tuple(map(_note_owner, plan.changes))
    # A note may be about several changes.
    notes = dict.fromkeys(note for change in changes for note in change.notes)
    return replace(plan, changes=changes, findings=(*plan.findings, *notes))


def _role_names(desired: Desired, observed: Observed) -> dict[WorkloadKey, frozenset[str]]:
    """Return the lower-case names of the roles that each workload lists and has."""
    names: dict[WorkloadKey, set[str]] = {}
    for workload in desired.workloads:
        if workload.role is not None:
            names.setdefault(workload.key, set()).add(workload.role.name.lower())
    inventory = observed.inventory.associations if observed.inventory is not None else {}
    for key, association in {**inventory, **observed.associations}.items():
        for arn in association.roles:
            if (parts := parse_role_arn(arn)) is not None:
                names.setdefault(key, set()).add(parts.name.lower())
    return {key: frozenset(found) for key, found in names.items()}


def _without_stopped(plan: Plan, scene: Scene) -> Plan:
    """Return the plan without the changes that only failed workloads need, and without those that a failure stops.

    A workload without a failure gets one if it needs a stopped change. For a change that takes something, the workloads that
    prevent it get the failure instead.
    """
    failed = {key: failure for failure in plan.failures for key in failure.workloads}
    stops = Stops()
    for failure in plan.failures:
        stops.add(failure, scene.roles_of(failure.workloads))
    remaining: list[Change] = []
    skips: list[Failure] = []
    for change in plan.changes:
        if change.workloads and not change.takes and failed.keys() >= {*change.workloads}:
            stops.add(replace(failed[change.workloads[0]], target=change.target), change.roles, change)
        elif (reason := stops.find(change)) is None:
            remaining.append(change)
        else:
            skips.append(skip(change, reason, failed))
            stops.add(skips[-1], change.roles, change)
    return replace(plan, changes=tuple(remaining), failures=(*plan.failures, *dict.fromkeys(skips)))


def _plan_associations(scene: Scene, desired: Desired) -> None:
    """Add the changes and failures of the associations of the listed workloads to the plan."""
    observed, options = scene.observed, scene.options
    for workload in scene.workloads:
        key = workload.key
        if (failure := observed.association_failure(key)) is not None:
            scene.fail(failure.for_workloads((key,)))
        elif key in scene.listed_arns:
            association = observed.associations.get(key)
            association_state = DesiredAssociation(
                key,
                scene.listed_arns[key],
                workload.association,
                "" if options.single and association is not None else options.owner,
                options.purge_tags,
                options.forces((key,)),
                options.adopt,
                scene.roles_of((key,)),
            )
            planned = plan_association(association_state, association)
            if isinstance(planned, Change) and association is None and key in desired.would_break:
                # A new association would break running Pods, because it replaces their present credentials.
                found = desired.would_break[key]
                planned = Failure(
                    (key,), planned.target, planned.action, found.code, found.message, found.remedy
                )
            if isinstance(planned, Change):
                scene.draft.changes.append(planned)
            elif planned is not None:
                scene.fail(planned)
            elif association is not None:
                subject = f"association {association.association_id} of {key}"
                scene.draft.findings += tags_kept(
                    Code.ASSOCIATION_SETTINGS_DIFFER,
                    subject,
                    association.tags,
                    workload.association.tags,
                    key,
                )
            _note_account_scope(scene.draft, options, workload)


def _note_account_scope(draft: Draft, options: Options, workload: Workload) -> None:
    """Add a finding to the draft if a role's trust scope is the whole account only because session tags are turned off.

    There is no finding if the role sets a trust scope, or if the trust scope of the run is the account.
    """
    role = workload.role
    if (
        role is not None
        and workload.association.disable_session_tags
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


def _as_associated(draft: Draft, workload: Workload, desired: Desired, observed: Observed) -> Workload:
    """Return the workload, with the present ``disable_session_tags`` of its association if the workload does not set this option.

    The option determines the default trust scope. The workload is returned unchanged if its role requires session tags but its
    association has them turned off, because another process must have turned them off. Add a finding to the draft if the
    association has settings that the workload does not set.
    """
    association = observed.associations.get(workload.key)
    if association is None:
        return workload
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    shut_out = is_shut_out(workload, association, role, observed.cluster)
    extra = find_extra_settings(workload.association, association, desired.options.owner, shut_out)
    draft.findings += [extra] if extra is not None else []
    is_set = workload.association.disable_session_tags is not None
    if is_set or shut_out or not association.disable_session_tags:
        return workload
    return replace(workload, association=replace(workload.association, disable_session_tags=True))


def _note_owner(change: Change) -> Change:
    """Return the change, with a note if it replaces the owner of a resource: the lists of both owners may contain it."""
    old_tags, new_tags = (side.get("tags") if side else None for side in (change.before, change.after))
    if not isinstance(old_tags, Mapping) or not isinstance(new_tags, Mapping):
        return change
    old, new = old_tags.get(OWNER_TAG), new_tags.get(OWNER_TAG)
    if not old or old == new:
        return change
    note = Finding(
        Code.OWNER_CHANGED,
        f"the owner of {change.target.label} changes from '{old}' to '{new}'.",
        "List the resource for one owner only. If the change of owner is intended, no action is needed.",
        change.workloads[0],
    )
    return replace(change, notes=(*change.notes, note))
