# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test clusters as hosts of the inventory and as entries of its cache, and the messages about failed reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inventory import (
    cluster_groups,
    describe_unread,
    from_cache,
    host_variables,
    make_hosts,
    to_cache,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    AgentAddon,
    AssumeRole,
    FoundCluster,
    UnreadClusters,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.inventory.clusters import (
    found,
)

ALL = ("region", "account", "version", "status", "tag")


def names(*clusters: FoundCluster, hostnames: tuple[str, ...] = ("name.region.account",)) -> list[str]:
    return [host.name for host in make_hosts(clusters, hostnames, (), {})]


@pytest.mark.parametrize(
    ("hostnames", "name"),
    [
        (("name.region.account",), "blue.eu-central-1.111122223333"),
        (("name",), "blue"),
        (("account.name",), "111122223333.blue"),
        (("arn",), "arn:aws:eks:eu-central-1:111122223333:cluster/blue"),
        (("tag:fleet.name", "name"), "b1"),
        (("tag:empty", "tag:gone", "name.region"), "blue.eu-central-1"),
    ],
)
def test_host_has_the_first_nonempty_name(hostnames: tuple[str, ...], name: str) -> None:
    assert names(found(tags={"fleet.name": "b1", "empty": ""}), hostnames=hostnames) == [name]


def test_duplicate_host_names_fail() -> None:
    with pytest.raises(InputError) as caught:
        names(found(region="us-west-2"), found(), hostnames=("name",))
    assert str(caught.value) == (
        "hostnames gives the name 'blue' to arn:aws:eks:eu-central-1:111122223333:cluster/blue and to "
        "arn:aws:eks:us-west-2:111122223333:cluster/blue. Use unique names, such as name.region.account or arn."
    )


def test_cluster_without_host_name_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        names(found(), hostnames=("tag:a", "tag:b"))
    assert str(caught.value) == (
        "hostnames gives no name to arn:aws:eks:eu-central-1:111122223333:cluster/blue, which has no value for any of the "
        "tags a, b. Add name.region.account as the last entry."
    )


TAGS = {"stage": "prod/eu", "critical": "", "aws:cloudformation:stack": "x", "é": "ü"}


@pytest.mark.parametrize(
    ("group_by", "groups"),
    [
        ((), ()),
        (("region",), ("eks_region_eu_central_1",)),
        (("account",), ("eks_account_111122223333",)),
        (("version",), ("eks_version_1_33",)),
        (("status",), ("eks_status_active",)),
        (("tag",), ("eks_tag_critical", "eks_tag_stage_prod_eu", "eks_tag____")),
        (
            ALL,
            (
                "eks_region_eu_central_1",
                "eks_account_111122223333",
                "eks_version_1_33",
                "eks_status_active",
                "eks_tag_critical",
                "eks_tag_stage_prod_eu",
                "eks_tag____",
            ),
        ),
    ],
)
def test_groups_of_a_host(group_by: tuple[str, ...], groups: tuple[str, ...]) -> None:
    assert cluster_groups(found(tags=TAGS), group_by) == ("eks_clusters", *groups)


ROLE = "arn:aws:iam::111122223333:role/fleet"


@pytest.mark.parametrize(
    ("role", "variables"),
    [(AssumeRole(ROLE), {"arn": ROLE}), (AssumeRole(ROLE, "x-1"), {"arn": ROLE, "external_id": "x-1"})],
)
def test_plays_assume_the_role_of_the_inventory(role: AssumeRole, variables: dict[str, Any]) -> None:
    host_vars = host_variables(found(role=role), {})
    prefix = "pod_identity_assume_role_"
    assert {
        name.removeprefix(prefix): host_vars[name] for name in host_vars if name.startswith(prefix)
    } == variables


def test_cached_clusters_are_equal() -> None:
    clusters = (
        found(tags={"a": "b"}, role=AssumeRole("arn:aws:iam::111122223333:role/fleet", "x")),
        found(name="green", agent=AgentAddon(None)),
    )
    assert from_cache(json.loads(json.dumps(to_cache(clusters)))) == clusters


@pytest.mark.parametrize("cached", [None, [], {}, {"format": 0, "clusters": []}, {"clusters": []}])
def test_cache_of_another_version_is_ignored(cached: object) -> None:
    assert from_cache(cached) is None


ACCOUNT = "111122223333"
ALLOW = "Allow the caller this action on this resource. A service control policy or a permissions boundary can also deny it."
# A failed read (account, region, cluster, operation, error code and error text), and the message about it.
CASES = [
    (
        (ACCOUNT, "eu-central-1", "", "eks:ListClusters", "AccessDeniedException", "no"),
        "Account 111122223333, region eu-central-1: its clusters are not in the inventory: "
        f"eks:ListClusters: AccessDeniedException: no. {ALLOW}",
    ),
    (
        (ACCOUNT, "", "", "ec2:DescribeRegions", "UnauthorizedOperation", "no"),
        "Account 111122223333: its clusters are not in the inventory: ec2:DescribeRegions: UnauthorizedOperation: no. "
        f"{ALLOW}",
    ),
    (
        (ACCOUNT, "af-south-1", "", "eks:ListClusters", "UnrecognizedClientException", "bad token"),
        "Account 111122223333, region af-south-1: its clusters are not in the inventory: eks:ListClusters: "
        "UnrecognizedClientException: bad token. The region may not be enabled for the account: enable it, or remove "
        "it from the option regions.",
    ),
    (
        ("", "", "", "organizations:ListAccounts", "AccessDeniedException", "no"),
        "The organization: its accounts are unknown: organizations:ListAccounts: AccessDeniedException: no. Use "
        "credentials of the organization's management account or a delegated administrator with the permission "
        "organizations:ListAccounts, or list the role of each account in the option accounts.",
    ),
    (
        (ACCOUNT, "eu-central-1", "blue", "eks:DescribeCluster", "AccessDeniedException", "no"),
        "Cluster blue in account 111122223333, region eu-central-1: not in the inventory: eks:DescribeCluster: "
        f"AccessDeniedException: no. {ALLOW}",
    ),
    (
        (ACCOUNT, "eu-central-1", "blue", "eks:DescribeAddon", "AccessDeniedException", "no"),
        "Cluster blue in account 111122223333, region eu-central-1: the state of the agent's add-on is unknown: "
        f"eks:DescribeAddon: AccessDeniedException: no. {ALLOW}",
    ),
]


def failure(account: str, region: str, cluster: str, operation: str, code: str, text: str) -> UnreadClusters:
    return UnreadClusters(account, region, cluster, classify(operation, code, text))


@pytest.mark.parametrize(("arguments", "sentence"), CASES)
def test_failure_message_describes_the_read(
    arguments: tuple[str, str, str, str, str, str], sentence: str
) -> None:
    assert describe_unread([failure(*arguments)]) == [sentence]
