# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads of clusters in accounts and regions: results, failures and the number of requests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    AccountAccess,
    AgentAddon,
    AssumeRole,
    FoundClusters,
    InventoryRequest,
    Organization,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.clusters import (
    read_clusters,
)

HOME, WEST = "eu-central-1", "us-west-2"
OWN, OTHER = "111122223333", "444455556666"
FLEET = AssumeRole(f"arn:aws:iam::{OTHER}:role/fleet")
REQUEST = InventoryRequest(
    regions=("eu-central-1", "us-west-2"),
    accounts=(),
    organization=None,
    own_account=True,
    include=(),
    exclude=(),
    hostnames=(),
    group_by=(),
    require_all=False,
    concurrency=4,
)
DETAILS: dict[str, Any] = {
    "status": "ACTIVE",
    "version": "1.33",
    "platformVersion": "eks.9",
    "endpoint": "https://x.example",
    "certificateAuthority": {"data": "Q0E="},
    "computeConfig": {"enabled": True},
    "tags": {"stage": "prod"},
}


class Cloud:
    """A fake of the AWS operations that the inventory uses.

    ``refused`` maps account, region and operation to an error code; account and region may be "*".
    """

    def __init__(self) -> None:
        self.clusters: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.addons: dict[str, dict[str, Any]] = {}
        self.members: list[dict[str, str]] = []
        self.refused: dict[tuple[str, str, str], str] = {}
        self.requests: Counter[str] = Counter()
        self._lock = threading.Lock()

    def api(self, role: AssumeRole | None, region: str) -> Api:
        account = role.arn.split(":")[4] if role else OWN
        if role:
            self.check(account, region, "AssumeRole", "sts")
        return Api(self, account, region)

    def check(self, account: str, region: str, operation: str, service: str) -> None:
        with self._lock:
            self.requests[operation] += 1
        for key in ((account, region, operation), (account, "*", operation), ("*", "*", operation)):
            if key in self.refused:
                raise classify(f"{service}:{operation}", self.refused[key], "no")


class Api:
    def __init__(self, cloud: Cloud, account: str, region: str) -> None:
        self.cloud, self.account, self.region = cloud, account, region

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.cloud.check(self.account, self.region, operation, service)
        if operation == "GetCallerIdentity":
            return {"Account": OWN, "Arn": f"arn:aws:iam::{OWN}:user/ops"}
        if operation == "DescribeRegions":
            return {"Regions": [{"RegionName": region} for region in ("us-west-2", "eu-central-1")]}
        clusters = self.cloud.clusters.get((self.account, self.region), {})
        if operation == "DescribeCluster":
            name = str(parameters["name"])
            if clusters[name].get("status") == "gone":
                raise classify("eks:DescribeCluster", "ResourceNotFoundException", "No cluster found")
            arn = f"arn:aws:eks:{self.region}:{self.account}:cluster/{name}"
            return {"cluster": {"name": name, "arn": arn, **clusters[name]}}
        name = str(parameters["clusterName"])
        if name not in self.cloud.addons:
            raise classify("eks:DescribeAddon", "ResourceNotFoundException", "No addon")
        return {"addon": self.cloud.addons[name]}

    def pages(
        self, service: str, operation: str, _parameters: Mapping[str, Any], *_results: str
    ) -> Iterator[Any]:
        self.cloud.check(self.account, self.region, operation, service)
        if operation == "ListAccounts":
            yield from self.cloud.members
        else:
            yield from self.cloud.clusters.get((self.account, self.region), {})


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    made.clusters = {
        (OWN, "eu-central-1"): {"blue": DETAILS, "green": {}},
        (OTHER, "us-west-2"): {"blue": DETAILS},
    }
    made.addons = {"blue": {"status": "DEGRADED", "addonVersion": "v1"}}
    return made


def read(cloud: Cloud, **changes: Any) -> FoundClusters:
    return read_clusters(replace(REQUEST, **changes), cloud, HOME)


def places(found: FoundClusters) -> list[tuple[str, str, str]]:
    return [(cluster.name, cluster.region, cluster.account_id) for cluster in found.clusters]


def failed(found: FoundClusters) -> list[tuple[str, str, str, str]]:
    return [
        (cluster.account_id, cluster.region, cluster.cluster, cluster.error.operation)
        for cluster in found.failures
    ]


BOTH = {"accounts": (AccountAccess(OTHER, FLEET, REQUEST.regions),), "own_account": True}


def test_reads_accounts_of_the_organization(cloud: Cloud) -> None:
    cloud.members = [
        {"Id": OWN, "Status": "ACTIVE"},
        {"Id": OTHER, "Status": "ACTIVE"},
        {"Id": "777788889999", "Status": "SUSPENDED"},
        {"Id": "888899990000", "Status": "ACTIVE"},
    ]
    cloud.refused["777788889999", "*", "AssumeRole"] = "AccessDenied"
    organization = Organization("path/fleet", "x-1", exclude=frozenset(("888899990000",)))
    found = read(cloud, organization=organization, own_account=False)
    assert failed(found) == []
    agent = AgentAddon(True, "DEGRADED", "v1")
    # The account of the caller is read without a role. It may be the management account, which does not have the role.
    assert [(cluster.account_id, cluster.role, cluster.agent) for cluster in found.clusters] == [
        (OWN, None, agent),
        (OTHER, AssumeRole(f"arn:aws:iam::{OTHER}:role/path/fleet", "x-1"), agent),
        (OWN, None, AgentAddon(False)),
    ]
    only, active = replace(organization, include=frozenset((OTHER,))), ({"status": ("ACTIVE",)},)
    assert places(read(cloud, organization=only, own_account=False, include=active)) == [
        ("blue", "us-west-2", OTHER)
    ]


# A rejected request (account, region, operation), the failures (account, region, cluster, operation), and the agents found.
ALONE = [
    ((OTHER, "*", "AssumeRole"), [(OTHER, "", "", "sts:AssumeRole")], [True, False]),
    ((OTHER, WEST, "ListClusters"), [(OTHER, WEST, "", "eks:ListClusters")], [True, False]),
    ((OTHER, WEST, "DescribeCluster"), [(OTHER, WEST, "blue", "eks:DescribeCluster")], [True, False]),
    ((OTHER, WEST, "DescribeAddon"), [(OTHER, WEST, "blue", "eks:DescribeAddon")], [True, None, False]),
]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "EndpointConnectionError"])
@pytest.mark.parametrize(("refused", "failures", "agents"), ALONE)
def test_failure_does_not_affect_other_clusters(
    cloud: Cloud,
    refused: tuple[str, str, str],
    failures: list[tuple[str, str, str, str]],
    agents: list[bool | None],
    code: str,
) -> None:
    cloud.refused[refused] = code
    found = read(cloud, **BOTH)
    assert failed(found) == failures
    assert [cluster.agent.present for cluster in found.clusters] == agents
    assert not found.all_failed


def test_forbidden_organization_keeps_listed_accounts(cloud: Cloud) -> None:
    cloud.refused[OWN, "*", "ListAccounts"] = "AccessDeniedException"
    found = read(cloud, organization=Organization("fleet"), **BOTH)
    assert failed(found) == [("", "", "", "organizations:ListAccounts")]
    assert len(found.clusters) == 3
    assert not found.all_failed


@pytest.mark.parametrize("operation", ["ListClusters", "DescribeRegions"])
def test_empty_result_if_every_request_fails(cloud: Cloud, operation: str) -> None:
    cloud.refused["*", "*", operation] = "AccessDeniedException"
    assert read(cloud, regions=("all",)).all_failed
