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
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import to_json
from ..model import changes
from ..model.changes import Call, Change, Proof, Stage
from ..model.desired import AssociationSpec
from ..model.errors import ErrorKind, listed
from ..model.names import OWNER_TAG, is_of_another
from ..model.observed import ObservedAssociation
from ..model.rows import AssociationRow, association_row
from ..model.targets import Action, Failure, Target, association_target
from .problems import association_not_owned, owned_by_another

ASSOCIATION_STAGE = Stage.ASSOCIATION
_ALL = 25


@dataclass(frozen=True, slots=True)
class WantedAssociation:
    """One association as it is to be. ``needs`` are changes that must be made before it."""

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
    wanted: WantedAssociation, association: ObservedAssociation | None
) -> Change | Failure | None:
    """What makes the association as wanted; None when it already is."""
    if association is None:
        return _create(wanted)
    return _update(wanted, association)


def _create(wanted: WantedAssociation) -> Change:
    spec = wanted.spec
    parameters, after = _parameters(
        wanted,
        spec.target_role_arn or "",
        spec.disable_session_tags,
        spec.session_policy or None,
        wanted.tags,
    )
    call = Call("eks", "CreatePodIdentityAssociation", parameters)
    return _change(wanted, "create", None, after, (call,))


def _update(wanted: WantedAssociation, association: ObservedAssociation) -> Change | Failure | None:
    spec = wanted.spec
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    update: dict[str, object] = {}

    def differs(name: str, parameter: str, present: object, value: object) -> None:
        before[name], after[name] = present, value
        update[parameter] = value

    if wanted.role_arn != association.role_arn:
        differs("role_arn", "roleArn", association.role_arn, wanted.role_arn)
    if spec.target_role_arn is not None and spec.target_role_arn != association.target_role_arn:
        differs("target_role_arn", "targetRoleArn", association.target_role_arn, spec.target_role_arn)
    disable = spec.disable_session_tags
    if disable is not None and disable != association.disable_session_tags:
        differs("disable_session_tags", "disableSessionTags", association.disable_session_tags, disable)
    cleared = False
    if not same_session_policy(spec.session_policy, association):
        differs("session_policy", "policy", association.session_policy, spec.session_policy or None)
        if spec.session_policy:
            update["policy"] = to_json(spec.session_policy)
            # EKS takes a session policy only together with session tags turned off.
            update["disableSessionTags"] = True
        cleared = not spec.session_policy
    change = changes.compare_tags(association.tags, wanted.tags, wanted.purge_tags)
    if change:
        before["tags"], after["tags"] = dict(association.tags), changes.tags_after(association.tags, change)
    if not update and not change:
        return None
    if association.owner_arn:
        if not wanted.force:
            return addon_owned(association, "update")
    elif not wanted.adopt and (not association.owned or is_of_another(association.tags, wanted.owner)):
        return _of_others(wanted, association) if update else None
    if disable is False and association.session_policy and spec.session_policy is None:
        return _needs_disabled_tags(wanted, association)
    if cleared:
        return _replace(wanted, association, before, after)
    identity = {"clusterName": wanted.key.cluster_name, "associationId": association.association_id}
    calls = []
    if update:
        calls.append(Call("eks", "UpdatePodIdentityAssociation", {**identity, **update}))
    calls += changes.eks_tag_calls(association.association_arn, change)
    return _change(wanted, "update", before, after, tuple(calls))


def _of_others(wanted: WantedAssociation, association: ObservedAssociation) -> Failure:
    if not association.owned:
        return association_not_owned(association)
    target = association_target(wanted.key)
    return owned_by_another(target, association.tags, wanted.owner, (wanted.key,), "update")


def _replace(
    wanted: WantedAssociation,
    association: ObservedAssociation,
    before: dict[str, object],
    after: dict[str, object],
) -> Change | Failure:
    """EKS cannot take a session policy away from an association: delete it and create it anew.

    EKS authorizes CreatePodIdentityAssociation before it looks for an association of the service account, so "already
    exists" is the answer to a caller who is allowed to create it. Whether EKS has checked the role by then is not known:
    where it has not, and refuses the role once the association is deleted, the association is created again as it was.
    """
    if losses := _losses(association):
        return _not_replaceable(association, losses)
    spec = wanted.spec
    target = association.target_role_arn if spec.target_role_arn is None else spec.target_role_arn
    disable = spec.disable_session_tags
    change = changes.compare_tags(association.tags, wanted.tags, wanted.purge_tags)
    parameters, _shown = _parameters(
        wanted,
        target,
        association.disable_session_tags if disable is None else disable,
        None,
        changes.tags_after(association.tags, change),
    )
    present, _shown = _parameters(
        replace(wanted, role_arn=association.role_arn),
        association.target_role_arn,
        association.disable_session_tags,
        association.session_policy,
        association.tags,
    )
    identity = {"clusterName": wanted.key.cluster_name, "associationId": association.association_id}
    before["association_id"], after["association_id"] = association.association_id, "a new one"
    creation = Call("eks", "CreatePodIdentityAssociation", parameters)
    calls = (Call("eks", "DeletePodIdentityAssociation", identity), creation)
    return replace(
        _change(wanted, "replace", before, after, calls),
        proofs=(Proof(creation, ErrorKind.EXISTS),),
        put_back=Call("eks", "CreatePodIdentityAssociation", present),
        replaced=association,
    )


def _losses(association: ObservedAssociation) -> str:
    """Describe what of an association no creation can carry over."""
    parts = []
    fields = sorted(association.unknown)
    if fields:
        noun = "field" if len(fields) == 1 else "fields"
        parts.append(f"the {noun} {listed(fields, _ALL)}, which this version of the collection does not know")
    reserved = sorted(key for key in association.tags if key.startswith("aws:"))
    if reserved:
        noun = "tag" if len(reserved) == 1 else "tags"
        parts.append(f"the {noun} {listed(reserved, _ALL)}, which only AWS sets")
    return ", and ".join(parts)


def _not_replaceable(association: ObservedAssociation, losses: str) -> Failure:
    return Failure(
        (association.key,),
        association_target(association.key),
        "replace",
        Code.ASSOCIATION_NOT_REPLACEABLE,
        f"association {association.association_id} of {association.key.cluster} {association.key} would have to be created "
        f"anew, because EKS does not remove a session policy in place. It has {losses}, and would lose it.",
        "Give a session policy that allows everything, which EKS updates in place. Or, if that may be lost, delete the "
        "association and run again; Pods that start meanwhile get no credentials.",
    )


def replacement_finding(change: Change) -> Finding | None:
    """Return what is at stake while an association is replaced."""
    association = change.replaced
    if association is None:
        return None
    key = association.key
    addon = f", and the EKS add-on {association.owner_arn} no longer owns it" if association.owner_arn else ""
    return Finding(
        Code.ASSOCIATION_REPLACED,
        f"association {association.association_id} of {key.cluster} {key} is deleted and created anew, because EKS does not "
        f"remove a session policy in place: it gets another ID{addon}, and Pods that start or renew their credentials in "
        "that moment get none.",
        "Recreate Pods that failed to get credentials. Where session tags may stay off, a session policy that allows "
        "everything has the same effect, and EKS updates it in place.",
        key,
    )


def predicted(
    change: Change, association: ObservedAssociation | None, key: WorkloadKey
) -> AssociationRow | None:
    """The association as a change will leave it, as far as that can be known before."""
    if change.after is None:
        return None
    row = association_row(association or ObservedAssociation(key, "", "", ""))
    known = {name: value for name, value in change.after.items() if name in row}
    if "target_role_arn" in known:
        # Only EKS says what it will be.
        known["external_id"] = ""
    if change.action == "replace":
        known["association_id"] = known["association_arn"] = ""
    return cast("AssociationRow", {**row, **known})


def delete_association(stage: int, association: ObservedAssociation) -> Change:
    identity = {"clusterName": association.key.cluster_name, "associationId": association.association_id}
    before: dict[str, object] = {
        "association_id": association.association_id,
        "role_arn": association.role_arn,
        "tags": dict(association.tags),
    }
    if association.target_role_arn:
        before["target_role_arn"] = association.target_role_arn
    if association.session_policy:
        before["session_policy"] = association.session_policy
    call = Call("eks", "DeletePodIdentityAssociation", identity)
    return Change(
        stage, association_target(association.key), "delete", (association.key,), before, None, (call,)
    )


def addon_owned(association: ObservedAssociation, action: Action) -> Failure:
    return Failure(
        (association.key,),
        association_target(association.key),
        action,
        Code.ASSOCIATION_OWNED_BY_ADDON,
        f"association {association.association_id} of {association.key.cluster} {association.key} is owned by the EKS "
        f"add-on {association.owner_arn}, which would undo a direct change.",
        "Change the role in the add-on's podIdentityAssociations, or set ⟨force⟩: true.",
    )


def _needs_disabled_tags(wanted: WantedAssociation, association: ObservedAssociation) -> Failure:
    return Failure(
        (wanted.key,),
        association_target(wanted.key),
        "update",
        Code.SESSION_POLICY_NEEDS_DISABLED_SESSION_TAGS,
        f"association {association.association_id} of {wanted.key.cluster} {wanted.key} has a session "
        "policy, which EKS allows only with session tags turned off.",
        "Remove the session policy as well (session_policy: ''), or leave out disable_session_tags: false.",
    )


def same_session_policy(wanted: Mapping[str, object] | None, association: ObservedAssociation) -> bool:
    """Whether the session policy is as wanted: not given means that any is, empty that none is."""
    if wanted is None:
        return True
    if not wanted or not association.session_policy:
        return not wanted and not association.session_policy
    return same_meaning(wanted, association.session_policy, "session")


_EMPTY = {"target_role_arn": "''", "disable_session_tags": "false", "session_policy": "''"}


def find_extra_settings(
    spec: AssociationSpec, association: ObservedAssociation, role_shuts_out: bool
) -> Finding | None:
    """Report what an association that was made here for this owner has, and the workload does not name.

    :arg role_shuts_out: the role cannot be used without session tags.
    """
    if not association.owned or association.owner_arn:
        return None
    if is_of_another(association.tags, spec.tags.get(OWNER_TAG)):
        return None
    settings = {
        name: present
        for name, listed, present in (
            ("target_role_arn", spec.target_role_arn, association.target_role_arn),
            ("disable_session_tags", spec.disable_session_tags, association.disable_session_tags),
            ("session_policy", spec.session_policy, association.session_policy),
        )
        if listed is None and present
    }
    if not settings:
        return None
    shown = (
        f"{name} is {to_json(value) if isinstance(value, Mapping) else 'true' if value is True else value}"
        for name, value in settings.items()
    )
    notes = [" Pods get the permissions of that role."] if "target_role_arn" in settings else []
    if "disable_session_tags" in settings and role_shuts_out:
        notes.append(f" Role {association.role_arn} cannot be used without session tags.")
    empty = " and ".join(f"{name}: {_EMPTY[name]}" for name in settings)
    return Finding(
        Code.ASSOCIATION_SETTINGS_EXTRA,
        f"association {association.association_id} of {association.key} has what is not asked for: {', '.join(shown)}."
        f"{''.join(notes)}",
        f"List what is meant. To have it removed, list {empty}, and apply the workload. Pods see the change after up to six "
        "hours, or at once when they are recreated.",
        association.key,
        raised_as="error" if notes else None,
    )


def _parameters(
    wanted: WantedAssociation,
    target_role_arn: str,
    disable_session_tags: bool | None,
    session_policy: Mapping[str, object] | None,
    with_tags: Mapping[str, str],
) -> tuple[dict[str, object], dict[str, object]]:
    """The parameters of a creation, and the same in our own words."""
    parameters: dict[str, object] = {
        "clusterName": wanted.key.cluster_name,
        "namespace": wanted.key.namespace,
        "serviceAccount": wanted.key.service_account,
        "roleArn": wanted.role_arn,
    }
    after: dict[str, object] = {"role_arn": wanted.role_arn}
    if target_role_arn:
        parameters["targetRoleArn"] = after["target_role_arn"] = target_role_arn
    if disable_session_tags is not None:
        parameters["disableSessionTags"] = disable_session_tags
        after["disable_session_tags"] = disable_session_tags
    if session_policy is not None:
        parameters["policy"] = to_json(session_policy)
        after["session_policy"] = session_policy
    if with_tags:
        parameters["tags"] = after["tags"] = dict(with_tags)
    return parameters, after


def _change(
    wanted: WantedAssociation,
    action: Action,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
    calls: tuple[Call, ...],
) -> Change:
    return Change(
        ASSOCIATION_STAGE,
        association_target(wanted.key),
        action,
        (wanted.key,),
        before,
        after,
        calls,
        wanted.needs,
        wanted.awaits,
    )
