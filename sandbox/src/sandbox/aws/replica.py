# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the resources of IAM and EKS that applies each change after a delay.

All replicas share the copies of changed records, and never modify these copies. Users, groups, instance profiles and node
groups are not copied, because ministack handles these; reads of these resources are always current.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sandbox.aws.changes import ADDON, ASSOCIATION, CLUSTER, POLICY, ROLE, Change, Key
from sandbox.aws.eks import Eks
from sandbox.aws.eks_state import EksState
from sandbox.aws.iam import Iam
from sandbox.aws.iam_state import AWS_MANAGED_PREFIX, IamState
from sandbox.aws.model import Record
from sandbox.aws.passing import RolePassing


class Replica:
    """The state that IAM and EKS had ``delay`` seconds ago. ``now`` returns a time in seconds."""

    def __init__(
        self,
        iam: IamState,
        eks: EksState,
        passing: RolePassing,
        delay: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        ministack = iam.ministack.without_records()
        self.iam_state = IamState(ministack)
        self.eks_state = EksState(ministack)
        self.eks_state.kubernetes = eks.kubernetes
        self.iam = Iam(self.iam_state)
        self.eks = Eks(self.eks_state, passing)
        self._delay = delay
        self._now = now
        self._pending: deque[tuple[float, Change]] = deque()
        for change in _all_records(iam, eks):
            self._apply(change)

    def add(self, change: Change) -> None:
        """Add a change, which is applied after the delay."""
        self._pending.append((self._now() + self._delay, change))
        self.advance()

    def advance(self) -> None:
        """Apply all changes that are older than the delay."""
        now = self._now()
        while self._pending and self._pending[0][0] <= now:
            self._apply(self._pending.popleft()[1])

    def _apply(self, change: Change) -> None:
        key, record = change.key, change.record
        ministack = self.iam_state.ministack
        if key.kind == ROLE:
            self._apply_role(key, record)
        elif key.kind == POLICY and record is not None:
            ministack.policies.put(key.account, key.name, record)
        elif key.kind == POLICY:
            ministack.policies.drop(key.account, key.name)
        elif key.kind == ASSOCIATION:
            self._apply_association(key, record)
        elif key.kind == ADDON and record is not None:
            ministack.addons.put(key.account, key.region, f"{key.cluster}/{key.name}", record)
        elif key.kind == ADDON:
            ministack.addons.drop(key.account, key.region, f"{key.cluster}/{key.name}")
        elif key.kind == CLUSTER and record is not None:
            ministack.clusters.put(key.account, key.region, key.name, record)
        else:
            ministack.clusters.drop(key.account, key.region, key.name)
            self.eks_state.drop_cluster(key.account, key.region, key.name)

    def _apply_role(self, key: Key, role: Record | None) -> None:
        state = self.iam_state
        previous = state.ministack.roles.get(key.account, key.name)
        if previous is not None:
            self._count(key, previous, -1)
            state.ministack.roles.drop(key.account, key.name)
            state.role_names.pop((key.account, key.name.lower()), None)
        if role is not None:
            self._count(key, role, 1)
            state.ministack.roles.put(key.account, key.name, role)
            state.role_names[(key.account, key.name.lower())] = key.name

    def _count(self, key: Key, role: Record, change: int) -> None:
        """Add a role to the indexes of attached policies and permissions boundaries, or remove the role if ``change`` is -1."""
        state = self.iam_state
        used = [(state.attached_roles, arn) for arn in role["AttachedPolicies"]]
        if role["PermissionsBoundary"]:
            used.append((state.bounded_roles, role["PermissionsBoundary"]))
        for index, arn in used:
            names = index.setdefault((key.account, arn), {})
            if change > 0:
                names[key.name] = None
            else:
                names.pop(key.name, None)
        counts = state.ministack.aws_managed_attachments
        for arn in role["AttachedPolicies"]:
            if arn.startswith(AWS_MANAGED_PREFIX):
                counts[(key.account, arn)] = counts.get((key.account, arn), 0) + change

    def _apply_association(self, key: Key, record: Record | None) -> None:
        associations = self.eks_state.associations(key.account, key.region, key.cluster)
        previous = associations.by_id.get(key.name)
        if record is None and previous is not None:
            associations.drop(previous)
        elif record is not None:
            # Do not use ``add`` here. It would assign a new ``_number``, by which lists are sorted.
            associations.by_id[key.name] = record
            associations.by_identity[(record["namespace"], record["serviceAccount"])] = key.name


def current_record(iam: IamState, eks: EksState, key: Key) -> Record | None:
    """Return the current record of a resource, or None if it does not exist."""
    ministack = iam.ministack
    if key.kind == ROLE:
        return ministack.roles.get(key.account, key.name)
    if key.kind == POLICY:
        return ministack.policies.get(key.account, key.name)
    if key.kind == CLUSTER:
        return ministack.clusters.get(key.account, key.region, key.name)
    if key.kind == ADDON:
        return ministack.addons.get(key.account, key.region, f"{key.cluster}/{key.name}")
    return eks.associations(key.account, key.region, key.cluster).by_id.get(key.name)


def _all_records(iam: IamState, eks: EksState) -> list[Change]:
    ministack = iam.ministack
    keys = [Key(ROLE, account, name) for (account, name), _ in ministack.roles.everything()]
    keys += [Key(POLICY, account, arn) for (account, arn), _ in ministack.policies.everything()]
    keys += [
        Key(CLUSTER, account, name, region) for (account, region, name), _ in ministack.clusters.everything()
    ]
    for (account, region, path), _ in ministack.addons.everything():
        cluster, _, name = path.partition("/")
        keys.append(Key(ADDON, account, name, region, cluster))
    for (account, region, cluster), associations in eks.all_associations():
        keys += [Key(ASSOCIATION, account, identifier, region, cluster) for identifier in associations.by_id]
    return [Change.copy(key, current_record(iam, eks, key)) for key in keys]
