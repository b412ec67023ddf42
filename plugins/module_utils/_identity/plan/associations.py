# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan pod identity associations. Pure.

Source: eks CreatePodIdentityAssociation, UpdatePodIdentityAssociation, DeletePodIdentityAssociation, TagResource.
"""

from __future__ import annotations

from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model import changes
from ..model.associations import (
    ASSOCIATION_ATTRIBUTES,
    ASSOCIATION_ROLE,
    ASSOCIATION_SESSION_POLICY,
    ASSOCIATION_SETTINGS,
    TARGET_ROLE,
    AssociationSpec,
    ObservedAssociation,
)
from ..model.attributes import (
    changed_from_default,
    compare,
    creation,
    describe_value,
    update_parameters,
)
from ..model.changes import Call, Change, Stage
from ..model.desired import Workload
from ..model.names import is_own, owner_tags
from ..model.observed import Observed
from ..model.targets import Action, Failure, association_target
from .problems import refuse_other
from .scene import Scene
from .trust import is_shut_out


def plan_association(scene: Scene, workload: Workload) -> Change | Failure | None:
    """Return the change of the association of a workload, or a Failure if it must not be changed.

    Return None if it has its desired state, or if only tags differ that the run must not change.
    """
    key, association = workload.key, scene.observed.associations.get(workload.key)
    spec = replace(workload.association, role_arn=scene.listed_arns[key])
    if association is not None:
        return _update(scene, spec, association)
    values = {attribute.name: getattr(spec, attribute.name) for attribute in _COMPARED}
    parameters, state = creation(
        ASSOCIATION_ATTRIBUTES, {**values, "tags": _association_tags(spec, scene.options.owner)}
    )
    parameters |= {
        "clusterName": key.cluster,
        "namespace": key.namespace,
        "serviceAccount": key.service_account,
    }
    call = Call("eks", "CreatePodIdentityAssociation", parameters)
    target, roles = association_target(key), scene.roles_of((key,))
    return Change(Stage.ASSOCIATE, target, "create", (key,), None, state, (call,), roles)


_COMPARED = (ASSOCIATION_ROLE, *ASSOCIATION_SETTINGS)


def _association_tags(spec: AssociationSpec, owner: str) -> dict[str, str]:
    return {**spec.tags, **(owner_tags(owner) if owner else {})}


def _update(scene: Scene, spec: AssociationSpec, association: ObservedAssociation) -> Change | Failure | None:
    options, key = scene.options, association.key
    # The module for a single association keeps the owner of an existing association.
    owner, force = "" if options.single else options.owner, options.forces((key,))
    old, new = compare(_COMPARED, spec, association)
    differs = bool(new)
    tags = changes.compare_tags(association.tags, _association_tags(spec, owner), options.purge_tags)
    if tags:
        old["tags"], new["tags"] = dict(association.tags), changes.tags_after(association.tags, tags)
    if not differs and not tags:
        return None
    if association.owner_arn and differs and not force:
        return addon_owned(association, "update")
    forced = options.adopt or (association.owner_arn and force)
    if not forced and not is_own(association.tags, owner):
        return _refuse_association(spec, association, owner) if differs else None
    if spec.disable_session_tags is False and association.session_policy and spec.session_policy is None:
        return Failure(
            (key,),
            association_target(key),
            "update",
            Code.SESSION_TAGS_CONFLICT,
            f"association {association.association_id} of {key.cluster} {key} has a session policy, which EKS allows only with "
            "session tags turned off.",
            "Leave out disable_session_tags: false, because EKS cannot remove the session policy.",
        )
    if ASSOCIATION_SESSION_POLICY.name in new and not spec.session_policy:
        return Failure(
            (association.key,),
            association_target(association.key),
            "update",
            Code.ASSOCIATION_NOT_REPLACEABLE,
            f"the session policy of association {association.association_id} of {association.key.cluster} {association.key} "
            "cannot be removed: EKS can only replace it.",
            "Set a session policy that allows everything. Or delete the association and run again; Pods that start in between "
            "do not get credentials.",
        )
    identity = {"clusterName": key.cluster, "associationId": association.association_id}
    calls = []
    if differs:
        parameters = update_parameters(_COMPARED, new)
        if ASSOCIATION_SESSION_POLICY.name in new:
            # EKS accepts a session policy only with session tags turned off.
            parameters["disableSessionTags"] = True
        calls.append(Call("eks", "UpdatePodIdentityAssociation", {**identity, **parameters}))
    calls += changes.eks_tag_calls(association.association_arn, tags)
    # A new role, and session tags turned off, need the trust policy, which changes after the restrictions.
    needs_trust = ASSOCIATION_ROLE.name in new or "disable_session_tags" in new
    restricts = bool(new.get(ASSOCIATION_SESSION_POLICY.name)) and not needs_trust
    stage = Stage.RESTRICT if restricts else Stage.ASSOCIATE
    target, roles = association_target(key), scene.roles_of((key,))
    return Change(stage, target, "update", (key,), old, new, tuple(calls), roles)


def _refuse_association(spec: AssociationSpec, association: ObservedAssociation, owner: str) -> Failure:
    key, reason = association.key, f"the list does not agree with its role {association.role_arn}"
    if association.role_arn == spec.role_arn:
        reason = "its settings differ from the list"
    return refuse_other(association_target(key), association.tags, owner, (key,), reason)


def delete_association(association: ObservedAssociation, roles: frozenset[str] = frozenset()) -> Change:
    """Return the change that deletes an association. ``roles`` has the lower-case name of its role."""
    identity = {"clusterName": association.key.cluster, "associationId": association.association_id}
    old = {
        "association_id": association.association_id,
        **changed_from_default(ASSOCIATION_ATTRIBUTES, association),
    }
    call = Call("eks", "DeletePodIdentityAssociation", identity)
    target, keys = association_target(association.key), (association.key,)
    return Change(Stage.DISSOCIATE, target, "delete", keys, old, None, (call,), roles)


def addon_owned(association: ObservedAssociation, action: Action) -> Failure:
    """Return the failure of an action on an association that an EKS add-on owns."""
    return Failure(
        (association.key,),
        association_target(association.key),
        action,
        Code.ASSOCIATION_OWNED_BY_ADDON,
        f"association {association.association_id} of {association.key.cluster} {association.key} is owned by the EKS "
        f"add-on {association.owner_arn}, which would undo a direct change.",
        f"{'Remove the service account from' if action == 'delete' else 'Change the role in'} the add-on's "
        "podIdentityAssociations, or set ⟨force⟩: true.",
    )


def find_extra_settings(workload: Workload, observed: Observed, owner: str) -> list[Finding]:
    """Report the settings that an association has but its workload does not define. Return at most one finding.

    Only associations that this collection manages for the owner of the workload, and that no add-on owns, are checked.
    """
    spec, association = workload.association, observed.associations.get(workload.key)
    if association is None or association.owner_arn or not is_own(association.tags, owner):
        return []
    settings = {
        attribute: present
        for attribute in ASSOCIATION_SETTINGS
        if getattr(spec, attribute.name) is None and (present := attribute.observed_value(association))
    }
    if not settings:
        return []
    names = [attribute.name for attribute in settings]
    descriptions = (f"{attribute.name} is {describe_value(value)}" for attribute, value in settings.items())
    notes = [" Pods get the permissions of the target role."] if "target_role_arn" in names else []
    if is_shut_out(workload, observed):
        notes.append(f" Role {association.role_arn} cannot be used without session tags.")
    limited = ASSOCIATION_SESSION_POLICY in settings
    empty = " and ".join(
        f"{attribute.name}: {attribute.removal}"
        for attribute in settings
        if not limited or attribute is TARGET_ROLE
    )
    remedy = "List the settings if they are intended."
    if empty:
        remedy += f" To remove them, list {empty}, and apply the workload."
    if limited:
        # EKS needs session tags to be turned off with a session policy.
        remedy += " EKS cannot remove a session policy: to lift its limits, list a session policy that allows everything."
    finding = Finding(
        Code.ASSOCIATION_SETTINGS_EXTRA,
        f"association {association.association_id} of {association.key} has settings that its workload does not list: "
        f"{', '.join(descriptions)}."
        f"{''.join(notes)}",
        f"{remedy} Pods see the change after up to six hours, or at once when they are recreated.",
        association.key,
        raised_as="error" if notes else None,
    )
    return [finding]
