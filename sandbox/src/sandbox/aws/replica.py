# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second copy of what IAM and EKS hold, which takes over each change some time after it was made.

It shares the changed records with the other replicas and never writes to them. Users, groups,
instance profiles and node groups are ministack's, and not in it.
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
    """Answers reads as they were *delay* seconds ago. ``now`` gives seconds."""

    def __init__(
        self,
        iam: IamState,
        eks: EksState,
        passing: RolePassing,
        delay: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        stock = iam.stock.without_records()
        self.iam_state = IamState(stock, iam.clock)
        self.eks_state = EksState(stock, eks.clock)
        self.eks_state.kubernetes = eks.kubernetes
        self.iam = Iam(self.iam_state)
        self.eks = Eks(self.eks_state, passing)
        self._delay = delay
        self._now = now
        self._waiting: deque[tuple[float, Change]] = deque()
        for change in _everything(iam, eks):
            self._apply(change)

    def add(self, change: Change) -> None:
        """A change of the present."""
        self._waiting.append((self._now() + self._delay, change))
        self.advance()

    def advance(self) -> None:
        """Take over what is old enough, so that what waits is never older than the delay."""
        now = self._now()
        while self._waiting and self._waiting[0][0] <= now:
            self._apply(self._waiting.popleft()[1])

    def _apply(self, change: Change) -> None:
        key, record = change.key, change.record
        stock = self.iam_state.stock
        if key.kind == ROLE:
            self._apply_role(key, record)
        elif key.kind == POLICY and record is not None:
            stock.policies.put(key.account, key.name, record)
        elif key.kind == POLICY:
            stock.policies.drop(key.account, key.name)
        elif key.kind == ASSOCIATION:
            self._apply_association(key, record)
        elif key.kind == ADDON and record is not None:
            stock.addons.put(key.account, key.region, f"{key.cluster}/{key.name}", record)
        elif key.kind == ADDON:
            stock.addons.drop(key.account, key.region, f"{key.cluster}/{key.name}")
        elif key.kind == CLUSTER and record is not None:
            stock.clusters.put(key.account, key.region, key.name, record)
        else:
            stock.clusters.drop(key.account, key.region, key.name)
            self.eks_state.drop_cluster(key.account, key.region, key.name)

    def _apply_role(self, key: Key, role: Record | None) -> None:
        state = self.iam_state
        before = state.stock.roles.get(key.account, key.name)
        if before is not None:
            self._count(key, before, -1)
            state.stock.roles.drop(key.account, key.name)
            state.role_names.pop((key.account, key.name.lower()), None)
        if role is not None:
            self._count(key, role, 1)
            state.stock.roles.put(key.account, key.name, role)
            state.role_names[(key.account, key.name.lower())] = key.name

    def _count(self, key: Key, role: Record, change: int) -> None:
        """Enter a role in the indexes of what it has attached and what bounds it, or take it out."""
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
        counts = state.stock.aws_managed_attachments
        for arn in role["AttachedPolicies"]:
            if arn.startswith(AWS_MANAGED_PREFIX):
                counts[(key.account, arn)] = counts.get((key.account, arn), 0) + change

    def _apply_association(self, key: Key, record: Record | None) -> None:
        known = self.eks_state.associations(key.account, key.region, key.cluster)
        before = known.by_id.get(key.name)
        if record is None and before is not None:
            known.drop(before)
        elif record is not None:
            # Its number is that of the present, which keeps the order of the pages.
            known.by_id[key.name] = record
            known.by_identity[(record["namespace"], record["serviceAccount"])] = key.name


def present(iam: IamState, eks: EksState, key: Key) -> Record | None:
    """The record as it is now."""
    stock = iam.stock
    if key.kind == ROLE:
        return stock.roles.get(key.account, key.name)
    if key.kind == POLICY:
        return stock.policies.get(key.account, key.name)
    if key.kind == CLUSTER:
        return stock.clusters.get(key.account, key.region, key.name)
    if key.kind == ADDON:
        return stock.addons.get(key.account, key.region, f"{key.cluster}/{key.name}")
    return eks.associations(key.account, key.region, key.cluster).by_id.get(key.name)


def _everything(iam: IamState, eks: EksState) -> list[Change]:
    stock = iam.stock
    keys = [Key(ROLE, account, name) for (account, name), _ in stock.roles.everything()]
    keys += [Key(POLICY, account, arn) for (account, arn), _ in stock.policies.everything()]
    keys += [
        Key(CLUSTER, account, name, region) for (account, region, name), _ in stock.clusters.everything()
    ]
    for (account, region, path), _ in stock.addons.everything():
        cluster, _, name = path.partition("/")
        keys.append(Key(ADDON, account, name, region, cluster))
    for (account, region, cluster), known in eks.all_associations():
        keys += [Key(ASSOCIATION, account, identifier, region, cluster) for identifier in known.by_id]
    return [Change.of(key, present(iam, eks, key)) for key in keys]
