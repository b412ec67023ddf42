# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the EKS operations for clusters and add-ons."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, REGION, Endpoint, api_error, create_cluster

AGENT = "eks-pod-identity-agent"


class TestClusters:
    def test_create_returns_active_cluster(self, eks: Any) -> None:
        created = create_cluster(eks, "demo", tags={"team": "a"})
        assert created["arn"] == f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo"
        assert (created["status"], created["version"], created["platformVersion"]) == (
            "ACTIVE",
            "1.34",
            "eks.9",
        )
        assert created["tags"] == {"team": "a"}
        assert eks.describe_cluster(name="demo")["cluster"] == created

    def test_each_cluster_has_its_own_oidc_issuer(self, eks: Any) -> None:
        issuers = [create_cluster(eks, name)["identity"]["oidc"]["issuer"] for name in ("demo", "other")]
        prefix = re.escape(f"https://oidc.eks.{REGION}.amazonaws.com/id/")
        assert all(re.fullmatch(prefix + "[0-9A-F]{32}", issuer) for issuer in issuers)
        assert len(set(issuers)) == 2
        assert eks.describe_cluster(name="demo")["cluster"]["identity"]["oidc"]["issuer"] == issuers[0]

    def test_unknown_cluster_is_not_found(self, eks: Any) -> None:
        assert api_error(lambda: eks.describe_cluster(name="nowhere")) == (
            404,
            "ResourceNotFoundException",
            "No cluster found for name: nowhere.",
        )

    def test_cluster_belongs_to_account_and_region(self, endpoint: Endpoint, eks: Any) -> None:
        create_cluster(eks, "demo")
        other_account = endpoint.client("eks", account=OTHER_ACCOUNT)
        other_region = endpoint.client("eks", region="us-east-1")
        assert api_error(lambda: other_account.describe_cluster(name="demo"))[0] == 404
        assert api_error(lambda: other_region.describe_cluster(name="demo"))[0] == 404

    def test_duplicate_name_is_rejected(self, eks: Any) -> None:
        create_cluster(eks, "demo")
        assert api_error(lambda: create_cluster(eks, "demo"))[:2] == (409, "ResourceInUseException")

    def test_describe_returns_compute_config(self, eks: Any) -> None:
        create_cluster(eks, "plain")
        create_cluster(eks, "auto", computeConfig={"enabled": True, "nodePools": ["system"]})
        assert "computeConfig" not in eks.describe_cluster(name="plain")["cluster"]
        auto = eks.describe_cluster(name="auto")["cluster"]["computeConfig"]
        assert auto == {"enabled": True, "nodePools": ["system"]}

    def test_list_has_pages(self, eks: Any) -> None:
        for name in ("c", "a", "b"):
            create_cluster(eks, name)
        pages = eks.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2})
        assert [page["clusters"] for page in pages] == [["a", "b"], ["c"]]

    def test_describe_returns_configured_api_server(self, eks: Any, control: AwsControl) -> None:
        create_cluster(eks, "demo")
        control.set_kubernetes("https://127.0.0.1:6443", "Q0VSVA==")
        cluster = eks.describe_cluster(name="demo")["cluster"]
        assert cluster["endpoint"] == "https://127.0.0.1:6443"
        assert cluster["certificateAuthority"] == {"data": "Q0VSVA=="}

    def test_patch_cluster_sets_any_member(self, eks: Any, control: AwsControl) -> None:
        create_cluster(eks, "demo")
        control.set_kubernetes("https://127.0.0.1:6443", "Q0VSVA==")
        control.patch_cluster(ACCOUNT, REGION, "demo", status="CREATING", endpoint="https://other")
        cluster = eks.describe_cluster(name="demo")["cluster"]
        assert (cluster["status"], cluster["endpoint"]) == ("CREATING", "https://other")


@pytest.mark.usefixtures("cluster")
class TestAddons:
    def test_create_returns_active_addon(self, eks: Any) -> None:
        created = eks.create_addon(clusterName="demo", addonName=AGENT)["addon"]
        assert created["addonArn"].startswith(f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/demo/{AGENT}/")
        assert (created["status"], created["addonVersion"]) == ("ACTIVE", "v1.3.8-eksbuild.2")
        assert created["health"] == {"issues": []}
        assert eks.describe_addon(clusterName="demo", addonName=AGENT)["addon"] == created

    def test_missing_addon_is_not_found(self, eks: Any) -> None:
        assert api_error(lambda: eks.describe_addon(clusterName="demo", addonName=AGENT)) == (
            404,
            "ResourceNotFoundException",
            f"No addon: {AGENT} found in cluster: demo",
        )

    def test_unsupported_addon_is_rejected(self, eks: Any) -> None:
        assert api_error(lambda: eks.create_addon(clusterName="demo", addonName="nothing")) == (
            400,
            "InvalidParameterException",
            "Addon nothing specified is not supported",
        )

    def test_duplicate_addon_is_rejected(self, eks: Any) -> None:
        eks.create_addon(clusterName="demo", addonName=AGENT)
        assert api_error(lambda: eks.create_addon(clusterName="demo", addonName=AGENT)) == (
            409,
            "ResourceInUseException",
            "Addon already exists.",
        )

    def test_patch_addon_sets_health(self, eks: Any, control: AwsControl) -> None:
        eks.create_addon(clusterName="demo", addonName=AGENT)
        issue = {"code": "InsufficientNumberOfReplicas", "message": "0 of 2 are ready", "resourceIds": []}
        control.patch_addon(ACCOUNT, REGION, "demo", AGENT, status="DEGRADED", health={"issues": [issue]})
        addon = eks.describe_addon(clusterName="demo", addonName=AGENT)["addon"]
        assert (addon["status"], addon["health"]) == ("DEGRADED", {"issues": [issue]})

    def test_addon_owns_its_associations(self, eks: Any, role_arn: str) -> None:
        associations = [{"serviceAccount": "ebs-csi-controller-sa", "roleArn": role_arn}]
        addon = eks.create_addon(
            clusterName="demo", addonName="aws-ebs-csi-driver", podIdentityAssociations=associations
        )["addon"]
        (association,) = eks.list_pod_identity_associations(clusterName="demo")["associations"]
        assert association["ownerArn"] == addon["addonArn"]
        assert association["namespace"] == "kube-system"
        assert addon["podIdentityAssociations"] == [association["associationArn"]]
        eks.delete_addon(clusterName="demo", addonName="aws-ebs-csi-driver")
        assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == []

    def test_addon_of_unknown_cluster_is_not_found(self, eks: Any) -> None:
        error = api_error(lambda: eks.describe_addon(clusterName="nowhere", addonName=AGENT))
        assert error == (404, "ResourceNotFoundException", "No cluster found for name: nowhere.")
