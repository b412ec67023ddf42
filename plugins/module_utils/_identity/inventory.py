# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Found clusters as hosts of an inventory: names, groups, variables, their cache, and failed reads in words. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .model.accounts import TAG, AgentAddon, AssumeRole, FoundCluster, UnreadClusters
from .model.errors import InputError

# Of the clusters that one message names.
SHOWN_CLUSTERS = 5
# What EKS answers where a region is not enabled for the account, to credentials that are valid elsewhere.
_NOT_ENABLED = frozenset(
    ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "OptInRequired")
)


def describe_unread(failures: Sequence[UnreadClusters]) -> list[str]:
    """A sentence or two for each place; the clusters of a region that failed for one reason share theirs."""
    same: dict[tuple[str, str, str, str], list[UnreadClusters]] = defaultdict(list)
    for failure in failures:
        key = (failure.account_id, failure.region, failure.error.operation, failure.error.code)
        same[key].append(failure)
    return [_describe(group) for group in same.values()]


def _describe(group: Sequence[UnreadClusters]) -> str:
    first = group[0]
    cause = str(first.error)
    stop = "" if cause.endswith((".", "!", "?")) else "."
    return f"{_place(group)} {_missing(first)}: {cause}{stop} {_remedy(first)}"


def _place(group: Sequence[UnreadClusters]) -> str:
    first = group[0]
    account = f"account {first.account_id}" if first.account_id else "the organization"
    place = f"{account}, region {first.region}" if first.region else account
    clusters = sorted(failure.cluster for failure in group if failure.cluster)
    if not clusters:
        return f"{place[0].upper()}{place[1:]}:"
    named = ", ".join(clusters[:SHOWN_CLUSTERS])
    more = f" and {len(clusters) - SHOWN_CLUSTERS} more" if len(clusters) > SHOWN_CLUSTERS else ""
    return f"{'Clusters' if len(clusters) > 1 else 'Cluster'} {named}{more} in {place}:"


def _missing(failure: UnreadClusters) -> str:
    if failure.error.operation == "eks:DescribeAddon":
        return "it is not known whether the agent's add-on is there"
    if failure.cluster:
        return "not in the inventory"
    if failure.account_id:
        return "its clusters are not in the inventory"
    return "its accounts are not known"


def _remedy(failure: UnreadClusters) -> str:
    code, operation = failure.error.code, failure.error.operation
    if operation == "organizations:ListAccounts":
        return (
            "Use credentials of the organization's management account or of a delegated administrator that is "
            "allowed organizations:ListAccounts, or list the accounts under accounts."
        )
    if failure.region and code in _NOT_ENABLED:
        return "The region may not be enabled for the account: enable it, or leave it out of regions."
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
    """A host for each cluster, in the order of their names. InputError when two have one name.

    ``connection`` has variables of the role that are the same for all of them.
    """
    taken: dict[str, FoundCluster] = {}
    for cluster in clusters:
        name = _hostname(cluster, hostnames)
        if name in taken:
            first, second = sorted((taken[name].arn, cluster.arn))
            raise InputError(
                [
                    f"hostnames gives the name '{name}' to {first} and to {second}. Give names that differ, such as "
                    "name.region.account; arn always does."
                ]
            )
        taken[name] = cluster
    return [
        ClusterHost(name, host_variables(cluster, connection), groups_of(cluster, group_by))
        for name, cluster in sorted(taken.items())
    ]


def _hostname(cluster: FoundCluster, hostnames: Sequence[str]) -> str:
    """By the first form for which the cluster has a value."""
    parts = {"name": cluster.name, "region": cluster.region, "account": cluster.account_id}
    for form in hostnames:
        if form == "arn":
            return cluster.arn
        if form.startswith(TAG):
            if name := cluster.tags.get(form.removeprefix(TAG)):
                return name
            continue
        return ".".join(parts[part] for part in form.split("."))
    raise InputError(
        [
            f"hostnames gives no name to {cluster.arn}, which has none of these tags with a value: "
            f"{', '.join(form.removeprefix(TAG) for form in hostnames)}. Add name.region.account as the last one."
        ]
    )


def host_variables(cluster: FoundCluster, connection: Mapping[str, object]) -> dict[str, object]:
    """What a play knows of the cluster, and what the role pod_identity takes to work on it."""
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
    """What differs from the defaults of the role pod_identity, which are the same."""
    if role is None:
        return {}
    default = AssumeRole(role.arn)
    details = {
        "external_id": (role.external_id, default.external_id),
        "session_name": (role.session_name, default.session_name),
        "duration": (role.duration, default.duration),
    }
    return {
        "pod_identity_assume_role_arn": role.arn,
        **{
            f"pod_identity_assume_role_{name}": value
            for name, (value, usual) in details.items()
            if value != usual
        },
    }


def groups_of(cluster: FoundCluster, group_by: Sequence[str]) -> tuple[str, ...]:
    """The default groups of a cluster. Tags that AWS itself sets make none."""
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
    """With "_" for what Ansible takes no group's name to hold: all but letters of ASCII, digits and "_"."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


# Raised with every change of the classes, so that what another version of the collection wrote is not read.
CACHE_FORMAT = 2


def to_cache(clusters: tuple[FoundCluster, ...]) -> dict[str, Any]:
    return {"format": CACHE_FORMAT, "clusters": [asdict(cluster) for cluster in clusters]}


def from_cache(cached: object) -> tuple[FoundCluster, ...] | None:
    """The clusters, or None when it is not what ``to_cache`` of this version made."""
    if not isinstance(cached, Mapping) or cached.get("format") != CACHE_FORMAT:
        return None
    return tuple(_cluster(row) for row in cached["clusters"])


def _cluster(row: Mapping[str, Any]) -> FoundCluster:
    role = row["role"]
    return FoundCluster(
        **{
            **row,
            "tags": dict(row["tags"]),
            "agent": AgentAddon(**row["agent"]),
            "role": AssumeRole(**role) if role else None,
        }
    )
