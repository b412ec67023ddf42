# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test read requests: selectors, lists and pages."""

from __future__ import annotations

from typing import Any

import pytest

ACCOUNTS = "/api/v1/namespaces/team/serviceaccounts"
LABELS = {
    "plain": {},
    "web": {"app": "web", "tier": "front"},
    "api": {"app": "api", "tier": "back", "size": "10"},
    "job": {"app": "job", "size": "3"},
}


@pytest.fixture
def team(kube: Any) -> Any:
    kube("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    kube("DELETE", f"{ACCOUNTS}/default")
    for name, labels in LABELS.items():
        kube("POST", ACCOUNTS, {"metadata": {"name": name, "labels": labels}})
    return kube


def names(response: tuple[int, dict[str, Any]]) -> list[str]:
    code, body = response
    assert code == 200, body
    return [item["metadata"]["name"] for item in body["items"]]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ["api", "job", "plain", "web"]),
        ("app=web", ["web"]),
        ("app==web", ["web"]),
        ("app!=web", ["api", "job", "plain"]),
        ("app in (web, api)", ["api", "web"]),
        ("app in (web,api),tier=back", ["api"]),
        ("app notin (web)", ["api", "job", "plain"]),
        ("tier", ["api", "web"]),
        ("!tier", ["job", "plain"]),
        ("app,!tier", ["job"]),
        ("size>5", ["api"]),
        ("size<5", ["job"]),
        ("app=", []),
    ],
)
def test_label_selector_filters_list(team: Any, selector: str, expected: list[str]) -> None:
    assert names(team("GET", ACCOUNTS, query={"labelSelector": selector})) == expected


@pytest.mark.parametrize("selector", ["app in web", "a=b=c", "app in (a", "=x", "a b"])
def test_invalid_label_selectors_are_rejected(team: Any, selector: str) -> None:
    code, status = team("GET", ACCOUNTS, query={"labelSelector": selector})
    assert (code, status["reason"]) == (400, "BadRequest")
    assert status["message"].startswith(f"unable to parse requirement: found '{selector}'")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=web", ["web"]),
        ("metadata.name!=web", ["api", "job", "plain"]),
        ("metadata.name=web,metadata.namespace=team", ["web"]),
        ("metadata.namespace=other", []),
    ],
)
def test_field_selector_filters_list(team: Any, selector: str, expected: list[str]) -> None:
    assert names(team("GET", ACCOUNTS, query={"fieldSelector": selector})) == expected


def test_unsupported_field_selector_is_rejected(team: Any) -> None:
    code, status = team("GET", ACCOUNTS, query={"fieldSelector": "spec.x=y"})
    assert (code, status["message"]) == (
        400,
        'Unable to find "v1, Resource=serviceaccounts" that match label selector "", field selector'
        ' "spec.x=y": field label not supported: spec.x',
    )


def test_pod_field_selectors(kube: Any) -> None:
    path = "/api/v1/namespaces/default/pods"
    containers = [{"name": "c", "image": "i"}]
    kube("POST", path, {"metadata": {"name": "a"}, "spec": {"containers": containers, "nodeName": "n1"}})
    kube("POST", path, {"metadata": {"name": "b"}, "spec": {"containers": containers}})
    merge = "application/merge-patch+json"
    kube("PATCH", f"{path}/b/status", {"status": {"phase": "Running"}}, content_type=merge)
    assert names(kube("GET", path, query={"fieldSelector": "spec.nodeName=n1"})) == ["a"]
    assert names(kube("GET", path, query={"fieldSelector": "status.phase=Running"})) == ["b"]
    assert names(kube("GET", path, query={"fieldSelector": "spec.serviceAccountName=default"})) == ["a", "b"]


def test_list_items_omit_kind(team: Any) -> None:
    _, body = team("GET", ACCOUNTS)
    assert (body["kind"], body["apiVersion"]) == ("ServiceAccountList", "v1")
    assert all("kind" not in item and "apiVersion" not in item for item in body["items"])
    assert body["metadata"]["resourceVersion"] == str(team.store.version)


def test_list_of_all_namespaces_is_sorted(team: Any) -> None:
    _, body = team("GET", "/api/v1/serviceaccounts")
    keys = [(i["metadata"]["namespace"], i["metadata"]["name"]) for i in body["items"]]
    assert keys == sorted(keys)
    assert {"default", "kube-system", "team"} <= {namespace for namespace, _ in keys}


def test_list_of_missing_namespace_is_empty(kube: Any) -> None:
    assert names(kube("GET", "/api/v1/namespaces/nowhere/serviceaccounts")) == []


def test_pages_contain_all_objects(team: Any) -> None:
    listed_names: list[str] = []
    query, remaining = {"limit": "3"}, []
    while True:
        code, body = team("GET", ACCOUNTS, query=query)
        assert code == 200
        listed_names += [item["metadata"]["name"] for item in body["items"]]
        remaining.append(body["metadata"].get("remainingItemCount"))
        if "continue" not in body["metadata"]:
            break
        query = {"limit": "3", "continue": body["metadata"]["continue"]}
    assert listed_names == ["api", "job", "plain", "web"]
    assert remaining == [1, None]


def test_pages_with_selector_omit_remaining_count(team: Any) -> None:
    _, body = team("GET", ACCOUNTS, query={"limit": "1", "labelSelector": "app"})
    assert "continue" in body["metadata"]
    assert "remainingItemCount" not in body["metadata"]


def test_invalid_continue_token_is_rejected(team: Any) -> None:
    code, status = team("GET", ACCOUNTS, query={"limit": "1", "continue": "nonsense"})
    assert (code, status["message"]) == (400, "continue key is not valid")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v1/namespaces/team/serviceaccounts/none", 'serviceaccounts "none" not found'),
        ("/api/v1/namespaces/none", 'namespaces "none" not found'),
        ("/apis/apps/v1/namespaces/team/daemonsets/none", 'daemonsets.apps "none" not found'),
    ],
)
def test_missing_object_is_not_found(team: Any, path: str, message: str) -> None:
    code, status = team("GET", path)
    assert (code, status["reason"], status["message"]) == (404, "NotFound", message)
