# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What could not be read, in words."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inventory import describe_unread
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    UnreadClusters,
)

ACCOUNT = "111122223333"
ALLOW = (
    "Allow the caller this action on this resource; a service control policy or a permissions boundary can also be "
    "what denies it."
)
# Account, region, cluster, operation, code, text: the sentence.
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
        "UnrecognizedClientException: bad token. The region may not be enabled for the account: enable it, or leave "
        "it out of regions.",
    ),
    (
        ("", "", "", "organizations:ListAccounts", "AccessDeniedException", "no"),
        "The organization: its accounts are not known: organizations:ListAccounts: AccessDeniedException: no. Use "
        "credentials of the organization's management account or of a delegated administrator that is allowed "
        "organizations:ListAccounts, or list the accounts under accounts.",
    ),
    (
        (ACCOUNT, "eu-central-1", "blue", "eks:DescribeCluster", "AccessDeniedException", "no"),
        "Cluster blue in account 111122223333, region eu-central-1: not in the inventory: eks:DescribeCluster: "
        f"AccessDeniedException: no. {ALLOW}",
    ),
    (
        (ACCOUNT, "eu-central-1", "blue", "eks:DescribeAddon", "AccessDeniedException", "no"),
        "Cluster blue in account 111122223333, region eu-central-1: it is not known whether the agent's add-on is "
        f"there: eks:DescribeAddon: AccessDeniedException: no. {ALLOW}",
    ),
]


def failure(account: str, region: str, cluster: str, operation: str, code: str, text: str) -> UnreadClusters:
    return UnreadClusters(account, region, cluster, classify(operation, code, text))


@pytest.mark.parametrize(("given", "sentence"), CASES)
def test_each_failure_has_its_sentence(given: tuple[str, str, str, str, str, str], sentence: str) -> None:
    assert describe_unread([failure(*given)]) == [sentence]


def test_clusters_that_fail_alike_share_a_sentence() -> None:
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
