# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handle the eventual consistency of AWS: wait until reads show the changes of a run, and until EKS accepts a new role.

``model/resource_types.py`` decides whether an observed resource shows a change. ``read/reader.py`` has the
rule for single reads: if one response shows a resource and another does not, the resource is read again.
"""

from __future__ import annotations

import contextlib
import fcntl
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.pods import Subject
from ..._policy.language.canonical import same_meaning
from ..._policy.trust.trust import check_trust
from ..model.changes import Call, Change
from ..model.errors import AwsError, ErrorKind
from ..model.names import parse_role_arn
from ..model.observed import YOUNG, Observed, calculate_age
from ..model.resource_types import (
    RESOURCE_TYPES,
    is_known,
    is_visible,
    observed_target,
    of_observed_resources,
    used_targets,
    was_read,
)
from ..model.roles import decode_role
from ..model.targets import Target, association_target, read_failure
from ..read.reader import response_time
from .outcome import Run

# The minimum pause between two attempts to lock a file, in seconds.
LOCK_PAUSE = 0.05
# These operations need a role or policy that may have been created a moment ago, so that IAM may not find it yet.
_BUILDING = frozenset(("AttachRolePolicy", "CreateRole", "PutRolePermissionsBoundary", "TagPolicy"))


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """The timeout and the pauses, in seconds, of each wait for AWS.

    ``chance`` returns a random number between 0 and 1. ``now``, ``sleep`` and ``chance`` are fields, so that tests can
    replace them and do not wait.

    ``locks`` is the beginning of the paths of files that concurrent runs lock (see ``exclusive``), or "" without locks.
    """

    timeout: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    first_pause: float = 0.5
    longest_pause: float = 5.0
    chance: Callable[[], float] = random.random
    locks: str = ""

    def attempts(self) -> Iterator[bool]:
        """Yield True for each attempt: the first time at once, then as ``retries``."""
        yield True
        yield from self.retries()

    def retries(self) -> Iterator[bool]:
        """Yield True for each attempt after the first one: after increasing pauses until the timeout is over."""
        deadline, pause = self.now() + self.timeout, self.first_pause
        while self.now() + pause <= deadline:
            self.sleep(pause)
            pause = min(pause * 2, self.longest_pause)
            yield True

    @contextlib.contextmanager
    def exclusive(self, role: str) -> Iterator[None]:
        """Wait until no other run with the same ``locks`` is in this block for the same role.

        :arg role: the name of the role.
        """
        if not self.locks:
            yield
            return
        with open(f"{self.locks}{role.lower()}", "w", encoding="utf-8") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self.sleep(LOCK_PAUSE * (1 + self.chance()))
            yield


def send(
    api: Api,
    call: Call,
    wait_policy: WaitPolicy,
    awaits: bool,
    replaces: bool,
    renew: Callable[[], Call] | None = None,
) -> Mapping[str, Any]:
    """Send a request; retry while its refusal may be temporary. Raises AwsError.

    ``awaits``: the request may need a resource that is not yet in all replicas of AWS. ``replaces``: the request creates the
    replacement of a resource that was deleted a moment ago. ``renew`` returns the request for each attempt, if the request
    depends on the present state.
    """
    refusal: AwsError | None = None
    for _attempt in wait_policy.attempts():
        raise_if_interrupted()
        request = renew() if renew is not None else call
        try:
            return api.call(request.service, request.operation, request.parameters)
        except AwsError as error:
            # IAM rejects a change of a resource while another process changes the same resource.
            passes = error.kind is ErrorKind.BUSY or (
                replaces and error.kind in (ErrorKind.EXISTS, ErrorKind.FULL)
            )
            unknown = error.kind is ErrorKind.ROLE_NOT_USABLE or (
                error.missing and call.operation in _BUILDING
            )
            if not (passes or (unknown and (awaits or replaces))):
                raise
            refusal = error
    if refusal is None:
        raise AssertionError("no request was sent")
    text = f"{refusal.text} (still refused after {wait_policy.timeout:g} s)"
    raise refusal.amended(text, refusal.outcome_unknown) from refusal


def existing_resources(run: Run) -> list[Change]:
    """Return a change with the action "create" for each resource of the workloads that existed before the last changes.

    With these changes, ``unseen`` finds the resources that a stale observation lacks.
    """
    observed = run.observed
    users: dict[Target, list[WorkloadKey]] = {}
    for workload in run.desired.workloads:
        for target in used_targets(workload, observed.cluster):
            if observed.resources.get(target) is not None:
                users.setdefault(target, []).append(workload.key)
    return [Change(0, target, "create", tuple(keys), None, None, ()) for target, keys in users.items()]


def unseen(changes: Iterable[Change], observed: Observed) -> tuple[Change, ...]:
    """Return the changes that an observation does not show yet."""
    made = tuple(changes)
    deleted = {observed_target(change.target) for change in made if change.action == "delete"}
    return tuple(
        change
        for change in made
        if (change.action == "delete" or observed_target(change.target) not in deleted)
        and _is_unseen(change, observed)
    )


def _is_unseen(change: Change, observed: Observed) -> bool:
    resource = observed.resources.get(observed_target(change.target))
    return was_read(observed, change.target) and not is_visible(resource, change)


def merge(earlier: Observed, later: Observed, changes: Iterable[Change]) -> Observed:
    """Merge two observations, which may be from different replicas of AWS.

    Return the later observation, but take a resource from the earlier one if only that one shows its change.
    """
    resources, made = dict(later.resources), tuple(changes)
    for change in unseen(made, later):
        target = observed_target(change.target)
        if any(_is_unseen(other, earlier) for other in made if observed_target(other.target) == target):
            continue
        if is_known(earlier, target):
            resources[target] = earlier.resources.get(target)
    return later.with_resources(resources)


def overlay(observed: Observed, part: Observed, keys: Collection[WorkloadKey]) -> Observed:
    """Return ``observed``, with the resources of the workloads ``keys`` taken from the later observation ``part``."""
    earlier, later = observed.resources, part.resources
    again = {target for target in later if target.resource != "association"}
    again.update(map(association_target, keys))
    remaining = {target: found for target, found in earlier.items() if target in later or target not in again}
    resources = remaining | {target: found for target, found in later.items() if target in again}
    failures = {failure.target: failure for failure in observed.failures if failure.target not in again}
    failures |= {failure.target: failure for failure in part.failures}
    return replace(
        observed.with_resources(resources),
        cluster=replace(part.cluster, renamed={**observed.cluster.renamed, **part.cluster.renamed}),
        documents={**observed.documents, **part.documents},
        failures=tuple(failures[target] for target in sorted(failures)),
    )


def without_unseen(observed: Observed, changes: Iterable[Change], waited: float) -> Observed:
    """Return an observation without the resources that do not show these changes yet. Each of them counts as a failed read."""
    resources = dict(observed.resources)
    failures = {failure.target: failure for failure in observed.failures}
    for change in changes:
        target = observed_target(change.target)
        resources.pop(target, None)
        text = f"this run made the change ({change.action} {change.target.display}), but reads do not show it after {waited:g} s."
        operation, remedy = RESOURCE_TYPES[change.target.resource].operation, "Run again in a minute."
        error = AwsError(operation, Code.NOT_YET_VISIBLE, text, ErrorKind.OTHER, remedy)
        failures.setdefault(target, read_failure(target, error))
    observed = observed.with_resources(resources)
    return replace(observed, failures=tuple(failures[target] for target in sorted(failures)))


def not_yet_visible(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """Report the changes that the last observation does not show."""
    keys = {
        observed_target(change.target): change.workloads[0]
        for change in of_observed_resources(changes)
        if change.workloads
    }
    return [
        Finding(
            Code.NOT_YET_VISIBLE,
            f"{failure.target.label}: {failure.error.text}",
            failure.error.remedy,
            keys.get(failure.target),
            raised_as="warning",
        )
        for failure in observed.failures
        if failure.error.code == Code.NOT_YET_VISIBLE
    ]


def may_become_usable(api: Api, role_arn: str, subject: Subject, now: datetime | None = None) -> bool:
    """Return whether EKS may accept a role soon: the role exists in IAM, is new, and its trust policy may allow ``subject``.

    Return True also if the caller is not allowed to perform iam:GetRole. A role of unknown age counts as new.
    """
    parts = parse_role_arn(role_arn)
    if parts is None:
        return False
    try:
        answer = api.call("iam", "GetRole", {"RoleName": parts.name})
    except AwsError as error:
        return error.denied
    role = decode_role(answer["Role"], ())
    if role.arn != role_arn or check_trust(role.trust, subject).usable == "no":
        return False
    age = calculate_age(role.created_at, now or response_time(answer))
    return age is None or age < YOUNG


def find_new_user(api: Api, deletion: Change) -> AwsError | None:
    """Return an error if a role must not be deleted, because its trust policy has changed since it was read, or None."""
    planned = (deletion.before or {}).get("trust_policy")
    try:
        answer = api.call("iam", "GetRole", {"RoleName": deletion.target.name})
    except AwsError as error:
        return None if error.missing else error
    if isinstance(planned, Mapping) and same_meaning(decode_role(answer["Role"], ()).trust, planned, "trust"):
        return None
    return AwsError(
        "iam:DeleteRole",
        "RoleInUse",
        f"the trust policy of role {deletion.target.name} has changed since it was read. The request was not sent.",
        ErrorKind.IN_USE,
        "Run again when no other process changes the role.",
    )
