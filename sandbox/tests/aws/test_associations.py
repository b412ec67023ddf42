# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the EKS operations for Pod Identity associations."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .conftest import ACCOUNT, OTHER_ACCOUNT, REGION, Endpoint, api_error, create_cluster, create_role

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
)
TARGET = f"arn:aws:iam::{OTHER_ACCOUNT}:role/target"


def create(eks: Any, role_arn: str, service_account: str = "app", **options: Any) -> Any:
    request = {"clusterName": "demo", "namespace": "default", "serviceAccount": service_account}
    return eks.create_pod_identity_association(**request, roleArn=role_arn, **options)["association"]


def update(eks: Any, association: Any, **members: Any) -> Any:
    return eks.update_pod_identity_association(
        clusterName="demo", associationId=association["associationId"], **members
    )["association"]


def describe(eks: Any, association: Any) -> Any:
    return eks.describe_pod_identity_association(
        clusterName="demo", associationId=association["associationId"]
    )["association"]


@pytest.mark.usefixtures("cluster")
class TestCreate:
    def test_create_returns_members_of_association(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, tags={"team": "a"})
        identifier = association["associationId"]
        assert re.fullmatch(r"a-[a-z0-9]{17}", identifier)
        assert association["createdAt"] == association["modifiedAt"]
        assert {k: v for k, v in association.items() if not k.endswith("At")} == {
            "clusterName": "demo",
            "namespace": "default",
            "serviceAccount": "app",
            "roleArn": role_arn,
            "associationId": identifier,
            "associationArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/demo/{identifier}",
            "tags": {"team": "a"},
            "disableSessionTags": False,
        }
        assert describe(eks, association) == association

    def test_duplicate_error_names_existing_association(self, eks: Any, role_arn: str) -> None:
        first = create(eks, role_arn)
        assert api_error(lambda: create(eks, role_arn)) == (
            409,
            "ResourceInUseException",
            f"Association already exists: {first['associationId']}",
        )

    def test_clusters_have_separate_associations(self, endpoint: Endpoint, eks: Any, role_arn: str) -> None:
        create_cluster(eks, "second")
        first = create(eks, role_arn)
        second = eks.create_pod_identity_association(
            clusterName="second", namespace="default", serviceAccount="app", roleArn=role_arn
        )["association"]
        assert first["associationId"] != second["associationId"]
        assert endpoint.client("eks", region="us-east-1").list_clusters()["clusters"] == []

    def test_token_replay_returns_first_association(self, eks: Any, role_arn: str) -> None:
        first = create(eks, role_arn, clientRequestToken="token-1")
        assert create(eks, role_arn, clientRequestToken="token-1") == first
        assert len(eks.list_pod_identity_associations(clusterName="demo")["associations"]) == 1

    def test_token_with_other_parameters_is_rejected(self, eks: Any, role_arn: str) -> None:
        create(eks, role_arn, clientRequestToken="token-1")
        assert api_error(lambda: create(eks, role_arn, "other", clientRequestToken="token-1")) == (
            400,
            "InvalidParameterException",
            "clientRequestToken was already used with different parameters.",
        )

    def test_token_of_deleted_association_creates_new_one(self, eks: Any, role_arn: str) -> None:
        first = create(eks, role_arn, clientRequestToken="token-1")
        eks.delete_pod_identity_association(clusterName="demo", associationId=first["associationId"])
        assert create(eks, role_arn, clientRequestToken="token-1")["associationId"] != first["associationId"]

    def test_create_in_unknown_cluster_is_not_found(self, eks: Any, role_arn: str) -> None:
        def call() -> Any:
            return eks.create_pod_identity_association(
                clusterName="nowhere", namespace="n", serviceAccount="s", roleArn=role_arn
            )

        assert api_error(call) == (
            404,
            "ResourceNotFoundException",
            "No cluster found for name: nowhere.",
        )

    @pytest.mark.parametrize(
        ("tags", "message"),
        [
            pytest.param(
                {f"k{n}": "v" for n in range(51)},
                "The number of tags 51 exceeds the limit of 50.",
                id="too-many",
            ),
            pytest.param({"aws:x": "v"}, "Tag keys must not start with aws: aws:x", id="reserved"),
        ],
    )
    def test_invalid_tags_are_rejected(
        self, eks: Any, role_arn: str, tags: dict[str, str], message: str
    ) -> None:
        error = api_error(lambda: create(eks, role_arn, tags=tags))
        assert error == (400, "InvalidParameterException", message)


@pytest.mark.usefixtures("cluster")
class TestSessionPolicy:
    def test_requires_disabled_session_tags(self, eks: Any, role_arn: str) -> None:
        assert api_error(lambda: create(eks, role_arn, policy=POLICY)) == (
            400,
            "InvalidParameterException",
            "disableSessionTags must be true when a session policy is specified.",
        )
        assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == []

    def test_is_stored_unchanged(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, policy=POLICY, disableSessionTags=True)
        assert describe(eks, association)["policy"] == POLICY

    def test_session_tags_cannot_be_enabled(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, policy=POLICY, disableSessionTags=True)
        assert api_error(lambda: update(eks, association, disableSessionTags=False))[2] == (
            "disableSessionTags must be true when a session policy is specified."
        )
        assert describe(eks, association) == association

    def test_cannot_be_cleared_by_update(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, policy=POLICY, disableSessionTags=True)
        assert api_error(lambda: update(eks, association, policy="")) == (
            400,
            "InvalidParameterException",
            "policy must not be empty. A session policy cannot be removed.",
        )
        assert describe(eks, association)["policy"] == POLICY

    @pytest.mark.parametrize("policy", ["{", "[]", '"text"', '{"Version": "2012-10-17"}'])
    def test_invalid_policy_is_rejected(self, eks: Any, role_arn: str, policy: str) -> None:
        assert api_error(lambda: create(eks, role_arn, policy=policy, disableSessionTags=True)) == (
            400,
            "InvalidParameterException",
            "The session policy is not a valid JSON policy document.",
        )


@pytest.mark.usefixtures("cluster")
class TestTargetRole:
    def test_sets_external_id(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, targetRoleArn=TARGET)
        assert association["targetRoleArn"] == TARGET
        assert association["externalId"] == f"{REGION}/{ACCOUNT}/demo/default/app"

    def test_empty_string_clears_it(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, targetRoleArn=TARGET)
        cleared = update(eks, association, targetRoleArn="")
        assert "targetRoleArn" not in cleared
        assert "externalId" not in cleared
        assert describe(eks, association) == cleared

    def test_update_without_target_role_keeps_it(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, targetRoleArn=TARGET)
        assert update(eks, association, disableSessionTags=True)["targetRoleArn"] == TARGET

    def test_can_be_set_by_update(self, eks: Any, role_arn: str) -> None:
        changed = update(eks, create(eks, role_arn), targetRoleArn=TARGET)
        assert changed["externalId"] == f"{REGION}/{ACCOUNT}/demo/default/app"

    def test_invalid_arn_is_rejected(self, eks: Any, role_arn: str) -> None:
        user = f"arn:aws:iam::{ACCOUNT}:user/someone"
        assert api_error(lambda: create(eks, role_arn, targetRoleArn=user)) == (
            400,
            "InvalidParameterException",
            f"Invalid target role ARN: {user}",
        )


@pytest.mark.usefixtures("cluster")
class TestUpdateAndDelete:
    def test_update_changes_only_members_of_request(self, iam: Any, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, tags={"team": "a"}, targetRoleArn=TARGET)
        other = create_role(iam, "other")
        changed = update(eks, association, roleArn=other)
        assert changed["modifiedAt"] > association["modifiedAt"]
        assert {**changed, "modifiedAt": 0} == {**association, "roleArn": other, "modifiedAt": 0}

    def test_delete_returns_association(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn)
        identifier = association["associationId"]
        deleted = eks.delete_pod_identity_association(clusterName="demo", associationId=identifier)
        assert deleted["association"] == association
        assert api_error(lambda: describe(eks, association)) == (
            404,
            "ResourceNotFoundException",
            f"The association with ID {identifier} was not found in cluster demo.",
        )
        assert create(eks, role_arn)["associationId"] != identifier

    def test_deleting_cluster_deletes_associations(self, eks: Any, role_arn: str) -> None:
        create(eks, role_arn)
        eks.delete_cluster(name="demo")
        create_cluster(eks, "demo")
        assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == []


@pytest.mark.usefixtures("cluster")
class TestList:
    def test_summaries_omit_role_and_tags(self, eks: Any, role_arn: str) -> None:
        association = create(eks, role_arn, tags={"team": "a"})
        names = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == [
            {name: association[name] for name in names}
        ]

    def test_pages_contain_every_association_once(self, eks: Any, role_arn: str) -> None:
        names = [f"app-{n:03d}" for n in range(230)]
        for name in names:
            create(eks, role_arn, name)
        first = eks.list_pod_identity_associations(clusterName="demo")
        assert len(first["associations"]) == 100
        pages = list(eks.get_paginator("list_pod_identity_associations").paginate(clusterName="demo"))
        assert [len(page["associations"]) for page in pages] == [100, 100, 30]
        assert [a["serviceAccount"] for page in pages for a in page["associations"]] == names

    def test_deletion_between_pages_skips_no_association(self, eks: Any, role_arn: str) -> None:
        associations = [create(eks, role_arn, f"app-{n}") for n in range(5)]
        page = eks.list_pod_identity_associations(clusterName="demo", maxResults=2)
        for association in associations[:2]:
            eks.delete_pod_identity_association(
                clusterName="demo", associationId=association["associationId"]
            )
        rest = eks.list_pod_identity_associations(clusterName="demo", nextToken=page["nextToken"])
        assert [a["serviceAccount"] for a in rest["associations"]] == ["app-2", "app-3", "app-4"]
        assert "nextToken" not in rest

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            pytest.param({"namespace": "one"}, ["one/a", "one/b"], id="namespace"),
            pytest.param({"serviceAccount": "a"}, ["one/a", "two/a"], id="service-account"),
            pytest.param({"namespace": "two", "serviceAccount": "a"}, ["two/a"], id="both"),
            pytest.param({"namespace": "three", "serviceAccount": "a"}, [], id="none"),
        ],
    )
    def test_list_has_filters(
        self, eks: Any, role_arn: str, filters: dict[str, str], expected: list[str]
    ) -> None:
        for namespace, name in (("one", "a"), ("one", "b"), ("two", "a")):
            eks.create_pod_identity_association(
                clusterName="demo", namespace=namespace, serviceAccount=name, roleArn=role_arn
            )
        summaries = eks.list_pod_identity_associations(clusterName="demo", **filters)["associations"]
        assert [f"{a['namespace']}/{a['serviceAccount']}" for a in summaries] == expected

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            (
                {"maxResults": 101},
                "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
                "Member must have value less than or equal to 100",
            ),
            ({"nextToken": "!"}, "Invalid nextToken."),
        ],
        ids=["page-too-large", "unknown-token"],
    )
    def test_invalid_pagination_is_rejected(self, eks: Any, parameters: dict[str, Any], message: str) -> None:
        error = api_error(lambda: eks.list_pod_identity_associations(clusterName="demo", **parameters))
        assert error == (400, "InvalidParameterException", message)

    def test_list_of_unknown_cluster_is_not_found(self, eks: Any) -> None:
        error = api_error(lambda: eks.list_pod_identity_associations(clusterName="nowhere"))
        assert error == (404, "ResourceNotFoundException", "No cluster found for name: nowhere.")
