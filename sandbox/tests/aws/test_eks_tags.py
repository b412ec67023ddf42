# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the EKS operations that tag clusters, add-ons and associations by ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from .conftest import ACCOUNT, REGION, api_error

pytestmark = pytest.mark.usefixtures("cluster")

ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}"


class Resource:
    """A resource to tag: its ARN, and a function that reads its tags with its describe operation."""

    def __init__(self, arn: str, tags: Callable[[], Mapping[str, str]]) -> None:
        self.arn = arn
        self.tags = tags


@pytest.fixture(params=["cluster", "addon", "association"])
def resource(request: pytest.FixtureRequest, eks: Any, role_arn: str) -> Resource:
    if request.param == "cluster":
        arn = eks.describe_cluster(name="demo")["cluster"]["arn"]
        return Resource(arn, lambda: eks.describe_cluster(name="demo")["cluster"]["tags"])
    if request.param == "addon":
        names = {"clusterName": "demo", "addonName": "vpc-cni"}
        arn = eks.create_addon(**names)["addon"]["addonArn"]
        return Resource(arn, lambda: eks.describe_addon(**names)["addon"]["tags"])
    association = eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=role_arn
    )["association"]
    key = {"clusterName": "demo", "associationId": association["associationId"]}
    return Resource(
        association["associationArn"],
        lambda: eks.describe_pod_identity_association(**key)["association"]["tags"],
    )


def test_tag_and_untag_change_described_tags(eks: Any, resource: Resource) -> None:
    eks.tag_resource(resourceArn=resource.arn, tags={"a": "1", "b": "2", "c": "3"})
    eks.tag_resource(resourceArn=resource.arn, tags={"b": "two", "d/e f": "4"})
    assert resource.tags() == {"a": "1", "b": "two", "c": "3", "d/e f": "4"}
    eks.untag_resource(resourceArn=resource.arn, tagKeys=["a", "c", "absent"])
    assert resource.tags() == {"b": "two", "d/e f": "4"}
    assert eks.list_tags_for_resource(resourceArn=resource.arn)["tags"] == resource.tags()


def test_more_than_fifty_tags_are_rejected(eks: Any, resource: Resource) -> None:
    eks.tag_resource(resourceArn=resource.arn, tags={f"k{n}": "v" for n in range(50)})
    assert api_error(lambda: eks.tag_resource(resourceArn=resource.arn, tags={"one": "more"})) == (
        400,
        "InvalidParameterException",
        "The number of tags 51 exceeds the limit of 50.",
    )


@pytest.mark.parametrize(
    "arn",
    [
        f"{ARN}:podidentityassociation/demo/a-00000000000000000",
        f"{ARN}:cluster/nowhere",
        f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/demo",
    ],
    ids=["association", "cluster", "other-region"],
)
def test_unknown_resource_is_not_found(eks: Any, arn: str) -> None:
    assert api_error(lambda: eks.list_tags_for_resource(resourceArn=arn)) == (
        404,
        "NotFoundException",
        f"The resource with ARN {arn} was not found.",
    )


def test_invalid_arn_is_rejected(eks: Any) -> None:
    assert api_error(lambda: eks.list_tags_for_resource(resourceArn="demo")) == (
        400,
        "BadRequestException",
        "Invalid resource ARN: demo",
    )
