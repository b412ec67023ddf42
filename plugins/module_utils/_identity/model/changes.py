# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan as data: changes in stages, each with its requests; requests that change tags; the progress of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from ..._findings.finding import Finding, WorkloadKey
from .attributes import iam_tags
from .names import is_mark
from .targets import Action, Failure, Target


@dataclass(frozen=True, slots=True)
class Call:
    """A request to AWS. ``operation`` is the name in the API, like "CreateRole"."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


class Stage(IntEnum):
    """The stage of a change. The stages are the same for every run, and changes of a lower stage are applied first.

    The tens are the four steps: restrict, grant, associate, take. A new policy gives nothing until it is attached.
    """

    ADDON = 0
    POLICY = 1
    RESTRICT = 10
    ROLE = 20
    TRUST = 21
    ATTACH = 22
    DOCUMENT = 23
    ASSOCIATE = 30
    DISSOCIATE = 40
    DETACH = 41
    REVOKE = 42
    DELETE_ROLE = 43
    DELETE_POLICY = 44
    DELETE_ADDON = 45


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a resource, on behalf of workloads. ``workloads`` may be empty for a role or policy.

    Changes of a lower ``stage`` are applied first; inside a stage, changes of different resources are concurrent. ``before`` and
    ``after`` have only the attributes that change; None means that the resource does not exist. ``roles`` has the lower-case
    names of the roles that the change concerns: a failure stops later changes of the same roles (see ``Stops``). ``notes`` are
    findings about the change, which are reported if the change is planned or complete.

    The action "replace" is for an attachment to a role with the maximum number of policies: the first of ``calls`` detaches a
    policy, and the second one attaches another policy.
    """

    stage: int
    target: Target
    action: Action
    workloads: tuple[WorkloadKey, ...]
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    calls: tuple[Call, ...]
    roles: frozenset[str] = frozenset()
    notes: tuple[Finding, ...] = ()

    @property
    def takes(self) -> bool:
        return self.stage >= Stage.DISSOCIATE

    @property
    def place(self) -> tuple[int, str, str, str, str, str]:
        """Return the sort key in a plan. It has the parts of the target, because tuples compare faster than targets."""
        target = self.target
        return self.stage, target.resource, target.name, target.policy_arn, target.cluster, target.step


@dataclass(slots=True)
class Stops:
    """The failures that stop later changes.

    A failed restriction of a role, and the failed creation of a role, stop all later changes of the role. A failure of a workload
    stops the change of its association. Any failure of a role, or of a workload that uses or leaves it, stops the changes that
    take something from the role. A failure of a policy stops its attachment.
    """

    _workloads: dict[WorkloadKey, Failure] = field(default_factory=dict)
    _roles: dict[str, Failure] = field(default_factory=dict)
    _blocked: dict[str, Failure] = field(default_factory=dict)
    _policies: dict[str, Failure] = field(default_factory=dict)

    def add(self, failure: Failure, roles: Iterable[str], change: Change | None = None) -> None:
        """Add a failure that concerns some roles. ``change`` is None for a failure of the plan."""
        blocks = change is not None and (
            change.stage == Stage.RESTRICT or (change.target.resource, change.action) == ("role", "create")
        )
        for role in roles:
            self._roles.setdefault(role, failure)
            if blocks:
                self._blocked.setdefault(role, failure)
        if change is None or not change.takes:
            for key in failure.workloads:
                self._workloads.setdefault(key, failure)
        if failure.target.resource == "policy":
            self._policies.setdefault(failure.target.name, failure)

    def find(self, change: Change) -> Failure | None:
        """Return the failure that stops a change, or None."""
        if change.target.policy_arn in self._policies and not change.takes:
            return self._policies[change.target.policy_arn]
        reasons = [self._workloads[key] for key in change.workloads if key in self._workloads]
        if change.stage == Stage.DISSOCIATE:
            return next(iter(reasons), None)
        roles = self._roles if change.takes else self._blocked
        of_roles = [roles[role] for role in sorted(change.roles & roles.keys())]
        return next(iter([*of_roles, *(reasons if change.stage == Stage.ASSOCIATE else ())]), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes, failures and findings of a run. Each change serves at least one workload without a failure."""

    changes: tuple[Change, ...] = ()
    failures: tuple[Failure, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class TagChange:
    """Tags to set and tag keys to remove."""

    set: Mapping[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.remove)


def compare_tags(present: Mapping[str, str], desired: Mapping[str, str], purge: bool) -> TagChange:
    """Return the tags to set and, with ``purge``, the tags to remove.

    The tags to remove do not include tags of AWS (prefix ``aws:``) or of this collection.
    """
    missing = {key: value for key, value in desired.items() if present.get(key) != value}
    extra = [key for key in present if key not in desired and not is_mark(key) and not key.startswith("aws:")]
    return TagChange(missing, tuple(sorted(extra)) if purge else ())


def tags_after(present: Mapping[str, str], change: TagChange) -> dict[str, str]:
    return {**{key: value for key, value in present.items() if key not in change.remove}, **change.set}


def iam_tag_calls(kind: str, identity: Mapping[str, str], change: TagChange) -> list[Call]:
    """Return the requests that change the tags of a role or policy.

    :arg kind: "Role" or "Policy".
    :arg identity: the request parameter that identifies the role or policy.
    """
    calls = (
        (change.remove, Call("iam", f"Untag{kind}", {**identity, "TagKeys": list(change.remove)})),
        (change.set, Call("iam", f"Tag{kind}", {**identity, "Tags": iam_tags(change.set)})),
    )
    return [call for tags, call in calls if tags]


def eks_tag_calls(arn: str, change: TagChange) -> list[Call]:
    calls = (
        (change.remove, Call("eks", "UntagResource", {"resourceArn": arn, "tagKeys": list(change.remove)})),
        (change.set, Call("eks", "TagResource", {"resourceArn": arn, "tags": dict(change.set)})),
    )
    return [call for tags, call in calls if tags]
