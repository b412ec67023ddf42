# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write trust policies that other runs may change at the same time.

A trust policy is read again right before its change and merged, because other runs may have changed it since the plan. It is
read again after the change, and the change is repeated if another run has overwritten it. Runs for the hosts of one play write
the trust policy of a role one after the other (``WaitPolicy.exclusive``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..._aws.client import Api
from ..._policy.language.document import load_document, to_json
from ..._policy.trust.statements import merge_trust
from ..model.changes import Call, Change
from ..model.errors import AwsError, ErrorKind
from ..model.roles import TRUST_POLICY
from .consistency import WaitPolicy, send
from .outcome import Journal

UPDATE_TRUST = "UpdateAssumeRolePolicy"
# The maximum number of reads before, and again after, a change of a trust policy. Each concurrent run that changes the same
# role may make one more read necessary.
MAX_TRUST_READS = 5
# The minimum pause before each read after a change, in seconds. A run normally writes a trust policy in less than this time
# after it has read it. So when the pause ends, a concurrent run has finished its write.
READ_PAUSE = 1.0


def write_trust(
    api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal, awaits: bool
) -> Mapping[str, Any]:
    """Change a trust policy: merge the change with the present trust policy, and send it. Raises AwsError.

    ``journal`` has earlier changes of the run to the same trust policy, which reads may not show yet.
    """
    place = (change.target.resource, change.target.touched)
    completed = (done.change for done in journal.done)
    earlier = [made for made in completed if (made.target.resource, made.target.touched) == place]

    def merged() -> Call:
        # Another run may have changed the trust policy during a slow read.
        for _attempt in range(MAX_TRUST_READS):
            began = wait_policy.now()
            present = _read_trust(api, call)
            if wait_policy.now() - began <= READ_PAUSE:
                break
        for made in (*earlier, change):
            before, present = present, _merge(made, present)
            if present is before:
                # The run then plans again, and deletes the role.
                raise AwsError(
                    f"{call.service}:{call.operation}",
                    "ConcurrentModification",
                    "other runs have removed all other statements of the trust policy since it was read for the plan.",
                    ErrorKind.IN_USE,
                    "Run again.",
                )
        return _with_document(call, present)

    with wait_policy.exclusive(change.target.name):
        return send(api, call, wait_policy, awaits, False, merged)


def hold_trust(api: Api, changes: Iterable[Change], wait_policy: WaitPolicy) -> bool:
    """Read changed trust policies again, and repeat each change that another run has overwritten.

    Return whether a change was repeated. Ignore errors: the next observation of the run reports them.
    """
    waiting = [
        (change, call) for change in changes for call in change.calls if call.operation == UPDATE_TRUST
    ]
    repeated = False
    for _attempt in range(MAX_TRUST_READS):
        if not waiting:
            break
        wait_policy.sleep(READ_PAUSE * (1 + wait_policy.chance()))
        waiting = [
            (change, call) for change, call in waiting if _repeat_write(api, change, call, wait_policy)
        ]
        repeated = repeated or bool(waiting)
    return repeated


def _repeat_write(api: Api, change: Change, call: Call, wait_policy: WaitPolicy) -> bool:
    """Repeat a change of a trust policy if another run has overwritten it. Return whether the change was repeated."""
    try:
        with wait_policy.exclusive(change.target.name):
            present = _read_trust(api, call)
            merged = _merge(change, present)
            if TRUST_POLICY.equals(present, merged):
                return False
            send(api, _with_document(call, merged), wait_policy, False, False)
    except AwsError:
        return False
    return True


def _merge(change: Change, present: Mapping[str, object]) -> Mapping[str, object]:
    """Return the present trust policy with the change of a trust policy. Return ``present`` itself if nothing would be left."""
    old, new = (change.before or {})["trust_policy"], (change.after or {})["trust_policy"]
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        raise AssertionError("a change of a trust policy without documents")
    return merge_trust(old, new, present)


def _with_document(call: Call, document: Mapping[str, object]) -> Call:
    return replace(call, parameters={**call.parameters, "PolicyDocument": to_json(document)})


def _read_trust(api: Api, call: Call) -> Mapping[str, object]:
    """Read the trust policy that a request changes."""
    answer = api.call("iam", "GetRole", {"RoleName": call.parameters["RoleName"]})
    return load_document(answer["Role"]["AssumeRolePolicyDocument"])
