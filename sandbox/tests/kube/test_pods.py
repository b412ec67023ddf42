# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods: admission, the Pod Identity webhook, staged status and logs, and Nodes and DaemonSets."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from sandbox.kube.admission import inject_pod_identity
from sandbox.kube.errors import ApiError
from sandbox.kube.patch import MERGE
from sandbox.kube.resources import PODS
from sandbox.kube.target import Target

PATH = "/api/v1/namespaces/default/pods"
TOKEN_VOLUME = "eks-pod-identity-token"


def pod(name: str = "p", account: str = "app", *containers: str, **annotations: str) -> dict[str, Any]:
    listed = [{"name": c, "image": "i"} for c in containers or ("main",)]
    meta: dict[str, Any] = {"name": name}
    if annotations:
        meta["annotations"] = {"eks.amazonaws.com/skip-containers": annotations["skip"]}
    return {"metadata": meta, "spec": {"serviceAccountName": account, "containers": listed}}


@pytest.fixture
def webhook(memory: Any) -> Any:
    kube = memory(pod_identity_webhook=True)
    kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "app"}})
    kube.cluster.webhook.associations = {("default", "app")}
    return kube


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container.get("env", [])}


def volumes(obj: dict[str, Any]) -> list[str]:
    return [volume["name"].rpartition("-")[0] for volume in obj["spec"].get("volumes", [])]


def test_a_pod_stays_pending(kube: Any) -> None:
    code, obj = kube("POST", PATH, pod(account="default"))
    assert (code, obj["status"]) == (201, {"phase": "Pending", "qosClass": "BestEffort"})
    kube.settle()
    assert kube("GET", f"{PATH}/p")[1]["status"]["phase"] == "Pending"


def test_a_pod_needs_its_service_account(kube: Any) -> None:
    code, status = kube("POST", PATH, pod(account="nobody"))
    assert (code, status["message"]) == (
        403,
        'pods "p" is forbidden: error looking up service account default/nobody:'
        ' serviceaccount "nobody" not found',
    )


def test_the_api_token_is_mounted_unless_switched_off(kube: Any) -> None:
    _, mounted = kube("POST", PATH, pod(account="default"))
    assert volumes(mounted) == ["kube-api-access"]
    mount = mounted["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    body = pod("q", "default")
    body["spec"]["automountServiceAccountToken"] = False
    _, bare = kube("POST", PATH, body)
    assert volumes(bare) == []


def test_the_webhook_injects_environment_and_token(webhook: Any) -> None:
    _, obj = webhook("POST", PATH, pod())
    container = obj["spec"]["containers"][0]
    assert environment(container) == {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": (
            "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
        ),
    }
    assert {"mountPath": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount", "name": TOKEN_VOLUME} in [
        {key: mount[key] for key in ("mountPath", "name")} for mount in container["volumeMounts"]
    ]
    volume = next(v for v in obj["spec"]["volumes"] if v["name"] == TOKEN_VOLUME)
    token = volume["projected"]["sources"][0]["serviceAccountToken"]
    assert (token["audience"], token["path"]) == ("pods.eks.amazonaws.com", TOKEN_VOLUME)


def test_a_variable_of_the_template_keeps_both_out(webhook: Any) -> None:
    body = pod()
    body["spec"]["containers"][0]["env"] = [
        {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://127.0.0.1:9911/"}
    ]
    _, obj = webhook("POST", PATH, body)
    container = obj["spec"]["containers"][0]
    assert environment(container) == {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/"}
    assert TOKEN_VOLUME in [mount["name"] for mount in container["volumeMounts"]]


@pytest.mark.parametrize(
    ("skip", "injected"),
    [
        pytest.param("", ["main", "proxy"], id="nothing"),
        pytest.param("proxy", ["main"], id="one"),
        pytest.param("proxy, main", [], id="all"),
        pytest.param("other", ["main", "proxy"], id="unknown"),
    ],
)
def test_the_skip_annotation_leaves_containers_out(webhook: Any, skip: str, injected: list[str]) -> None:
    _, obj = webhook("POST", PATH, pod("p", "app", "main", "proxy", skip=skip))
    assert [c["name"] for c in obj["spec"]["containers"] if "env" in c] == injected
    assert (TOKEN_VOLUME in [v["name"] for v in obj["spec"]["volumes"]]) is bool(injected)


@pytest.mark.parametrize(
    ("enabled", "pairs"),
    [
        pytest.param(False, {("default", "app")}, id="switched-off"),
        pytest.param(True, set(), id="no-association"),
        pytest.param(True, {("other", "app")}, id="another-namespace"),
    ],
)
def test_other_pods_are_left_alone(webhook: Any, enabled: bool, pairs: set[tuple[str, str]]) -> None:
    webhook.cluster.webhook.enabled = enabled
    webhook.cluster.webhook.associations = pairs
    _, obj = webhook("POST", PATH, pod())
    assert "env" not in obj["spec"]["containers"][0]


def trial(kube: Any, **query: str) -> bool:
    """Whether a Pod that is tried with a dry run comes back injected."""
    _, obj = kube("POST", PATH, pod(), query={"dryRun": "All", **query})
    return "env" in obj["spec"]["containers"][0]


def test_a_dry_run_shows_what_would_be_injected_and_makes_nothing(webhook: Any) -> None:
    assert trial(webhook)
    assert webhook("GET", f"{PATH}/p")[0] == 404


def test_each_api_server_learns_of_an_association_by_itself(webhook: Any) -> None:
    hook, now = webhook.cluster.webhook, [0.0]
    hook.clock = lambda: now[0]
    hook.associations = set()
    hook.associations = {("default", "app")}
    hook.delays = (1.0, 3.0)
    seen = []
    for moment in (0.0, 1.0, 3.0):
        now[0] = moment
        seen.append([trial(webhook), trial(webhook)])
    assert seen == [[False, False], [True, False], [True, True]]


def test_an_association_of_eks_is_known_at_its_age(webhook: Any) -> None:
    webhook.cluster.webhook.associations = set()
    webhook.cluster.webhook.delays = (5.0,)
    for age, known in ((4.0, False), (5.0, True)):
        webhook.cluster.webhook.follow = lambda age=age: {("default", "app"): age}
        assert trial(webhook) is known


def test_the_webhook_is_asked_as_it_is_registered(webhook: Any) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pod-identity-webhook"
    (registered,) = webhook("GET", path)[1]["webhooks"]
    assert registered["sideEffects"] == "None"
    name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["other"]}
    changed = {**registered, "namespaceSelector": {"matchExpressions": [name]}}
    webhook("PATCH", path, {"webhooks": [changed]}, content_type=MERGE)
    assert not trial(webhook)
    webhook("PATCH", path, {"webhooks": [registered]}, content_type=MERGE)
    assert trial(webhook)
    webhook("DELETE", path)
    assert not trial(webhook)


def test_a_pod_with_the_skip_label_is_left_alone(webhook: Any) -> None:
    body = pod()
    body["metadata"]["labels"] = {"eks.amazonaws.com/skip-pod-identity-webhook": "true"}
    assert "env" not in webhook("POST", PATH, body)[1]["spec"]["containers"][0]


def test_irsa_is_injected_where_no_association_is_known(webhook: Any) -> None:
    annotations = {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/old"}}
    path = "/api/v1/namespaces/default/serviceaccounts/app"
    webhook("PATCH", path, {"metadata": annotations}, content_type=MERGE)
    both = [webhook("POST", PATH, pod("a"))]
    webhook.cluster.webhook.associations = set()
    both.append(webhook("POST", PATH, pod("b")))
    found = [list(environment(obj["spec"]["containers"][0])) for _code, obj in both]
    assert found == [
        ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"],
        ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"],
    ]


def test_a_pod_admitted_earlier_stays_without(webhook: Any) -> None:
    webhook.cluster.webhook.associations = set()
    webhook("POST", PATH, pod())
    webhook.cluster.webhook.associations = {("default", "app")}
    merge = {"metadata": {"labels": {"x": "y"}}}
    _, obj = webhook("PATCH", f"{PATH}/p", merge, content_type=MERGE)
    assert "env" not in obj["spec"]["containers"][0]


def test_injection_keeps_what_is_there_and_covers_init_containers() -> None:
    own = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "mine"}
    spec = {"containers": [{"name": "a", "env": [own]}], "initContainers": [{"name": "i"}]}
    body: dict[str, Any] = {"metadata": {}, "spec": spec}
    inject_pod_identity(body)
    assert environment(body["spec"]["containers"][0])["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "mine"
    assert len(environment(body["spec"]["initContainers"][0])) == 2
    once = deepcopy(body)
    inject_pod_identity(body)
    assert body == once


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param(
            PATH,
            pod(account="default"),
            {"phase": "Running", "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0}]},
            id="pod",
        ),
        pytest.param(
            "/apis/apps/v1/namespaces/default/daemonsets",
            {
                "metadata": {"name": "p"},
                "spec": {
                    "selector": {"matchLabels": {"app": "agent"}},
                    "template": {
                        "metadata": {"labels": {"app": "agent"}},
                        "spec": {"containers": [{"name": "c", "image": "i"}]},
                    },
                },
            },
            {
                "desiredNumberScheduled": 2,
                "numberReady": 2,
                "updatedNumberScheduled": 2,
                "observedGeneration": 1,
            },
            id="daemonset",
        ),
        pytest.param(
            "/apis/batch/v1/namespaces/default/jobs",
            {
                "metadata": {"name": "p"},
                "spec": {
                    "template": {
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
                    }
                },
            },
            {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1},
            id="job",
        ),
        pytest.param(
            "/api/v1/nodes",
            {"metadata": {"name": "p", "labels": {"eks.amazonaws.com/compute-type": "fargate"}}},
            {"conditions": [{"type": "Ready", "status": "True"}]},
            id="node",
        ),
    ],
)
def test_tests_stage_status(kube: Any, path: str, body: Any, status: dict[str, Any]) -> None:
    assert kube("POST", path, body)[0] == 201
    code, obj = kube("PATCH", f"{path}/p/status", {"status": status}, content_type=MERGE)
    assert code == 200
    assert {key: obj["status"][key] for key in status} == status
    assert kube("GET", f"{path}/p") == (200, obj)
    assert kube("GET", f"{path}/p/status") == (200, obj)


def read_log(kube: Any, **query: str) -> str:
    text: str = kube.cluster.log(Target(PODS, "get", "default", "p", "log"), query)
    return text


def test_logs_are_what_a_test_staged(kube: Any) -> None:
    kube("POST", PATH, pod("p", "default", "main", "side"))
    kube.cluster.logs = {("default", "p", "main"): "one\ntwo\n", ("default", "p", ""): "any\n"}
    assert read_log(kube, container="main") == "one\ntwo\n"
    assert read_log(kube, container="main", tailLines="1") == "two\n"
    assert read_log(kube, container="side") == "any\n"


@pytest.mark.parametrize(
    ("containers", "query", "message"),
    [
        (("main",), {}, 'container "main" in pod "p" is waiting to start: ContainerCreating'),
        (("a", "b"), {}, "a container name must be specified for pod p, choose one of: [a b]"),
        (("a",), {"container": "x"}, "container x is not valid for pod p"),
    ],
)
def test_logs_that_are_not_there(
    kube: Any, containers: tuple[str, ...], query: dict[str, str], message: str
) -> None:
    kube("POST", PATH, pod("p", "default", *containers))
    with pytest.raises(ApiError) as raised:
        read_log(kube, **query)
    assert (raised.value.code, raised.value.message) == (400, message)


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        pytest.param({"spec": {"containers": [{"name": "main", "image": "new"}]}}, 200, id="image"),
        pytest.param({"metadata": {"labels": {"a": "b"}}}, 200, id="labels"),
        pytest.param({"spec": {"serviceAccountName": "other"}}, 422, id="service-account"),
        pytest.param({"spec": {"nodeName": "elsewhere"}}, 422, id="node"),
    ],
)
def test_what_of_a_pod_may_change(kube: Any, patch: Any, code: int) -> None:
    kube("POST", PATH, pod(account="default"))
    strategic = "application/strategic-merge-patch+json"
    found, obj = kube("PATCH", f"{PATH}/p", patch, content_type=strategic)
    assert found == code
    if code == 422:
        assert obj["message"].startswith(
            'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields'
        )
