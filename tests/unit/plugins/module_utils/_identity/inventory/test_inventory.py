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


def test_duplicate_name_does_not_rename_the_first_cluster() -> None:
    first, other = found(), found(region="us-west-2")
    assert names(first) == ["blue.eu-central-1.111122223333"]
    assert names(other, first) == ["blue.eu-central-1.111122223333", "blue.us-west-2.111122223333"]


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


def test_unknown_values_have_no_group() -> None:
    assert cluster_groups(found(version="", status=""), ("version", "status")) == ("eks_clusters",)


def test_variables_of_a_host() -> None:
    assert host_variables(found(tags={"a": "b"}, auto_mode=True), {}) == {
        "ansible_connection": "local",
        "eks_account": "111122223333",
        "eks_agent_addon": {"present": True, "status": "ACTIVE", "version": "v1.3.8"},
        "eks_arn": "arn:aws:eks:eu-central-1:111122223333:cluster/blue",
        "eks_auto_mode": True,
        "eks_certificate_authority_data": "Q0E=",
        "eks_endpoint": "https://blue.example",
        "eks_name": "blue",
        "eks_platform_version": "eks.9",
        "eks_region": "eu-central-1",
        "eks_status": "ACTIVE",
        "eks_tags": {"a": "b"},
        "eks_version": "1.33",
        "pod_identity_account_id": "111122223333",
        "pod_identity_cluster_name": "blue",
        "pod_identity_region": "eu-central-1",
    }


ROLE = "arn:aws:iam::111122223333:role/fleet"


@pytest.mark.parametrize(
    ("role", "variables"),
    [
        (AssumeRole(ROLE), {"arn": ROLE}),
        (AssumeRole(ROLE, "x-1"), {"arn": ROLE, "external_id": "x-1"}),
    ],
)
def test_plays_assume_the_role_of_the_inventory(role: AssumeRole, variables: dict[str, Any]) -> None:
    host_vars = host_variables(found(role=role), {})
    prefix = "pod_identity_assume_role_"
    assert {
        name.removeprefix(prefix): host_vars[name] for name in host_vars if name.startswith(prefix)
    } == variables


def test_unreadable_addon_is_unknown() -> None:
    host_vars = host_variables(found(agent=AgentAddon(None)), {"pod_identity_profile": "ops"})
    assert host_vars["eks_agent_addon"] == {"present": None, "status": "", "version": ""}
    assert host_vars["pod_identity_profile"] == "ops"


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


def test_equal_failures_share_a_message() -> None:
    failures = [
        failure(ACCOUNT, "eu-central-1", f"c{number}", "eks:DescribeCluster", "AccessDeniedException", "no")
        for number in range(7)
    ]
    other = failure(ACCOUNT, "us-west-2", "c0", "eks:DescribeCluster", "AccessDeniedException", "no")
    first, second = describe_unread([*failures, other])
    assert first.startswith(
        "Clusters c0, c1, c2, c3, c4 and 2 more in account 111122223333, region eu-central-1:"
    )
    assert second.startswith("Cluster c0 in account 111122223333, region us-west-2:")
