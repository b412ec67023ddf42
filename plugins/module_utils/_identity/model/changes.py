# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The plan as data: changes in stages, each with its requests; requests that change tags; the progress of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import IntEnum
from operator import attrgetter
from typing import Any

from ..._findings.finding import Finding, WorkloadKey
from .associations import ObservedAssociation
from .attributes import iam_tags
from .errors import ErrorKind
from .names import MANAGED_BY_TAG, MANAGED_BY_VALUE, OWNER_TAG, is_mark
from .observed import Reach
from .targets import Action, Failure, Target


@dataclass(frozen=True, slots=True)
class Call:
    """A request to AWS. ``operation`` is the name in the API, like "CreateRole"."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """A request that proves, before a removal, that the caller has the permission to send the same request after it.

    AWS authorizes a request before it compares the request with the present state. So the error ``refusal``, such as "the
    resource exists already", proves the permission as well as a success does.
    """

    call: Call
    refusal: ErrorKind


class Stage(IntEnum):
    """The stage of a change in a run that creates and updates workloads. Changes of a lower stage are applied first.

    The order is: new restrictions, new permissions, removed permissions, removed restrictions.
    """

    POLICY = 10
    ROLE = 20
    # New restrictions of existing roles: attachments of policies with a Deny, trust policies, session policies.
    DENYING_ATTACHMENT = 22
    TRUST = 24
    SESSION_POLICY = 26
    # New permissions.
    DOCUMENT = 28
    ATTACHMENT = 30
    ASSOCIATION = 40
    # Removed permissions.
    TAKE = 50
    # Removed restrictions.
    LIFT = 60
    # Not a stage, but an offset to the stage of changes that wait until the trust policy of their role is narrower.
    WAITING = 100


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a resource, on behalf of one or more workloads.

    Changes of a lower ``stage`` are applied first; inside a stage, changes of different roles are concurrent. ``needs`` has the
    targets of changes that must succeed first. ``common_needs`` has further such targets, in one set that many changes share,
    such as the new restrictions of a role. ``awaits`` is true if the change may need a new or changed resource that AWS may not
    have propagated yet. ``before`` and ``after`` have only the attributes that change; None means that the resource does not
    exist. ``takes`` is true if the change only removes something that its workloads no longer need, such as a permission after
    its replacement exists. With ``requires_unused``, the role must be unused. ``unassociated`` are workloads that must not have
    an association. The run checks these two conditions again right before the change.

    The action "replace" is for two resources that cannot exist at the same time: the first of ``calls`` deletes or detaches the
    former resource, and the last one creates or attaches the new resource. ``proofs`` (see ``Proof``) are sent before
    ``calls``, and ``restoration`` is sent if the last request fails. ``replaced`` is the association to delete. It must not
    have changed since it was read, because the requests contain its settings.
    """

    stage: int
    target: Target
    action: Action
    workloads: tuple[WorkloadKey, ...]
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    calls: tuple[Call, ...]
    needs: frozenset[Target] = frozenset()
    awaits: bool = False
    takes: bool = False
    requires_unused: bool = False
    common_needs: frozenset[Target] = frozenset()
    proofs: tuple[Proof, ...] = ()
    restoration: Call | None = None
    unassociated: frozenset[WorkloadKey] = frozenset()
    replaced: ObservedAssociation | None = None

    def needed_among(self, targets: Set[Target]) -> Target | None:
        """Return the first of these targets, in sort order, that the change needs, or None."""
        if not targets:
            return None
        few, many = sorted((self.common_needs, targets), key=len)
        own_needs = (need for need in self.needs if need in targets)
        return min((*own_needs, *(need for need in few if need in many)), default=None)

    @property
    def place(self) -> tuple[int, str, str, str, str, str]:
        """Return the sort key in a plan. It has the parts of the target, because tuples compare faster than targets."""
        target = self.target
        return self.stage, target.resource, target.name, target.policy_arn, target.cluster, target.step


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes, failures and findings of a run. Each change serves at least one workload without a failure.

    ``unread`` has the clusters and namespaces whose associations outside the list the run must still read: they may use a role
    that would lose a permission.
    """

    changes: tuple[Change, ...] = ()
    failures: tuple[Failure, ...] = ()
    findings: tuple[Finding, ...] = ()
    unread: frozenset[Reach] = frozenset()


@dataclass(slots=True)
class Draft:
    """A plan under construction."""

    changes: list[Change] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: set[Reach] = field(default_factory=set)

    def plan(self) -> Plan:
        ordered = sorted(self.changes, key=attrgetter("place"))
        return Plan(tuple(ordered), tuple(self.failures), tuple(self.findings), frozenset(self.unread))


@dataclass(frozen=True, slots=True)
class TagChange:
    """Tags to set and tag keys to remove."""

    set: Mapping[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.remove)


def with_managed_tag(tags: Mapping[str, str]) -> dict[str, str]:
    return {**tags, MANAGED_BY_TAG: MANAGED_BY_VALUE}


def without_owner(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key != OWNER_TAG}


def compare_tags(present: Mapping[str, str], desired: Mapping[str, str], purge: bool) -> TagChange:
    """Return the tags to set and, with ``purge``, the tags to remove.

    The tags to remove do not include tags of AWS (prefix ``aws:``) or of this collection.
    """
    missing = {key: value for key, value in desired.items() if present.get(key) != value}
    extra = [key for key in present if key not in desired and not is_mark(key) and not key.startswith("aws:")]
    return TagChange(missing, tuple(sorted(extra)) if purge else ())


def tags_after(present: Mapping[str, str], change: TagChange) -> dict[str, str]:
    remaining = {key: value for key, value in present.items() if key not in change.remove}
    return {**remaining, **change.set}


def iam_tag_calls(kind: str, identity: Mapping[str, str], change: TagChange) -> list[Call]:
    """Return the requests that change the tags of a role or policy.

    :arg kind: "Role" or "Policy".
    :arg identity: the request parameter that identifies the role or policy.
    """
    calls = []
    if change.remove:
        calls.append(Call("iam", f"Untag{kind}", {**identity, "TagKeys": list(change.remove)}))
    if change.set:
        calls.append(Call("iam", f"Tag{kind}", {**identity, "Tags": iam_tags(change.set)}))
    return calls


def eks_tag_calls(arn: str, change: TagChange) -> list[Call]:
    calls = []
    if change.remove:
        parameters = {"resourceArn": arn, "tagKeys": list(change.remove)}
        calls.append(Call("eks", "UntagResource", parameters))
    if change.set:
        calls.append(Call("eks", "TagResource", {"resourceArn": arn, "tags": dict(change.set)}))
    return calls
