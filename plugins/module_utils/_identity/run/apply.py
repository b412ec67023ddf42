# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Bring a plan about: stage by stage, within a stage concurrently; one failure stops nobody else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from ..._aws.client import Api
from ..._aws.concurrency import map_concurrently
from ..._aws.interrupt import finishing
from ..._findings.codes import Code
from ..model.aws_errors import AwsError, ErrorKind
from ..model.changes import Call, Change, Plan
from ..model.failures import Failure, request_failure
from ..model.messages import sentence
from ..model.progress import NullProgress, Progress
from ..model.targets import Target
from .outcome import Done, Outcome, Refusal
from .waiting import WaitPolicy

# These build on something made before, which IAM may not know yet.
_BUILDING = frozenset(("AttachRolePolicy", "CreateRole", "PutRolePermissionsBoundary"))
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
    settled: Mapping[Target, Failure] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Make the changes of a plan. A change whose needs failed is left out, with that as its reason.

    What ``settled`` holds has failed for good and is not attempted again.
    """
    done: list[Done] = []
    refusals: list[Refusal] = []
    planned = {change.target for change in plan.changes}
    told = progress or NullProgress()
    for resource, number in Counter(change.target.resource for change in plan.changes).items():
        told.expect(resource, number)
    failed = {name: failure for name, failure in (settled or {}).items() if name in planned}
    for stage in sorted({change.stage for change in plan.changes}):
        # IAM refuses two changes of one role at the same time.
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in plan.changes:
            if change.stage == stage:
                groups.setdefault(change.target.touched, []).append(change)
        work = partial(_make_all, api, dict(failed), settled or {}, wait_policy, told)
        for results in map_concurrently(work, groups.values(), width):
            for result in results:
                if isinstance(result, Done):
                    done.append(result)
                else:
                    refusals.append(result)
                    failed.setdefault(result.change.target, result.failure)
    failures = tuple(one.failure for one in refusals)
    conflict = any(one.conflict for one in refusals) and not any(one.half_replaced for one in refusals)
    order = {id(change): index for index, change in enumerate(plan.changes)}
    done.sort(key=lambda one: order[id(one.change)])
    return Outcome(tuple(done), failures, conflict, tuple(refusals))


def _make_all(
    api: Api,
    failed: Mapping[Target, Failure],
    settled: Mapping[Target, Failure],
    wait_policy: WaitPolicy,
    progress: Progress,
    changes: Sequence[Change],
) -> list[Done | Refusal]:
    results: list[Done | Refusal] = []
    own = dict(failed)
    for change in changes:
        reason = next((own[need] for need in sorted(change.needs) if need in own), None)
        if change.target in settled:
            result: Done | Refusal = Refusal(change, settled[change.target])
        elif reason is not None:
            result = Refusal(change, _skipped(change, reason))
        else:
            result = _make(api, change, wait_policy)
        if isinstance(result, Refusal):
            own[change.target] = result.failure
        results.append(result)
        progress.done(change.target.resource)
    return results


def _make(api: Api, change: Change, wait_policy: WaitPolicy) -> Done | Refusal:
    answer: Mapping[str, Any] = {}
    made: list[Call] = []
    for call in change.calls:
        # What was deleted a moment ago may still be in the way of its successor; and until that is
        # made, the workload has nothing, so everything that may pass is waited for.
        again = change.action == "replace" and bool(made)
        try:
            with finishing() if again else nullcontext():
                told = _request(api, call, wait_policy, change.awaits, again)
        except AwsError as error:
            # Gone; or perhaps gone, and then what takes its place must not be forgotten: its creation tells.
            perhaps = error.outcome_unknown and change.action == "replace"
            if call.operation in _REMOVALS and (error.missing or perhaps):
                if error.outcome_unknown:
                    # It was there: an earlier attempt removed it.
                    made.append(call)
                continue
            return Refusal(change, _failure(change, made, call, error), error)
        made.append(call)
        # A request that only tags the association is not answered with it.
        if "association" in told:
            answer = told
    return Done(change, answer)


def _request(
    api: Api, call: Call, wait_policy: WaitPolicy, awaits: bool, replaces: bool = False
) -> Mapping[str, Any]:
    deadline = wait_policy.now() + wait_policy.timeout
    pause = wait_policy.first_pause
    while True:
        try:
            return api.call(call.service, call.operation, call.parameters)
        except AwsError as error:
            if not _may_pass(error, call, awaits, replaces):
                raise
            if wait_policy.now() + pause > deadline:
                waited = f"{error.text} (still so after {wait_policy.timeout:g} s of waiting)"
                raise error.amended(waited, error.outcome_unknown) from error
        wait_policy.sleep(pause)
        pause = min(pause * 2, wait_policy.longest_pause)


def _may_pass(error: AwsError, call: Call, awaits: bool, replaces: bool) -> bool:
    """Whether the same request may succeed in a while.

    IAM refuses two changes of one thing at the same time, whoever makes the other one. What was made a
    moment ago may not be known yet, and what was deleted a moment ago may still be in the way.
    """
    not_yet = error.kind is ErrorKind.ROLE_NOT_USABLE or (error.missing and call.operation in _BUILDING)
    return (
        error.kind is ErrorKind.BUSY
        or ((awaits or replaces) and not_yet)
        or (replaces and error.kind is ErrorKind.EXISTS)
    )


def _failure(change: Change, made: Sequence[Call], call: Call, error: AwsError) -> Failure:
    if not made:
        return request_failure(error, change.workloads, change.target, change.action)
    operations = ", ".join(f"{earlier.service}:{earlier.operation}" for earlier in made)
    after = f" Done before it: {operations}."
    if change.action == "replace":
        # A rerun no longer sees what was there, so the failure tells it.
        wanted = json.dumps(dict(call.parameters), sort_keys=True)
        after += f" The {change.target.resource} was deleted; it was to be created anew with {wanted}."
    stopped = error.amended(sentence(error.text), error.outcome_unknown)
    return request_failure(stopped, change.workloads, change.target, change.action, after=after, partly=True)


def _skipped(change: Change, reason: Failure) -> Failure:
    return Failure(
        change.workloads,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because the {reason.action} of {reason.target.label} failed ({reason.error_code}).",
        "Resolve that failure and run again.",
    )
