# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters, add-ons and what EKS offers."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, REGION, Endpoint, create_cluster, refusal

AGENT = "eks-pod-identity-agent"


class TestClusters:
    def test_is_active_at_once_with_its_region_in_the_arn(self, eks: Any) -> None:
        created = create_cluster(eks, "demo", tags={"team": "a"})
        assert created["arn"] == f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo"
        assert (created["status"], created["version"], created["platformVersion"]) == (
            "ACTIVE",
            "1.34",
            "eks.9",
        )
        assert created["tags"] == {"team": "a"}
        assert eks.describe_cluster(name="demo")["cluster"] == created

    def test_unknown(self, eks: Any) -> None:
        assert refusal(lambda: eks.describe_cluster(name="nowhere")) == (
            404,
            "ResourceNotFoundException",
            "No cluster found for name: nowhere.",
        )

    def test_exists_in_one_account_and_region(self, endpoint: Endpoint, eks: Any) -> None:
        create_cluster(eks, "demo")
        other_account = endpoint.client("eks", account=OTHER_ACCOUNT)
        other_region = endpoint.client("eks", region="us-east-1")
        assert refusal(lambda: other_account.describe_cluster(name="demo"))[0] == 404
        assert refusal(lambda: other_region.describe_cluster(name="demo"))[0] == 404

    def test_second_of_a_name_is_refused(self, eks: Any) -> None:
        create_cluster(eks, "demo")
        assert refusal(lambda: create_cluster(eks, "demo"))[:2] == (409, "ResourceInUseException")

    def test_auto_mode_is_readable_and_can_be_changed(self, eks: Any) -> None:
        create_cluster(eks, "plain")
        create_cluster(eks, "auto", computeConfig={"enabled": True, "nodePools": ["system"]})
        assert "computeConfig" not in eks.describe_cluster(name="plain")["cluster"]
        auto = eks.describe_cluster(name="auto")["cluster"]["computeConfig"]
        assert auto == {"enabled": True, "nodePools": ["system"]}
        eks.update_cluster_config(name="auto", computeConfig={"enabled": False})
        assert eks.describe_cluster(name="auto")["cluster"]["computeConfig"]["enabled"] is False

    def test_list_pages(self, eks: Any) -> None:
        for name in ("c", "a", "b"):
            create_cluster(eks, name)
        pages = eks.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2})
        assert [page["clusters"] for page in pages] == [["a", "b"], ["c"]]

    def test_names_the_kubernetes_endpoint_it_was_given(self, eks: Any, control: AwsControl) -> None:
        create_cluster(eks, "demo")
        control.set_kubernetes("https://127.0.0.1:6443", "Q0VSVA==")
        cluster = eks.describe_cluster(name="demo")["cluster"]
        assert cluster["endpoint"] == "https://127.0.0.1:6443"
        assert cluster["certificateAuthority"] == {"data": "Q0VSVA=="}

    def test_any_member_can_be_set(self, eks: Any, control: AwsControl) -> None:
        create_cluster(eks, "demo")
        control.set_kubernetes("https://127.0.0.1:6443", "Q0VSVA==")
        control.patch_cluster(ACCOUNT, REGION, "demo", status="CREATING", endpoint="https://other")
        cluster = eks.describe_cluster(name="demo")["cluster"]
        assert (cluster["status"], cluster["endpoint"]) == ("CREATING", "https://other")


class TestOffers:
    def test_cluster_versions(self, eks: Any) -> None:
        versions = eks.describe_cluster_versions()["clusterVersions"]
        assert [v["clusterVersion"] for v in versions] == ["1.34", "1.33", "1.32", "1.31", "1.30", "1.29"]
        assert [v["clusterVersion"] for v in versions if v["defaultVersion"]] == ["1.34"]
        assert versions[0]["endOfStandardSupportDate"].date().isoformat() == "2026-12-02"

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"defaultOnly": True}, ["1.34"]),
            ({"clusterVersions": ["1.33", "1.30"]}, ["1.33", "1.30"]),
            ({"versionStatus": "EXTENDED_SUPPORT"}, ["1.31", "1.30", "1.29"]),
        ],
        ids=["default", "by-version", "by-status"],
    )
    def test_cluster_version_filters(self, eks: Any, filters: dict[str, Any], found: list[str]) -> None:
        versions = eks.describe_cluster_versions(**filters)["clusterVersions"]
        assert [v["clusterVersion"] for v in versions] == found

    def test_cluster_versions_page(self, eks: Any) -> None:
        paginator = eks.get_paginator("describe_cluster_versions")
        pages = paginator.paginate(PaginationConfig={"PageSize": 4})
        assert [len(page["clusterVersions"]) for page in pages] == [4, 2]

    def test_addon_versions(self, eks: Any) -> None:
        addon = eks.describe_addon_versions(addonName=AGENT, kubernetesVersion="1.33")["addons"][0]
        assert (addon["addonName"], addon["type"], addon["publisher"]) == (AGENT, "security", "eks")
        version = addon["addonVersions"][0]
        assert version["addonVersion"] == "v1.3.8-eksbuild.2"
        assert version["compatibilities"] == [
            {"clusterVersion": "1.33", "platformVersions": ["*"], "defaultVersion": True}
        ]

    def test_every_addon_is_listed_and_an_unknown_one_is_not(self, eks: Any) -> None:
        names = [addon["addonName"] for addon in eks.describe_addon_versions()["addons"]]
        assert AGENT in names
        assert eks.describe_addon_versions(addonName="nothing")["addons"] == []


@pytest.mark.usefixtures("cluster")
class TestAddons:
    def test_is_active_and_healthy_at_once(self, eks: Any) -> None:
        created = eks.create_addon(clusterName="demo", addonName=AGENT)["addon"]
        assert created["addonArn"].startswith(f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/demo/{AGENT}/")
        assert (created["status"], created["addonVersion"]) == ("ACTIVE", "v1.3.8-eksbuild.2")
        assert created["health"] == {"issues": []}
        assert eks.describe_addon(clusterName="demo", addonName=AGENT)["addon"] == created
        assert eks.list_addons(clusterName="demo")["addons"] == [AGENT]

    def test_missing(self, eks: Any) -> None:
        assert refusal(lambda: eks.describe_addon(clusterName="demo", addonName=AGENT)) == (
            404,
            "ResourceNotFoundException",
            f"No addon: {AGENT} found in cluster: demo",
        )

    def test_unsupported(self, eks: Any) -> None:
        assert refusal(lambda: eks.create_addon(clusterName="demo", addonName="nothing")) == (
            400,
            "InvalidParameterException",
            "Addon nothing specified is not supported",
        )

    def test_second_is_refused(self, eks: Any) -> None:
        eks.create_addon(clusterName="demo", addonName=AGENT)
        assert refusal(lambda: eks.create_addon(clusterName="demo", addonName=AGENT)) == (
            409,
            "ResourceInUseException",
            "Addon already exists.",
        )

    def test_health_can_be_set(self, eks: Any, control: AwsControl) -> None:
        eks.create_addon(clusterName="demo", addonName=AGENT)
        issue = {"code": "InsufficientNumberOfReplicas", "message": "0 of 2 are ready", "resourceIds": []}
        control.patch_addon(ACCOUNT, REGION, "demo", AGENT, status="DEGRADED", health={"issues": [issue]})
        addon = eks.describe_addon(clusterName="demo", addonName=AGENT)["addon"]
        assert (addon["status"], addon["health"]) == ("DEGRADED", {"issues": [issue]})

    def test_update(self, eks: Any) -> None:
        eks.create_addon(clusterName="demo", addonName=AGENT)
        update = eks.update_addon(clusterName="demo", addonName=AGENT, addonVersion="v1.3.9-eksbuild.1")
        assert (update["update"]["status"], update["update"]["type"]) == ("Successful", "AddonUpdate")
        addon = eks.describe_addon(clusterName="demo", addonName=AGENT)["addon"]
        assert addon["addonVersion"] == "v1.3.9-eksbuild.1"

    def test_owns_the_associations_it_asks_for(self, eks: Any, role_arn: str) -> None:
        wanted = [{"serviceAccount": "ebs-csi-controller-sa", "roleArn": role_arn}]
        addon = eks.create_addon(
            clusterName="demo", addonName="aws-ebs-csi-driver", podIdentityAssociations=wanted
        )["addon"]
        (association,) = eks.list_pod_identity_associations(clusterName="demo")["associations"]
        assert association["ownerArn"] == addon["addonArn"]
        assert association["namespace"] == "kube-system"
        assert addon["podIdentityAssociations"] == [association["associationArn"]]
        eks.delete_addon(clusterName="demo", addonName="aws-ebs-csi-driver")
        assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == []

    def test_on_an_unknown_cluster(self, eks: Any) -> None:
        refused = refusal(lambda: eks.list_addons(clusterName="nowhere"))
        assert refused == (404, "ResourceNotFoundException", "No cluster found for name: nowhere.")
