# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test server-side apply and managedFields."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.patch import APPLY, MERGE

MAPS = "/api/v1/namespaces/default/configmaps"
ONE = f"{MAPS}/c"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


@pytest.fixture
def apply(kube: Any) -> Any:
    def run(body: Any, manager: str, path: str = ONE, **query: str) -> tuple[int, dict[str, Any]]:
        result: tuple[int, dict[str, Any]] = kube(
            "PATCH", path, body, content_type=APPLY, query={"fieldManager": manager, **query}
        )
        return result

    return run


def owners(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    entries = obj["metadata"].get("managedFields", [])
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in entries}


def test_first_apply_creates_object_and_ownership(apply: Any) -> None:
    code, obj = apply(config(a="1"), "one")
    assert (code, obj["data"]) == (201, {"a": "1"})
    assert obj["metadata"]["managedFields"] == [
        {
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
            "manager": "one",
            "operation": "Apply",
            "time": "2026-01-02T03:04:05Z",
        }
    ]


def test_repeated_apply_is_unchanged(apply: Any) -> None:
    _, first = apply(config(a="1"), "one")
    assert apply(config(a="1"), "one") == (200, first)


def test_managers_share_field_with_same_value(apply: Any) -> None:
    apply(config(a="1"), "one")
    code, obj = apply(config(a="1", b="2"), "two")
    assert code == 200
    assert owners(obj) == {
        ("one", "Apply"): {"f:data": {"f:a": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}},
    }
    _, obj = apply(config(b="2"), "two")
    assert obj["data"] == {"a": "1", "b": "2"}


def test_conflict_names_manager_and_field(apply: Any) -> None:
    apply(config(a="1"), "one")
    code, status = apply(config(a="2"), "two")
    assert (code, status["reason"], status["message"]) == (
        409,
        "Conflict",
        'Apply failed with 1 conflict: conflict with "one": .data.a',
    )
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]


def test_apply_reports_all_conflicts(apply: Any) -> None:
    apply(config(a="1", b="1"), "one")
    _, status = apply(config(a="2", b="2"), "two")
    assert status["message"] == ('Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b')


def test_conflict_with_update_names_version_and_time(kube: Any, apply: Any) -> None:
    apply(config(a="1"), "one")
    kube("PATCH", ONE, {"data": {"a": "2"}}, content_type=MERGE, agent="kubectl/v1.37")
    _, status = apply(config(a="3"), "two")
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl" using v1 at 2026-01-02T03:04:05Z: .data.a'
    )


def test_force_transfers_ownership(apply: Any) -> None:
    apply(config(a="1", b="1"), "one")
    code, obj = apply(config(a="2"), "two", force="true")
    assert (code, obj["data"]) == (200, {"a": "2", "b": "1"})
    assert owners(obj) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}}},
    }


def test_apply_removes_field_missing_in_config(apply: Any) -> None:
    apply(config(a="1", b="2"), "one")
    _, obj = apply(config(b="2"), "one")
    assert obj["data"] == {"b": "2"}


def test_empty_apply_removes_unshared_fields(apply: Any) -> None:
    apply(config(a="1", b="2"), "one")
    apply(config(b="2"), "two")
    code, obj = apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}, "one")
    assert (code, obj["data"]) == (200, {"b": "2"})
    assert owners(obj) == {("two", "Apply"): {"f:data": {"f:b": {}}}}


def test_apply_with_uid_requires_same_object(apply: Any) -> None:
    body = {**config(a="1"), "metadata": {"name": "c", "uid": "u-1"}}
    code, status = apply(body, "one")
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on configmaps "c": uid mismatch: the provided object specified uid u-1, and no '
        "existing object was found",
    )
    _, created = apply(config(a="1"), "one")
    code, status = apply(body, "one")
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on configmaps "c": Precondition failed: UID in precondition: u-1, UID in object '
        f"meta: {created['metadata']['uid']}",
    )
    again = {**config(a="2"), "metadata": {"name": "c", "uid": created["metadata"]["uid"]}}
    code, obj = apply(again, "one")
    assert (code, obj["data"]) == (200, {"a": "2"})


def test_update_takes_ownership_of_changed_fields(kube: Any, apply: Any) -> None:
    apply(config(a="1", b="2"), "one")
    _, obj = kube("PATCH", ONE, {"data": {"a": "9"}}, content_type=MERGE, query={"fieldManager": "editor"})
    assert owners(obj) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("editor", "Update"): {"f:data": {"f:a": {}}},
    }


def test_dry_run_is_not_stored(kube: Any, apply: Any) -> None:
    code, obj = apply(config(a="1"), "one", dryRun="All")
    assert (code, obj["data"]) == (201, {"a": "1"})
    assert kube("GET", ONE)[0] == 404


def deployment(*containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": list(containers)}},
        },
    }


def test_list_items_are_owned_by_key(apply: Any) -> None:
    first, second = {"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}
    apply(deployment(first), "base", DEPLOYMENT)
    _, obj = apply(deployment(second), "sidecar", DEPLOYMENT)
    containers = obj["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["one", "two"]
    _, status = apply(deployment({**first, "image": "a:2"}), "sidecar", DEPLOYMENT)
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "base": .spec.template.spec.containers[name="one"].image'
    )
    _, obj = apply(
        {**deployment(first), "metadata": {"name": "web", "labels": {"x": "y"}}}, "base", DEPLOYMENT
    )
    assert obj["metadata"]["generation"] == 2


def test_apply_removes_item_missing_in_config(apply: Any) -> None:
    first, second = {"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}
    apply(deployment(first, second), "base", DEPLOYMENT)
    _, obj = apply(deployment(first), "base", DEPLOYMENT)
    assert [c["name"] for c in obj["spec"]["template"]["spec"]["containers"]] == ["one"]


def test_apply_requires_field_manager(kube: Any) -> None:
    code, status = kube("PATCH", ONE, config(a="1"), content_type=APPLY)
    assert (code, status["message"]) == (
        422,
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )


def test_apply_rejects_managed_fields(apply: Any) -> None:
    body = config(a="1")
    body["metadata"]["managedFields"] = [{"manager": "x", "operation": "Apply"}]
    assert apply(body, "one")[1]["message"] == "metadata.managedFields must be nil"


def test_apply_in_missing_namespace_fails(kube: Any) -> None:
    path = "/api/v1/namespaces/nowhere/configmaps/c"
    code, status = kube("PATCH", path, config(a="1"), content_type=APPLY, query={"fieldManager": "one"})
    assert (code, status["message"]) == (404, 'namespaces "nowhere" not found')
