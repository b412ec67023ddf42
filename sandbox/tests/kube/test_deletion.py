# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test deletion: responses, propagation policies, finalizers, and the termination of namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.deletion import JOB_WARNING
from sandbox.kube.patch import MERGE

SPACE = "/api/v1/namespaces/default"
MAPS = f"{SPACE}/configmaps"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
POD_SPEC = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}


def named(name: str, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}}


def create_dependent(kube: Any, owner: dict[str, Any], name: str, *, blocks: bool = True) -> dict[str, Any]:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": blocks,
    }
    code, obj = kube("POST", f"{SPACE}/pods", {**named(name, ownerReferences=[reference]), "spec": POD_SPEC})
    assert code == 201, obj
    created: dict[str, Any] = obj
    return created


def create_job(kube: Any) -> dict[str, Any]:
    code, obj = kube("POST", JOBS, {**named("j"), "spec": {"template": {"spec": POD_SPEC}}})
    assert code == 201, obj
    created: dict[str, Any] = obj
    return created


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(f"{SPACE}/serviceaccounts", named("a"), id="serviceaccount"),
        pytest.param(f"{SPACE}/pods", {**named("a"), "spec": POD_SPEC}, id="pod"),
    ],
)
def test_delete_returns_object_for_some_kinds(kube: Any, path: str, body: Any) -> None:
    _, obj = kube("POST", path, body)
    code, deleted = kube("DELETE", f"{path}/a")
    assert (code, deleted["kind"], deleted["metadata"]["uid"]) == (200, obj["kind"], obj["metadata"]["uid"])
    assert kube("GET", f"{path}/a")[0] == 404


def test_delete_returns_status_for_other_kinds(kube: Any) -> None:
    uid = kube("POST", MAPS, named("a"))[1]["metadata"]["uid"]
    assert kube("DELETE", f"{MAPS}/a") == (
        200,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": uid},
        },
    )


def test_delete_of_missing_object_fails(kube: Any) -> None:
    code, status = kube("DELETE", f"{MAPS}/none")
    assert (code, status["message"]) == (404, 'configmaps "none" not found')


@pytest.mark.parametrize(
    ("body", "query"),
    [
        pytest.param({"dryRun": ["All"]}, {}, id="in-the-body"),
        pytest.param(None, {"dryRun": "All"}, id="in-the-query"),
    ],
)
def test_dry_run_does_not_delete(kube: Any, body: Any, query: dict[str, str]) -> None:
    kube("POST", MAPS, named("a"))
    assert kube("DELETE", f"{MAPS}/a", body, query=query)[0] == 200
    assert kube("GET", f"{MAPS}/a")[0] == 200


def test_failed_precondition_is_a_conflict(kube: Any) -> None:
    meta = kube("POST", MAPS, named("a"))[1]["metadata"]
    code, status = kube("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "other"}})
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on configmaps "a": the UID in the precondition (other) does not'
        f" match the UID in record ({meta['uid']}). The object might have been deleted and then recreated",
    )
    code, status = kube("DELETE", f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
    assert (code, status["message"]) == (
        409,
        'Operation cannot be fulfilled on configmaps "a": the ResourceVersion in the precondition (1)'
        f" does not match the ResourceVersion in record ({meta['resourceVersion']}). The object"
        " might have been modified",
    )
    matching = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    assert kube("DELETE", f"{MAPS}/a", {"preconditions": matching})[0] == 200


def test_background_deletes_owner_first(kube: Any) -> None:
    create_dependent(kube, create_job(kube), "p")
    assert kube("DELETE", f"{JOBS}/j", {"propagationPolicy": "Background"})[1]["status"] == "Success"
    assert kube.warnings == ()
    assert kube("GET", f"{SPACE}/pods/p")[0] == 200
    kube.reconcile()
    assert kube("GET", f"{SPACE}/pods/p")[0] == 404


def test_foreground_deletes_dependents_first(kube: Any) -> None:
    owner = create_job(kube)
    create_dependent(kube, owner, "p")
    _, obj = kube("DELETE", f"{JOBS}/j", {"propagationPolicy": "Foreground"})
    assert obj["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert obj["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    kube.reconcile()
    assert kube("GET", f"{SPACE}/pods/p")[0] == 404
    assert kube("GET", f"{JOBS}/j")[0] == 404


def test_foreground_waits_for_dependent_with_finalizer(kube: Any) -> None:
    create_dependent(kube, create_job(kube), "p")
    finalizer = {"metadata": {"finalizers": ["example.com/hold"]}}
    kube("PATCH", f"{SPACE}/pods/p", finalizer, content_type=MERGE)
    kube("DELETE", f"{JOBS}/j", {"propagationPolicy": "Foreground"})
    kube.reconcile()
    assert kube("GET", f"{JOBS}/j")[0] == 200
    kube("PATCH", f"{SPACE}/pods/p", {"metadata": {"finalizers": None}}, content_type=MERGE)
    kube.reconcile()
    assert kube("GET", f"{JOBS}/j")[0] == 404


def test_orphan_keeps_dependents(kube: Any) -> None:
    create_dependent(kube, create_job(kube), "p")
    kube("DELETE", f"{JOBS}/j", {"propagationPolicy": "Orphan"})
    kube.reconcile()
    assert kube("GET", f"{JOBS}/j")[0] == 404
    code, pod = kube("GET", f"{SPACE}/pods/p")
    assert (code, pod["metadata"].get("ownerReferences")) == (200, None)


def test_job_orphans_pods_by_default_with_warning(kube: Any) -> None:
    create_dependent(kube, create_job(kube), "p")
    kube("DELETE", f"{JOBS}/j")
    assert kube.warnings == (JOB_WARNING,)
    kube.reconcile()
    assert kube("GET", f"{SPACE}/pods/p")[0] == 200


def test_dependent_with_other_owner_is_kept(kube: Any) -> None:
    owner = create_job(kube)
    account = kube("GET", f"{SPACE}/serviceaccounts/default")[1]
    create_dependent(kube, owner, "p")
    second = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "name": "default",
        "uid": account["metadata"]["uid"],
    }
    first = kube("GET", f"{SPACE}/pods/p")[1]["metadata"]["ownerReferences"][0]
    patch = {"metadata": {"ownerReferences": [first, second]}}
    kube("PATCH", f"{SPACE}/pods/p", patch, content_type=MERGE)
    kube("DELETE", f"{JOBS}/j", {"propagationPolicy": "Background"})
    kube.reconcile()
    assert kube("GET", f"{SPACE}/pods/p")[0] == 200


def test_finalizer_delays_deletion(kube: Any) -> None:
    kube("POST", MAPS, named("a", finalizers=["example.com/hold"]))
    _, obj = kube("DELETE", f"{MAPS}/a")
    assert (obj["kind"], obj["metadata"]["deletionTimestamp"]) == ("ConfigMap", "2026-01-02T03:04:05Z")
    assert kube("DELETE", f"{MAPS}/a")[0] == 200
    assert kube("GET", f"{MAPS}/a")[0] == 200
    assert kube("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)[0] == 200
    assert kube("GET", f"{MAPS}/a")[0] == 404


def test_unknown_policy_is_rejected(kube: Any) -> None:
    kube("POST", MAPS, named("a"))
    code, status = kube("DELETE", f"{MAPS}/a", {"propagationPolicy": "Sideways"})
    assert (code, status["reason"]) == (422, "Invalid")
    assert 'propagationPolicy: Invalid value: "Sideways"' in status["message"]


def test_namespace_deletion_deletes_contents(kube: Any) -> None:
    kube("POST", "/api/v1/namespaces", named("team"))
    kube("POST", "/api/v1/namespaces/team/configmaps", named("a"))
    code, obj = kube("DELETE", "/api/v1/namespaces/team")
    assert (code, obj["status"]["phase"]) == (200, "Terminating")
    assert kube("GET", "/api/v1/namespaces/team/configmaps/a")[0] == 200
    kube.reconcile()
    assert kube("GET", "/api/v1/namespaces/team/configmaps/a")[0] == 404
    assert kube("GET", "/api/v1/namespaces/team")[0] == 404
    assert kube("POST", "/api/v1/namespaces", named("team"))[0] == 201


def test_namespace_waits_for_object_with_finalizer(kube: Any) -> None:
    kube("POST", "/api/v1/namespaces", named("team"))
    path = "/api/v1/namespaces/team/configmaps"
    kube("POST", path, named("a", finalizers=["example.com/hold"]))
    kube("DELETE", "/api/v1/namespaces/team")
    kube.reconcile()
    assert kube("GET", "/api/v1/namespaces/team")[1]["status"]["phase"] == "Terminating"
    kube("PATCH", f"{path}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)
    kube.reconcile()
    assert kube("GET", "/api/v1/namespaces/team")[0] == 404


def test_delete_collection_uses_selector(kube: Any) -> None:
    for name in ("a", "b"):
        kube("POST", MAPS, named(name, labels={"x": name}))
    code, body = kube("DELETE", MAPS, query={"labelSelector": "x=a"})
    assert (code, [i["metadata"]["name"] for i in body["items"]]) == (200, ["a"])
    assert (kube("GET", f"{MAPS}/a")[0], kube("GET", f"{MAPS}/b")[0]) == (404, 200)
