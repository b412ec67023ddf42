# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test API discovery: groups, kinds and subresources."""

from __future__ import annotations

import pytest
from sandbox.kube.discovery import api_group, api_group_list, api_resource_list
from sandbox.kube.resources import resource_table

SERVED = {
    "v1": [
        "configmaps",
        "events",
        "namespaces",
        "nodes",
        "pods",
        "secrets",
        "serviceaccounts",
    ],
    "admissionregistration.k8s.io/v1": [
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    ],
    "apps/v1": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "batch/v1": ["cronjobs", "jobs"],
    "rbac.authorization.k8s.io/v1": ["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
}


@pytest.mark.parametrize("group_version", SERVED)
def test_version_lists_resources(group_version: str) -> None:
    group, _, version = group_version.rpartition("/")
    resource_list = api_resource_list(resource_table(), group, version)
    assert resource_list is not None
    assert resource_list["groupVersion"] == group_version
    names = [resource["name"] for resource in resource_list["resources"] if "/" not in resource["name"]]
    assert sorted(names) == SERVED[group_version]


def test_discovery_lists_served_groups() -> None:
    table = resource_table()
    names = [group["name"] for group in api_group_list(table)["groups"]]
    assert sorted(names) == sorted(name.rpartition("/")[0] for name in SERVED if "/" in name)
    apps = api_group(table, "apps")
    assert apps is not None
    assert apps["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert api_group(table, "none") is None
    assert api_resource_list(table, "apps", "v2") is None


def test_subresources_and_short_names() -> None:
    resource_list = api_resource_list(resource_table(), "", "v1")
    assert resource_list is not None
    by_name = {resource["name"]: resource for resource in resource_list["resources"]}
    assert by_name["serviceaccounts"]["shortNames"] == ["sa"]
    assert by_name["pods/status"]["verbs"] == ["get", "patch", "update"]
    assert by_name["namespaces"]["namespaced"] is False
