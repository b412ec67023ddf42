# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Replace an association or an attachment whose former and new resource cannot exist at the same time.

Before the former resource is removed, AWS must prove that the caller has the permissions for the requests after the removal. If
the last request of the replacement fails, the run tries to restore the former resource.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..._aws.client import Api
from ..model.associations import ObservedAssociation
from ..model.changes import Call, Change
from ..model.errors import AwsError, ErrorKind, listed, sentence
from ..model.targets import Failure, association_key, request_failure
from ..read.associations import describe_association
from .consistency import WaitPolicy, send

_CHANGED = "AssociationChanged"
# More than the number of attributes of an association, so that a message lists all of them.
_SHOWN = 25


def prove(api: Api, change: Change, wait_policy: WaitPolicy) -> Mapping[str, Any] | None:
    """Prove, before a resource is removed, that the caller has the permissions for the requests after the removal.

    A proof sends such a request in advance. Usually AWS refuses it with the error ``proof.refusal``, which it returns only to
    a caller with the permission. Raise AwsError for any other error, or if the association to delete has changed.

    If a proof already carries out the last request of the change, return its response. This happens if the role is below its
    quota, or if the association does not exist.
    """
    if change.replaced is not None:
        _check_unchanged(api, change.replaced)
    for proof in change.proofs:
        try:
            answer = send(api, proof.call, wait_policy, change.awaits, False)
        except AwsError as error:
            if error.kind is not proof.refusal:
                raise
        else:
            if proof.call == change.calls[-1]:
                return answer
    return None


def _check_unchanged(api: Api, planned: ObservedAssociation) -> None:
    """Raise AwsError if the association is gone, or differs from the one in the plan."""
    key = planned.key
    present = describe_association(api, key.cluster, planned.association_id)
    if present == planned:
        return
    names = [
        field.name
        for field in fields(planned)
        if present is not None and getattr(present, field.name) != getattr(planned, field.name)
    ]
    state = f"has changed since it was read ({listed(names, _SHOWN)})" if names else "is gone"
    raise AwsError(
        "eks:DescribePodIdentityAssociation",
        _CHANGED,
        f"association {planned.association_id} {state}",
        ErrorKind.IN_USE,
        "Another process is changing the association. Run again after that process has ended.",
    )


def unproven(change: Change, error: AwsError) -> Failure:
    """Return the failure of a change that was not sent because ``prove`` raised ``error``."""
    if error.code == _CHANGED:
        note = " Nothing was sent."
    elif association_key(change.target) is not None:
        note = " The association is unchanged: it is deleted only after EKS has proved that it can be created again."
    else:
        policy = (change.before or {}).get("policy")
        note = f" {policy} is still attached: it is detached only after a proof that both policies can be attached."
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, suffix=note)


def restore_former(
    api: Api, change: Change, restoration: Call, error: AwsError, wait_policy: WaitPolicy
) -> Failure:
    """Restore the former resource of a replacement whose last request failed with ``error``.

    The first request of the change has removed the former association or attachment, and ``restoration`` creates it again.
    Return the failure, whose message has ``error`` and the result of ``restoration``.
    """
    association = association_key(change.target) is not None
    refusal: AwsError | None = None
    try:
        # If the outcome of the last request is unknown, "already exists" is not a reason to retry: the last request may have
        # created the new resource, which blocks the former one.
        send(api, restoration, wait_policy, False, not error.outcome_unknown)
    except AwsError as refused:
        refusal = refused
    note = _association_result(change, error, refusal) if association else _attachment_result(change, refusal)
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    # An association that was created again has a new ID, so the change is never undone completely.
    partly = association or refusal is not None
    return request_failure(ended, change.workloads, change.target, change.action, suffix=note, partly=partly)


def _attachment_result(change: Change, refusal: AwsError | None) -> str:
    room = f" {(change.before or {}).get('policy')} was detached to make room for the new policy, and"
    if refusal is None:
        return f"{room} was attached again."
    return f"{room} could not be attached again: {refusal.operation}: {sentence(refusal.text)}"


def _association_result(change: Change, error: AwsError, refusal: AwsError | None) -> str:
    if refusal is None:
        return " The association was deleted, then created again unchanged, with a new ID."
    # A later run cannot read the former association, which has some of these parameters, so the failure has the whole request.
    parameters = json.dumps(dict(change.calls[-1].parameters), sort_keys=True)
    verb = "may be" if error.outcome_unknown else "is"
    return (
        f" The association was deleted. Its replacement {verb} missing, and the former association could not be created again: "
        f"{refusal.operation}: {sentence(refusal.text)} To create the replacement by hand, send "
        f"eks:CreatePodIdentityAssociation with these parameters: {parameters}."
    )
