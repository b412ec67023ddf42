# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test EKS Auth, which issues credentials of a role for the service account token of a Pod."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

import pytest

from .conftest import ACCOUNT, OTHER_ACCOUNT, POD_IDENTITY_TRUST, REGION, Endpoint, api_error, create_role

pytestmark = pytest.mark.usefixtures("cluster")

SERVICE = "pods.eks.amazonaws.com"
NOT_ALLOWED = (
    400,
    "AccessDeniedException",
    "Unauthorized Exception! EKS does not have permissions to assume the associated role.",
)


def token(**claims_changes: Any) -> str:
    """Return an unsigned service account token of ``default/app`` with the audience of EKS Pod Identity."""
    claims = {
        "aud": [SERVICE],
        "exp": int(time.time()) + 3600,
        "sub": "system:serviceaccount:default:app",
        "kubernetes.io": {
            "namespace": "default",
            "serviceaccount": {"name": "app", "uid": "1"},
            "pod": {"name": "app-0", "uid": "2"},
        },
        **claims_changes,
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".x"


def trust_with(condition: dict[str, Any]) -> str:
    document = json.loads(POD_IDENTITY_TRUST)
    document["Statement"][0]["Condition"] = condition
    return json.dumps(document)


def associate(endpoint: Endpoint, role_arn: str, **options: Any) -> Any:
    return endpoint.client("eks").create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=role_arn, **options
    )["association"]


def assume(endpoint: Endpoint, text: str | None = None) -> Any:
    client = endpoint.client("eks-auth")
    return client.assume_role_for_pod_identity(clusterName="demo", token=text or token())


def caller(endpoint: Endpoint, credentials: Any) -> Any:
    sts = endpoint.client(
        "sts",
        key=credentials["accessKeyId"],
        secret=credentials["secretAccessKey"],
        token=credentials["sessionToken"],
    )
    return sts.get_caller_identity()


class TestAssociation:
    def test_returns_credentials_of_role(self, endpoint: Endpoint, role_arn: str) -> None:
        association = associate(endpoint, role_arn)
        response = assume(endpoint)
        assert response["subject"] == {"namespace": "default", "serviceAccount": "app"}
        assert response["audience"] == SERVICE
        assert response["podIdentityAssociation"] == {
            "associationArn": association["associationArn"],
            "associationId": association["associationId"],
        }
        arn = response["assumedRoleUser"]["arn"]
        assert re.fullmatch(rf"arn:aws:sts::{ACCOUNT}:assumed-role/app/eks-demo-app-0-[0-9a-f-]+", arn)
        identity = caller(endpoint, response["credentials"])
        assert (identity["Account"], identity["Arn"]) == (ACCOUNT, arn)

    def test_missing_association_is_not_found(self, endpoint: Endpoint) -> None:
        assert api_error(lambda: assume(endpoint)) == (
            404,
            "ResourceNotFoundException",
            "No pod identity association found for service account app in namespace default of cluster demo.",
        )

    @pytest.mark.parametrize(
        ("text", "code", "message"),
        [
            pytest.param(
                "Bearer",
                "InvalidTokenException",
                "Service account token cannot be parsed: token is malformed",
                id="malformed",
            ),
            pytest.param(
                token(aud=["sts.amazonaws.com"]),
                "InvalidTokenException",
                "The token included in the request has an invalid audience.",
                id="audience",
            ),
            pytest.param(
                token(exp=1),
                "ExpiredTokenException",
                "The token included in the request is expired.",
                id="expired",
            ),
        ],
    )
    def test_invalid_token_is_rejected(
        self, endpoint: Endpoint, role_arn: str, text: str, code: str, message: str
    ) -> None:
        associate(endpoint, role_arn)
        assert api_error(lambda: assume(endpoint, text)) == (400, code, message)


class TestTrust:
    @pytest.mark.parametrize(
        "condition",
        [
            {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "default"}},
            {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo",
                    "aws:RequestTag/kubernetes-service-account": ["app", "other"],
                }
            },
            {"StringLike": {"aws:RequestTag/kubernetes-pod-name": "app-*"}},
        ],
        ids=["source-account", "namespace", "cluster-and-service-account", "pod"],
    )
    def test_matching_condition_allows(self, endpoint: Endpoint, iam: Any, condition: dict[str, Any]) -> None:
        associate(endpoint, create_role(iam, "app", trust_with(condition)))
        assert assume(endpoint)["credentials"]["accessKeyId"].startswith("ASIA")

    @pytest.mark.parametrize(
        "condition",
        [
            {"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}},
            {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "production"}},
            {"StringEquals": {"aws:RequestTag/eks-cluster-name": "another"}},
        ],
        ids=["source-account", "namespace", "cluster"],
    )
    def test_other_condition_denies(self, endpoint: Endpoint, iam: Any, condition: dict[str, Any]) -> None:
        associate(endpoint, create_role(iam, "app", trust_with(condition)))
        assert api_error(lambda: assume(endpoint)) == NOT_ALLOWED

    def test_deleted_role_denies(self, endpoint: Endpoint, iam: Any, role_arn: str) -> None:
        associate(endpoint, role_arn)
        iam.delete_role(RoleName="app")
        assert api_error(lambda: assume(endpoint)) == NOT_ALLOWED
