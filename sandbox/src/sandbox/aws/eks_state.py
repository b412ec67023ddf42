# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stored resources of EKS: associations with indexes, and access to the clusters and add-ons in ministack."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.changes import ADDON, ASSOCIATION, CLUSTER, AccessedKeys, Key
from sandbox.aws.ministack import Ministack
from sandbox.aws.model import ApiError, Call, Record

ID_LENGTH = 17
_ID_ALPHABET = string.ascii_lowercase + string.digits

Scope = tuple[str, str, str]
"""The account, the region and the name of a cluster."""


@dataclass(slots=True)
class ClusterAssociations:
    """The associations of a cluster.

    ``by_id`` has them in creation order, ``by_identity`` has their IDs by namespace and service account, and
    ``tokens`` has the request and the association ID by client request token.
    """

    by_id: dict[str, Record] = field(default_factory=dict)
    by_identity: dict[tuple[str, str], str] = field(default_factory=dict)
    tokens: dict[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)
    created: int = 0

    def add(self, record: Record) -> None:
        self.created += 1
        record["_number"] = self.created
        self.by_id[record["associationId"]] = record
        self.by_identity[(record["namespace"], record["serviceAccount"])] = record["associationId"]

    def drop(self, record: Record) -> None:
        del self.by_id[record["associationId"]]
        del self.by_identity[(record["namespace"], record["serviceAccount"])]


@dataclass(slots=True)
class KubernetesEndpoint:
    """The Kubernetes API server in the response to DescribeCluster. Empty members keep the values of ministack."""

    endpoint: str = ""
    certificate_authority_data: str = ""


class EksState:
    """The associations of all clusters, and access to the clusters and add-ons that ministack stores."""

    def __init__(self, ministack: Ministack) -> None:
        self.ministack = ministack
        self.accessed = AccessedKeys()
        self.kubernetes = KubernetesEndpoint()
        self._associations: dict[Scope, ClusterAssociations] = {}

    def indexes(self) -> list[dict[Any, Any]]:
        return [self._associations]

    def clear(self) -> None:
        """Delete all associations. The Kubernetes API server in ``kubernetes`` remains set."""
        self._associations.clear()

    def cluster(self, call: Call, name: str) -> Record:
        """Return a cluster of the caller's account and region, or raise ``ResourceNotFoundException``."""
        cluster = self.find_cluster(call.account, call.region, name)
        if cluster is None:
            raise ApiError(404, "ResourceNotFoundException", f"No cluster found for name: {name}.")
        return cluster

    def find_cluster(self, account: str, region: str, name: str) -> Record | None:
        self.accessed.add(Key(CLUSTER, account, name, region))
        return self.ministack.clusters.get(account, region, name)

    def addon(self, account: str, region: str, cluster: str, name: str) -> Record | None:
        self.accessed.add(Key(ADDON, account, name, region, cluster))
        return self.ministack.addons.get(account, region, f"{cluster}/{name}")

    def association(self, account: str, region: str, cluster: str, identifier: str) -> Record | None:
        self.accessed.add(Key(ASSOCIATION, account, identifier, region, cluster))
        return self.associations(account, region, cluster).by_id.get(identifier)

    def add_association(self, account: str, region: str, record: Record) -> None:
        cluster = record["clusterName"]
        self.accessed.add(Key(ASSOCIATION, account, record["associationId"], region, cluster))
        self.associations(account, region, cluster).add(record)

    def drop_association(self, account: str, region: str, record: Record) -> None:
        cluster = record["clusterName"]
        self.accessed.add(Key(ASSOCIATION, account, record["associationId"], region, cluster))
        self.associations(account, region, cluster).drop(record)

    def associations(self, account: str, region: str, cluster: str) -> ClusterAssociations:
        return self._associations.setdefault((account, region, cluster), ClusterAssociations())

    def drop_cluster(self, account: str, region: str, cluster: str) -> None:
        """Delete the associations of a cluster that ministack has deleted."""
        self.accessed.add(Key(CLUSTER, account, cluster, region))
        self._associations.pop((account, region, cluster), None)

    def all_associations(self) -> list[tuple[Scope, ClusterAssociations]]:
        return list(self._associations.items())


def new_association_id() -> str:
    return "a-" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(ID_LENGTH))


def association_arn(account: str, region: str, cluster: str, association_id: str) -> str:
    return f"arn:aws:eks:{region}:{account}:podidentityassociation/{cluster}/{association_id}"


def public(record: Record) -> Record:
    """Return a record without internal members, whose names begin with an underscore."""
    return {key: value for key, value in record.items() if not key.startswith("_")}
