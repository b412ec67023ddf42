# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Bring a plan about: stage by stage, within a stage concurrently; one failure stops nobody else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.api import Api
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.pool import each
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.stop import finishing
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.change import (
    Call,
    Change,
    Failure,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.messages import sentence
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.progress import (
    Progress,
    Untold,
)

# What AWS says while it does not know yet about something just made, by operation.
_NOT_YET: tuple[tuple[str, str, str], ...] = (
    (
        r"eks:(Create|Update)PodIdentityAssociation",
        r"InvalidParameterException",
        r"Role provided in the request does not exist|Trust policy of the role provided is invalid",
    ),
    (r"iam:(AttachRolePolicy|CreateRole|PutRolePermissionsBoundary)", r"NoSuchEntity", r""),
)
_IN_THE_WAY = "ResourceInUseException"
# IAM refuses two changes of one thing at the same time, whoever makes the other one.
_BUSY = ("ConcurrentModification", "ConcurrentModificationException")
# Of these a 404 says that what is to go is gone. Of others that remove something from a thing, it says
# that the thing itself is gone.
_REMOVALS = frozenset(
    ("DeletePodIdentityAssociation", "DeletePolicy", "DeletePolicyVersion", "DeleteRole", "DetachRolePolicy")
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for AWS to know about what this run made.

    ``timeout`` and the pauses are in seconds. ``now`` and ``sleep`` are given, so that tests
    need not wait.
    """

    timeout: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    first_pause: float = 0.5
    longest_pause: float = 5.0


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made. ``answer`` is the last that holds the association, if any does."""

    change: Change
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that was not made. ``error`` is what AWS said; None when it was not attempted."""

    change: Change
    failure: Failure
    error: AwsError | None = None

    @property
    def conflict(self) -> bool:
        return self.error is not None and self.error.conflict

    @property
    def vanished(self) -> bool:
        """Whether something that it builds on is gone."""
        return self.error is not None and self.error.missing and not self.half_replaced

    @property
    def half_replaced(self) -> bool:
        """Deleted, and not created anew: nothing but the failure still tells what there was."""
        return self.failure.partly and self.change.action == "replace"

    @property
    def unclear(self) -> bool:
        """Whether it may have been made all the same, wholly or in part."""
        return self.failure.partly or (self.error is not None and self.error.unclear)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan. ``conflict``: something was made elsewhere meanwhile; look again."""

    done: tuple[Done, ...]
    failures: tuple[Failure, ...]
    conflict: bool = False
    refusals: tuple[Refusal, ...] = ()


def apply_plan(
    api: Api,
    plan: Plan,
    width: int,
    patience: Patience,
    settled: Mapping[str, Failure] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Make the changes of a plan. A change whose needs failed is left out, with that as its reason.

    What ``settled`` holds, by label, has failed for good and is not attempted again.
    """
    done: list[Done] = []
    refusals: list[Refusal] = []
    planned = {change.label for change in plan.changes}
    told = progress or Untold()
    for resource, number in Counter(change.resource for change in plan.changes).items():
        told.expect(resource, number)
    failed = {name: failure for name, failure in (settled or {}).items() if name in planned}
    for stage in sorted({change.stage for change in plan.changes}):
        groups: dict[str, list[Change]] = {}
        for change in plan.changes:
            if change.stage == stage:
                groups.setdefault(_target(change), []).append(change)
        work = partial(_make_all, api, dict(failed), settled or {}, patience, told)
        for results in each(work, groups.values(), width):
            for result in results:
                if isinstance(result, Done):
                    done.append(result)
                else:
                    refusals.append(result)
                    failed.setdefault(result.change.label, result.failure)
    failures = tuple(one.failure for one in refusals)
    conflict = any(one.conflict for one in refusals) and not any(one.half_replaced for one in refusals)
    order = {id(change): index for index, change in enumerate(plan.changes)}
    done.sort(key=lambda one: order[id(one.change)])
    return Outcome(tuple(done), failures, conflict, tuple(refusals))


def _target(change: Change) -> str:
    """What a change touches: IAM refuses two changes of one role at the same time."""
    return change.name.partition(" ")[0].lower()


def _make_all(
    api: Api,
    failed: Mapping[str, Failure],
    settled: Mapping[str, Failure],
    patience: Patience,
    progress: Progress,
    changes: Sequence[Change],
) -> list[Done | Refusal]:
    results: list[Done | Refusal] = []
    own = dict(failed)
    for change in changes:
        reason = next((own[need] for need in sorted(change.needs) if need in own), None)
        if change.label in settled:
            result: Done | Refusal = Refusal(change, settled[change.label])
        elif reason is not None:
            result = Refusal(change, _skipped(change, reason))
        else:
            result = _make(api, change, patience)
        if isinstance(result, Refusal):
            own[change.label] = result.failure
        results.append(result)
        progress.done(change.resource)
    return results


def _make(api: Api, change: Change, patience: Patience) -> Done | Refusal:
    answer: Mapping[str, Any] = {}
    made: list[Call] = []
    for call in change.calls:
        # What was deleted a moment ago may still be in the way of its successor; and until that is
        # made, the workload has nothing, so everything that may pass is waited for.
        again = change.action == "replace" and bool(made)
        try:
            with finishing() if again else nullcontext():
                told = _request(api, call, patience, change.awaits, again)
        except AwsError as error:
            # Gone; or perhaps gone, and then what takes its place must not be forgotten: its creation tells.
            perhaps = error.unclear and change.action == "replace"
            if call.operation in _REMOVALS and (error.missing or perhaps):
                if error.unclear:
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
    api: Api, call: Call, patience: Patience, awaits: bool, replaces: bool = False
) -> Mapping[str, Any]:
    deadline = patience.now() + patience.timeout
    pause = patience.first_pause
    while True:
        try:
            return api.call(call.service, call.operation, call.parameters)
        except AwsError as error:
            passing = (
                error.code in _BUSY
                or ((awaits or replaces) and _not_yet(error))
                or (replaces and error.code == _IN_THE_WAY)
            )
            if not passing:
                raise
            if patience.now() + pause > deadline:
                waited = f"{error.text} (still so after {patience.timeout:g} s of waiting)"
                raise AwsError(error.operation, error.code, waited, error.passing, error.unclear) from error
        patience.sleep(pause)
        pause = min(pause * 2, patience.longest_pause)


def _not_yet(error: AwsError) -> bool:
    return any(
        re.fullmatch(operation, error.operation)
        and re.fullmatch(code, error.code)
        and re.search(text, error.text)
        for operation, code, text in _NOT_YET
    )


def _failure(change: Change, made: Sequence[Call], call: Call, error: AwsError) -> Failure:
    text = error.text
    if made:
        before = ", ".join(f"{one.service}:{one.operation}" for one in made)
        text = f"{sentence(text)} Done before it: {before}."
    if made and change.action == "replace":
        # A rerun no longer sees what was there, so it is told here.
        wanted = json.dumps(dict(call.parameters), sort_keys=True)
        text += f" The {change.resource} was deleted; it was to be created anew with {wanted}."
    return Failure(
        change.workloads,
        change.resource,
        change.name,
        change.action,
        error.code,
        f"{error.operation}: {text}",
        error.remedy,
        bool(made),
    )


def _skipped(change: Change, reason: Failure) -> Failure:
    return Failure(
        change.workloads,
        change.resource,
        change.name,
        change.action,
        "SKIPPED",
        f"not done, because the {reason.action} of {reason.resource} {reason.name} failed "
        f"({reason.error_code}).",
        "Resolve that failure and run again.",
    )
