# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The account behind the credentials, and clusters of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..._findings.key import WorkloadKey
from .desired import PolicySpec, RoleSpec


@dataclass(frozen=True, slots=True)
class Account:
    """The account behind the credentials. Source: sts GetCallerIdentity.

    ``answered_at`` is when AWS told of it, by its own clock: that of this machine may be wrong.
    """

    account_id: str
    partition: str
    caller_arn: str = ""
    answered_at: datetime | None = field(default=None, compare=False)

    def policy_arn(self, spec: PolicySpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:policy{spec.path}{spec.name}"

    def role_arn(self, spec: RoleSpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:role{spec.path}{spec.name}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and the account behind the credentials, as observed.

    ``key`` is what keys of workloads call it. ``version`` is like "1.33", ``platform_version`` like "eks.4"; ``auto_mode``
    is EKS Auto Mode.
    ``authorities`` are the SHA-256 of the certificates that sign for its Kubernetes API at ``endpoint``.
    ``answered_at`` is when AWS told of it, by its own clock: that of this machine may be wrong.
    Sources: eks DescribeCluster, sts GetCallerIdentity.
    """

    name: str
    arn: str
    account_id: str
    region: str
    partition: str
    status: str = "ACTIVE"
    caller_arn: str = ""
    version: str = ""
    platform_version: str = ""
    auto_mode: bool = False
    endpoint: str = ""
    authorities: frozenset[str] = frozenset()
    alias: str = ""
    answered_at: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        return self.alias or self.name

    @property
    def account(self) -> Account:
        return Account(self.account_id, self.partition, self.caller_arn, self.answered_at)


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of one account that a run is about and that could be read, by what keys of workloads call them."""

    account: Account
    members: Mapping[str, Cluster]

    def __contains__(self, key: WorkloadKey) -> bool:
        return key.cluster in self.members

    def of(self, key: WorkloadKey) -> Cluster:
        """The cluster of a workload. KeyError when it is none of these."""
        return self.members[key.cluster]

    def with_arn(self, arn: str) -> Cluster | None:
        """The cluster of an ARN: arn:partition:eks:region:account:cluster/name."""
        name = arn.rpartition("/")[2]
        region = arn.split(":")[3] if arn.count(":") > 3 else ""
        members = (self.members.get(name), self.members.get(f"{region}/{name}"))
        return next((cluster for cluster in members if cluster is not None and cluster.arn == arn), None)

    def among(self, keys: Iterable[WorkloadKey]) -> Clusters:
        """The clusters of some workloads."""
        names = {key.cluster for key in keys}
        return Clusters(self.account, {key: cluster for key, cluster in self.members.items() if key in names})

    def without(self, keys: Collection[str]) -> Clusters:
        """Those that workloads do not call by one of these names."""
        if not keys:
            return self
        return Clusters(
            self.account, {key: cluster for key, cluster in self.members.items() if key not in keys}
        )


def clusters_of(*members: Cluster) -> Clusters:
    """Clusters of one account, at least one."""
    return Clusters(members[0].account, {cluster.key: cluster for cluster in members})
