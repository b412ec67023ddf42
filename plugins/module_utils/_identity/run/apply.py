# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply the changes of a plan. A change is applied after the changes that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import uninterrupted
from ..._aws.transport import map_concurrently
from ..model.changes import Call, Change, Plan, Stage, Stops
from ..model.errors import AwsError, sentence
from ..model.resource_types import REMOVALS
from ..model.targets import Failure, request_failure
from ..plan.problems import skip
from .addons import AddonRun
from .consistency import WaitPolicy, find_new_user, send
from .outcome import Done, Journal, Refusal, unfinished
from .trust_writes import UPDATE_TRUST, write_trust


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """The objects that all changes of a plan share while they are applied.

    ``width`` is the number of threads.
    With ``awaits``, every request is sent again while AWS does not find a resource that it needs; otherwise only requests that
    need a resource which this run has created or changed. ``addon`` is the add-on of the run, or None.
    """

    api: Api
    wait_policy: WaitPolicy
    width: int = 1
    journal: Journal = field(default_factory=Journal)
    awaits: bool = False
    addon: AddonRun | None = None


def apply_plan(plan: Plan, context: ApplyContext) -> list[Done | Refusal]:
    """Apply the changes of a plan, stage by stage. Skip a change that an earlier failure stops, with that failure as reason."""
    results: list[Done | Refusal] = []
    stops = Stops()
    for change in plan.changes:
        if change.target in context.journal.permanent:
            stops.add(context.journal.permanent[change.target], change.roles, change)
    deletions = {
        change.target.touched: change for change in plan.changes if change.stage == Stage.DELETE_ROLE
    }
    for stage in sorted({change.stage for change in plan.changes}):
        # IAM refuses concurrent changes of one role, so they form a group, and are applied one after the other.
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in plan.changes:
            if change.stage == stage:
                groups.setdefault(change.target.touched, []).append(change)
        fresh = {result.change.target.name.lower() for result in results if isinstance(result, Done)}
        apply_group = partial(_apply_group, context, stops, deletions, frozenset(fresh))
        grouped = map_concurrently(apply_group, groups.values(), context.width)
        for result in (result for group in grouped for result in group):
            results.append(result)
            if isinstance(result, Refusal):
                stops.add(result.failure, result.change.roles, result.change)
    return results


def _apply_group(
    context: ApplyContext,
    stops: Stops,
    deletions: Mapping[tuple[str, str], Change],
    fresh: frozenset[str],
    changes: Sequence[Change],
) -> list[Done | Refusal]:
    """Apply a group of changes, such as the changes of one role, one after the other.

    Before a role loses its policies in order to be deleted, its trust policy is read again.

    :arg stops: the failures of earlier stages.
    :arg deletions: the deletions of roles.
    :arg fresh: the names of resources that this run has created or changed.
    """
    results: list[Done | Refusal] = []
    deletion = deletions.get(changes[0].target.touched)
    used: AwsError | None = None
    if deletion is not None and changes[0].stage in (Stage.DETACH, Stage.DELETE_ROLE):
        used = find_new_user(context.api, deletion)
    if changes[0].stage == Stage.DELETE_ADDON and context.addon is not None:
        used = context.addon.find_new_users(done.change for done in context.journal.done)
    # After one refused swap, leave the other policies of the role attached.
    stopped: Failure | None = None
    for change in changes:
        reason = stops.find(change) or (stopped if change.action == "replace" else None)
        if change.target in context.journal.permanent:
            result: Done | Refusal = Refusal(
                change, replace(context.journal.permanent[change.target], cause=None)
            )
        elif reason is not None:
            result = Refusal(change, skip(change, reason))
        elif used is not None:
            result = Refusal(change, request_failure(used, change.workloads, change.target, change.action))
        else:
            parameters = ("RoleName", "PolicyArn", "PermissionsBoundary")
            named = {
                str(call.parameters.get(name, "")).lower() for call in change.calls for name in parameters
            }
            # An earlier task of the play may have created the roles of an add-on.
            awaits = (
                context.awaits or change.stage == Stage.ADDON or not fresh.isdisjoint(named | change.roles)
            )
            # A swap is not interrupted between its two requests.
            with uninterrupted() if change.action == "replace" else nullcontext():
                result = _apply_change(context, change, awaits)
            if isinstance(result, Refusal):
                result = replace(result, awaited=awaits)
                stopped = stopped or (result.failure if change.action == "replace" else None)
        results.append(result)
        context.journal.end(result)
    return results


def _apply_change(context: ApplyContext, change: Change, awaits: bool) -> Done | Refusal:
    api, wait_policy, journal = context.api, context.wait_policy, context.journal
    made: list[Call] = []
    last: Mapping[str, Any] = {}
    for call in change.calls:
        # The detached policy may still count for a moment. The role lacks permissions until the new one is attached, so wait.
        replaces = change.action == "replace" and bool(made)
        try:
            if call.operation == UPDATE_TRUST:
                answer = write_trust(api, change, call, wait_policy, journal, awaits)
            else:
                answer = send(api, call, wait_policy, awaits, replaces)
        except AwsError as error:
            # If the last request gets a 404, only another observation can confirm that the resource is deleted. If the response
            # to the detachment of a swap was lost, the attachment shows whether there is room.
            lost = error.outcome_unknown and change.action == "replace"
            if call.operation in REMOVALS and call is not change.calls[-1] and (error.missing or lost):
                made += [call] if error.outcome_unknown else []
                continue
            if replaces:
                return Refusal(change, _put_back(api, change, error, wait_policy))
            return Refusal(change, unfinished(change, made, error))
        made.append(call)
        journal.acknowledge(change, call)
        # The response to a request that only tags the association does not contain it.
        if "association" in answer:
            last = answer
    return Done(change, last)


def _put_back(api: Api, change: Change, error: AwsError, wait_policy: WaitPolicy) -> Failure:
    """Attach the former policy of a swap again, because the new one could not be attached. Return the failure."""
    former = change.calls[0].parameters["PolicyArn"]
    room = f" {former} was detached to make room for the new policy, and"
    again = replace(change.calls[0], operation="AttachRolePolicy")
    refusal: AwsError | None = None
    try:
        send(api, again, wait_policy, False, not error.outcome_unknown)
    except AwsError as refused:
        refusal = refused
    note = f"{room} was attached again."
    if refusal is not None:
        note = f"{room} could not be attached again: {refusal.operation}: {sentence(refusal.text)}"
    ended = error.amended(sentence(error.text), error.outcome_unknown)
    partly = refusal is not None
    return request_failure(ended, change.workloads, change.target, change.action, suffix=note, partly=partly)
