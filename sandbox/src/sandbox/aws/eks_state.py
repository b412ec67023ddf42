# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EKS's associations with their indexes, and how the cluster answers for Kubernetes."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.changes import ADDON, ASSOCIATION, CLUSTER, Key, Touched
from sandbox.aws.clock import Clock
from sandbox.aws.model import ApiError, Call, Record
from sandbox.aws.stock import Stock

ID_LENGTH = 17
_ID_ALPHABET = string.ascii_lowercase + string.digits

Scope = tuple[str, str, str]
"""Account, region, cluster name."""


@dataclass(slots=True)
class ClusterAssociations:
    """One cluster's associations, by ID in the order they were made, and by whom they are for."""

    by_id: dict[str, Record] = field(default_factory=dict)
    by_identity: dict[tuple[str, str], str] = field(default_factory=dict)
    tokens: dict[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)
    made: int = 0

    def add(self, record: Record) -> None:
        self.made += 1
        record["_number"] = self.made
        self.by_id[record["associationId"]] = record
        self.by_identity[(record["namespace"], record["serviceAccount"])] = record["associationId"]

    def drop(self, record: Record) -> None:
        del self.by_id[record["associationId"]]
        del self.by_identity[(record["namespace"], record["serviceAccount"])]


@dataclass(slots=True)
class KubernetesEndpoint:
    """What DescribeCluster says of a cluster's API server. Empty leaves ministack's own answer."""

    endpoint: str = ""
    certificate_authority_data: str = ""


class EksState:
    """Associations of all clusters; clusters and add-ons stay in ministack's stores."""

    def __init__(self, stock: Stock, clock: Clock) -> None:
        self.stock = stock
        self.clock = clock
        self.touched = Touched()
        self.kubernetes = KubernetesEndpoint()
        self._associations: dict[Scope, ClusterAssociations] = {}

    def indexes(self) -> list[dict[Any, Any]]:
        return [self._associations]

    def clear(self) -> None:
        """Forget the associations; where the API server is stays known."""
        self._associations.clear()

    def cluster(self, call: Call, name: str) -> Record:
        """The cluster, or ``ResourceNotFoundException``."""
        cluster = self.find_cluster(call.account, call.region, name)
        if cluster is None:
            raise ApiError(404, "ResourceNotFoundException", f"No cluster found for name: {name}.")
        return cluster

    def find_cluster(self, account: str, region: str, name: str) -> Record | None:
        self.touched.note(Key(CLUSTER, account, name, region))
        return self.stock.clusters.get(account, region, name)

    def addon(self, account: str, region: str, cluster: str, name: str) -> Record | None:
        self.touched.note(Key(ADDON, account, name, region, cluster))
        return self.stock.addons.get(account, region, f"{cluster}/{name}")

    def association(self, account: str, region: str, cluster: str, identifier: str) -> Record | None:
        self.touched.note(Key(ASSOCIATION, account, identifier, region, cluster))
        return self.associations(account, region, cluster).by_id.get(identifier)

    def add_association(self, account: str, region: str, record: Record) -> None:
        cluster = record["clusterName"]
        self.touched.note(Key(ASSOCIATION, account, record["associationId"], region, cluster))
        self.associations(account, region, cluster).add(record)

    def drop_association(self, account: str, region: str, record: Record) -> None:
        cluster = record["clusterName"]
        self.touched.note(Key(ASSOCIATION, account, record["associationId"], region, cluster))
        self.associations(account, region, cluster).drop(record)

    def associations(self, account: str, region: str, cluster: str) -> ClusterAssociations:
        return self._associations.setdefault((account, region, cluster), ClusterAssociations())

    def drop_cluster(self, account: str, region: str, cluster: str) -> None:
        """Forget the associations of a cluster that ministack has deleted."""
        self.touched.note(Key(CLUSTER, account, cluster, region))
        self._associations.pop((account, region, cluster), None)

    def all_associations(self) -> list[tuple[Scope, ClusterAssociations]]:
        return list(self._associations.items())


def new_association_id() -> str:
    return "a-" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(ID_LENGTH))


def association_arn(account: str, region: str, cluster: str, association_id: str) -> str:
    return f"arn:aws:eks:{region}:{account}:podidentityassociation/{cluster}/{association_id}"


def public(record: Record) -> Record:
    """A record without the members kept for the overlay's or ministack's own use."""
    return {key: value for key, value in record.items() if not key.startswith("_")}
