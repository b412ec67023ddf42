# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Write trust policies that other runs may change at the same time.

A trust policy is read again right before its change and merged, because other runs may have changed it since the plan. It is
read again after the change, and the change is repeated if another run has overwritten it. Runs for the hosts of one play write
the trust policy of a role one after the other (``WaitPolicy.exclusive``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..._aws.client import Api
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import load_document, to_json
from ..._policy.trust.statements import TrustGrant, covered, merge_trust, read_grants, with_grants
from ..model.changes import Call, Change
from ..model.errors import AwsError, ErrorKind
from ..model.observed import Observed, OutsideAssociations
from ..model.roles import TRUST_POLICY
from ..plan.narrowing import find_lost_users, narrowed_reaches, report_restored
from ..read.associations import read_outside
from ..read.reader import Reader, response_time
from .consistency import WaitPolicy, send
from .outcome import Journal

UPDATE_TRUST = "UpdateAssumeRolePolicy"
# The maximum number of reads before, and again after, a change of a trust policy. Each concurrent run that changes the same
# role may make one more read necessary.
MAX_TRUST_READS = 5
# The minimum pause before each read after a change, in seconds. A run normally writes a trust policy in less than this time
# after it has read it. So when the pause ends, a concurrent run has finished its write.
READ_PAUSE = 1.0


class _TrustWrite:
    """A change of a trust policy that is merged with the present trust policy right before it is sent."""

    def __init__(
        self, api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal
    ) -> None:
        self.api, self.change, self.call, self.wait_policy = api, change, call, wait_policy
        self.earlier = journal.find_changes(change.target)
        self.read_at: datetime | None = None
        self.began = 0.0

    def call_now(self) -> Call:
        """Read the trust policy, and return the request that changes it. Repeat a read that took longer than READ_PAUSE."""
        for _attempt in range(MAX_TRUST_READS):
            self.began = self.wait_policy.now()
            present, self.read_at = _read(self.api, self.call)
            if not self.is_stale():
                break
        for change in (*self.earlier, self.change):
            documents = _documents(change)
            if documents is not None:
                merged = merge_trust(*documents, present)
                if merged is present:
                    raise _emptied(self.call)
                present = merged
        return _with_document(self.call, present)

    def is_stale(self) -> bool:
        """Return whether the last read is so old that this run may overwrite a change of another run unnoticed.

        The other run may have changed the trust policy after that read, and finished its own reads after the change.
        """
        return self.wait_policy.now() - self.began > READ_PAUSE


def write_trust(
    api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal
) -> Mapping[str, Any]:
    """Change a trust policy: merge the change with the present trust policy, and send it. Raises AwsError.

    ``journal`` has earlier changes of the run to the same trust policy, which reads may not show yet.
    """
    if _documents(change) is None:
        return send(api, call, wait_policy, change.awaits, False)
    write = _TrustWrite(api, change, call, wait_policy, journal)
    with wait_policy.exclusive(change.target.name):
        answer = send(api, write.call_now(), wait_policy, change.awaits, False, write.call_now)
    if write.is_stale() and write.read_at is not None:
        journal.note_stale_read(change.target, write.read_at)
    return answer


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
    documents = _documents(change)
    if documents is None:
        return False
    try:
        with wait_policy.exclusive(change.target.name):
            present, _read_at = _read(api, call)
            merged = merge_trust(*documents, present)
            if TRUST_POLICY.equals(present, merged):
                return False
            send(api, _with_document(call, merged), wait_policy, change.awaits, False)
    except AwsError:
        return False
    return True


def restore_grants(api: Api, changes: Iterable[Change], observed: Observed, wait_policy: WaitPolicy) -> bool:
    """Add grants of this run to trust policies again if a later observation does not show them.

    A concurrent run may have overwritten the trust policy. Return whether any grant was added again.
    """
    restored = False
    for change in changes:
        documents = _documents(change)
        role = observed.roles.get(change.target.name.lower())
        if documents is None or role is None:
            continue
        old_grants, new_grants = (read_grants(document)[0] for document in documents)
        present, _rest = read_grants(role.trust)
        missing = {grant for grant in new_grants - old_grants if not covered(grant, present)}
        if missing:
            restored = _add_grants(api, change, missing, wait_policy) or restored
    return restored


def restore_outside_grants(
    reader: Reader,
    observed: Observed,
    changes: Sequence[Change],
    keys: Collection[WorkloadKey],
    journal: Journal,
    wait_policy: WaitPolicy,
) -> list[Finding]:
    """Restore the access of workloads outside the run that lost access to a role through changes of this run.

    Return a finding for each role to which access was restored.

    ``keys`` are the workloads of the run. The associations of other workloads are read in two cases: the change removed a
    statement that may have allowed workloads without naming them, or another run may have changed the trust policy between the
    read and the write of this run (``Journal.stale_reads``). Errors are ignored, as in ``hold_trust``.
    """
    findings = []
    for change in changes:
        documents = _documents(change)
        role = observed.roles.get(change.target.name.lower())
        if documents is None or role is None:
            continue
        since = journal.stale_reads.get(change.target)
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
        if lost.users and _add_grants(reader.api, change, lost.grants, wait_policy):
            findings.append(report_restored(role.arn, change.workloads[0], lost))
    return findings


def _add_grants(api: Api, change: Change, grants: Collection[TrustGrant], wait_policy: WaitPolicy) -> bool:
    """Add grants that the trust policy of a change lacks. Return whether any grant was added."""
    (call,) = change.calls
    try:
        with wait_policy.exclusive(change.target.name):
            present, _read_at = _read(api, call)
            granted, unmanaged = read_grants(present)
            missing = {grant for grant in grants if not covered(grant, granted)}
            if not missing:
                return False
            merged = with_grants(present, unmanaged, granted | missing)
            send(api, _with_document(call, merged), wait_policy, False, False)
    except AwsError:
        return False
    hold_trust(
        api, [replace(change, before={"trust_policy": present}, after={"trust_policy": merged})], wait_policy
    )
    return True


def _emptied(call: Call) -> AwsError:
    """Return the conflict of a change that would leave no statement, because other runs have removed the other statements.

    The run then plans again, and deletes the role.
    """
    return AwsError(
        f"{call.service}:{call.operation}",
        "ConcurrentModification",
        "other runs have removed all other statements of the trust policy since it was read for the plan.",
        ErrorKind.IN_USE,
        "Run again.",
    )


def _documents(change: Change) -> tuple[Mapping[str, object], Mapping[str, object]] | None:
    old = (change.before or {}).get("trust_policy")
    new = (change.after or {}).get("trust_policy")
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old, new
    return None


def _with_document(call: Call, document: Mapping[str, object]) -> Call:
    return replace(call, parameters={**call.parameters, "PolicyDocument": to_json(document)})


def _read(api: Api, call: Call) -> tuple[Mapping[str, object], datetime | None]:
    """Read the trust policy that a request changes. Return the trust policy with the time of the response."""
    answer = api.call("iam", "GetRole", {"RoleName": call.parameters["RoleName"]})
    return load_document(answer["Role"]["AssumeRolePolicyDocument"]), response_time(answer)
