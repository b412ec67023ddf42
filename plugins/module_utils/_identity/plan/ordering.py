# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Order the changes of a plan, so that each role has, at any moment, only permissions that its present or its desired policies
give it. Pure.

The changes of each existing role are applied in this order:

1. new restrictions: a permissions boundary, a Deny in a policy document, an attachment of a policy with a Deny, a session
   policy, a narrower trust policy;
2. new permissions, which are skipped if a restriction fails;
3. removed permissions, after their replacements exist;
4. removed restrictions ("lifts"), which are skipped if the removal of a permission fails.

If a role gets no new restriction and loses none, its changes keep their stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..._policy.language.canonical import same_meaning
from ..model.associations import ASSOCIATION_SESSION_POLICY
from ..model.changes import Change, Stage
from ..model.cluster import Account
from ..model.desired import Workload
from ..model.observed import Document, Observed
from ..model.roles import ObservedRole
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
from .policies import denies, denies_more, gives, takes
from .shared_role import find_document
from .trust import union_trust


def restrict_first(
    changes: Sequence[Change],
    observed: Observed,
    all_shared: Iterable[SharedRole],
    account: Account,
    workloads: Iterable[Workload],
) -> list[Change]:
    """Return the changes of a plan, with stages and dependencies that put the changes of each role in the order shown above.

    :arg all_shared: the roles of the run.
    """
    documents = {
        account.policy_arn(spec): spec.document
        for workload in workloads
        for spec in workload.policies
        if spec.document is not None
    }
    ordering = _Ordering(changes, observed, documents)
    for shared in all_shared:
        ordering.order(shared, observed.roles.get(shared.spec.name.lower()))
    ordering.delay_grants()
    return ordering.result()


class _Ordering:
    """The changes of a plan, and the methods that set their stages and dependencies.

    For one role, the methods ``_restrictions``, ``_grants``, ``_removals`` and ``_lifts`` yield the targets of its new
    restrictions, new permissions, removed permissions and removed restrictions.

    :arg documents: the desired documents of the policies that the run defines, by ARN.
    """

    def __init__(
        self, changes: Sequence[Change], observed: Observed, documents: Mapping[str, Document]
    ) -> None:
        self.changes = {change.target: change for change in changes}
        # Changes with the same target as a later change. Their order is not changed.
        self.duplicates = [change for change in changes if self.changes[change.target] is not change]
        self.observed, self.documents = observed, documents
        # The dependencies to add to ``Change.common_needs``, by the target of the change.
        self.common: dict[Target, frozenset[Target]] = {}
        # The changes that add permissions to a role, by the change that narrows the role's trust policy.
        self.waiting: dict[Target, list[Target]] = {}
        # The changes that depend on a target, by that target. ``_needing`` fills it on first use.
        self.needing: dict[Target, list[Target]] = {}
        self.policies: dict[str, list[Target]] = {}
        for target in self.changes:
            if target.resource == "policy":
                self.policies.setdefault(target.name, []).append(target)

    def result(self) -> list[Change]:
        """Return the changes with their new stages and dependencies."""
        return [
            replace(change, common_needs=change.common_needs | self.common[target])
            if target in self.common
            else change
            for target, change in self.changes.items()
        ] + self.duplicates

    def order(self, shared: SharedRole, role: ObservedRole | None) -> None:
        """Set the stages and dependencies of the changes of one role. ``role`` is None if it does not exist yet."""
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
            # New associations do not need to wait: they give no permission to the workloads that leave the role.
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
                # If the attachment is not planned, its workloads have failed. New permissions then depend on the associations of
                # these workloads, and are skipped.
                planned = attachment in self.changes
                yield from [attachment] if planned else map(association_target, keys)
                yield from self._document_restrictions(arn)
        for workload in shared.users:
            if self._gets_session_policy(workload, role):
                yield association_target(workload.key)

    def _document_restrictions(self, arn: str) -> Iterator[Target]:
        """Yield the changes that add a Deny to a policy.

        If the policy cannot be read or changed, yield its target: the permissions that depend on the Deny are then skipped.
        """
        desired, policy = self.documents.get(arn), self.observed.policies.get(arn)
        if desired is None or not denies(desired):
            return
        if policy_target(arn) in self.observed.unread:
            yield policy_target(arn)
        present = policy.document if policy is not None else None
        if present is None or not denies_more(present, desired):
            return
        restrictions = [
            target
            for target in self.policies.get(arn, ())
            if self.changes[target].stage < Stage.TAKE and _compare(self.changes[target], denies_more)
        ]
        yield from restrictions or [policy_target(arn)]

    def _boundary_restrictions(self, arn: str) -> Iterator[Target]:
        """Yield the changes that remove permissions from a policy that is a permissions boundary."""
        for target in self.policies.get(arn, ()):
            if _compare(self.changes[target], takes):
                yield target

    def _denies(self, arn: str) -> bool:
        """Return whether the desired document of a policy has a Deny."""
        document = self.documents.get(arn)
        return document is not None and denies(document)

    def _gets_session_policy(self, workload: Workload, role: ObservedRole | None) -> bool:
        """Return whether the session policy of a workload further restricts its present association with this role.

        Return True also if the association could not be read. Return False without session policy, or if the role does not
        exist yet.
        """
        desired, key = workload.association.session_policy, workload.key
        if not desired or role is None:
            return False
        association = self.observed.associations.get(key)
        if association is None:
            unread = self.observed.unread
            return association_target(key) in unread or associations_target(key.cluster) in unread
        present = association.session_policy
        if association.role_arn.lower() != role.arn.lower() or ASSOCIATION_SESSION_POLICY.equals(
            present, desired
        ):
            return False
        return present is None or takes(present, desired)

    def _restrict(self, shared: SharedRole, restrictions: frozenset[Target]) -> None:
        """Move the new restrictions of a role to early stages.

        EKS validates the role when an association changes, so a wider trust policy of the role precedes session policies.
        """
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
            # EKS validates the role and its trust policy when an association changes, so only these are needed first.
            needs = frozenset(need for need in change.needs if need.resource in ("role", "trust_policy"))
            self.changes[target] = replace(change, stage=Stage.SESSION_POLICY, needs=needs)

    # Grants

    def _grants(self, shared: SharedRole, role: ObservedRole | None) -> Iterator[Target]:
        """Yield the changes that add permissions to the role, and the associations that give the role to a workload."""
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
        """Order a change after the new restrictions of its role."""
        if target.resource in ("policy", "role") and self.changes[target].stage < Stage.DOCUMENT:
            self._move(target, Stage.DOCUMENT)
        self._need(target, restrictions)

    # Removed grants and lifted restrictions

    def _removals(self, shared: SharedRole, role: ObservedRole | None) -> Iterator[Target]:
        """Yield the changes by which a role loses permissions or users."""
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
        """Yield the changes that remove, or may remove, a restriction of a role."""
        if role is None:
            return
        update = self.changes.get(role_target(shared.spec.name))
        if update is not None and _value(update, "permissions_boundary") == "":
            yield update.target
        for arn in role.attached:
            attachment = attachment_target(shared.spec.name, arn)
            if attachment in self.changes and self.changes[attachment].action == "detach":
                document = find_document(self.observed, arn)
                if document is None or denies(document):
                    yield attachment
            yield from (target for target in self.policies.get(arn, ()) if target.step == "lifts")
        for workload in shared.users:
            if self._loses_session_policy(workload, role):
                yield association_target(workload.key)

    def _loses_session_policy(self, workload: Workload, role: ObservedRole) -> bool:
        """Return whether an association that keeps its role loses its session policy, or gets one that only allows more.

        Return False if its session tags change, too.
        """
        change = self.changes.get(association_target(workload.key))
        association = self.observed.associations.get(workload.key)
        if change is None or association is None or association.session_policy is None:
            return False
        if association.role_arn.lower() != role.arn.lower() or _value(change, "role_arn"):
            return False
        if "session_policy" not in (change.after or {}) or "disable_session_tags" in (change.after or {}):
            return False
        desired = workload.association.session_policy
        return not desired or not takes(association.session_policy, desired)

    def _lift_after(self, lifts: Sequence[Target], removals: frozenset[Target]) -> None:
        """Order the removal of each restriction after the removal of permissions.

        A removal of a restriction keeps its stage if a change of an earlier stage depends on it.

        :arg lifts: the removals of restrictions.
        :arg removals: the removals of permissions.
        """
        # The associations are last in ``lifts``. Start with them, because their changes may depend on the other lifts.
        for target in reversed(lifts):
            for needing in self._needing(target):
                # The role exists, so an attachment does not need to wait for the update of the role's other attributes.
                if needing in removals or (target.resource == "role" and needing.resource == "attachment"):
                    change = self.changes[needing]
                    self.changes[needing] = replace(change, needs=change.needs - {target})
            if not any(self.changes[needing].stage < Stage.LIFT for needing in self._needing(target)):
                self._move(target, Stage.LIFT)
                self._need(target, removals)

    def _needing(self, target: Target) -> list[Target]:
        """Return the targets of the changes that depend on this one."""
        if not self.needing:
            for needing, change in self.changes.items():
                for need in change.needs:
                    self.needing.setdefault(need, []).append(needing)
        return [needing for needing in self.needing.get(target, ()) if target in self.changes[needing].needs]

    # Grants after a narrower trust policy

    def delay_grants(self) -> None:
        """Delay the new permissions of a role until its trust policy is narrower.

        Otherwise the workloads that leave the role would have these permissions for a moment, because the trust policy is
        narrowed only after their associations have moved. The order is unchanged if the change of the trust policy depends on
        the new permissions, or if a change of another role may depend on them.
        """
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
        """Return the targets of these changes and of all changes that depend on them, directly or not."""
        closure: set[Target] = set()
        pending = list(targets)
        while pending:
            target = pending.pop()
            if target not in closure:
                closure.add(target)
                pending += self._needing(target)
        return closure

    def _leads_on(self, target: Target) -> bool:
        """Return whether changes of another role may depend on the change of this target.

        They may depend on an association that moves to another role, and on a trust policy that becomes narrower.
        """
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
    old, new = (change.before or {}).get(name), (change.after or {}).get(name)
    return (old, new) if isinstance(old, Mapping) and isinstance(new, Mapping) else None


def _compare(change: Change, comparison: Callable[[Document, Document], bool]) -> bool:
    """Return the result of a comparison of the documents before and after a change, or False without documents."""
    documents = _documents(change, "document")
    return documents is not None and comparison(*documents)


def _is_wider(change: Change) -> bool:
    """Return whether a trust policy allows more after a change."""
    documents = _documents(change, "trust_policy")
    return documents is not None and not same_meaning(union_trust(*documents), documents[0], "trust")


def _is_narrower(change: Change) -> bool:
    """Return whether a trust policy allows less after a change."""
    documents = _documents(change, "trust_policy")
    return documents is not None and not same_meaning(union_trust(*documents), documents[1], "trust")
