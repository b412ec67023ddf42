# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The cluster's Kubernetes API as EKS describes it, and what EKS says of who may use it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict


class EksTargetRow(TypedDict):
    """An EksTarget as one task hands it to another."""

    name: str
    arn: str
    endpoint: str
    authority: str
    authentication_mode: str


@dataclass(frozen=True, slots=True)
class EksTarget:
    """``authority`` is the certificate authority in PEM, in base64, as EKS gives it. ``authentication_mode`` is API,
    API_AND_CONFIG_MAP or CONFIG_MAP, "" when EKS does not say. Source: eks DescribeCluster."""

    name: str
    arn: str
    endpoint: str
    authority: str
    authentication_mode: str = ""

    @property
    def account_id(self) -> str:
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """What AWS says of a caller that the Kubernetes API does not know.

    ``principal`` is the IAM principal that an access entry is for: of a session its role. It is "" when that is not known.
    ``has_entry`` is None when that is not known, and ``unknown`` then says why.
    ``clock_ahead`` is by how many seconds the clock of this machine is ahead of AWS's; None when that is not known.
    ``sts_host`` is the host that the token names when it is not one of AWS's.
    """

    caller_arn: str
    principal: str
    has_entry: bool | None
    unknown: str = ""
    clock_ahead: float | None = None
    sts_host: str = ""


def eks_target_row(target: EksTarget) -> EksTargetRow:
    return {
        "name": target.name,
        "arn": target.arn,
        "endpoint": target.endpoint,
        "authority": target.authority,
        "authentication_mode": target.authentication_mode,
    }


def parse_eks_target(row: Mapping[str, object]) -> EksTarget:
    names = ("name", "arn", "endpoint", "authority", "authentication_mode")
    return EksTarget(*(str(row[name]) for name in names))
