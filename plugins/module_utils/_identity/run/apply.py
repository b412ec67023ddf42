# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Make the changes of a plan: stage by stage, within a stage concurrently; one failure stops nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import finishing
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..model.changes import Call, Change, NullProgress, Plan, Progress
from ..model.cluster import Clusters
from ..model.errors import AwsError, sentence
from ..model.targets import Failure, Target, request_failure
from .journal import Journal
from .outcome import Done, Outcome, Refusal
from .replacement import prove, put_back, unproven
from .trust_write import OPERATION, write_trust
from .use_check import UseCheck
from .waiting import WaitPolicy, send

# Of these a 404 says that what is to go is gone. Of others that remove something from a thing, it says
# that the thing itself is gone.
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
    """Make the changes of a plan. A change whose needs failed is left out, with that as its reason.

    What ``permanent`` holds has failed for good and is not attempted again. ``journal`` is told what is made as it
    is made. ``use_check`` looks again at what has to be unused. ``clusters`` says in which regions associations are changed;
    without it that is the region of ``api``.
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
        # IAM refuses two changes of one role at the same time.
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
    # One look serves all changes of one role.
    used: AwsError | None = None
    looked = use_check is None
    # After one replacement was refused, no other policy of the role is put at risk.
    stopped: Failure | None = None
    for change in changes:
        missing = change.needed_among(failures.keys())
        reason = failures[missing] if missing is not None else None
        if change.action == "replace" and reason is None:
            reason = stopped
        if change.target in permanent:
            result: Done | Refusal = Refusal(change, permanent[change.target])
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
                result = Refusal(change, failure, refused)
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
        return Refusal(change, unproven(change, error), error)
    with finishing():
        return _send_all(api, change, wait_policy, journal, granted)


def _send_all(
    api: Api,
    change: Change,
    wait_policy: WaitPolicy,
    journal: Journal,
    granted: Mapping[str, Any] | None = None,
) -> Done | Refusal:
    """Send the requests of a change. ``granted`` is the answer to the last one, if a proof was granted in its place."""
    calls, made = change.calls, list[Call]()
    last: Mapping[str, Any] = {}
    if granted is not None:
        *_others, final = calls
        calls, made = calls[:-1], [final]
        journal.answer(change, final)
        last = granted if "association" in granted else {}
    for call in calls:
        # What was deleted a moment ago may still be in the way of its successor; and until that is
        # made, the workload has nothing, so everything that may pass is waited for.
        replaces = change.action == "replace" and bool(made)
        try:
            if call.operation == OPERATION:
                answer = write_trust(api, change, call, wait_policy, journal)
            else:
                answer = send(api, call, wait_policy, change.awaits, replaces)
        except AwsError as error:
            # Gone; or perhaps gone, and then what takes its place must not be forgotten: its creation tells.
            perhaps = error.outcome_unknown and change.action == "replace"
            # That it is gone, only a look can tell: what comes afterwards does not, if this is the last request.
            doubtful = call is change.calls[-1] and not error.outcome_unknown
            if call.operation in _REMOVALS and (error.missing or perhaps) and not doubtful:
                if error.outcome_unknown:
                    # It was there: an earlier attempt removed it.
                    made.append(call)
                continue
            if change.put_back is not None and call is change.calls[-1] and made:
                return Refusal(change, put_back(api, change, change.put_back, error, wait_policy), error)
            return Refusal(change, _failure(change, made, error), error)
        made.append(call)
        journal.answer(change, call)
        # A request that only tags the association is not answered with it.
        if "association" in answer:
            last = answer
    return Done(change, last)


def _failure(change: Change, made: Sequence[Call], error: AwsError) -> Failure:
    if not made:
        return request_failure(error, change.workloads, change.target, change.action)
    operations = ", ".join(f"{earlier.service}:{earlier.operation}" for earlier in made)
    after = f" Done before it: {operations}."
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(ended, change.workloads, change.target, change.action, after=after, partly=True)


def _skipped(change: Change, reason: Failure) -> Failure:
    # Those who have all they asked for do not fail because something stays.
    workloads = reason.workloads if change.takes else change.workloads
    stays = " What is there stays until then." if change.takes else ""
    return Failure(
        workloads,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because the {reason.action} of {reason.target.label} failed ({reason.error_code}).{stays}",
        "Resolve that failure and run again.",
    )
