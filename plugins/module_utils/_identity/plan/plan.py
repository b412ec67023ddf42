# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan a run: compare desired and observed state, and keep the changes that can succeed. Pure.

A teardown is the same plan with an empty list, and a purge a part of it: see ``removal``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.changes import Change, Plan, Stops
from ..model.desired import Desired, Workload
from ..model.names import OWNER_TAG
from ..model.observed import Observed
from ..model.resource_types import of_observed_resources, predict_change
from ..model.targets import Failure
from .associations import find_extra_settings, plan_association
from .policies import plan_policies
from .problems import pattern_conflicts, refused_in_kubernetes, skip, tags_kept
from .removal import plan_departures, plan_leaving
from .roles import plan_roles
from .scene import Scene
from .trust import effective_scope, is_shut_out


def make_plan(desired: Desired, observed: Observed, removes: bool = False) -> Plan:
    """Plan a run. Return the changes in the order of their stages, failures and findings.

    :arg removes: True to remove the listed workloads; otherwise create and update them, and purge if ``desired`` has a scope.
    :raises InputError: if a purge would remove more workloads than its scope permits.
    """
    listed = () if removes else desired.workloads
    workloads = [_as_associated(workload, observed) for workload in listed]
    scene = Scene(desired, observed, workloads)
    plan_departures(scene, removes)
    for workload in listed:
        scene.findings += find_extra_settings(workload, observed, desired.options.owner)
    scene.fail(*pattern_conflicts(desired.workloads, "delete" if removes else "update"))
    scene.fail(*refused_in_kubernetes(desired.refused))
    plan_policies(scene)
    plan_roles(scene)
    _plan_associations(scene)
    plan_leaving(scene, removes)
    return _without_stopped(scene)


def predict(observed: Observed, plan: Plan) -> Observed:
    """Return the ``observed`` state with the changes of ``plan`` applied: the same roles, and the policies that they have.

    A run in check mode does not apply the plan, so its verification uses the predicted state.
    """
    resources = dict(observed.resources)
    for change in of_observed_resources(plan.changes):
        predict_change(resources, change)
    predicted = observed.with_resources(resources)
    roles = {name: predicted.roles.get(name) for name in observed.roles}
    known = {arn for role in roles.values() if role is not None for arn in role.attached}
    known |= observed.policies.keys()
    policies = {arn: policy for arn, policy in predicted.policies.items() if arn in known}
    return replace(predicted, roles=roles, policies=policies)


def _without_stopped(scene: Scene) -> Plan:
    """Return the plan without the changes that only failed workloads need, and without those that a failure stops.

    A workload without a failure gets one if it needs a stopped change. For a change that takes something, the workloads that
    prevent it get the failure instead.
    """
    failures = dict.fromkeys(scene.failures)
    failed = {key: failure for failure in failures for key in failure.workloads}
    stops = Stops()
    for failure in failures:
        stops.add(failure, scene.roles_of(failure.workloads))
    remaining: list[Change] = []
    skips: list[Failure] = []
    for change in sorted(scene.changes, key=attrgetter("place")):
        if change.workloads and not change.takes and failed.keys() >= {*change.workloads}:
            stops.add(replace(failed[change.workloads[0]], target=change.target), change.roles, change)
        elif (reason := stops.find(change)) is None:
            remaining.append(_note_owner(change))
        else:
            skips.append(skip(change, reason, failed))
            stops.add(skips[-1], change.roles, change)
    # A note may be about several changes.
    notes = dict.fromkeys(note for change in remaining for note in change.notes)
    return Plan(tuple(remaining), (*failures, *dict.fromkeys(skips)), (*scene.findings, *notes))


def _plan_associations(scene: Scene) -> None:
    """Add the changes and failures of the associations of the listed workloads to the plan."""
    observed, broken = scene.observed, scene.desired.would_break
    for workload in scene.workloads:
        key = workload.key
        if (failure := observed.association_failure(key)) is not None:
            scene.fail(replace(failure, workloads=(key,)))
        elif key in scene.listed_arns:
            planned = plan_association(scene, workload)
            if isinstance(planned, Failure):
                scene.fail(planned)
            elif planned is not None and planned.action == "create" and key in broken:
                # A new association would break running Pods, because it replaces their present credentials.
                found, target = broken[key], planned.target
                scene.fail(Failure((key,), target, "create", found.code, found.message, found.remedy))
            elif planned is not None:
                scene.changes.append(planned)
            elif (association := observed.associations.get(key)) is not None:
                subject = f"association {association.association_id} of {key}"
                tags = association.tags, workload.association.tags
                scene.findings += tags_kept(Code.ASSOCIATION_SETTINGS_DIFFER, subject, *tags, key)
            _note_account_scope(scene, workload)


def _note_account_scope(scene: Scene, workload: Workload) -> None:
    """Add a finding if a role's trust scope is the whole account only because session tags are turned off.

    There is no finding if the role sets a trust scope, or if the trust scope of the run is the account.
    """
    role, options = workload.role, scene.options
    if (
        role is not None
        and workload.association.disable_session_tags
        and not role.existing
        and role.trust_policy is None
        and role.trust_scope is None
        and options.trust_scope != "account"
        and effective_scope(role, options, workload) == "account"
    ):
        scene.findings.append(
            Finding(
                Code.TRUST_SCOPE_WITHOUT_SESSION_TAGS,
                f"role {role.name} can be used from every cluster of the account: without session "
                "tags its trust policy cannot distinguish workloads.",
                "To limit the role, turn session tags on. To confirm the wide scope, set trust_scope: account.",
                workload.key,
            )
        )


def _as_associated(workload: Workload, observed: Observed) -> Workload:
    """Return the workload, with the present ``disable_session_tags`` of its association if the workload does not set this option.

    The option determines the default trust scope. The workload is returned unchanged if its role requires session tags but its
    association has them turned off, because another process must have turned them off.
    """
    association = observed.associations.get(workload.key)
    is_set = workload.association.disable_session_tags is not None
    if (
        association is None
        or is_set
        or not association.disable_session_tags
        or is_shut_out(workload, observed)
    ):
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
