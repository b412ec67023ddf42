# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Replace a thing whose successor cannot exist beside it: a policy of a full role.

Nothing is taken away before AWS has shown that the caller may create the successor, and may put back what was there. A
refusal that comes all the same is answered by putting it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._aws.client import Api
from ..model.aws_errors import AwsError
from ..model.changes import Call, Change
from ..model.failures import Failure, request_failure
from ..model.messages import sentence
from .waiting import WaitPolicy, send


def prove(api: Api, change: Change, wait_policy: WaitPolicy) -> Mapping[str, Any] | None:
    """Send the proofs of a change. Raise AwsError for a refusal that leaves the permission unproven.

    Return the answer to the last request of the change when AWS granted it already, as on a role that has room.
    """
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


def unproven(change: Change, error: AwsError) -> Failure:
    """Return the failure of a change before which a proof was refused."""
    policy = (change.before or {}).get("policy")
    after = f" {policy} stays attached: it leaves the full role only when both policies can be attached."
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, after=after)


def put_back(api: Api, change: Change, call: Call, error: AwsError, wait_policy: WaitPolicy) -> Failure:
    """Send the request that undoes the first one of a change whose last one failed with ``error``.

    Return the failure that reports both.
    """
    before = change.before or {}
    done, undone = f" {before.get('policy')} had made room for it, and ", "was attached again."
    failed = "could not be attached again: "
    partly = False
    try:
        send(api, call, wait_policy, False, True)
        after = done + undone
    except AwsError as refusal:
        after = f"{done}{failed}{refusal.operation}: {sentence(refusal.text)}"
        partly = True
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, after=after, partly=partly)
