# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the controllers of Jobs, Deployments, DaemonSets, ReplicaSets and StatefulSets."""

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
    """A cluster in memory with controllers, and with a clock whose time the test sets."""

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


WORKLOADS = ("deployments", "daemonsets", "replicasets", "statefulsets")
REPLACING = ("deployments", "daemonsets", "statefulsets")
WITH_REPLICAS = ("deployments", "replicasets", "statefulsets")
NODES = "/api/v1/nodes"
FARGATE = {"eks.amazonaws.com/compute-type": "fargate"}


def apps(plural: str) -> str:
    return f"/apis/apps/v1/namespaces/default/{plural}"


class Workload:
    """A Deployment, ReplicaSet, DaemonSet or StatefulSet in a cluster with a clock that the test sets."""

    def __init__(self, clocked: Clocked, plural: str) -> None:
        self.clocked = clocked
        self.plural = plural
        self.path = f"{apps(plural)}/web"

    def create(self, pod_spec: dict[str, Any] | None = None, **spec: Any) -> None:
        labels = {"app": "web"}
        containers = [{"name": "c", "image": "i"}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers, **(pod_spec or {})}}
        body = {"selector": {"matchLabels": labels}, "template": template, **spec}
        code, obj = self.clocked.kube("POST", apps(self.plural), {"metadata": {"name": "web"}, "spec": body})
        assert code == 201, obj
        self.clocked.tick()

    def patch(self, **spec: Any) -> None:
        code, obj = self.clocked.kube("PATCH", self.path, {"spec": spec}, content_type=MERGE)
        assert code == 200, obj

    def change_template(self, when: str = "now") -> None:
        """Set the annotation that ``kubectl rollout restart`` sets in the Pod template."""
        annotations = {"kubectl.kubernetes.io/restartedAt": when}
        self.patch(template={"metadata": {"annotations": annotations}})

    def restart(self, when: str = "now") -> None:
        self.change_template(when)
        self.clocked.tick()

    def get(self) -> dict[str, Any]:
        obj: dict[str, Any] = self.clocked.kube("GET", self.path)[1]
        return obj

    def status(self, *names: str) -> dict[str, Any]:
        status = self.get()["status"]
        return {name: status[name] for name in names}


def uids(clocked: Clocked) -> set[str]:
    return {pod["metadata"]["uid"] for pod in clocked.pods()}


def restarted(pod: dict[str, Any]) -> str | None:
    """Return the value of the annotation that ``kubectl rollout restart`` sets, or None without this annotation."""
    value: str | None = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt")
    return value


@pytest.mark.parametrize(
    ("plural", "owner", "ready"),
    [
        pytest.param(
            "deployments", "ReplicaSet", {"readyReplicas": 2, "updatedReplicas": 2}, id="deployment"
        ),
        pytest.param("replicasets", "ReplicaSet", {"replicas": 2, "readyReplicas": 2}, id="replicaset"),
        pytest.param(
            "statefulsets", "StatefulSet", {"readyReplicas": 2, "updatedReplicas": 2}, id="statefulset"
        ),
    ],
)
def test_workload_gets_running_pods(clocked: Clocked, plural: str, owner: str, ready: dict[str, int]) -> None:
    workload = Workload(clocked, plural)
    workload.create(replicas=2)
    pods = clocked.pods()
    assert len(pods) == 2
    for pod in pods:
        assert pod["metadata"]["name"].startswith("web-")
        assert pod["metadata"]["labels"]["app"] == "web"
        (reference,) = pod["metadata"]["ownerReferences"]
        assert (reference["kind"], reference["controller"]) == (owner, True)
        assert pod["status"]["phase"] == "Running"
        assert ("Ready", "True") in [(c["type"], c["status"]) for c in pod["status"]["conditions"]]
    assert workload.status(*ready) == ready


def test_daemon_set_runs_on_each_node_except_fargate(clocked: Clocked) -> None:
    for name, labels in (("one", {}), ("two", {}), ("serverless", FARGATE)):
        clocked.kube("POST", NODES, {"metadata": {"name": name, "labels": labels}})
    workload = Workload(clocked, "daemonsets")
    workload.create()
    assert sorted(pod["spec"]["nodeName"] for pod in clocked.pods()) == ["one", "two"]
    assert workload.status("desiredNumberScheduled", "numberReady", "updatedNumberScheduled") == {
        "desiredNumberScheduled": 2,
        "numberReady": 2,
        "updatedNumberScheduled": 2,
    }
    clocked.kube("DELETE", f"{NODES}/two")
    clocked.tick()
    assert [pod["spec"]["nodeName"] for pod in clocked.pods()] == ["one"]


def test_daemon_set_without_nodes_has_one_pod(clocked: Clocked) -> None:
    Workload(clocked, "daemonsets").create({"nodeName": "somewhere"})
    earlier = uids(clocked)
    clocked.tick()
    assert len(earlier) == 1
    assert uids(clocked) == earlier


@pytest.mark.parametrize("plural", WORKLOADS)
def test_unchanged_workload_is_stable(clocked: Clocked, plural: str) -> None:
    workload = Workload(clocked, plural)
    workload.create()
    earlier = (uids(clocked), clocked.kube.store.version)
    clocked.tick(60)
    assert (uids(clocked), clocked.kube.store.version) == earlier


@pytest.mark.parametrize("plural", REPLACING)
def test_restart_replaces_pods(clocked: Clocked, plural: str) -> None:
    workload = Workload(clocked, plural)
    workload.create()
    for when in ("first", "second"):
        earlier = uids(clocked)
        workload.restart(when)
        (pod,) = clocked.pods()
        assert pod["metadata"]["uid"] not in earlier
        assert restarted(pod) == when


def test_change_of_replica_set_affects_only_new_pods(clocked: Clocked) -> None:
    workload = Workload(clocked, "replicasets")
    workload.create()
    earlier = uids(clocked)
    workload.restart()
    assert uids(clocked) == earlier
    workload.patch(replicas=2)
    clocked.tick()
    assert sorted(str(restarted(pod)) for pod in clocked.pods()) == ["None", "now"]


@pytest.mark.parametrize("plural", WITH_REPLICAS)
def test_number_of_pods_follows_replicas(clocked: Clocked, plural: str) -> None:
    workload = Workload(clocked, plural)
    workload.create(replicas=1)
    counts, earlier = [], uids(clocked)
    for replicas in (3, 1, 0):
        workload.patch(replicas=replicas)
        clocked.tick()
        current = uids(clocked)
        assert earlier < current or current < earlier
        assert workload.status("replicas") == {"replicas": replicas}
        counts.append(len(current))
        earlier = current
    assert counts == [3, 1, 0]


@pytest.mark.parametrize("plural", WORKLOADS)
def test_deleted_and_finished_pods_are_replaced(clocked: Clocked, plural: str) -> None:
    workload = Workload(clocked, plural)
    workload.create()
    (pod,) = clocked.pods()
    clocked.kube("DELETE", f"{PODS}/{pod['metadata']['name']}")
    clocked.tick()
    (second,) = clocked.pods()
    assert second["metadata"]["uid"] != pod["metadata"]["uid"]
    path = f"{PODS}/{second['metadata']['name']}/status"
    clocked.kube("PATCH", path, {"status": {"phase": "Failed"}}, content_type=MERGE)
    clocked.tick()
    (running,) = [item for item in clocked.pods() if item["status"]["phase"] == "Running"]
    assert running["metadata"]["uid"] != second["metadata"]["uid"]


@pytest.mark.parametrize("plural", WORKLOADS)
@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_deletion_deletes_pods(clocked: Clocked, plural: str, policy: str) -> None:
    workload = Workload(clocked, plural)
    workload.create()
    clocked.kube("DELETE", workload.path, {"propagationPolicy": policy})
    clocked.tick()
    assert clocked.kube("GET", workload.path)[0] == 404
    assert clocked.kube("GET", apps("replicasets"))[1]["items"] == []
    assert clocked.pods() == []


@pytest.mark.parametrize("plural", WORKLOADS)
def test_orphaned_pods_are_adopted(clocked: Clocked, plural: str) -> None:
    workload = Workload(clocked, plural)
    workload.create()
    earlier = uids(clocked)
    clocked.kube("DELETE", workload.path, {"propagationPolicy": "Orphan"})
    clocked.tick()
    assert uids(clocked) == earlier
    workload.create()
    assert uids(clocked) == earlier


def test_deletion_of_namespace_deletes_pods(clocked: Clocked) -> None:
    Workload(clocked, "deployments").create()
    clocked.kube("DELETE", "/api/v1/namespaces/default")
    clocked.tick()
    assert clocked.kube("GET", "/api/v1/namespaces/default")[0] == 404


class TestDeployment:
    def test_revisions_identify_replica_sets(self, clocked: Clocked) -> None:
        workload = Workload(clocked, "deployments")
        workload.create()
        revision = "deployment.kubernetes.io/revision"
        for number, when in enumerate(("first", "second", "first"), 2):
            workload.restart(when)
            (pod,) = clocked.pods()
            assert workload.get()["metadata"]["annotations"][revision] == str(number)
            (active,) = [
                item
                for item in clocked.kube("GET", apps("replicasets"))[1]["items"]
                if item["metadata"]["annotations"][revision] == str(number)
            ]
            template_hash = pod["metadata"]["labels"]["pod-template-hash"]
            assert active["metadata"]["labels"]["pod-template-hash"] == template_hash
            assert (active["spec"]["replicas"], restarted(pod)) == (1, when)

    def test_history_is_limited(self, clocked: Clocked) -> None:
        workload = Workload(clocked, "deployments")
        workload.create(revisionHistoryLimit=1)
        for when in ("first", "second", "third"):
            workload.restart(when)
        assert len(clocked.kube("GET", apps("replicasets"))[1]["items"]) == 2
        assert [restarted(pod) for pod in clocked.pods()] == ["third"]

    def test_paused_deployment_is_only_scaled(self, clocked: Clocked) -> None:
        workload = Workload(clocked, "deployments")
        workload.create()
        earlier = uids(clocked)
        workload.patch(paused=True)
        workload.restart()
        assert uids(clocked) == earlier
        workload.patch(replicas=2)
        clocked.tick()
        assert (len(clocked.pods()), uids(clocked) > earlier) == (2, True)
        assert [restarted(pod) for pod in clocked.pods()] == [None, None]
        workload.patch(paused=False)
        clocked.tick()
        assert [restarted(pod) for pod in clocked.pods()] == ["now", "now"]

    @pytest.mark.parametrize(("strategy", "remaining"), [("RollingUpdate", 1), ("Recreate", 0)])
    def test_earlier_pods_remain_until_new_pods_are_ready(
        self, clocked: Clocked, strategy: str, remaining: int
    ) -> None:
        workload = Workload(clocked, "deployments")
        workload.create(strategy={"type": strategy})
        earlier = uids(clocked)
        workload.patch(template={"spec": {"serviceAccountName": "late"}})
        clocked.tick()
        assert len(earlier & uids(clocked)) == remaining
        clocked.kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "late"}})
        clocked.tick()
        assert [pod["spec"]["serviceAccountName"] for pod in clocked.pods()] == ["late"]

    def test_updated_replicas_exclude_earlier_pods(self, clocked: Clocked) -> None:
        workload = Workload(clocked, "deployments")
        workload.create()
        workload.patch(template={"spec": {"serviceAccountName": "late"}})
        clocked.tick()
        assert workload.status("replicas", "updatedReplicas", "observedGeneration") == {
            "replicas": 1,
            "updatedReplicas": 0,
            "observedGeneration": 2,
        }


@pytest.mark.parametrize("plural", ["daemonsets", "statefulsets"])
def test_on_delete_replaces_only_deleted_pods(clocked: Clocked, plural: str) -> None:
    workload = Workload(clocked, plural)
    workload.create(updateStrategy={"type": "OnDelete"})
    earlier = uids(clocked)
    workload.restart()
    assert uids(clocked) == earlier
    (pod,) = clocked.pods()
    clocked.kube("DELETE", f"{PODS}/{pod['metadata']['name']}")
    clocked.tick()
    assert [restarted(pod) for pod in clocked.pods()] == ["now"]


class TestStatefulSet:
    def test_pods_have_ordinals(self, clocked: Clocked) -> None:
        workload = Workload(clocked, "statefulsets")
        workload.create(replicas=2, ordinals={"start": 1})
        assert [pod["metadata"]["name"] for pod in clocked.pods()] == ["web-1", "web-2"]
        revision = workload.status("updateRevision")["updateRevision"]
        labels = [pod["metadata"]["labels"]["controller-revision-hash"] for pod in clocked.pods()]
        assert labels == [revision, revision]

    def test_partition_limits_rollout(self, clocked: Clocked) -> None:
        workload = Workload(clocked, "statefulsets")
        workload.create(
            replicas=3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        )
        workload.restart()
        assert [restarted(pod) for pod in clocked.pods()] == [None, None, "now"]
        assert workload.status("updatedReplicas", "replicas") == {"updatedReplicas": 1, "replicas": 3}


def test_daemon_set_pods_have_generation_of_annotation(clocked: Clocked) -> None:
    workload = Workload(clocked, "daemonsets")
    workload.create()
    workload.restart()
    (pod,) = clocked.pods()
    annotations = workload.get()["metadata"]["annotations"]
    generation = annotations["deprecated.daemonset.template.generation"]
    assert pod["metadata"]["labels"]["pod-template-generation"] == generation


@pytest.mark.parametrize("plural", WORKLOADS)
def test_pods_are_injected_at_creation(memory: Any, plural: str) -> None:
    clocked = Clocked(memory(pod_identity_webhook=True))
    clocked.kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "app"}})
    workload = Workload(clocked, plural)
    workload.create({"serviceAccountName": "app"})
    clocked.kube.cluster.webhook.associations = {("default", "app")}
    clocked.tick()
    assert [is_injected(pod) for pod in clocked.pods()] == [False]
    workload.restart()
    if plural == "replicasets":
        clocked.kube("DELETE", f"{PODS}/{clocked.pods()[0]['metadata']['name']}")
        clocked.tick()
    assert [is_injected(pod) for pod in clocked.pods()] == [True]


def is_injected(pod: dict[str, Any]) -> bool:
    return "AWS_CONTAINER_CREDENTIALS_FULL_URI" in str(pod["spec"]["containers"])


class TestNodes:
    @pytest.fixture
    def with_nodes(self, clocked: Clocked) -> Clocked:
        for name, labels, spec in (
            ("a-fargate", {**FARGATE, "zone": "a"}, {}),
            ("b-cordoned", {"zone": "a"}, {"unschedulable": True}),
            ("c-node", {"zone": "a"}, {}),
            ("d-auto", {"zone": "b", "eks.amazonaws.com/compute-type": "auto"}, {}),
        ):
            clocked.kube("POST", NODES, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        return clocked

    @pytest.mark.parametrize(
        ("pod_spec", "node"),
        [
            pytest.param({}, "c-node", id="first"),
            pytest.param({"nodeSelector": {"zone": "b"}}, "d-auto", id="selector"),
            pytest.param({"nodeSelector": FARGATE}, "a-fargate", id="fargate"),
            pytest.param({"nodeName": "d-auto"}, "d-auto", id="name"),
        ],
    )
    def test_pod_runs_on_matching_node(self, with_nodes: Clocked, pod_spec: Any, node: str) -> None:
        Workload(with_nodes, "deployments").create(pod_spec)
        assert [pod["spec"]["nodeName"] for pod in with_nodes.pods()] == [node]

    def test_pod_without_matching_node_is_pending(self, with_nodes: Clocked) -> None:
        workload = Workload(with_nodes, "deployments")
        workload.create({"nodeSelector": {"zone": "c"}})
        (pod,) = with_nodes.pods()
        assert (pod["status"]["phase"], "nodeName" in pod["spec"]) == ("Pending", False)
        assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"
        assert workload.status("readyReplicas") == {"readyReplicas": 0}
        with_nodes.kube("POST", NODES, {"metadata": {"name": "new", "labels": {"zone": "c"}}})
        with_nodes.tick()
        (pod,) = with_nodes.pods()
        assert (pod["status"]["phase"], pod["spec"]["nodeName"]) == ("Running", "new")

    def test_pod_without_nodes_runs(self, clocked: Clocked) -> None:
        Workload(clocked, "deployments").create({"nodeSelector": {"zone": "c"}})
        (pod,) = clocked.pods()
        assert (pod["status"]["phase"], "nodeName" in pod["spec"]) == ("Running", False)


def test_server_with_controllers_creates_pods(start_server: Any) -> None:
    server = start_server("--controllers")
    api = server.client()
    core, batch, apps_api = client.CoreV1Api(api), client.BatchV1Api(api), client.AppsV1Api(api)
    batch.create_namespaced_job("default", job())
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    apps_api.create_namespaced_deployment("default", {"metadata": {"name": "web"}, "spec": spec})
    end = time.monotonic() + 20
    while len(core.list_namespaced_pod("default").items) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    phases = sorted(pod.status.phase for pod in core.list_namespaced_pod("default").items)
    assert phases == ["Pending", "Running"]
    # The Python client raises an error for an object whose status lacks a required field.
    assert len(apps_api.list_namespaced_deployment("default").items) == 1
    assert len(apps_api.list_namespaced_replica_set("default").items) == 1
