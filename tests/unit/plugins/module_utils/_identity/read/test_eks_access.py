# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads of the data about a cluster that a token needs, and about a caller whose token was rejected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    CallerAccess,
    Cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import (
    read_caller_access,
    read_eks_target,
)

ARN = "arn:aws:eks:eu-central-1:111122223333:cluster/blue"
CLUSTER = {
    "arn": ARN,
    "status": "ACTIVE",
    "endpoint": "https://abc",
    "certificateAuthority": {"data": "UEVN"},
    "accessConfig": {"authenticationMode": "API"},
}
TARGET = Cluster(
    "blue",
    ARN,
    "111122223333",
    "eu-central-1",
    "aws",
    endpoint="https://abc",
    certificate_authority_data="UEVN",
    authentication_mode="API",
)
USER = "arn:aws:iam::111122223333:user/ops/ann"
SESSION = "arn:aws:sts::111122223333:assumed-role/deployer/job-7"
ROLE = "arn:aws:iam::111122223333:role/ci/deployer"
NOW = datetime(2026, 11, 26, 2, 0, 30, tzinfo=timezone.utc)
STS = "https://sts.eu-central-1.amazonaws.com"
DATED = {"HTTPHeaders": {"date": "Thu, 26 Nov 2026 02:00:00 GMT"}}


class Aws:
    """A fake AWS that returns ``responses`` by operation. If a response is an exception, the fake raises it."""

    def __init__(self, **responses: Any) -> None:
        self.responses = responses
        self.requests: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, _service: str, operation: str, parameters: Mapping[str, Any]) -> Any:
        self.requests.append((operation, parameters))
        response = self.responses[operation]
        if isinstance(response, Exception):
            raise response
        return response

    def pages(self, *_arguments: Any) -> Any:
        raise AssertionError("access of a caller is read by single requests")


def caller(arn: str) -> dict[str, Any]:
    return {"Account": "111122223333", "Arn": arn}


def refused(operation: str, code: str) -> AwsError:
    return classify(operation, code, "no")


def test_endpoint_takes_one_request() -> None:
    aws = Aws(DescribeCluster={"cluster": CLUSTER})
    assert read_eks_target(aws, "blue", "eu-central-1") == TARGET
    assert aws.requests == [("DescribeCluster", {"name": "blue"})]
    assert (TARGET.account_id, TARGET.region) == ("111122223333", "eu-central-1")


@pytest.mark.parametrize("lost", ["endpoint", "certificateAuthority"])
def test_cluster_without_endpoint_is_an_error(lost: str) -> None:
    cluster = {**CLUSTER, "status": "CREATING", lost: None}
    with pytest.raises(AwsError) as error:
        read_eks_target(Aws(DescribeCluster={"cluster": cluster}), "blue", "eu-central-1")
    assert str(error.value) == (
        "eks:DescribeCluster: ClusterNotActive: cluster blue is CREATING, without an endpoint and certificate authority "
        "of its Kubernetes API."
    )


def test_missing_cluster_is_named_with_region() -> None:
    aws = Aws(
        DescribeCluster=refused("eks:DescribeCluster", "ResourceNotFoundException"),
        GetCallerIdentity=caller("arn:aws:iam::111122223333:root"),
    )
    with pytest.raises(AwsError) as error:
        read_eks_target(aws, "blue", "eu-central-1")
    assert error.value.text == (
        "No cluster found for name: blue. Requested in account 111122223333, region eu-central-1, as "
        "arn:aws:iam::111122223333:root."
    )
    assert error.value.missing


@pytest.mark.parametrize(
    ("responses", "access"),
    [
        pytest.param(
            {"GetCallerIdentity": caller(USER), "DescribeAccessEntry": {}},
            CallerAccess(USER, USER, True),
            id="a user with an entry",
        ),
        pytest.param(
            {
                "GetCallerIdentity": {**caller(SESSION), "ResponseMetadata": DATED},
                "GetRole": {"Role": {"Arn": ROLE}},
                "DescribeAccessEntry": refused("eks:DescribeAccessEntry", "ResourceNotFoundException"),
            },
            CallerAccess(SESSION, ROLE, False, clock_ahead=30.0),
            id="session of a role with a path, without an entry",
        ),
        pytest.param(
            {"GetCallerIdentity": caller(SESSION), "GetRole": refused("iam:GetRole", "AccessDenied")},
            CallerAccess(SESSION, "", None, "iam:GetRole: AccessDenied"),
            id="the role cannot be read",
        ),
        pytest.param(
            {
                "GetCallerIdentity": caller(USER),
                "DescribeAccessEntry": refused("eks:DescribeAccessEntry", "AccessDeniedException"),
            },
            CallerAccess(USER, USER, None, "eks:DescribeAccessEntry: AccessDeniedException"),
            id="entries cannot be read",
        ),
        pytest.param(
            {"GetCallerIdentity": refused("sts:GetCallerIdentity", "ExpiredToken")}, None, id="unknown caller"
        ),
    ],
)
def test_access_of_the_caller(responses: dict[str, Any], access: CallerAccess | None) -> None:
    assert read_caller_access(Aws(**responses), TARGET, STS, NOW) == access


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (STS, ""),
        ("https://sts.cn-north-1.amazonaws.com.cn", ""),
        ("https://sts-fips.us-east-1.amazonaws.com", ""),
        ("https://sts.eu-central-1.api.aws", ""),
        ("http://127.0.0.1:4566", ""),
        ("https://vpce-1.sts.eu-central-1.vpce.amazonaws.com", "vpce-1.sts.eu-central-1.vpce.amazonaws.com"),
        ("https://sts.example.org", "sts.example.org"),
    ],
)
def test_foreign_sts_endpoint_is_returned(url: str, host: str) -> None:
    aws = Aws(GetCallerIdentity=caller(USER), DescribeAccessEntry={})
    access = read_caller_access(aws, TARGET, url, NOW + timedelta())
    assert access is not None
    assert access.sts_host == host
