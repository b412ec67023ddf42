# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Apply the changes of a plan. A change is applied after the changes that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import uninterrupted
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..model.changes import Call, Change, Plan
from ..model.errors import AwsError, sentence
from ..model.resource_types import REMOVALS
from ..model.targets import Failure, Target, request_failure
from .consistency import UseCheck, WaitPolicy, send
from .outcome import Done, Journal, Outcome, Refusal
from .replacements import prove, restore_former, unproven
from .trust_writes import UPDATE_TRUST, write_trust


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """The objects that all changes of a plan share while they are applied.

    ``width`` is the number of threads. ``permanent`` has the failures of changes that are not attempted again, by target.
    ``use_check`` of a removal confirms that roles to delete are unused.
    """

    api: Api
    wait_policy: WaitPolicy
    width: int = 1
    journal: Journal = field(default_factory=Journal)
    permanent: Mapping[Target, Failure] = field(default_factory=dict)
    use_check: UseCheck | None = None


def apply_plan(plan: Plan, context: ApplyContext) -> Outcome:
    """Apply the changes of a plan. A change that needs a failed change is skipped, with that failure as its reason."""
    done: list[Done] = []
    refusals: list[Refusal] = []
    planned = {change.target for change in plan.changes}
    failed = {target: failure for target, failure in context.permanent.items() if target in planned}
    for stage in sorted({change.stage for change in plan.changes}):
        # IAM refuses concurrent changes of one role, so they form a group, and are applied one after the other.
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in plan.changes:
            if change.stage == stage:
                groups.setdefault(change.target.touched, []).append(change)
        removed = [
            change
            for change in plan.changes
            if change.stage == stage and (change.requires_unused or change.unassociated)
        ]
        if context.use_check is not None and removed:
            context.use_check.read_users(removed)
        apply_group = partial(_apply_group, context, dict(failed))
        for results in map_concurrently(apply_group, groups.values(), context.width):
            for result in results:
                if isinstance(result, Done):
                    done.append(result)
                else:
                    refusals.append(result)
                    failed.setdefault(result.change.target, result.failure)
    order = {id(change): index for index, change in enumerate(plan.changes)}
    done.sort(key=lambda made: order[id(made.change)])
    return Outcome(tuple(done), tuple(refusals))


def _apply_group(
    context: ApplyContext, failed: Mapping[Target, Failure], changes: Sequence[Change]
) -> list[Done | Refusal]:
    """Apply a group of changes, such as the changes of one role, one after the other.

    :arg failed: the failures of earlier changes, by target.
    """
    results: list[Done | Refusal] = []
    failures = dict(failed)
    permanent, use_check = context.permanent, context.use_check
    # One check that the role is unused serves all changes of the group.
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
                result = _apply_change(context, change)
        if isinstance(result, Refusal):
            failures[change.target] = result.failure
            if change.action == "replace" and (result.error is not None or change.target in permanent):
                stopped = stopped or result.failure
        results.append(result)
        context.journal.end(result)
    return results


def _apply_change(context: ApplyContext, change: Change) -> Done | Refusal:
    api = context.api
    if change.action != "replace":
        return _send_all(api, change, context)
    try:
        answer = prove(api, change, context.wait_policy)
    except AwsError as error:
        return Refusal(change, unproven(change, error))
    with uninterrupted():
        return _send_all(api, change, context, answer)


def _send_all(
    api: Api, change: Change, context: ApplyContext, proved: Mapping[str, Any] | None = None
) -> Done | Refusal:
    """Send the requests of a change.

    :arg proved: the response to the last request, if a proof already carried out that request.
    """
    wait_policy, journal = context.wait_policy, context.journal
    calls, made = change.calls, list[Call]()
    last: Mapping[str, Any] = {}
    if proved is not None:
        *_others, final = calls
        calls, made = calls[:-1], [final]
        journal.answer(change, final)
        last = proved if "association" in proved else {}
    for call in calls:
        # A resource that was just removed may still block its replacement. The workload lacks permissions until the replacement
        # exists, so retry after every error that may be temporary.
        replaces = change.action == "replace" and bool(made)
        try:
            if call.operation == UPDATE_TRUST:
                answer = write_trust(api, change, call, wait_policy, journal)
            else:
                answer = send(api, call, wait_policy, change.awaits, replaces)
        except AwsError as error:
            # If the response to the deletion was lost, the creation of the replacement shows whether the resource is deleted.
            may_be_deleted = error.outcome_unknown and change.action == "replace"
            # If the last request gets a 404, only another observation can confirm that the resource is deleted.
            unconfirmed = call is change.calls[-1] and not error.outcome_unknown
            if call.operation in REMOVALS and (error.missing or may_be_deleted) and not unconfirmed:
                if error.outcome_unknown:
                    # A request whose response was lost counts as carried out.
                    made.append(call)
                continue
            if change.restoration is not None and call is change.calls[-1] and made:
                return Refusal(change, restore_former(api, change, change.restoration, error, wait_policy))
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
    note = " Until the run succeeds, the resource is not changed." if change.takes else ""
    return Failure(
        workloads,
        change.target,
        change.action,
        Code.SKIPPED,
        f"not done, because {_attempt(reason)} failed ({reason.error_code}).{note}",
        "Resolve that failure and run again.",
    )
