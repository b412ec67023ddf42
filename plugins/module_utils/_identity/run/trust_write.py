# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Write a trust policy that others may write at the same time. IAM has no conditional write.

A change is made to what was read immediately before. After a pause, in which others that had read earlier write, it is
looked at again, and put back where it was lost. A run that took longer than that pause to write may have overwritten a
grant of a run that has looked already. It finds the workloads of that grant by their associations, and lets them in again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..._aws.client import Api
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import load_document, to_json
from ..._policy.trust.statements import TrustGrant, covered, merge_trust, read_grants, with_grants
from ..model.changes import Call, Change
from ..model.errors import AwsError
from ..model.observed import Observed, OutsideAssociations
from ..plan.narrowing import find_lost_users, narrowed_reaches, report_restored
from ..read.associations import read_outside
from ..read.decode import answered_at
from ..read.reader import Reader
from .journal import Journal
from .waiting import WaitPolicy, send

OPERATION = "UpdateAssumeRolePolicy"
# Each more run at the same role may take one of them.
LOOKS = 5
# Seconds. Between reading and writing lies one request; the pause is longer, so that whoever read before has written.
LOOK_PAUSE = 1.0


class _Writer:
    """A change of a trust policy, made to what a role has when it is sent."""

    def __init__(
        self, api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal
    ) -> None:
        self.api, self.change, self.call, self.wait_policy = api, change, call, wait_policy
        self.earlier = journal.changes_of(change.target)
        self.read_at: datetime | None = None
        self.began = 0.0

    def call_now(self) -> Call:
        """Read the trust policy, and return the request that changes it. A read that took long is repeated."""
        for _look in range(LOOKS):
            self.began = self.wait_policy.now()
            present, self.read_at = _read(self.api, self.call)
            if not self.is_late():
                break
        for change in (*self.earlier, self.change):
            documents = _documents(change)
            if documents is not None:
                present = merge_trust(*documents, present)
        return _with_document(self.call, present)

    def is_late(self) -> bool:
        """Return whether another run may have written and looked again since the last read."""
        return self.wait_policy.now() - self.began > LOOK_PAUSE


def write_trust(
    api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal
) -> Mapping[str, Any]:
    """Make a change of a trust policy, as far as it is not there already. Raises AwsError.

    Reads may not show earlier changes of the run to the same trust policy yet, which ``journal`` has.
    """
    if _documents(change) is None:
        return send(api, call, wait_policy, change.awaits, False)
    writer = _Writer(api, change, call, wait_policy, journal)
    answer = send(api, writer.call_now(), wait_policy, change.awaits, False, writer.call_now)
    if writer.is_late() and writer.read_at is not None:
        journal.note_late_write(change.target, writer.read_at)
    return answer


def hold_trust(api: Api, changes: Iterable[Change], wait_policy: WaitPolicy) -> bool:
    """Look again at trust policies that were changed, until nobody overwrites them any more; whether one was put
    back. Raises nothing: what cannot be read or written is left to the next look of the run."""
    waiting = [(change, call) for change in changes for call in change.calls if call.operation == OPERATION]
    restored = False
    for _look in range(LOOKS):
        if not waiting:
            break
        wait_policy.sleep(LOOK_PAUSE * (1 + wait_policy.chance()))
        waiting = [(change, call) for change, call in waiting if _put_back(api, change, call, wait_policy)]
        restored = restored or bool(waiting)
    return restored


def _put_back(api: Api, change: Change, call: Call, wait_policy: WaitPolicy) -> bool:
    """Whether the change was lost, and made again."""
    documents = _documents(change)
    if documents is None:
        return False
    try:
        present, _read_at = _read(api, call)
        wanted = merge_trust(*documents, present)
        if same_meaning(present, wanted, "trust"):
            return False
        send(api, _with_document(call, wanted), wait_policy, change.awaits, False)
    except AwsError:
        return False
    return True


def restore_grants(api: Api, changes: Iterable[Change], observed: Observed, wait_policy: WaitPolicy) -> bool:
    """Put back grants that changes of this run added and that a later look does not show. Return whether one was lost."""
    lost = False
    for change in changes:
        documents = _documents(change)
        role = observed.roles.get(change.target.name.lower())
        if documents is None or role is None:
            continue
        before, after = (read_grants(document)[0] for document in documents)
        present, _others = read_grants(role.trust)
        missing = {grant for grant in after - before if not covered(grant, present)}
        if missing:
            lost = _let_in(api, change, missing, wait_policy) or lost
    return lost


def let_in_again(
    reader: Reader,
    observed: Observed,
    changes: Sequence[Change],
    keys: Collection[WorkloadKey],
    journal: Journal,
    wait_policy: WaitPolicy,
) -> list[Finding]:
    """Find workloads outside the run, with these ``keys``, that lost a role by changes of this run, and let them in again.

    They are looked for where a wide grant was taken away, or where writing took long. Raises nothing, as ``hold_trust``.
    """
    findings = []
    for change in changes:
        documents = _documents(change)
        role = observed.roles.get(change.target.name.lower())
        if documents is None or role is None:
            continue
        since = journal.late_writes.get(change.target)
        reaches = narrowed_reaches(reader.clusters, *documents, everywhere=since is not None)
        if not reaches:
            continue
        outside = read_outside(reader, reaches, keys, OutsideAssociations()).associations.values()
        users = [user for user in outside if user.role_arn.lower() == role.arn.lower()]
        try:
            (call,) = change.calls
            present, _read_at = _read(reader.api, call)
        except AwsError:
            continue
        lost = find_lost_users(reader.clusters, users, documents, present, since)
        if lost.users and _let_in(reader.api, change, lost.grants, wait_policy):
            findings.append(report_restored(role.arn, change.workloads[0], lost))
    return findings


def _let_in(api: Api, change: Change, grants: Collection[TrustGrant], wait_policy: WaitPolicy) -> bool:
    """Add grants to the trust policy that a change was made to. Return whether they were missing."""
    (call,) = change.calls
    try:
        present, _read_at = _read(api, call)
        granted, others = read_grants(present)
        missing = {grant for grant in grants if not covered(grant, granted)}
        if not missing:
            return False
        after = with_grants(present, others, granted | missing)
        send(api, _with_document(call, after), wait_policy, False, False)
    except AwsError:
        return False
    hold_trust(
        api, [replace(change, before={"trust_policy": present}, after={"trust_policy": after})], wait_policy
    )
    return True


def _documents(change: Change) -> tuple[Mapping[str, object], Mapping[str, object]] | None:
    before = (change.before or {}).get("trust_policy")
    after = (change.after or {}).get("trust_policy")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before, after
    return None


def _with_document(call: Call, document: Mapping[str, object]) -> Call:
    return replace(call, parameters={**call.parameters, "PolicyDocument": to_json(document)})


def _read(api: Api, call: Call) -> tuple[Mapping[str, object], datetime | None]:
    """The trust policy, and when AWS answered."""
    answer = api.call("iam", "GetRole", {"RoleName": call.parameters["RoleName"]})
    return load_document(answer["Role"]["AssumeRolePolicyDocument"]), answered_at(answer)
