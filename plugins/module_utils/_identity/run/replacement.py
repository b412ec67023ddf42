# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Replace a thing whose successor cannot exist at the same time: a policy of a full role, an association.

Nothing is taken away before AWS has shown that the caller may create the successor. A refusal that comes all the same is
answered by putting back what was there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..._aws.client import Api
from ..model.changes import Call, Change
from ..model.errors import AwsError, ErrorKind, listed, sentence
from ..model.observed import ObservedAssociation
from ..model.targets import Failure, request_failure
from ..read.associations import describe_association
from .waiting import WaitPolicy, send

_ALL = 25


def prove(api: Api, change: Change, wait_policy: WaitPolicy) -> Mapping[str, Any] | None:
    """Send the proofs of a change. Raise AwsError for a refusal that leaves the permission unproven.

    Return the answer to the last request of the change when AWS granted it already: a role has room, or the association
    is gone.
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
    """Raise AwsError if the association is no longer as the plan carries it over."""
    key = planned.key
    present = describe_association(api, key.cluster_name, planned.association_id, key.cluster)
    if present == planned:
        return
    names = [
        field.name
        for field in fields(planned)
        if present is not None and getattr(present, field.name) != getattr(planned, field.name)
    ]
    state = f"has changed since it was looked at ({listed(names, _ALL)})" if names else "is gone"
    raise AwsError(
        "eks:DescribePodIdentityAssociation",
        "AssociationChanged",
        f"association {planned.association_id} {state}",
        ErrorKind.IN_USE,
        "Another process is at work on the association. Run again when it has ended.",
    )


def unproven(change: Change, error: AwsError) -> Failure:
    """Return the failure of a change before which a proof was refused."""
    policy = (change.before or {}).get("policy")
    after = (
        " The association stays as it is: it is deleted only once EKS has shown that it can be created again."
        if change.target.resource == "association"
        else f" {policy} stays attached: it leaves the full role only when both policies can be attached."
    )
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, after=after)


def put_back(api: Api, change: Change, call: Call, error: AwsError, wait_policy: WaitPolicy) -> Failure:
    """Send the request that undoes the first one of a change whose last one failed with ``error``.

    Return the failure that reports both.
    """
    association = change.target.resource == "association"
    refusal: AwsError | None = None
    try:
        # Where the last request may have taken effect, what it created would be waited for in vain.
        send(api, call, wait_policy, False, not error.outcome_unknown)
    except AwsError as refused:
        refusal = refused
    after = _association_result(change, refusal) if association else _attachment_result(change, refusal)
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    # An association has another ID by then.
    partly = association or refusal is not None
    return request_failure(ended, change.workloads, change.target, change.action, after=after, partly=partly)


def _attachment_result(change: Change, refusal: AwsError | None) -> str:
    room = f" {(change.before or {}).get('policy')} had made room for it, and"
    if refusal is None:
        return f"{room} was attached again."
    return f"{room} could not be attached again: {refusal.operation}: {sentence(refusal.text)}"


def _association_result(change: Change, refusal: AwsError | None) -> str:
    if refusal is None:
        return " The association was deleted, and created again as it was, with another ID."
    # A rerun no longer sees what was there, so the failure reports it.
    parameters = json.dumps(dict(change.calls[-1].parameters), sort_keys=True)
    return (
        f" The association was deleted; it was to be created with {parameters}. It could not be created again as it was "
        f"either: {refusal.operation}: {sentence(refusal.text)}"
    )
