# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Write a trust policy that others may write at the same time. IAM has no conditional write.

A change is made to what was read immediately before. After a pause, in which others that had read earlier write, it is
looked at again, and put back where it was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..._aws.client import Api
from ..._policy.language.canonical import same_meaning
from ..._policy.language.text import load, to_json
from ..._policy.trust.merge import merge_trust
from ..model.aws_errors import AwsError
from ..model.changes import Call, Change
from .waiting import WaitPolicy, send

OPERATION = "UpdateAssumeRolePolicy"
# Each more run at the same role may take one of them.
LOOKS = 5
# Seconds. Between reading and writing lies one request; the pause is longer, so that whoever read before has written.
PAUSE = 1.0


def write_trust(
    api: Api, change: Change, call: Call, wait_policy: WaitPolicy, earlier: Iterable[Change]
) -> Mapping[str, Any]:
    """Make a change of a trust policy, as far as it is not there already. Raises AwsError.

    ``earlier`` are the changes of this run to the same trust policy, which reads may not show yet.
    """
    documents = _documents(change)
    if documents is None:
        return send(api, call, wait_policy, change.awaits, False)
    present = _read(api, call)
    for write in earlier:
        made = _documents(write)
        if made is not None:
            present = merge_trust(*made, present)
    wanted = merge_trust(*documents, present)
    parameters = {**call.parameters, "PolicyDocument": to_json(wanted)}
    return send(api, replace(call, parameters=parameters), wait_policy, change.awaits, False)


def hold_trust(api: Api, changes: Iterable[Change], wait_policy: WaitPolicy) -> bool:
    """Look again at trust policies that were changed, until nobody overwrites them any more; whether one was put
    back. Raises nothing: what cannot be read or written is left to the next look of the run."""
    waiting = [(change, call) for change in changes for call in change.calls if call.operation == OPERATION]
    restored = False
    for _look in range(LOOKS):
        if not waiting:
            break
        wait_policy.sleep(PAUSE * (1 + wait_policy.chance()))
        waiting = [(change, call) for change, call in waiting if _put_back(api, change, call, wait_policy)]
        restored = restored or bool(waiting)
    return restored


def _put_back(api: Api, change: Change, call: Call, wait_policy: WaitPolicy) -> bool:
    """Whether the change was lost, and made again."""
    documents = _documents(change)
    if documents is None:
        return False
    try:
        present = _read(api, call)
        wanted = merge_trust(*documents, present)
        if same_meaning(present, wanted, "trust"):
            return False
        parameters = {**call.parameters, "PolicyDocument": to_json(wanted)}
        send(api, replace(call, parameters=parameters), wait_policy, change.awaits, False)
    except AwsError:
        return False
    return True


def _documents(change: Change) -> tuple[Mapping[str, object], Mapping[str, object]] | None:
    before = (change.before or {}).get("trust_policy")
    after = (change.after or {}).get("trust_policy")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before, after
    return None


def _read(api: Api, call: Call) -> Mapping[str, object]:
    role = api.call("iam", "GetRole", {"RoleName": call.parameters["RoleName"]})["Role"]
    return load(role["AssumeRolePolicyDocument"])
