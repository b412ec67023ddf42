# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Apply the changes of a plan.

A change is applied after the changes that it needs. A trust policy is read again right before its change and merged, because
other runs may have changed the trust policy since the plan. If the replacement of an association fails after the deletion,
the former association is created again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import finishing
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import load_document, to_json
from ..._policy.trust.statements import TrustGrant, covered, merge_trust, read_grants, with_grants
from ..model.associations import ObservedAssociation
from ..model.changes import Call, Change, NullProgress, Plan, Progress
from ..model.cluster import Clusters
from ..model.errors import AwsError, ErrorKind, listed, sentence
from ..model.observed import Observed, OutsideAssociations
from ..model.roles import TRUST_POLICY
from ..model.targets import Failure, Target, association_key, request_failure
from ..plan.narrowing import find_lost_users, narrowed_reaches, report_restored
from ..read.associations import describe_association, read_outside
from ..read.reader import Reader, response_time
from .consistency import UseCheck, WaitPolicy, send
from .outcome import Done, Journal, Outcome, Refusal

OPERATION = "UpdateAssumeRolePolicy"
# The maximum number of reads before, and again after, a change of a trust policy. Each concurrent run that changes the same
# role may make one more read necessary.
LOOKS = 5
# The pause before each read after a change, in seconds. A run writes a trust policy right after it has read it, in less than
# this time. So when the pause ends, a concurrent run has finished its write.
LOOK_PAUSE = 1.0


class _Writer:
    """A change of a trust policy that is merged with the present trust policy right before it is sent."""

    def __init__(
        self, api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal
    ) -> None:
        self.api, self.change, self.call, self.wait_policy = api, change, call, wait_policy
        self.earlier = journal.find_changes(change.target)
        self.read_at: datetime | None = None
        self.began = 0.0

    def call_now(self) -> Call:
        """Read the trust policy, and return the request that changes it. Repeat a read that took longer than LOOK_PAUSE."""
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
        """Return whether the last read is so old that this run may overwrite a change of another run unnoticed.

        The other run may have changed the trust policy after that read, and finished its own reads after the change.
        """
        return self.wait_policy.now() - self.began > LOOK_PAUSE


def write_trust(
    api: Api, change: Change, call: Call, wait_policy: WaitPolicy, journal: Journal
) -> Mapping[str, Any]:
    """Change a trust policy: merge the change with the present trust policy, and send it. Raises AwsError.

    ``journal`` has earlier changes of the run to the same trust policy, which reads may not show yet.
    """
    if _documents(change) is None:
        return send(api, call, wait_policy, change.awaits, False)
    writer = _Writer(api, change, call, wait_policy, journal)
    answer = send(api, writer.call_now(), wait_policy, change.awaits, False, writer.call_now)
    if writer.is_late() and writer.read_at is not None:
        journal.note_late_write(change.target, writer.read_at)
    return answer


def hold_trust(api: Api, changes: Iterable[Change], wait_policy: WaitPolicy) -> bool:
    """Read changed trust policies again, and repeat each change that another run has overwritten.

    Return whether a change was repeated. Ignore errors: the next observation of the run reports them.
    """
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
    """Repeat a change of a trust policy that another run has overwritten. Return whether the change was repeated."""
    documents = _documents(change)
    if documents is None:
        return False
    try:
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

    A grant is the scope of a trust statement (see ``plan/trust.py``). A concurrent run may have overwritten the trust policy.
    Return whether any grant was added again.
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

    Return a finding for each role whose access was restored.

    ``keys`` are the workloads of the run. The associations of other workloads are read in two cases: the change removed access
    for more than single service accounts, or another run may have changed the trust policy between the read and the write of
    this run (``Journal.late_writes``). Errors are ignored, as in ``hold_trust``.
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
        if lost.users and _add_grants(reader.api, change, lost.grants, wait_policy):
            findings.append(report_restored(role.arn, change.workloads[0], lost))
    return findings


def _add_grants(api: Api, change: Change, grants: Collection[TrustGrant], wait_policy: WaitPolicy) -> bool:
    """Add grants that the trust policy of a change lacks. Return whether any grant was added."""
    (call,) = change.calls
    try:
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


# More than the number of attributes of an association, so that a message lists all of them.
_ALL = 25


def prove(api: Api, change: Change, wait_policy: WaitPolicy) -> Mapping[str, Any] | None:
    """Prove, before a resource is removed, that the caller has the permissions for the requests after the removal.

    A proof sends such a request in advance. Usually AWS refuses it with the error ``proof.refusal``, which it returns only to
    a caller with the permission. Raise AwsError for any other error.

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
    """Raise AwsError if the association differs from the one in the plan."""
    key = planned.key
    present = describe_association(api, key.cluster_name, planned.association_id, key.cluster)
    if present == planned:
        return
    names = [
        field.name
        for field in fields(planned)
        if present is not None and getattr(present, field.name) != getattr(planned, field.name)
    ]
    state = f"has changed since it was read ({listed(names, _ALL)})" if names else "is gone"
    raise AwsError(
        "eks:DescribePodIdentityAssociation",
        "AssociationChanged",
        f"association {planned.association_id} {state}",
        ErrorKind.IN_USE,
        "Another process changes the association. Run again after it has ended.",
    )


def unproven(change: Change, error: AwsError) -> Failure:
    """Return the failure of a change that was not sent because one of its proofs was refused."""
    policy = (change.before or {}).get("policy")
    note = (
        " The association is unchanged: it is deleted only after EKS has proved that it can be created again."
        if association_key(change.target) is not None
        else f" {policy} is still attached: it is detached only after a proof that both policies can be attached."
    )
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, suffix=note)


def put_back(api: Api, change: Change, call: Call, error: AwsError, wait_policy: WaitPolicy) -> Failure:
    """Restore the former resource of a replacement whose last request failed with ``error``.

    The first request of the change has removed the former association or attachment, and ``call`` creates it again. Return
    the failure, whose message has ``error`` and the result of ``call``.
    """
    association = association_key(change.target) is not None
    refusal: AwsError | None = None
    try:
        # If the outcome of the last request is unknown, "already exists" is not a reason to retry: the last request may have
        # created the new resource, which blocks the former one.
        send(api, call, wait_policy, False, not error.outcome_unknown)
    except AwsError as refused:
        refusal = refused
    note = _association_result(change, refusal) if association else _attachment_result(change, refusal)
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    # An association that was created again has a new ID, so the change is never undone completely.
    partly = association or refusal is not None
    return request_failure(ended, change.workloads, change.target, change.action, suffix=note, partly=partly)


def _attachment_result(change: Change, refusal: AwsError | None) -> str:
    room = f" {(change.before or {}).get('policy')} was detached to make room for the new policy, and"
    if refusal is None:
        return f"{room} was attached again."
    return f"{room} could not be attached again: {refusal.operation}: {sentence(refusal.text)}"


def _association_result(change: Change, refusal: AwsError | None) -> str:
    if refusal is None:
        return " The association was deleted, then created again unchanged, with a new ID."
    # A later run cannot read the former association any more, so the failure reports its parameters.
    parameters = json.dumps(dict(change.calls[-1].parameters), sort_keys=True)
    return (
        f" The association was deleted. Parameters of its replacement: {parameters}. The former association could not be "
        "created again: "
        f"{refusal.operation}: {sentence(refusal.text)}"
    )


# For these requests, a 404 means that the resource to delete does not exist. For other removals, it means that the resource
# that contains it does not exist.
_REMOVALS = frozenset(
    ("DeletePodIdentityAssociation", "DeletePolicy", "DeletePolicyVersion", "DeleteRole", "DetachRolePolicy")
)


def apply_plan(
    api: Api,
    plan: Plan,
    width: int,
    wait_policy: WaitPolicy,
    permanent: Mapping[Target, Failure] | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
    use_check: UseCheck | None = None,
    clusters: Clusters | None = None,
) -> Outcome:
    """Apply the changes of a plan.

    A change that needs a failed change is skipped, with that failure as its reason. ``permanent`` has the failures of
    changes that are not attempted, by target. ``journal`` records the responses. ``use_check`` confirms that roles to delete
    are unused. ``clusters`` has the regions of the associations; without ``clusters``, the region of ``api`` is used.
    """
    done: list[Done] = []
    refusals: list[Refusal] = []
    planned = {change.target for change in plan.changes}
    progress = progress or NullProgress()
    journal = journal or Journal()
    regions = {key: cluster.region for key, cluster in clusters.members.items()} if clusters else {}
    for resource, number in Counter(change.target.resource for change in plan.changes).items():
        progress.expect(resource, number)
    failed = {target: failure for target, failure in (permanent or {}).items() if target in planned}
    for stage in sorted({change.stage for change in plan.changes}):
        # IAM refuses concurrent changes of one role, so these changes are in one group and follow each other.
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in plan.changes:
            if change.stage == stage:
                groups.setdefault(change.target.touched, []).append(change)
        removed = [
            change
            for change in plan.changes
            if change.stage == stage and (change.requires_unused or change.unassociated)
        ]
        if use_check is not None and removed:
            use_check.look(removed)
        make = partial(
            _make_all, api, regions, dict(failed), permanent or {}, wait_policy, progress, journal, use_check
        )
        for results in map_concurrently(make, groups.values(), width):
            for result in results:
                if isinstance(result, Done):
                    done.append(result)
                else:
                    refusals.append(result)
                    failed.setdefault(result.change.target, result.failure)
    order = {id(change): index for index, change in enumerate(plan.changes)}
    done.sort(key=lambda made: order[id(made.change)])
    return Outcome(tuple(done), tuple(refusals))


def _make_all(
    api: Api,
    regions: Mapping[str, str],
    failed: Mapping[Target, Failure],
    permanent: Mapping[Target, Failure],
    wait_policy: WaitPolicy,
    progress: Progress,
    journal: Journal,
    use_check: UseCheck | None,
    changes: Sequence[Change],
) -> list[Done | Refusal]:
    results: list[Done | Refusal] = []
    failures = dict(failed)
    # The group has the changes of one role, so one check that the role is unused serves all of them.
    used: AwsError | None = None
    looked = use_check is None
    # After one refused replacement, leave the other policies of the role attached.
    stopped: Failure | None = None
    for change in changes:
        missing = change.needed_among(failures.keys())
        reason = failures[missing] if missing is not None else None
        if change.action == "replace" and reason is None:
            reason = stopped
        if change.target in permanent:
            result: Done | Refusal = Refusal(change, replace(permanent[change.target], cause=None))
        elif reason is not None:
            result = Refusal(change, _skipped(change, reason))
        else:
            if change.requires_unused and not looked and use_check is not None:
                used, looked = use_check.refusal(change), True
            refused = used if change.requires_unused else None
            if change.unassociated and use_check is not None:
                refused = refused or use_check.refusal(change)
            if refused is not None:
                failure = request_failure(refused, change.workloads, change.target, change.action)
                result = Refusal(change, failure)
            else:
                regional = api.in_region(regions.get(change.target.cluster, ""))
                result = _make(regional, change, wait_policy, journal)
        if isinstance(result, Refusal):
            failures[change.target] = result.failure
            if change.action == "replace" and (result.error is not None or change.target in permanent):
                stopped = stopped or result.failure
        results.append(result)
        journal.end(result)
        progress.done(change.target.resource)
    return results


def _make(api: Api, change: Change, wait_policy: WaitPolicy, journal: Journal) -> Done | Refusal:
    if change.action != "replace":
        return _send_all(api, change, wait_policy, journal)
    try:
        granted = prove(api, change, wait_policy)
    except AwsError as error:
        return Refusal(change, unproven(change, error))
    with finishing():
        return _send_all(api, change, wait_policy, journal, granted)


def _send_all(
    api: Api,
    change: Change,
    wait_policy: WaitPolicy,
    journal: Journal,
    granted: Mapping[str, Any] | None = None,
) -> Done | Refusal:
    """Send the requests of a change.

    ``granted`` is the response to the last request, if a proof already carried out that request.
    """
    calls, made = change.calls, list[Call]()
    last: Mapping[str, Any] = {}
    if granted is not None:
        *_others, final = calls
        calls, made = calls[:-1], [final]
        journal.answer(change, final)
        last = granted if "association" in granted else {}
    for call in calls:
        # A resource that was just deleted may still block its replacement. The workload has no role until the replacement
        # exists, so retry after every error that may be temporary.
        replaces = change.action == "replace" and bool(made)
        try:
            if call.operation == OPERATION:
                answer = write_trust(api, change, call, wait_policy, journal)
            else:
                answer = send(api, call, wait_policy, change.awaits, replaces)
        except AwsError as error:
            # If the response to the deletion was lost, the creation of the replacement shows whether the resource is deleted.
            may_be_deleted = error.outcome_unknown and change.action == "replace"
            # If the last request gets a 404, only another observation can confirm that the resource is deleted.
            unconfirmed = call is change.calls[-1] and not error.outcome_unknown
            if call.operation in _REMOVALS and (error.missing or may_be_deleted) and not unconfirmed:
                if error.outcome_unknown:
                    # A request whose response was lost counts as carried out.
                    made.append(call)
                continue
            if change.put_back is not None and call is change.calls[-1] and made:
                return Refusal(change, put_back(api, change, change.put_back, error, wait_policy))
            return Refusal(change, _failure(change, made, error))
        made.append(call)
        journal.answer(change, call)
        # The response to a request that only tags the association does not contain it.
        if "association" in answer:
            last = answer
    return Done(change, last)


def _failure(change: Change, made: Sequence[Call], error: AwsError) -> Failure:
    if not made:
        return request_failure(error, change.workloads, change.target, change.action)
    operations = ", ".join(f"{earlier.service}:{earlier.operation}" for earlier in made)
    note = f" Done before the failure: {operations}."
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, suffix=note, partly=True)


def _attempt(failure: Failure) -> str:
    """Return the failed action as a noun, like "creating the role my-role"."""
    action = failure.action
    if failure.target.policy_arn:
        action = "delete" if action == "detach" else "create"
    return f"{action.removesuffix('e')}ing the {failure.target.display}"


def _skipped(change: Change, reason: Failure) -> Failure:
    # A skipped removal does not fail its own workloads: they have all permissions that they need.
    workloads = reason.workloads if change.takes else change.workloads
    note = " Until the run succeeds, the resource is kept." if change.takes else ""
    return Failure(
        workloads,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because {_attempt(reason)} failed ({reason.error_code}).{note}",
        "Resolve that failure and run again.",
    )
