# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Order a plan so that no session gets a permission that neither the present nor the wanted state gives. Pure.

For each role that is there:

1. restrictions: a permissions boundary, a Deny in a policy document, an attached policy that denies, a session policy, a narrower
   trust policy;
2. grants, which are left out where a restriction is refused;
3. removed grants;
4. lifted restrictions, which are left out where a grant could not be removed.

Roles without restrictions keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..._policy.language.canonical import same_meaning
from ..model.changes import Change, Stage
from ..model.cluster import Account
from ..model.desired import Workload
from ..model.observed import Observed, ObservedRole
from ..model.shared import SharedRole
from ..model.targets import (
    Target,
    association_target,
    associations_target,
    attachment_target,
    policy_target,
    role_target,
    trust_target,
)
from .associations import same_session_policy
from .document_steps import denies, denies_more, gives, takes
from .trust import widened

Document = Mapping[str, object]


def restrict_first(
    changes: Sequence[Change],
    observed: Observed,
    all_shared: Iterable[SharedRole],
    account: Account,
    workloads: Iterable[Workload],
) -> list[Change]:
    """Return the changes of a plan, with the restrictions and the grants of each role in order."""
    documents = {
        account.policy_arn(spec): spec.document
        for workload in workloads
        for spec in workload.policies
        if spec.document is not None
    }
    plan = _Plan(changes, observed, documents)
    for shared in all_shared:
        plan.order(shared, observed.roles.get(shared.spec.name.lower()))
    plan.let_wait()
    return plan.result()


class _Plan:
    """A plan whose changes get another stage and further needs.

    :arg documents: by ARN, the documents of the policies that the run lists.
    """

    def __init__(
        self, changes: Sequence[Change], observed: Observed, documents: Mapping[str, Document]
    ) -> None:
        self.changes = {change.target: change for change in changes}
        self.others = [change for change in changes if self.changes[change.target] is not change]
        self.observed, self.documents = observed, documents
        self.common: dict[Target, frozenset[Target]] = {}
        # By the trust policy that becomes narrower at the end, the grants of its role.
        self.waiting: dict[Target, list[Target]] = {}
        # By a change, those that needed it when this was first asked.
        self.needing: dict[Target, list[Target]] = {}
        self.policies: dict[str, list[Target]] = {}
        for target in self.changes:
            if target.resource == "policy":
                self.policies.setdefault(target.name, []).append(target)

    def result(self) -> list[Change]:
        return [
            replace(change, common_needs=change.common_needs | self.common[target])
            if target in self.common
            else change
            for target, change in self.changes.items()
        ] + self.others

    def order(self, shared: SharedRole, role: ObservedRole | None) -> None:
        """Put the changes of one role in order."""
        grants = list(self._grants(shared, role))
        lifts = list(self._lifts(shared, role))
        if not grants and not lifts:
            return
        restrictions = frozenset(self._restrictions(shared, role))
        if restrictions:
            self._restrict(shared, restrictions)
            for target in (*grants, *lifts):
                self._after(target, restrictions - {target})
        removals = frozenset(self._removals(shared, role)) - set(lifts)
        if removals:
            self._lift_after(lifts, removals)
        narrowing = trust_target(shared.spec.name, narrows=True)
        if narrowing in self.changes:
            # A workload that joins the role gives nothing to those who leave it.
            self.waiting[narrowing] = [target for target in grants if target.resource != "association"]

    # Restrictions

    def _restrictions(self, shared: SharedRole, role: ObservedRole | None) -> Iterator[Target]:
        name = shared.spec.name
        update, trust = self.changes.get(role_target(name)), self.changes.get(trust_target(name))
        if update is not None and update.action == "update" and _value(update, "permissions_boundary"):
            yield update.target
        if trust is not None and _is_narrower(trust):
            yield trust.target
        attached = role.attached if role is not None else ()
        for arn in attached:
            yield from self._document_restrictions(arn)
        if role is not None and role.permissions_boundary:
            yield from self._boundary_restrictions(role.permissions_boundary)
        for arn, keys in shared.policy_users.items():
            if arn not in attached and self._denies(arn):
                attachment = attachment_target(name, arn)
                # One that is not even planned is left out with the workloads that list it.
                planned = attachment in self.changes
                yield from [attachment] if planned else map(association_target, keys)
                yield from self._document_restrictions(arn)
        for workload in shared.users:
            if self._gets_session_policy(workload, role):
                yield association_target(workload.key)

    def _document_restrictions(self, arn: str) -> Iterator[Target]:
        """Return the changes of a document that add a Deny, or the policy where a Deny cannot be added."""
        wanted, policy = self.documents.get(arn), self.observed.policies.get(arn)
        present = policy.document if policy is not None else None
        if wanted is None or present is None or not denies_more(present, wanted):
            return
        found = [
            target
            for target in self.policies.get(arn, ())
            if self.changes[target].stage < Stage.TAKE and _compare(self.changes[target], denies_more)
        ]
        yield from found or [policy_target(arn)]

    def _boundary_restrictions(self, arn: str) -> Iterator[Target]:
        for target in self.policies.get(arn, ()):
            if _compare(self.changes[target], takes):
                yield target

    def _denies(self, arn: str) -> bool:
        document = self.documents.get(arn)
        return document is not None and denies(document)

    def _gets_session_policy(self, workload: Workload, role: ObservedRole | None) -> bool:
        """Return whether the session policy of an association that has the role becomes another one. One that could not be read
        may be such."""
        wanted, key = workload.association.session_policy, workload.key
        if not wanted or role is None:
            return False
        association = self.observed.associations.get(key)
        if association is None:
            unread = self.observed.unread
            return association_target(key) in unread or associations_target(key.cluster) in unread
        if association.role_arn.lower() != role.arn.lower() or same_session_policy(wanted, association):
            return False
        present = association.session_policy
        return present is None or takes(present, wanted)

    def _restrict(self, shared: SharedRole, restrictions: frozenset[Target]) -> None:
        """Let the restrictions of a role come first, in an order in which AWS accepts them."""
        first = frozenset(target for target in restrictions if target.resource in ("policy", "role"))
        attachments = frozenset(target for target in restrictions if target.resource == "attachment")
        for target in attachments:
            self._move(target, Stage.DENYING_ATTACHMENT)
            self._need(target, first)
        trust = trust_target(shared.spec.name)
        if trust in self.changes and _is_wider(self.changes[trust]):
            self._move(trust, Stage.TRUST)
            self._need(trust, first | attachments)
        for target in restrictions:
            change = self.changes.get(target)
            if target.resource != "association" or change is None or change.action == "create":
                continue
            # EKS compares the association with the trust policy of its role, and with nothing that the role may do.
            needs = frozenset(need for need in change.needs if need.resource in ("role", "trust_policy"))
            self.changes[target] = replace(change, stage=Stage.SESSION_POLICY, needs=needs)

    # Grants

    def _grants(self, shared: SharedRole, role: ObservedRole | None) -> Iterator[Target]:
        name = shared.spec.name
        attached = role.attached if role is not None else ()
        for arn in shared.policy_users:
            attachment = attachment_target(name, arn)
            if attachment in self.changes and not self._denies(arn):
                yield attachment
        for arn in (*attached, role.permissions_boundary if role is not None else ""):
            for target in self.policies.get(arn, ()):
                change = self.changes[target]
                restricts = target.step == "restricts" or not _compare(change, gives)
                if not restricts and not change.takes and target.step != "lifts":
                    yield target
        for key in shared.keys:
            association = self.changes.get(association_target(key))
            if association is not None and (
                association.action == "create" or _value(association, "role_arn")
            ):
                yield association.target

    def _after(self, target: Target, restrictions: frozenset[Target]) -> None:
        """Let a grant, or what lifts a restriction, need the restrictions of its role."""
        if target.resource in ("policy", "role") and self.changes[target].stage < Stage.DOCUMENT:
            self._move(target, Stage.DOCUMENT)
        self._need(target, restrictions)

    # Removed grants and lifted restrictions

    def _removals(self, shared: SharedRole, role: ObservedRole | None) -> Iterator[Target]:
        """Return the changes by which a role loses permissions, or users."""
        if role is None:
            return
        for arn in role.attached:
            attachment = attachment_target(shared.spec.name, arn)
            if attachment in self.changes and self.changes[attachment].action == "detach":
                yield attachment
            yield from (target for target in self.policies.get(arn, ()) if self.changes[target].takes)
        narrowing = trust_target(shared.spec.name, narrows=True)
        if narrowing in self.changes:
            yield narrowing

    def _lifts(self, shared: SharedRole, role: ObservedRole | None) -> Iterator[Target]:
        """Return the changes that lift a restriction of a role."""
        if role is None:
            return
        update = self.changes.get(role_target(shared.spec.name))
        if update is not None and _value(update, "permissions_boundary") == "":
            yield update.target
        for arn in role.attached:
            attachment = attachment_target(shared.spec.name, arn)
            if attachment in self.changes and self.changes[attachment].action == "detach":
                document = self._present(arn)
                if document is None or denies(document):
                    yield attachment
            yield from (target for target in self.policies.get(arn, ()) if target.step == "lifts")
        for workload in shared.users:
            if self._loses_session_policy(workload, role):
                yield association_target(workload.key)

    def _present(self, arn: str) -> Document | None:
        policy = self.observed.policies.get(arn)
        return (
            self.observed.documents.get(arn) if policy is None or policy.document is None else policy.document
        )

    def _loses_session_policy(self, workload: Workload, role: ObservedRole) -> bool:
        """Return whether the session policy of an association that keeps its role allows more, or goes."""
        change = self.changes.get(association_target(workload.key))
        association = self.observed.associations.get(workload.key)
        if change is None or association is None or association.session_policy is None:
            return False
        if association.role_arn.lower() != role.arn.lower() or _value(change, "role_arn"):
            return False
        if "session_policy" not in (change.after or {}) or "disable_session_tags" in (change.after or {}):
            return False
        wanted = workload.association.session_policy
        return not wanted or not takes(association.session_policy, wanted)

    def _lift_after(self, lifts: Sequence[Target], removals: frozenset[Target]) -> None:
        """Let what lifts a restriction come after what takes grants away, unless something needs it before."""
        for target in lifts:
            for needing in self._needing(target):
                # An attachment to a role that is there does not need its other attributes.
                if needing in removals or (target.resource == "role" and needing.resource == "attachment"):
                    change = self.changes[needing]
                    self.changes[needing] = replace(change, needs=change.needs - {target})
            if not any(self.changes[needing].stage < Stage.LIFT for needing in self._needing(target)):
                self._move(target, Stage.LIFT)
                self._need(target, removals)

    def _needing(self, target: Target) -> list[Target]:
        """Return the changes that need another one."""
        if not self.needing:
            for needing, change in self.changes.items():
                for need in change.needs:
                    self.needing.setdefault(need, []).append(needing)
        return [needing for needing in self.needing.get(target, ()) if target in self.changes[needing].needs]

    # Grants after a narrower trust policy

    def let_wait(self) -> None:
        """Let the grants of a role wait until its trust policy is narrower, where that is at the end: associations still need
        the wide one. Where those need the grants, nothing can wait."""
        for narrowing, grants in self.waiting.items():
            later = self._closure(grants)
            if narrowing in later or not later.isdisjoint(self.changes[narrowing].needs):
                continue
            if any(self._leads_on(target) for target in later):
                continue
            for target in later:
                change = self.changes[target]
                self._move(target, change.stage + Stage.WAITING)
            for target in grants:
                self._need(target, frozenset((narrowing,)) | self.changes[narrowing].needs)

    def _closure(self, targets: Iterable[Target]) -> set[Target]:
        """Return changes with all that need them, and would come before them if they waited."""
        found: set[Target] = set()
        left = list(targets)
        while left:
            target = left.pop()
            if target not in found:
                found.add(target)
                left += self._needing(target)
        return found

    def _leads_on(self, target: Target) -> bool:
        """Return whether other roles wait for a change: an association that moves, or a trust policy that becomes narrower."""
        moves = target.resource == "association" and _value(self.changes[target], "role_arn") is not None
        return (moves and self.changes[target].action != "create") or target == trust_target(
            target.name, narrows=True
        )

    # Changes

    def _move(self, target: Target, stage: int) -> None:
        self.changes[target] = replace(self.changes[target], stage=stage)

    def _need(self, target: Target, needs: frozenset[Target]) -> None:
        if needs:
            self.common[target] = self.common[target] | needs if target in self.common else needs


def _value(change: Change, name: str) -> object:
    return (change.after or {}).get(name)


def _documents(change: Change, name: str) -> tuple[Document, Document] | None:
    before, after = (change.before or {}).get(name), (change.after or {}).get(name)
    return (before, after) if isinstance(before, Mapping) and isinstance(after, Mapping) else None


def _compare(change: Change, comparison: Callable[[Document, Document], bool]) -> bool:
    """Return what a comparison of the documents before and after a change gives."""
    documents = _documents(change, "document")
    return documents is not None and comparison(*documents)


def _is_wider(change: Change) -> bool:
    documents = _documents(change, "trust_policy")
    return documents is not None and not same_meaning(widened(*documents), documents[0], "trust")


def _is_narrower(change: Change) -> bool:
    """Return whether a trust policy loses a statement that the next one does not cover."""
    documents = _documents(change, "trust_policy")
    return documents is not None and not same_meaning(widened(*documents), documents[1], "trust")
