# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers: Jobs with Pod, deadline and TTL, and observedGeneration of other owners of Pods."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from kubernetes import client
from sandbox.kube.controllers import Controllers
from sandbox.kube.patch import MERGE

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def job(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i"}
    template = {
        "metadata": {"labels": {"run": "r"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {"metadata": {"name": "proof"}, "spec": {"template": template, **spec}}


class Clocked:
    """A cluster in memory with controllers and a clock that the test sets."""

    def __init__(self, kube: Any) -> None:
        self.kube = kube
        self.now = START
        self.controllers = Controllers(kube.cluster.operations, kube.cluster.deleter, lambda: self.now)

    def tick(self, seconds: float = 0) -> None:
        self.now += timedelta(seconds=seconds)
        for _ in range(3):
            self.controllers.tick()

    def pods(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.kube("GET", PODS)[1]["items"]
        return items


@pytest.fixture
def clocked(kube: Any) -> Clocked:
    return Clocked(kube)


def test_job_gets_one_pod(clocked: Clocked) -> None:
    clocked.kube("POST", JOBS, job())
    clocked.tick()
    clocked.tick()
    (pod,) = clocked.pods()
    assert pod["metadata"]["name"].startswith("proof-")
    labels = pod["metadata"]["labels"]
    assert (labels["run"], labels["batch.kubernetes.io/job-name"], labels["job-name"]) == (
        "r",
        "proof",
        "proof",
    )
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Job", "proof", True)


@pytest.mark.parametrize(("phase", "condition"), [("Succeeded", "Complete"), ("Failed", "Failed")])
def test_job_finishes_with_pod_and_is_deleted_after_ttl(clocked: Clocked, phase: str, condition: str) -> None:
    clocked.kube("POST", JOBS, job(ttlSecondsAfterFinished=300))
    clocked.tick()
    (pod,) = clocked.pods()
    path = f"{PODS}/{pod['metadata']['name']}/status"
    clocked.kube("PATCH", path, {"status": {"phase": phase}}, content_type=MERGE)
    clocked.tick(1)
    conditions = clocked.kube("GET", f"{JOBS}/proof")[1]["status"]["conditions"]
    assert [(item["type"], item["status"]) for item in conditions] == [(condition, "True")]
    clocked.tick(298)
    assert clocked.kube("GET", f"{JOBS}/proof")[0] == 200
    clocked.tick(2)
    assert clocked.kube("GET", f"{JOBS}/proof")[0] == 404
    assert clocked.pods() == []


def test_deadline_deletes_pod(clocked: Clocked) -> None:
    clocked.kube("POST", JOBS, job(activeDeadlineSeconds=60))
    clocked.tick()
    clocked.tick(59)
    assert len(clocked.pods()) == 1
    clocked.tick(1)
    assert clocked.pods() == []
    (condition,) = clocked.kube("GET", f"{JOBS}/proof")[1]["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Failed", "DeadlineExceeded")


def test_rejected_pod_is_retried(clocked: Clocked) -> None:
    body = job()
    body["spec"]["template"]["spec"]["serviceAccountName"] = "late"
    clocked.kube("POST", JOBS, body)
    clocked.tick()
    assert clocked.pods() == []
    clocked.kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "late"}})
    clocked.tick()
    assert len(clocked.pods()) == 1


@pytest.mark.parametrize("plural", ["deployments", "daemonsets", "replicasets", "statefulsets"])
def test_owners_set_observed_generation(clocked: Clocked, plural: str) -> None:
    path = f"/apis/apps/v1/namespaces/default/{plural}"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    clocked.kube("POST", path, {"metadata": {"name": "one"}, "spec": spec})
    clocked.tick()
    assert clocked.kube("GET", f"{path}/one")[1]["status"]["observedGeneration"] == 1
    annotations = {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}
    clocked.kube("PATCH", f"{path}/one", annotations, content_type=MERGE)
    daemon_set = clocked.kube("GET", f"{path}/one")[1]
    assert (daemon_set["metadata"]["generation"], daemon_set["status"]["observedGeneration"]) == (2, 1)
    clocked.tick()
    assert clocked.kube("GET", f"{path}/one")[1]["status"]["observedGeneration"] == 2


def test_server_with_controllers_creates_pods_of_jobs(start_server: Any) -> None:
    server = start_server("--controllers")
    core, batch = client.CoreV1Api(server.client()), client.BatchV1Api(server.client())
    batch.create_namespaced_job("default", job())
    end = time.monotonic() + 20
    while not core.list_namespaced_pod("default").items and time.monotonic() < end:
        time.sleep(0.05)
    assert core.list_namespaced_pod("default").items
