# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Eventual consistency in one place: how long a run waits, whether AWS shows a write, whether a role can be used yet."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.trust.statements import read_grants
from ..model.attributes import ASSOCIATION_ATTRIBUTES, POLICY_ATTRIBUTES, ROLE_ATTRIBUTES, Attribute
from ..model.changes import Call, Change
from ..model.errors import AwsError, ErrorKind
from ..model.observed import (
    Observed,
    ObservedAssociation,
    ObservedPolicy,
    ObservedRole,
    ReadFailure,
    users_of,
)
from ..model.targets import Target, association_target, associations_target, policy_target, role_target
from ..read.associations import read_associations
from ..read.decode import decode_role
from ..read.reader import Reader
from .outcome import Journal, Run

# These build on something made before, which IAM may not know yet.
_BUILDING = frozenset(("AttachRolePolicy", "CreateRole", "PutRolePermissionsBoundary", "TagPolicy"))


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long to wait for AWS to know about what this run made.

    ``timeout`` and the pauses are in seconds. ``now``, ``sleep`` and ``chance`` (0 to 1) are given, so that
    tests need not wait.
    """

    timeout: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    first_pause: float = 0.5
    longest_pause: float = 5.0
    chance: Callable[[], float] = random.random


def send(
    api: Api,
    call: Call,
    wait_policy: WaitPolicy,
    awaits: bool,
    replaces: bool,
    renew: Callable[[], Call] | None = None,
) -> Mapping[str, Any]:
    """The answer to a request, which is sent again as long as its refusal may pass. Raises AwsError.

    ``awaits``: it may build on what AWS does not know yet. ``replaces``: what it takes the place of was
    deleted a moment ago. ``renew`` returns the request for the next attempt, where it depends on the time.
    """
    deadline = wait_policy.now() + wait_policy.timeout
    pause = wait_policy.first_pause
    while True:
        raise_if_interrupted()
        try:
            return api.call(call.service, call.operation, call.parameters)
        except AwsError as error:
            if not _may_pass(error, call, awaits, replaces):
                raise
            if wait_policy.now() + pause > deadline:
                text = f"{error.text} (still so after {wait_policy.timeout:g} s of waiting)"
                raise error.amended(text, error.outcome_unknown) from error
        wait_policy.sleep(pause)
        pause = min(pause * 2, wait_policy.longest_pause)
        call = renew() if renew is not None else call


def _may_pass(error: AwsError, call: Call, awaits: bool, replaces: bool) -> bool:
    # IAM refuses two changes of one thing at the same time, whoever makes the other one.
    if error.kind is ErrorKind.BUSY:
        return True
    if replaces and error.kind in (ErrorKind.EXISTS, ErrorKind.FULL):
        return True
    unknown = error.kind is ErrorKind.ROLE_NOT_USABLE or (error.missing and call.operation in _BUILDING)
    return unknown and (awaits or replaces)


_READS = {
    "association": "eks:DescribePodIdentityAssociation",
    "policy": "iam:GetPolicy",
    "role": "iam:GetRole",
}
_ATTRIBUTES: Mapping[type, tuple[Attribute, ...]] = {
    ObservedAssociation: ASSOCIATION_ATTRIBUTES,
    ObservedPolicy: POLICY_ATTRIBUTES,
    ObservedRole: ROLE_ATTRIBUTES,
}


def seen_before(run: Run) -> list[Change]:
    """What a run saw and did not change, as if it had made it: no later look of it should miss that."""
    account, removed = run.observed.account, {_thing_of(done.change.target) for done in run.done}
    users: dict[Target, list[WorkloadKey]] = {}
    for workload in run.desired.workloads:
        key = workload.key
        if workload.role is not None and run.observed.roles.get(workload.role.name.lower()) is not None:
            users.setdefault(role_target(workload.role.name.lower()), []).append(key)
        for spec in workload.policies:
            arn = account.policy_arn(spec)
            if run.observed.policies.get(arn) is not None:
                users.setdefault(policy_target(arn), []).append(key)
        if key in run.observed.associations:
            users.setdefault(association_target(key), []).append(key)
    return [
        Change(0, target, "create", tuple(keys), None, None, ())
        for target, keys in users.items()
        if target not in removed
    ]


def unseen(changes: Iterable[Change], observed: Observed) -> tuple[Change, ...]:
    """The changes that were made, and that a look does not show yet."""
    made = tuple(changes)
    deleted = {_thing_of(change.target) for change in made if change.action == "delete"}
    return tuple(
        change
        for change in made
        if (change.action == "delete" or _thing_of(change.target) not in deleted)
        and _is_unseen(change, observed)
    )


def merge(earlier: Observed, later: Observed, changes: Iterable[Change]) -> Observed:
    """The later look, with what only the earlier one showed already: two replicas may disagree."""
    roles, policies = dict(later.roles), dict(later.policies)
    associations = dict(later.associations)
    made = tuple(changes)
    for change in unseen(made, later):
        thing = _thing_of(change.target)
        if any(_is_unseen(other, earlier) for other in made if _thing_of(other.target) == thing):
            continue
        if thing.resource == "role" and thing.name in earlier.roles:
            roles[thing.name] = earlier.roles[thing.name]
        elif thing.resource == "policy" and thing.name in earlier.policies:
            policies[thing.name] = earlier.policies[thing.name]
        elif thing.resource == "association":
            key = change.workloads[0]
            association = earlier.associations.get(key)
            if association is None:
                associations.pop(key, None)
            else:
                associations[key] = association
    return replace(
        later,
        roles=roles,
        policies=policies,
        associations=associations,
        role_users=users_of(associations),
    )


def overlay(observed: Observed, part: Observed, keys: Collection[WorkloadKey]) -> Observed:
    """A look, with a later one at some of its workloads laid over it."""
    associations = {key: value for key, value in observed.associations.items() if key not in keys}
    associations |= {key: value for key, value in part.associations.items() if key in keys}
    again = {role_target(name) for name in part.roles} | {policy_target(arn) for arn in part.policies}
    again |= {association_target(key) for key in keys}
    failures = {failure.target: failure for failure in observed.failures if failure.target not in again}
    failures |= {failure.target: failure for failure in part.failures}
    return replace(
        observed,
        roles={**observed.roles, **part.roles},
        policies={**observed.policies, **part.policies},
        associations=associations,
        role_users=users_of(associations),
        documents={**observed.documents, **part.documents},
        failures=tuple(failures[target] for target in sorted(failures)),
    )


def without_unseen(observed: Observed, changes: Iterable[Change], waited: float) -> Observed:
    """A look in which what it does not show yet counts as not read: nothing is concluded from it."""
    roles, policies = dict(observed.roles), dict(observed.policies)
    associations = dict(observed.associations)
    failures = {failure.target: failure for failure in observed.failures}
    for change in changes:
        thing = _thing_of(change.target)
        if thing.resource == "role":
            roles.pop(thing.name, None)
        elif thing.resource == "policy":
            policies.pop(thing.name, None)
        else:
            associations.pop(change.workloads[0], None)
        failures.setdefault(thing, ReadFailure(thing, _behind(change, thing, waited)))
    return replace(
        observed,
        roles=roles,
        policies=policies,
        associations=associations,
        role_users=users_of(associations),
        failures=tuple(failures[target] for target in sorted(failures)),
    )


def _behind(change: Change, thing: Target, waited: float) -> AwsError:
    return AwsError(
        _READS[thing.resource],
        Code.NOT_YET_VISIBLE,
        f"this run made the change ({change.action} {change.target.display}), and AWS still answers as before it "
        f"after {waited:g} s.",
        ErrorKind.OTHER,
        "Run again in a minute, or raise ⟨propagation_timeout⟩.",
    )


def _thing_of(target: Target) -> Target:
    """What is read to see a change of the target: its role for an attachment and a trust policy."""
    if target.resource == "policy":
        return policy_target(target.name)
    if target.resource == "association":
        return target
    return role_target(target.name.lower())


def _is_unseen(change: Change, observed: Observed) -> bool:
    thing = _thing_of(change.target)
    if not _was_read(thing, change, observed):
        return False
    present = _present(thing, change, observed)
    if change.target.resource == "attachment":
        attached = present.attached if isinstance(present, ObservedRole) else ()
        if change.before and change.before["policy"] in attached:
            return True
        return change.action != "detach" and change.target.policy_arn not in attached
    if change.action == "create":
        return present is None
    if change.action == "delete":
        return present is not None and _same_one(present, change.before)
    if present is None:
        return True
    if change.action == "replace" and _same_one(present, change.before):
        return True
    return _shows_before(present, change)


def _was_read(thing: Target, change: Change, observed: Observed) -> bool:
    unread = {failure.target for failure in observed.failures}
    if thing in unread:
        return False
    if thing.resource == "role":
        return thing.name in observed.roles
    if thing.resource == "policy":
        return thing.name in observed.policies
    (key, *_others) = change.workloads
    return associations_target(key.cluster) not in unread and thing == association_target(key)


def _present(
    thing: Target, change: Change, observed: Observed
) -> ObservedAssociation | ObservedPolicy | ObservedRole | None:
    if thing.resource == "role":
        return observed.roles[thing.name]
    if thing.resource == "policy":
        return observed.policies[thing.name]
    return observed.associations.get(change.workloads[0])


def _same_one(
    present: ObservedAssociation | ObservedPolicy | ObservedRole, before: Mapping[str, object] | None
) -> bool:
    """Whether it is what was there before, and not another in its place."""
    if not isinstance(present, ObservedAssociation):
        return True
    return present.association_id == (before or {}).get("association_id")


def _shows_before(present: ObservedAssociation | ObservedPolicy | ObservedRole, change: Change) -> bool:
    before, after = change.before or {}, change.after or {}
    for attribute in _ATTRIBUTES[type(present)]:
        name = attribute.name
        if name in before and name in after:
            value = attribute.value_of(present)
            if attribute.equals(before[name], value) and not attribute.equals(after[name], value):
                return True
    return False


def not_yet_visible(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """What a run changed and its last look did not show, as findings."""
    keys = {_thing_of(change.target): change.workloads[0] for change in changes if change.workloads}
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


@dataclass(slots=True)
class UseCheck:
    """``observed`` is what the plan was made of, ``journal`` what the run has changed since."""

    reader: Reader
    observed: Observed
    journal: Journal
    users: dict[str, str] = field(default_factory=dict)
    keys: frozenset[WorkloadKey] = frozenset()
    failure: AwsError | None = None

    def look(self, changes: list[Change]) -> None:
        """List the associations again. Those that were known are read again only where a trust policy lets
        in more than single workloads: else it has to change for them first."""
        known = self.observed.associations
        if any(change.requires_unused and self._is_open(change) for change in changes):
            known = {}
        self.users, self.failure = {}, None
        removed = self._removed()
        associations = []
        for result in read_associations(self.reader, (), True, known):
            if isinstance(result, ReadFailure):
                self.failure = result.error
            elif result.association_id not in removed:
                associations.append(result)
        self.users = _users(associations)
        self.keys = frozenset(association.key for association in associations)

    def _removed(self) -> set[object]:
        """The IDs of associations that this run has deleted, which a list that is late may still hold, and of those that it
        deletes after the role has let go of its policies."""
        changes = (*(done.change for done in self.journal.done), *self.journal.plan.changes)
        return {
            (change.before or {}).get("association_id")
            for change in changes
            if change.target.resource == "association" and change.action in ("delete", "replace")
        }

    def refusal(self, change: Change) -> AwsError | None:
        """Why the role of a change must be looked at anew."""
        if self.failure is not None:
            return self.failure
        appeared = sorted(change.unassociated & self.keys)
        if appeared:
            text = (
                f"{appeared[0].cluster} {appeared[0]} has got an association since the purge looked for one."
            )
            return _in_use(change, text)
        if not change.requires_unused:
            return None
        planned = self.observed.roles.get(change.target.name.lower())
        if planned is None:
            return None
        if planned.arn.lower() in self.users:
            return _in_use(
                change, f"{self.users[planned.arn.lower()]} uses role {planned.arn} since it was looked at."
            )
        try:
            answer = self.reader.api.call("iam", "GetRole", {"RoleName": planned.name})
        except AwsError as error:
            return None if error.missing else error
        if same_meaning(decode_role(answer["Role"], ()).trust, planned.trust, "trust"):
            return None
        return _in_use(change, f"the trust policy of role {planned.arn} has changed since it was looked at.")

    def _is_open(self, change: Change) -> bool:
        role = self.observed.roles.get(change.target.name.lower())
        grants, _others = read_grants(role.trust if role is not None else {})
        return not grants or not all(grant.service_account for grant in grants)


def _users(associations: list[ObservedAssociation]) -> dict[str, str]:
    by_key = {association.key: association for association in associations}
    return {arn: f"{keys[0].cluster} {keys[0]}" for arn, keys in users_of(by_key).items()}


def _in_use(change: Change, text: str) -> AwsError:
    call = change.calls[0]
    return AwsError(
        f"{call.service}:{call.operation}",
        "RoleInUse",
        f"{text} Nothing was sent.",
        ErrorKind.IN_USE,
        "Another run is at work on the role. Run again when it has ended.",
    )
