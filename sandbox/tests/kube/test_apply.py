# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply and managedFields."""

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
        found: tuple[int, dict[str, Any]] = kube(
            "PATCH", path, body, content_type=APPLY, query={"fieldManager": manager, **query}
        )
        return found

    return run


def owners(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    entries = obj["metadata"].get("managedFields", [])
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in entries}


def test_the_first_apply_creates_and_owns(apply: Any) -> None:
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


def test_the_same_apply_again_changes_nothing(apply: Any) -> None:
    _, first = apply(config(a="1"), "one")
    assert apply(config(a="1"), "one") == (200, first)


def test_two_managers_share_a_field_of_one_value(apply: Any) -> None:
    apply(config(a="1"), "one")
    code, obj = apply(config(a="1", b="2"), "two")
    assert code == 200
    assert owners(obj) == {
        ("one", "Apply"): {"f:data": {"f:a": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}},
    }
    _, obj = apply(config(b="2"), "two")
    assert obj["data"] == {"a": "1", "b": "2"}


def test_one_conflict(apply: Any) -> None:
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


def test_several_conflicts(apply: Any) -> None:
    apply(config(a="1", b="1"), "one")
    _, status = apply(config(a="2", b="2"), "two")
    assert status["message"] == ('Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b')


def test_a_conflict_with_an_update_names_version_and_time(kube: Any, apply: Any) -> None:
    apply(config(a="1"), "one")
    kube("PATCH", ONE, {"data": {"a": "2"}}, content_type=MERGE, agent="kubectl/v1.37")
    _, status = apply(config(a="3"), "two")
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl" using v1 at 2026-01-02T03:04:05Z: .data.a'
    )


def test_force_takes_the_field_over(apply: Any) -> None:
    apply(config(a="1", b="1"), "one")
    code, obj = apply(config(a="2"), "two", force="true")
    assert (code, obj["data"]) == (200, {"a": "2", "b": "1"})
    assert owners(obj) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}}},
    }


def test_what_is_no_longer_applied_is_removed(apply: Any) -> None:
    apply(config(a="1", b="2"), "one")
    _, obj = apply(config(b="2"), "one")
    assert obj["data"] == {"b": "2"}


def test_an_apply_of_nothing_gives_up_what_no_other_manager_owns(apply: Any) -> None:
    apply(config(a="1", b="2"), "one")
    apply(config(b="2"), "two")
    code, obj = apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}, "one")
    assert (code, obj["data"]) == (200, {"b": "2"})
    assert owners(obj) == {("two", "Apply"): {"f:data": {"f:b": {}}}}


def test_an_apply_with_a_uid_changes_that_object_alone(apply: Any) -> None:
    body = {**config(a="1"), "metadata": {"name": "c", "uid": "u-1"}}
    code, status = apply(body, "one")
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on configmaps "c": uid mismatch: the provided object specified uid u-1, and no '
        "existing object was found",
    )
    _, made = apply(config(a="1"), "one")
    code, status = apply(body, "one")
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on configmaps "c": Precondition failed: UID in precondition: u-1, UID in object '
        f"meta: {made['metadata']['uid']}",
    )
    again = {**config(a="2"), "metadata": {"name": "c", "uid": made["metadata"]["uid"]}}
    code, obj = apply(again, "one")
    assert (code, obj["data"]) == (200, {"a": "2"})


def test_an_update_takes_ownership_of_what_it_changes(kube: Any, apply: Any) -> None:
    apply(config(a="1", b="2"), "one")
    _, obj = kube("PATCH", ONE, {"data": {"a": "9"}}, content_type=MERGE, query={"fieldManager": "editor"})
    assert owners(obj) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("editor", "Update"): {"f:data": {"f:a": {}}},
    }


def test_a_dry_run_applies_nothing(kube: Any, apply: Any) -> None:
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
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": list(containers)},
            },
        },
    }


def test_list_items_are_owned_by_key(apply: Any) -> None:
    one, two = {"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}
    apply(deployment(one), "base", DEPLOYMENT)
    _, obj = apply(deployment(two), "sidecar", DEPLOYMENT)
    found = obj["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in found] == ["one", "two"]
    _, status = apply(deployment({**one, "image": "a:2"}), "sidecar", DEPLOYMENT)
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "base": .spec.template.spec.containers[name="one"].image'
    )
    _, obj = apply({**deployment(one), "metadata": {"name": "web", "labels": {"x": "y"}}}, "base", DEPLOYMENT)
    assert obj["metadata"]["generation"] == 2


def test_an_item_that_is_no_longer_applied_goes(apply: Any) -> None:
    one, two = {"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}
    apply(deployment(one, two), "base", DEPLOYMENT)
    _, obj = apply(deployment(one), "base", DEPLOYMENT)
    assert [c["name"] for c in obj["spec"]["template"]["spec"]["containers"]] == ["one"]


def test_apply_needs_a_manager(kube: Any) -> None:
    code, status = kube("PATCH", ONE, config(a="1"), content_type=APPLY)
    assert (code, status["message"]) == (
        422,
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )


def test_managed_fields_are_not_applied(apply: Any) -> None:
    body = config(a="1")
    body["metadata"]["managedFields"] = [{"manager": "x", "operation": "Apply"}]
    assert apply(body, "one")[1]["message"] == "metadata.managedFields must be nil"


def test_apply_into_a_missing_namespace(kube: Any) -> None:
    path = "/api/v1/namespaces/nowhere/configmaps/c"
    code, status = kube("PATCH", path, config(a="1"), content_type=APPLY, query={"fieldManager": "one"})
    assert (code, status["message"]) == (404, 'namespaces "nowhere" not found')
