# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test Pods: admission, the EKS Pod Identity webhook and the status."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from sandbox.kube.admission import inject_pod_identity
from sandbox.kube.patch import MERGE

PATH = "/api/v1/namespaces/default/pods"
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/app"
TOKEN_VOLUME = "eks-pod-identity-token"
IRSA_VOLUME = "aws-iam-token"
IRSA_DIRECTORY = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
ROLE = "arn:aws:iam::111122223333:role/old"


def pod(name: str = "p", account: str = "app", *containers: str, **annotations: str) -> dict[str, Any]:
    specs = [{"name": c, "image": "i"} for c in containers or ("main",)]
    meta: dict[str, Any] = {"name": name}
    if annotations:
        meta["annotations"] = {"eks.amazonaws.com/skip-containers": annotations["skip"]}
    return {"metadata": meta, "spec": {"serviceAccountName": account, "containers": specs}}


@pytest.fixture
def webhook(memory: Any) -> Any:
    kube = memory(pod_identity_webhook=True)
    kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "app"}})
    kube.cluster.webhook.associations = {("default", "app")}
    return kube


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container.get("env", [])}


def test_pod_is_pending(kube: Any) -> None:
    code, obj = kube("POST", PATH, pod(account="default"))
    assert (code, obj["status"]) == (201, {"phase": "Pending", "qosClass": "BestEffort"})
    kube.reconcile()
    assert kube("GET", f"{PATH}/p")[1]["status"]["phase"] == "Pending"


def test_pod_requires_service_account(kube: Any) -> None:
    code, status = kube("POST", PATH, pod(account="nobody"))
    assert (code, status["message"]) == (
        403,
        'pods "p" is forbidden: error looking up service account default/nobody:'
        ' serviceaccount "nobody" not found',
    )


def test_webhook_injects_environment_and_token(webhook: Any) -> None:
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
    assert obj["metadata"]["labels"] == {"eks.amazonaws.com/pod-identity": "enabled"}


def test_variable_in_template_prevents_environment(webhook: Any) -> None:
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
def test_skip_annotation_excludes_containers(webhook: Any, skip: str, injected: list[str]) -> None:
    _, obj = webhook("POST", PATH, pod("p", "app", "main", "proxy", skip=skip))
    assert [c["name"] for c in obj["spec"]["containers"] if "env" in c] == injected
    assert (TOKEN_VOLUME in [v["name"] for v in obj["spec"].get("volumes", ())]) is bool(injected)
    assert ("eks.amazonaws.com/pod-identity" in obj["metadata"].get("labels", {})) is bool(injected)


@pytest.mark.parametrize(
    ("enabled", "pairs"),
    [
        pytest.param(False, {("default", "app")}, id="switched-off"),
        pytest.param(True, set(), id="no-association"),
        pytest.param(True, {("other", "app")}, id="another-namespace"),
    ],
)
def test_pods_without_association_are_unchanged(
    webhook: Any, enabled: bool, pairs: set[tuple[str, str]]
) -> None:
    webhook.cluster.webhook.enabled = enabled
    webhook.cluster.webhook.associations = pairs
    _, obj = webhook("POST", PATH, pod())
    assert "env" not in obj["spec"]["containers"][0]


def is_injected(kube: Any, **query: str) -> bool:
    """Create a Pod in a dry run, and return whether the webhook injected credentials."""
    _, obj = kube("POST", PATH, pod(), query={"dryRun": "All", **query})
    return "env" in obj["spec"]["containers"][0]


def test_dry_run_is_injected_and_not_stored(webhook: Any) -> None:
    assert is_injected(webhook)
    assert webhook("GET", f"{PATH}/p")[0] == 404


def test_webhook_uses_registered_selectors(webhook: Any) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pod-identity-webhook"
    (registered,) = webhook("GET", path)[1]["webhooks"]
    assert registered["sideEffects"] == "None"
    assert (registered["matchPolicy"], registered["reinvocationPolicy"]) == ("Equivalent", "IfNeeded")
    assert registered["timeoutSeconds"] == 10
    name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["other"]}
    changed = {**registered, "namespaceSelector": {"matchExpressions": [name]}}
    webhook("PATCH", path, {"webhooks": [changed]}, content_type=MERGE)
    assert not is_injected(webhook)
    webhook("PATCH", path, {"webhooks": [registered]}, content_type=MERGE)
    assert is_injected(webhook)
    webhook("DELETE", path)
    assert not is_injected(webhook)


def test_skip_label_prevents_injection(webhook: Any) -> None:
    body = pod()
    body["metadata"]["labels"] = {"eks.amazonaws.com/skip-pod-identity-webhook": "true"}
    assert "env" not in webhook("POST", PATH, body)[1]["spec"]["containers"][0]


def test_irsa_is_injected_without_association(webhook: Any) -> None:
    annotations = {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}
    webhook("PATCH", ACCOUNT, {"metadata": annotations}, content_type=MERGE)
    pods = [webhook("POST", PATH, pod("a"))]
    webhook.cluster.webhook.associations = set()
    pods.append(webhook("POST", PATH, pod("b")))
    names = [list(environment(obj["spec"]["containers"][0])) for _code, obj in pods]
    assert names == [
        ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"],
        ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"],
    ]
    assert "labels" not in pods[1][1]["metadata"]


@pytest.fixture
def irsa(webhook: Any) -> Any:
    """Return a cluster whose service account ``app`` has the annotation for IRSA, but no association."""
    webhook.cluster.webhook.associations = set()
    annotate(webhook, **{"eks.amazonaws.com/role-arn": ROLE})
    return webhook


def annotate(kube: Any, **annotations: str) -> None:
    kube("PATCH", ACCOUNT, {"metadata": {"annotations": annotations}}, content_type=MERGE)


def irsa_token(obj: dict[str, Any]) -> dict[str, Any]:
    volume = next(v for v in obj["spec"]["volumes"] if v["name"] == IRSA_VOLUME)
    token: dict[str, Any] = volume["projected"]["sources"][0]["serviceAccountToken"]
    return token


def test_annotation_sets_audience_of_irsa_token(irsa: Any) -> None:
    _, standard = irsa("POST", PATH, pod("a"))
    annotate(irsa, **{"eks.amazonaws.com/audience": "my-audience"})
    _, changed = irsa("POST", PATH, pod("b"))
    assert [irsa_token(obj)["audience"] for obj in (standard, changed)] == [
        "sts.amazonaws.com",
        "my-audience",
    ]


@pytest.mark.parametrize(
    ("present", "injected"),
    [
        pytest.param("AWS_ROLE_ARN", False, id="role"),
        pytest.param("AWS_WEB_IDENTITY_TOKEN_FILE", False, id="token"),
        pytest.param("AWS_CONTAINER_CREDENTIALS_FULL_URI", True, id="variable-of-pod-identity"),
    ],
)
def test_variable_in_template_prevents_irsa_environment(irsa: Any, present: str, injected: bool) -> None:
    body = pod("p", "app", "main", "proxy")
    body["spec"]["containers"][0]["env"] = [{"name": present, "value": "mine"}]
    _, obj = irsa("POST", PATH, body)
    pair = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": f"{IRSA_DIRECTORY}/token"}
    main, proxy = obj["spec"]["containers"]
    assert environment(main) == {present: "mine", **(pair if injected else {})}
    assert environment(proxy) == pair
    assert all(IRSA_VOLUME in [mount["name"] for mount in c["volumeMounts"]] for c in (main, proxy))


def test_skip_annotation_excludes_containers_from_irsa(irsa: Any) -> None:
    _, obj = irsa("POST", PATH, pod("p", "app", "main", "proxy", skip="proxy"))
    assert [c["name"] for c in obj["spec"]["containers"] if "env" in c] == ["main"]


def test_variables_of_irsa_do_not_prevent_pod_identity(webhook: Any) -> None:
    body = pod()
    body["spec"]["containers"][0]["env"] = [{"name": "AWS_ROLE_ARN", "value": ROLE}]
    _, obj = webhook("POST", PATH, body)
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environment(obj["spec"]["containers"][0])


def test_existing_pod_is_not_injected(webhook: Any) -> None:
    webhook.cluster.webhook.associations = set()
    webhook("POST", PATH, pod())
    webhook.cluster.webhook.associations = {("default", "app")}
    merge = {"metadata": {"labels": {"x": "y"}}}
    _, obj = webhook("PATCH", f"{PATH}/p", merge, content_type=MERGE)
    assert "env" not in obj["spec"]["containers"][0]


def test_injection_keeps_variables_and_includes_init_containers() -> None:
    present = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "mine"}
    spec = {"containers": [{"name": "a", "env": [present]}], "initContainers": [{"name": "i"}]}
    body: dict[str, Any] = {"metadata": {}, "spec": spec}
    inject_pod_identity(body)
    assert environment(body["spec"]["containers"][0])["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "mine"
    assert len(environment(body["spec"]["initContainers"][0])) == 2
    injected = deepcopy(body)
    inject_pod_identity(body)
    assert body == injected


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
def test_status_subresource_stores_status(kube: Any, path: str, body: Any, status: dict[str, Any]) -> None:
    assert kube("POST", path, body)[0] == 201
    code, obj = kube("PATCH", f"{path}/p/status", {"status": status}, content_type=MERGE)
    assert code == 200
    assert {key: obj["status"][key] for key in status} == status
    assert kube("GET", f"{path}/p") == (200, obj)
    assert kube("GET", f"{path}/p/status") == (200, obj)
