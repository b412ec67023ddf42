# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test update and patch requests."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.patch import MERGE, STRATEGIC

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
ONE = f"{ACCOUNTS}/a"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def stored(kube: Any) -> dict[str, Any]:
    meta = {"name": "a", "labels": {"keep": "1", "drop": "2"}}
    body = {"metadata": meta, "imagePullSecrets": [{"name": "x"}], "secrets": [{"name": "s"}]}
    obj: dict[str, Any] = kube("POST", ACCOUNTS, body)[1]
    return obj


def deployment(replicas: int = 1) -> dict[str, Any]:
    containers = [{"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}]
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    return {"metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        pytest.param(MERGE, {"metadata": {"labels": {"keep": "1"}}}, id="merge"),
        pytest.param(STRATEGIC, {"secrets": [{"name": "s"}]}, id="strategic"),
        pytest.param(MERGE, {}, id="empty"),
    ],
)
def test_unchanged_patch_keeps_resource_version(
    kube: Any, stored: dict[str, Any], content_type: str, patch: Any
) -> None:
    assert kube("PATCH", ONE, patch, content_type=content_type) == (200, stored)


@pytest.mark.parametrize(
    ("content_type", "patch", "field", "expected"),
    [
        pytest.param(
            MERGE,
            {"metadata": {"labels": {"drop": None}}},
            ("metadata", "labels"),
            {"keep": "1"},
            id="merge-null",
        ),
        pytest.param(
            STRATEGIC,
            {"imagePullSecrets": [{"name": "y"}]},
            ("imagePullSecrets",),
            [{"name": "y"}],
            id="image-pull-secrets-are-atomic",
        ),
        pytest.param(
            STRATEGIC,
            {"secrets": [{"name": "t"}]},
            ("secrets",),
            [{"name": "s"}, {"name": "t"}],
            id="secrets-merge-by-name",
        ),
        pytest.param(
            STRATEGIC,
            {"secrets": [{"name": "s", "$patch": "delete"}]},
            ("secrets",),
            [],
            id="delete-directive",
        ),
        pytest.param(
            STRATEGIC,
            {"metadata": {"labels": {"$patch": "replace", "new": "3"}}},
            ("metadata", "labels"),
            {"new": "3"},
            id="replace-directive",
        ),
        pytest.param(
            STRATEGIC,
            {"$setElementOrder/secrets": [{"name": "t"}, {"name": "s"}], "secrets": [{"name": "t"}]},
            ("secrets",),
            [{"name": "t"}, {"name": "s"}],
            id="element-order",
        ),
    ],
)
def test_patch_changes_field(
    kube: Any, stored: dict[str, Any], content_type: str, patch: Any, field: tuple[str, ...], expected: Any
) -> None:
    code, obj = kube("PATCH", ONE, patch, content_type=content_type)
    assert code == 200
    assert int(obj["metadata"]["resourceVersion"]) > int(stored["metadata"]["resourceVersion"])
    for step in field:
        obj = obj[step]
    assert obj == expected


def test_strategic_patch_merges_containers_by_name(kube: Any) -> None:
    kube("POST", DEPLOYMENTS, deployment())
    containers = [{"name": "two", "image": "b:2"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    _, obj = kube("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=STRATEGIC)
    containers = obj["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"]) for c in containers] == [("one", "a:1"), ("two", "b:2")]
    assert obj["metadata"]["generation"] == 2


def test_merge_patch_replaces_lists(kube: Any) -> None:
    kube("POST", DEPLOYMENTS, deployment())
    containers = [{"name": "two", "image": "b:2"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    _, obj = kube("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE)
    assert [c["name"] for c in obj["spec"]["template"]["spec"]["containers"]] == ["two"]


@pytest.mark.parametrize(
    ("content_type", "patch", "code", "message"),
    [
        pytest.param(
            MERGE,
            {"metadata": {"resourceVersion": "1"}},
            409,
            'Operation cannot be fulfilled on serviceaccounts "a": the object has been modified; please apply'
            " your changes to the latest version and try again",
            id="stale",
        ),
        pytest.param(
            MERGE,
            {"metadata": {"name": "b"}},
            400,
            "the name of the object (b) does not match the name on the URL (a)",
            id="renamed",
        ),
        pytest.param(
            "text/plain",
            {},
            415,
            "the body of the request was in an unknown format - accepted media types include:"
            " application/merge-patch+json,"
            " application/strategic-merge-patch+json, application/apply-patch+yaml",
            id="unknown-format",
        ),
        pytest.param(
            MERGE,
            {"metadata": {"labels": {"n": 1}}},
            400,
            'ServiceAccount in version "v1" cannot be handled as a ServiceAccount: json: cannot unmarshal'
            " number into Go struct field ObjectMeta.metadata.labels of type string",
            id="number-as-label",
        ),
    ],
)
def test_invalid_patches_are_rejected(
    kube: Any, stored: dict[str, Any], content_type: str, patch: Any, code: int, message: str
) -> None:
    response_code, status = kube("PATCH", ONE, patch, content_type=content_type)
    assert (response_code, status["message"]) == (code, message)
    assert kube("GET", ONE) == (200, stored)


def test_put_replaces_and_checks_the_resource_version(kube: Any, stored: dict[str, Any]) -> None:
    version = stored["metadata"]["resourceVersion"]
    body = {"metadata": {"name": "a", "resourceVersion": version, "labels": {"new": "1"}}}
    code, obj = kube("PUT", ONE, body)
    assert (code, obj["metadata"]["labels"]) == (200, {"new": "1"})
    assert "secrets" not in obj
    assert obj["metadata"]["uid"] == stored["metadata"]["uid"]
    code, status = kube("PUT", ONE, body)
    assert (code, status["reason"]) == (409, "Conflict")


@pytest.mark.usefixtures("stored")
def test_put_without_resource_version_is_unconditional(kube: Any) -> None:
    assert kube("PUT", ONE, {"metadata": {"name": "a"}})[0] == 200


def test_put_with_other_uid_is_a_conflict(kube: Any, stored: dict[str, Any]) -> None:
    code, status = kube("PUT", ONE, {"metadata": {"name": "a", "uid": "other"}})
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on serviceaccounts "a": Precondition failed: UID in precondition:'
        f" other, UID in object meta: {stored['metadata']['uid']}",
    )


def test_dry_run_patch_is_not_stored(kube: Any, stored: dict[str, Any]) -> None:
    patch = {"metadata": {"labels": {"keep": "9"}}}
    code, obj = kube("PATCH", ONE, patch, content_type=MERGE, query={"dryRun": "All"})
    assert (code, obj["metadata"]["labels"]["keep"]) == (200, "9")
    assert kube("GET", ONE) == (200, stored)


def test_status_changes_only_by_subresource(kube: Any) -> None:
    kube("POST", DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"
    _, obj = kube("PATCH", path, {"status": {"replicas": 3}}, content_type=MERGE)
    assert obj["status"] == {}
    patch = {"status": {"replicas": 3}, "spec": {"replicas": 7}, "metadata": {"labels": {"x": "y"}}}
    _, obj = kube("PATCH", f"{path}/status", patch, content_type=MERGE)
    assert (obj["status"], obj["spec"]["replicas"]) == ({"replicas": 3}, 1)
    assert obj["metadata"]["generation"] == 1
    assert "labels" not in obj["metadata"]


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        pytest.param(
            {
                "spec": {
                    "selector": {"matchLabels": {"app": "b"}},
                    "template": {"metadata": {"labels": {"app": "b"}}},
                }
            },
            'Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"b"}}:'
            " field is immutable",
            id="selector",
        ),
        pytest.param(
            {"spec": {"template": {"spec": {"containers": []}}}},
            'Deployment.apps "web" is invalid: spec.template.spec.containers: Required value',
            id="no-containers",
        ),
    ],
)
def test_invalid_deployment_updates_are_rejected(kube: Any, patch: Any, message: str) -> None:
    kube("POST", DEPLOYMENTS, deployment())
    code, status = kube("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE)
    assert (code, status["message"]) == (422, message)


def test_generation_counts_changes_of_spec(kube: Any) -> None:
    kube("POST", DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"
    labels = kube("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)[1]
    scaled = kube("PATCH", path, {"spec": {"replicas": 2}}, content_type=MERGE)[1]
    assert (labels["metadata"]["generation"], scaled["metadata"]["generation"]) == (1, 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", ONE, id="post-to-an-object"),
        pytest.param("PUT", ACCOUNTS, id="put-to-a-collection"),
        pytest.param("POST", "/api/v1/serviceaccounts", id="create-without-namespace"),
    ],
)
def test_unsupported_methods_are_not_allowed(kube: Any, method: str, path: str) -> None:
    code, status = kube(method, path, {})
    assert (code, status["reason"], status["message"]) == (
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
