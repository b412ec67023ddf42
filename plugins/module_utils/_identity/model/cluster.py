# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The cluster and the account behind the credentials. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from .desired import PolicySpec, RoleSpec


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster and the account behind the credentials, as observed.

    ``version`` is like "1.33", ``platform_version`` like "eks.4"; ``auto_mode`` is EKS Auto Mode.
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
    answered_at: datetime | None = field(default=None, compare=False)

    def policy_arn(self, spec: PolicySpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:policy{spec.path}{spec.name}"

    def role_arn(self, spec: RoleSpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:role{spec.path}{spec.name}"
