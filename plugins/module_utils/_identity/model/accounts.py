# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of account access and of the cluster inventory: roles to assume, filters, EKS clusters, failed reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .cluster import Cluster
from .errors import AwsError

# The session name in CloudTrail, and the duration of a session in seconds, which every role allows, also with role chaining.
SESSION_NAME = "workload-identity"
SESSION_DURATION = 3600


@dataclass(frozen=True, slots=True)
class AssumeRole:
    """A role to assume. ``external_id`` is "" if the trust policy does not require an external ID.

    Source: the parameters of STS AssumeRole.
    """

    arn: str
    external_id: str = ""

    @property
    def account_id(self) -> str:
        return self.arn.split(":")[4]


# The prefix of a filter criterion for a tag, like "tag:environment".
TAG = "tag:"


# A filter for clusters: shell patterns, like "prod-*", by the name of a property of clusters, like "name" or "tag:environment". A
# cluster matches if it matches at least one pattern of each property.
Filter = Mapping[str, tuple[str, ...]]


def matches_filters(
    properties: Mapping[str, str],
    include: Sequence[Filter],
    exclude: Sequence[Filter],
    described: bool = True,
) -> bool:
    """Return whether a cluster matches a filter of ``include`` and no filter of ``exclude``.

    An empty ``include`` matches every cluster.

    :arg properties: as ``FoundCluster.properties`` returns them.
    :arg described: False if ``properties`` is incomplete, because the cluster was listed but not described. The result is
        then True if the cluster may match.
    """
    if any(_fits(criteria, properties, unknown=False) for criteria in exclude):
        return False
    return not include or any(_fits(criteria, properties, unknown=not described) for criteria in include)


def _fits(criteria: Filter, properties: Mapping[str, str], unknown: bool) -> bool:
    """Return whether a cluster matches all criteria of a filter.

    :arg unknown: the result for a criterion whose property is missing.
    """
    return all(
        any(fnmatchcase(properties[name], pattern) for pattern in patterns) if name in properties else unknown
        for name, patterns in criteria.items()
    )


ALL_REGIONS = "all"


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """An account whose clusters are read, and the role to assume in it. If ``role`` is None, no role is assumed.

    ``regions`` are names of regions, or ``ALL_REGIONS`` alone.
    """

    account_id: str
    role: AssumeRole | None
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Organization:
    """The accounts of an AWS organization whose clusters are read, and the role to assume in each of them.

    ``role_name`` may include a path, like "fleet/reader". ``external_id`` is as in ``AssumeRole``. ``include`` and ``exclude``
    are account IDs. With an empty ``include``, all active accounts are included.
    """

    role_name: str
    external_id: str = ""
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InventoryRequest:
    """The parsed options of an inventory source.

    With ``own_account``, the clusters in the account of the credentials are read, too. ``regions`` applies to this account and
    to the accounts of ``organization``. ``include`` and ``exclude`` select the clusters (see ``matches_filters``). ``hostnames``
    has templates of host names, such as "name.region"; ``group_by`` names the properties by which hosts are grouped. With
    ``require_all``, any failed read is an error. ``concurrency`` is the maximum number of concurrent reads.
    """

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
    """The add-on eks-pod-identity-agent. ``present`` is None if the read failed.

    Source: eks DescribeAddon.
    """

    present: bool | None
    status: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCluster(Cluster):
    """A cluster of an inventory, with its agent and the role that was assumed to read it."""

    agent: AgentAddon
    role: AssumeRole | None

    def properties(self) -> dict[str, str]:
        """Return the properties that filters can match, by the name of the criterion."""
        return {
            "name": self.name,
            "region": self.region,
            "account": self.account_id,
            "status": self.status,
            "version": self.version,
            **{f"{TAG}{key}": value for key, value in self.tags.items()},
        }


@dataclass(frozen=True, slots=True)
class UnreadClusters:
    """A failed read of a cluster or its agent, of a region, of an account or of the organization.

    ``cluster`` is "" if a region could not be read. ``region`` is also "" if an account could not be read, and all three fields
    are "" if the accounts of the organization could not be listed.
    """

    account_id: str
    region: str
    cluster: str
    error: AwsError


@dataclass(frozen=True, slots=True)
class FoundClusters:
    """The clusters of an inventory source, and the failed reads.

    ``all_failed`` is true if reads failed, and neither a cluster nor a complete region was read.
    """

    clusters: tuple[FoundCluster, ...]
    failures: tuple[UnreadClusters, ...]
    all_failed: bool
