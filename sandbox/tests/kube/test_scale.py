# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scale subresource."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.discovery import api_resource_list
from sandbox.kube.patch import APPLY, JSON_PATCH, MERGE, STRATEGIC

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WEB = f"{DEPLOYMENTS}/web"
SCALE = f"{WEB}/scale"


@pytest.fixture
def web(kube: Any) -> dict[str, Any]:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["b", "a"]},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}, "matchExpressions": expressions},
        "template": {
            "metadata": {"labels": {"app": "web", "tier": "a"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }
    code, obj = kube("POST", DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
    assert code == 201, obj
    found: dict[str, Any] = obj
    return found


def test_it_shows_number_and_selector_of_the_owner(kube: Any, web: dict[str, Any]) -> None:
    meta = web["metadata"]
    assert kube("GET", SCALE) == (
        200,
        {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": "web",
                "namespace": "default",
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
                "creationTimestamp": meta["creationTimestamp"],
            },
            "spec": {"replicas": 2},
            "status": {"replicas": 0, "selector": "app=web,!canary,tier in (a,b)"},
        },
    )


@pytest.mark.parametrize(
    ("method", "content_type", "body"),
    [
        pytest.param(
            "PUT", "application/json", {"metadata": {"name": "web"}, "spec": {"replicas": 5}}, id="put"
        ),
        pytest.param("PATCH", MERGE, {"spec": {"replicas": 5}}, id="merge"),
        pytest.param("PATCH", STRATEGIC, {"spec": {"replicas": 5}}, id="strategic"),
        pytest.param(
            "PATCH", JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 5}], id="json"
        ),
    ],
)
@pytest.mark.usefixtures("web")
def test_it_sets_the_number_and_nothing_else(kube: Any, method: str, content_type: str, body: Any) -> None:
    before = kube("GET", WEB)[1]
    code, scale = kube(method, SCALE, body, content_type=content_type)
    assert (code, scale["kind"], scale["spec"]) == (200, "Scale", {"replicas": 5})
    after = kube("GET", WEB)[1]
    assert after["spec"] == {**before["spec"], "replicas": 5}
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert scale["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    assert [(e["manager"], e.get("subresource", "")) for e in after["metadata"]["managedFields"]] == [
        ("test", ""),
        ("test", "scale"),
    ]


@pytest.mark.usefixtures("web")
def test_server_side_apply_meets_whoever_owns_the_number(kube: Any) -> None:
    body = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "web"},
        "spec": {"replicas": 3},
    }
    query = {"fieldManager": "autoscaler"}
    code, status = kube("PATCH", SCALE, body, content_type=APPLY, query=query)
    assert (code, status["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
    code, scale = kube("PATCH", SCALE, body, content_type=APPLY, query={**query, "force": "true"})
    assert (code, scale["spec"]) == (200, {"replicas": 3})


@pytest.mark.usefixtures("web")
def test_a_scale_to_nothing_has_no_number_in_its_spec(kube: Any) -> None:
    assert kube("PATCH", SCALE, {"spec": {"replicas": 0}}, content_type=MERGE)[1]["spec"] == {}
    assert kube("GET", WEB)[1]["spec"]["replicas"] == 0


@pytest.mark.usefixtures("web")
def test_a_number_below_nothing_is_refused(kube: Any) -> None:
    code, status = kube("PATCH", SCALE, {"spec": {"replicas": -1}}, content_type=MERGE)
    assert (code, status["message"]) == (
        422,
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    )


@pytest.mark.usefixtures("web")
def test_a_stale_scale_is_refused(kube: Any) -> None:
    body = {"metadata": {"name": "web", "resourceVersion": "1"}, "spec": {"replicas": 5}}
    code, status = kube("PUT", SCALE, body)
    assert (code, status["reason"], status["details"]["kind"]) == (409, "Conflict", "deployments")


def test_what_is_not_there_has_no_scale(kube: Any) -> None:
    assert kube("GET", SCALE)[0] == 404
    assert kube("PATCH", SCALE, {"spec": {"replicas": 1}}, content_type=MERGE)[0] == 404


def test_it_is_discovered(kube: Any) -> None:
    listed = api_resource_list(kube.cluster.table, "apps", "v1") or {}
    scales = {
        r["name"]: (r["group"], r["version"], r["kind"]) for r in listed["resources"] if "/scale" in r["name"]
    }
    assert scales == {
        f"{plural}/scale": ("autoscaling", "v1", "Scale")
        for plural in ("deployments", "replicasets", "statefulsets")
    }
