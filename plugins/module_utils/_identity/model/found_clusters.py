# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The EKS clusters of accounts and regions: what is asked for, what was found, what could not be read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .assume_role import AssumeRole, RoleByName
from .aws_errors import AwsError
from .cluster_filters import TAG, Filter

ALL_REGIONS = "all"
AGENT_ADDON = "eks-pod-identity-agent"


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """How an account is read: with a role, or, where there is none, with the credentials as they are.

    ``regions`` are names, or ``ALL_REGIONS`` alone.
    """

    account_id: str
    role: AssumeRole | None
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization's accounts. ``include`` and ``exclude`` are account IDs; an empty ``include`` means all."""

    role: RoleByName
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InventoryRequest:
    """What an inventory source asks for. ``own_account``: also the account of the credentials themselves."""

    regions: tuple[str, ...]
    accounts: tuple[AccountAccess, ...]
    organization: Organization | None
    own_account: bool
    include: tuple[Filter, ...]
    exclude: tuple[Filter, ...]
    hostnames: tuple[str, ...]
    group_by: tuple[str, ...]
    require_all: bool
    concurrency: int


@dataclass(frozen=True, slots=True)
class AgentAddon:
    """The add-on eks-pod-identity-agent. ``present`` is None when it could not be read.

    Source: eks DescribeAddon.
    """

    present: bool | None
    status: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """A cluster as eks DescribeCluster shows it, and the role through which its account was read.

    ``version`` is like "1.33", ``platform_version`` like "eks.4"; ``certificate_authority_data`` is base64 of PEM.
    """

    arn: str
    name: str
    account_id: str
    region: str
    status: str
    version: str
    platform_version: str
    endpoint: str
    certificate_authority_data: str
    auto_mode: bool
    tags: Mapping[str, str]
    agent: AgentAddon
    role: AssumeRole | None

    def properties(self) -> dict[str, str]:
        """What filters look at, by the names of their criteria."""
        return {
            "name": self.name,
            "region": self.region,
            "account": self.account_id,
            "status": self.status,
            "version": self.version,
            **{f"{TAG}{key}": value for key, value in self.tags.items()},
        }


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """What could not be read: a cluster, a region, or, where these are empty, an account or the organization."""

    account_id: str
    region: str
    cluster: str
    error: AwsError


@dataclass(frozen=True, slots=True)
class FoundClusters:
    """``nothing_read``: something was asked for, and all of it failed."""

    clusters: tuple[FoundCluster, ...]
    failures: tuple[ReadFailure, ...]
    nothing_read: bool
