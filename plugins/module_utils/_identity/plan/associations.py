# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan pod identity associations. Pure.

Source: eks CreatePodIdentityAssociation, UpdatePodIdentityAssociation, DeletePodIdentityAssociation, TagResource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model import changes
from ..model.associations import (
    ASSOCIATION_ATTRIBUTES,
    ASSOCIATION_ROLE,
    ASSOCIATION_SESSION_POLICY,
    ASSOCIATION_SETTINGS,
    AssociationSpec,
    ObservedAssociation,
)
from ..model.attributes import (
    changed_from_default,
    compare,
    creation,
    describe_value,
    split_states,
    update_parameters,
)
from ..model.changes import Call, Change, Proof, Stage
from ..model.errors import ErrorKind, listed
from ..model.names import OWNER_TAG, is_of_another
from ..model.rows import AssociationRow, association_row
from ..model.targets import Action, Failure, Target, association_target
from .problems import not_owned, owned_by_another

ASSOCIATION_STAGE = Stage.ASSOCIATION
_SHOWN = 25


@dataclass(frozen=True, slots=True)
class DesiredAssociation:
    """The desired state of an association, and the options of the run that concern it.

    ``needs`` are the changes that must succeed before the association is changed. ``awaits``: one of these changes
    creates or changes the role, and EKS may see the change only after a while.
    """

    key: WorkloadKey
    role_arn: str
    spec: AssociationSpec
    tags: Mapping[str, str]
    purge_tags: bool = False
    force: bool = False
    adopt: bool = False
    owner: str | None = None
    needs: frozenset[Target] = frozenset()
    awaits: bool = False


def plan_association(
    desired: DesiredAssociation, association: ObservedAssociation | None
) -> Change | Failure | None:
    """Return the change of one association, or a Failure if it must not be changed.

    Return None if it has its desired state, or if only tags differ that the run must not change.

    :arg association: the association in EKS, or None if it does not exist.
    """
    if association is None:
        return _create(desired)
    return _update(desired, association)


def _create(desired: DesiredAssociation) -> Change:
    values = {attribute.name: getattr(desired.spec, attribute.name) for attribute in ASSOCIATION_SETTINGS}
    values |= {"role_arn": desired.role_arn, "tags": dict(desired.tags)}
    call, state = _creation(desired.key, values)
    return _change(desired, "create", None, state, (call,))


def _update(desired: DesiredAssociation, association: ObservedAssociation) -> Change | Failure | None:
    spec = desired.spec
    differences = [
        *compare((ASSOCIATION_ROLE,), desired, association),
        *compare(ASSOCIATION_SETTINGS, spec, association),
    ]
    old, new = split_states(differences)
    tags = changes.compare_tags(association.tags, desired.tags, desired.purge_tags)
    if tags:
        old["tags"], new["tags"] = dict(association.tags), changes.tags_after(association.tags, tags)
    if not differences and not tags:
        return None
    if association.owner_arn:
        if not desired.force:
            return addon_owned(association, "update")
    elif not desired.adopt and (not association.owned or is_of_another(association.tags, desired.owner)):
        return _of_another(desired, association) if differences else None
    if spec.disable_session_tags is False and association.session_policy and spec.session_policy is None:
        return _needs_disabled_tags(desired, association)
    if ASSOCIATION_SESSION_POLICY.name in new and not spec.session_policy:
        return _replace(desired, association, old, new)
    identity = {"clusterName": desired.key.cluster, "associationId": association.association_id}
    calls = []
    if differences:
        parameters = update_parameters(differences)
        if ASSOCIATION_SESSION_POLICY.name in new:
            # EKS accepts a session policy only with session tags turned off.
            parameters["disableSessionTags"] = True
        calls.append(Call("eks", "UpdatePodIdentityAssociation", {**identity, **parameters}))
    calls += changes.eks_tag_calls(association.association_arn, tags)
    return _change(desired, "update", old, new, tuple(calls))


def _of_another(desired: DesiredAssociation, association: ObservedAssociation) -> Failure:
    target = association_target(desired.key)
    if not association.owned:
        return not_owned(
            target,
            (desired.key,),
            f"association {association.association_id} of {association.key.cluster} {association.key} exists with role "
            f"{association.role_arn}, and would have to change",
            "delete it and run again.",
        )
    return owned_by_another(target, association.tags, desired.owner, (desired.key,), "update")


def _replace(
    desired: DesiredAssociation,
    association: ObservedAssociation,
    old: dict[str, object],
    new: dict[str, object],
) -> Change | Failure:
    """Plan to delete the association and create it again, because EKS cannot remove a session policy from an association.

    Before the deletion, CreatePodIdentityAssociation is sent once. EKS authorizes this request before it looks for an existing
    association, so the error "already exists" proves that the caller is allowed to create one. The error does not prove that
    EKS accepts the role. If EKS rejects the role after the deletion, the former association is created again.
    """
    if losses := _losses(association):
        return _not_replaceable(association, losses)
    present = {attribute.name: attribute.observed_value(association) for attribute in ASSOCIATION_ATTRIBUTES}
    creation_call, _state = _creation(desired.key, {**present, **new})
    restoration, _state = _creation(desired.key, present)
    identity = {"clusterName": desired.key.cluster, "associationId": association.association_id}
    old["association_id"], new["association_id"] = association.association_id, "a new one"
    calls = (Call("eks", "DeletePodIdentityAssociation", identity), creation_call)
    return replace(
        _change(desired, "replace", old, new, calls),
        proofs=(Proof(creation_call, ErrorKind.EXISTS),),
        restoration=restoration,
        replaced=association,
    )


def _losses(association: ObservedAssociation) -> str:
    """Describe the fields and tags that an association would lose if it were recreated; "" if there are none."""
    parts = []
    fields = sorted(association.unknown)
    if fields:
        noun = "a field" if len(fields) == 1 else "fields"
        parts.append(f"{noun} that this version of the collection does not know ({listed(fields, _SHOWN)})")
    reserved = sorted(key for key in association.tags if key.startswith("aws:"))
    if reserved:
        noun = "a tag" if len(reserved) == 1 else "tags"
        parts.append(f"{noun} that only AWS can set ({listed(reserved, _SHOWN)})")
    return " and ".join(parts)


def _not_replaceable(association: ObservedAssociation, losses: str) -> Failure:
    return Failure(
        (association.key,),
        association_target(association.key),
        "replace",
        Code.ASSOCIATION_NOT_REPLACEABLE,
        f"association {association.association_id} of {association.key.cluster} {association.key} must be "
        "recreated, because EKS does not remove a session policy in place. The new association would lack "
        f"{losses}.",
        "Set a session policy that allows everything instead: EKS updates it in place. Or, if the loss is acceptable, delete the "
        "association and run again; Pods that start in between do not get credentials.",
    )


def replacement_finding(change: Change) -> Finding | None:
    """Return the finding about an association that a change recreates, or None for any other change."""
    association = change.replaced
    if association is None:
        return None
    key = association.key
    addon = f", and the EKS add-on {association.owner_arn} no longer owns it" if association.owner_arn else ""
    return Finding(
        Code.ASSOCIATION_REPLACED,
        f"association {association.association_id} of {key.cluster} {key} is deleted and recreated, because EKS does not "
        f"remove a session policy in place. The association gets a new ID{addon}. Pods that request credentials in between get "
        "an error.",
        "Recreate Pods that failed to get credentials. If session tags can remain turned off, a session policy that allows "
        "everything has the same effect, and EKS updates it in place.",
        key,
    )


def predicted(
    change: Change, association: ObservedAssociation | None, key: WorkloadKey
) -> AssociationRow | None:
    """Return the row of results for an association after a change, or None if the change deletes it.

    Values that EKS assigns with the change, such as the ID of a new association, are empty.
    """
    if change.after is None:
        return None
    row = association_row(association or ObservedAssociation(key, "", "", ""))
    new_values = {name: value for name, value in change.after.items() if name in row}
    if "target_role_arn" in new_values:
        # EKS generates the external ID.
        new_values["external_id"] = ""
    if change.action == "replace":
        new_values["association_id"] = new_values["association_arn"] = ""
    return cast("AssociationRow", {**row, **new_values})


def delete_association(stage: int, association: ObservedAssociation) -> Change:
    """Return the change that deletes an association."""
    identity = {"clusterName": association.key.cluster, "associationId": association.association_id}
    old = {
        "association_id": association.association_id,
        **changed_from_default(ASSOCIATION_ATTRIBUTES, association),
    }
    call = Call("eks", "DeletePodIdentityAssociation", identity)
    return Change(
        stage, association_target(association.key), "delete", (association.key,), old, None, (call,)
    )


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


def _needs_disabled_tags(desired: DesiredAssociation, association: ObservedAssociation) -> Failure:
    return Failure(
        (desired.key,),
        association_target(desired.key),
        "update",
        Code.SESSION_TAGS_CONFLICT,
        f"association {association.association_id} of {desired.key.cluster} {desired.key} has a session "
        "policy, which EKS allows only with session tags turned off.",
        "Remove the session policy as well (session_policy: ''), or leave out disable_session_tags: false.",
    )


def find_extra_settings(
    spec: AssociationSpec, association: ObservedAssociation, role_needs_session_tags: bool
) -> Finding | None:
    """Return a finding about settings that an association has but its workload does not define, or None.

    Only associations that this collection manages for the owner of the workload, and that no add-on owns, are checked.

    :arg role_needs_session_tags: the role cannot be used without session tags.
    """
    if not association.owned or association.owner_arn:
        return None
    if is_of_another(association.tags, spec.tags.get(OWNER_TAG)):
        return None
    settings = {
        attribute: present
        for attribute in ASSOCIATION_SETTINGS
        if getattr(spec, attribute.name) is None and (present := attribute.observed_value(association))
    }
    if not settings:
        return None
    names = [attribute.name for attribute in settings]
    descriptions = (f"{attribute.name} is {describe_value(value)}" for attribute, value in settings.items())
    notes = [" Pods get the permissions of the target role."] if "target_role_arn" in names else []
    if "disable_session_tags" in names and role_needs_session_tags:
        notes.append(f" Role {association.role_arn} cannot be used without session tags.")
    empty = " and ".join(f"{attribute.name}: {attribute.removal}" for attribute in settings)
    return Finding(
        Code.ASSOCIATION_SETTINGS_EXTRA,
        f"association {association.association_id} of {association.key} has settings that its workload does not list: "
        f"{', '.join(descriptions)}."
        f"{''.join(notes)}",
        f"List the settings if they are intended. To remove them, list {empty}, and apply the workload. Pods see the change "
        "after up to six hours, or at once when they are recreated.",
        association.key,
        raised_as="error" if notes else None,
    )


def _creation(key: WorkloadKey, values: Mapping[str, object]) -> tuple[Call, dict[str, object]]:
    """Return the request that creates an association, and the attributes that the association will have."""
    parameters, state = creation(ASSOCIATION_ATTRIBUTES, values)
    identity = {
        "clusterName": key.cluster,
        "namespace": key.namespace,
        "serviceAccount": key.service_account,
    }
    return Call("eks", "CreatePodIdentityAssociation", {**identity, **parameters}), state


def _change(
    desired: DesiredAssociation,
    action: Action,
    old: Mapping[str, object] | None,
    new: Mapping[str, object] | None,
    calls: tuple[Call, ...],
) -> Change:
    return Change(
        ASSOCIATION_STAGE,
        association_target(desired.key),
        action,
        (desired.key,),
        old,
        new,
        calls,
        desired.needs,
        desired.awaits,
    )
