# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory hosts for EKS clusters: names, groups, variables, cache, and messages for failed reads. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .model.accounts import TAG, AgentAddon, AssumeRole, FoundCluster, UnreadClusters
from .model.errors import InputError

# The maximum number of clusters that a message names.
NAMED_CLUSTERS = 5
# Error codes for valid credentials in a region that is not enabled for the account.
_NOT_ENABLED = frozenset(
    ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "OptInRequired")
)


def describe_unread(failures: Sequence[UnreadClusters]) -> list[str]:
    """Return a message for each failed read. Clusters of a region with the same cause share a message."""
    same: dict[tuple[str, str, str, str], list[UnreadClusters]] = defaultdict(list)
    for failure in failures:
        key = (failure.account_id, failure.region, failure.error.operation, failure.error.code)
        same[key].append(failure)
    return [_describe_unread(group) for group in same.values()]


def _describe_unread(group: Sequence[UnreadClusters]) -> str:
    first = group[0]
    cause = str(first.error)
    stop = "" if cause.endswith((".", "!", "?")) else "."
    return f"{_unread_place(group)} {_consequence(first)}: {cause}{stop} {_remedy(first)}"


def _unread_place(group: Sequence[UnreadClusters]) -> str:
    first = group[0]
    account = f"account {first.account_id}" if first.account_id else "the organization"
    place = f"{account}, region {first.region}" if first.region else account
    clusters = sorted(failure.cluster for failure in group if failure.cluster)
    if not clusters:
        return f"{place[0].upper()}{place[1:]}:"
    named = ", ".join(clusters[:NAMED_CLUSTERS])
    more = f" and {len(clusters) - NAMED_CLUSTERS} more" if len(clusters) > NAMED_CLUSTERS else ""
    return f"{'Clusters' if len(clusters) > 1 else 'Cluster'} {named}{more} in {place}:"


def _consequence(failure: UnreadClusters) -> str:
    if failure.error.operation == "eks:DescribeAddon":
        return "the state of the agent's add-on is unknown"
    if failure.cluster:
        return "not in the inventory"
    if failure.account_id:
        return "its clusters are not in the inventory"
    return "its accounts are unknown"


def _remedy(failure: UnreadClusters) -> str:
    code, operation = failure.error.code, failure.error.operation
    if operation == "organizations:ListAccounts":
        return (
            "Use credentials of the organization's management account or a delegated administrator with the permission "
            "organizations:ListAccounts, or list the role of each account in the option accounts."
        )
    if failure.region and code in _NOT_ENABLED:
        return (
            "The region may not be enabled for the account: enable it, or remove it from the option regions."
        )
    return failure.error.remedy


ALL_CLUSTERS = "eks_clusters"


@dataclass(frozen=True, slots=True)
class ClusterHost:
    name: str
    variables: Mapping[str, object]
    groups: tuple[str, ...]


def make_hosts(
    clusters: Iterable[FoundCluster],
    hostnames: Sequence[str],
    group_by: Sequence[str],
    connection: Mapping[str, object],
) -> list[ClusterHost]:
    """Return a host for each cluster, sorted by name.

    :arg connection: role variables of all hosts.
    :raises InputError: for two clusters with the same host name, or a cluster without one.
    """
    by_name: dict[str, FoundCluster] = {}
    for cluster in clusters:
        name = _hostname(cluster, hostnames)
        if name in by_name:
            first, second = sorted((by_name[name].arn, cluster.arn))
            raise InputError(
                [
                    f"hostnames gives the name '{name}' to {first} and to {second}. Use unique names, such as "
                    "name.region.account or arn."
                ]
            )
        by_name[name] = cluster
    return [
        ClusterHost(name, host_variables(cluster, connection), cluster_groups(cluster, group_by))
        for name, cluster in sorted(by_name.items())
    ]


def _hostname(cluster: FoundCluster, hostnames: Sequence[str]) -> str:
    """Return the host name from the first entry of ``hostnames`` that has a value for the cluster."""
    parts = {"name": cluster.name, "region": cluster.region, "account": cluster.account_id}
    for form in hostnames:
        if form == "arn":
            return cluster.arn
        if form.startswith(TAG):
            if name := cluster.tags.get(form.removeprefix(TAG)):
                return name
            continue
        return ".".join(parts[part] for part in form.split("."))
    tags = ", ".join(form.removeprefix(TAG) for form in hostnames)
    noun = "tag" if len(hostnames) == 1 else "any of the tags"
    raise InputError(
        [
            f"hostnames gives no name to {cluster.arn}, which has no value for {noun} {tags}. Add name.region.account as the "
            "last entry."
        ]
    )


def host_variables(cluster: FoundCluster, connection: Mapping[str, object]) -> dict[str, object]:
    """Return the facts of the cluster and the variables of the role pod_identity."""
    return {
        "ansible_connection": "local",
        "eks_account": cluster.account_id,
        "eks_agent_addon": {
            "present": cluster.agent.present,
            "status": cluster.agent.status,
            "version": cluster.agent.version,
        },
        "eks_arn": cluster.arn,
        "eks_auto_mode": cluster.auto_mode,
        "eks_certificate_authority_data": cluster.certificate_authority_data,
        "eks_endpoint": cluster.endpoint,
        "eks_name": cluster.name,
        "eks_platform_version": cluster.platform_version,
        "eks_region": cluster.region,
        "eks_status": cluster.status,
        "eks_tags": dict(cluster.tags),
        "eks_version": cluster.version,
        "pod_identity_account_id": cluster.account_id,
        "pod_identity_cluster_name": cluster.name,
        "pod_identity_region": cluster.region,
        **_role_variables(cluster.role),
        **connection,
    }


def _role_variables(role: AssumeRole | None) -> dict[str, object]:
    """Return the variables with which the role pod_identity assumes a role."""
    if role is None:
        return {}
    external_id = {"pod_identity_assume_role_external_id": role.external_id} if role.external_id else {}
    return {"pod_identity_assume_role_arn": role.arn, **external_id}


def cluster_groups(cluster: FoundCluster, group_by: Sequence[str]) -> tuple[str, ...]:
    """Return the groups of a cluster: ``eks_clusters``, and one for each value of the properties in ``group_by``.

    Tags with the prefix ``aws:`` are left out.
    """
    values = {
        "region": [cluster.region],
        "account": [cluster.account_id],
        "version": [cluster.version],
        "status": [cluster.status.lower()],
        "tag": [
            f"{key}_{value}" if value else key
            for key, value in sorted(cluster.tags.items())
            if not key.startswith("aws:")
        ],
    }
    named = [f"eks_{kind}_{value}" for kind in group_by for value in values[kind] if value]
    return tuple(dict.fromkeys((ALL_CLUSTERS, *map(safe_group_name, named))))


def safe_group_name(name: str) -> str:
    """Replace the characters that Ansible rejects in a group name with "_"."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


# The format of cache entries. Increase it with every change of the cached classes, so that the plugin ignores entries of other
# versions of the collection.
CACHE_FORMAT = 4


def to_cache(clusters: tuple[FoundCluster, ...]) -> dict[str, Any]:
    return {"format": CACHE_FORMAT, "clusters": [asdict(cluster) for cluster in clusters]}


def from_cache(cached: object) -> tuple[FoundCluster, ...] | None:
    """Return the clusters of a cache entry, or None for an entry in another format."""
    if not isinstance(cached, Mapping) or cached.get("format") != CACHE_FORMAT:
        return None
    return tuple(_parse_cluster(row) for row in cached["clusters"])


def _parse_cluster(row: Mapping[str, Any]) -> FoundCluster:
    role = row["role"]
    return FoundCluster(
        **{
            **row,
            "tags": dict(row["tags"]),
            "agent": AgentAddon(**row["agent"]),
            "role": AssumeRole(**role) if role else None,
        }
    )
