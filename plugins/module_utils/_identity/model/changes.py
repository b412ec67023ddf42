# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The plan as data: changes in stages, each with its requests; requests that set tags; the progress of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import IntEnum
from operator import attrgetter
from typing import Any, Protocol

from ..._findings.finding import Finding, WorkloadKey
from .associations import ObservedAssociation
from .attributes import iam_tags
from .errors import ErrorKind
from .names import MANAGED_BY_TAG, MANAGED_BY_VALUE, OWNER_TAG, is_mark
from .observed import Reach
from .targets import Action, Failure, Target


@dataclass(frozen=True, slots=True)
class Call:
    """One request to AWS. ``operation`` is the API's name, like "CreateRole"."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """A request that shows, before anything is taken away, that the caller is allowed to send it afterwards.

    AWS authorizes a request before it compares it with the present state, so ``refusal`` is as good an answer as a success.
    """

    call: Call
    refusal: ErrorKind


class Stage(IntEnum):
    """The place of a change in a converge: restrictions before grants, then removed grants, and lifted restrictions last."""

    POLICY = 10
    ROLE = 20
    # The next three are for roles that a plan restricts.
    DENYING_ATTACHMENT = 22
    TRUST = 24
    SESSION_POLICY = 26
    DOCUMENT = 28
    ATTACHMENT = 30
    ASSOCIATION = 40
    TAKE = 50
    LIFT = 60
    # Added to the place of grants that wait until the trust policy of their role is narrower.
    WAITING = 100


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one resource, on behalf of one or more workloads.

    Changes of a lower ``stage`` come first; within a stage they are independent of each other.
    ``needs`` are the targets of changes without which this one must not be made; ``common_needs``, too, which
    are the same for many changes, and one object for all of them: of a grant they are the restrictions of its roles. ``awaits``
    says that it may have to wait until AWS has propagated something that this plan makes or alters.
    ``before`` and ``after`` hold only what changes; None means that the resource is not there.
    ``takes`` says that its workloads have all they asked for without it: it only takes away what they need no
    more, so it waits for whatever replaces that. ``requires_unused`` says that nobody may
    use the role any more, which is looked at again right before. So is ``unassociated``: workloads that must have no
    association.

    The action "replace" is for two things that cannot exist at the same time: the first of ``calls`` takes one away, the
    last one creates the other. ``proofs`` are sent before them, and ``put_back`` when the last one is refused. ``replaced``
    is the association that goes: all of it that stays is in the requests, so it must not have changed since.
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
    put_back: Call | None = None
    unassociated: frozenset[WorkloadKey] = frozenset()
    replaced: ObservedAssociation | None = None

    def needed_among(self, targets: Set[Target]) -> Target | None:
        """The first of these targets that it needs."""
        if not targets:
            return None
        few, many = sorted((self.common_needs, targets), key=len)
        own = (need for need in self.needs if need in targets)
        return min((*own, *(need for need in few if need in many)), default=None)

    @property
    def place(self) -> tuple[int, str, str, str, str, str]:
        """Where it comes in a plan: by stage, and then by target, whose parts are compared faster than it is."""
        at = self.target
        return self.stage, at.resource, at.name, at.policy_arn, at.cluster, at.step


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is to do. A workload with a failure gets no change of its own.

    ``unread`` are associations outside the run without which nothing is taken from the roles that they may use.
    """

    changes: tuple[Change, ...] = ()
    failures: tuple[Failure, ...] = ()
    findings: tuple[Finding, ...] = ()
    unread: frozenset[Reach] = frozenset()


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

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


def with_owner(tags: Mapping[str, str]) -> dict[str, str]:
    return {**tags, MANAGED_BY_TAG: MANAGED_BY_VALUE}


def without_owner(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key != OWNER_TAG}


def compare_tags(present: Mapping[str, str], wanted: Mapping[str, str], purge: bool) -> TagChange:
    """Tags that AWS itself sets (prefix ``aws:``) are never removed, nor is the mark of ownership."""
    missing = {key: value for key, value in wanted.items() if present.get(key) != value}
    extra = [key for key in present if key not in wanted and not is_mark(key) and not key.startswith("aws:")]
    return TagChange(missing, tuple(sorted(extra)) if purge else ())


def tags_after(present: Mapping[str, str], change: TagChange) -> dict[str, str]:
    kept = {key: value for key, value in present.items() if key not in change.remove}
    return {**kept, **change.set}


def iam_tag_calls(kind: str, identity: Mapping[str, str], change: TagChange) -> list[Call]:
    """Requests for a "Role" or a "Policy"; ``identity`` is the parameter that names it."""
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


class Progress(Protocol):
    """Counts the work of a run, from any thread. A stage is "read", "verify" or a kind of resource."""

    def expect(self, stage: str, number: int) -> None:
        """So many more are to be done in this stage."""

    def done(self, stage: str) -> None:
        """One of them is done, or failed."""


class NullProgress:
    """Counts nothing."""

    def expect(self, stage: str, number: int) -> None:
        """Counts nothing."""

    def done(self, stage: str) -> None:
        """Counts nothing."""
