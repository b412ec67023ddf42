# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the HTTPS server with the official Python client of Kubernetes."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import ssl
import time
from typing import Any

import pytest
import urllib3
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException
from sandbox.kube.control import KubeControlError

TOKEN = "administrator-token-0123456789"
BOB_TOKEN = "bob-token-0123456789"


def account(name: str, **labels: str) -> client.V1ServiceAccount:
    return client.V1ServiceAccount(metadata=client.V1ObjectMeta(name=name, labels=labels or None))


@pytest.fixture
def core(server: Any) -> client.CoreV1Api:
    return client.CoreV1Api(server.client())


def error_status(error: ApiException) -> tuple[int, str]:
    return error.status, json.loads(error.body)["message"]


def test_certificate_is_not_trusted_by_default(server: Any) -> None:
    pool = urllib3.PoolManager(ca_certs=None, cert_reqs="CERT_REQUIRED", retries=False)
    with pytest.raises(urllib3.exceptions.SSLError):
        pool.request("GET", f"{server.endpoint}/version")


def test_server_listens_on_loopback_only(server: Any) -> None:
    port = int(server.endpoint.rpartition(":")[2])
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", port))


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
def test_health_endpoints_need_no_token(server: Any, path: str) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    response = pool.request("GET", server.endpoint + path)
    assert (response.status, response.data) == (200, b"ok")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
def test_api_requires_token(server: Any, headers: dict[str, str]) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    response = pool.request("GET", f"{server.endpoint}/api/v1/pods", headers=headers)
    assert (response.status, response.json()["message"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/api/v1", "APIResourceList"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
    ],
)
def test_discovery_document_has_kind(server: Any, path: str, kind: str) -> None:
    assert get(server, path).json()["kind"] == kind


def get(server: Any, path: str, **headers: str) -> Any:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    return pool.request(
        "GET", server.endpoint + path, headers={"authorization": f"Bearer {TOKEN}", **headers}
    )


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        pytest.param("/apis", f"{AGGREGATED},application/json", "APIGroupList", id="aggregated-discovery"),
        pytest.param("/api/v1/pods", f"{TABLE}, application/json", "PodList", id="table"),
        pytest.param("/api/v1/pods", f"{PROTOBUF},application/json", "PodList", id="protobuf"),
        pytest.param("/api/v1/pods", "application/json;q=0.9", "PodList", id="parameters"),
        pytest.param("/api/v1/pods", "*/*", "PodList", id="anything"),
    ],
)
def test_plain_json_is_preferred(server: Any, path: str, accept: str, kind: str) -> None:
    response = get(server, path, accept=accept)
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.json()["kind"] == kind


@pytest.mark.parametrize("accept", [TABLE, AGGREGATED, PROTOBUF, "application/yaml"])
def test_other_media_types_are_not_acceptable(server: Any, accept: str) -> None:
    response = get(server, "/api/v1/pods", accept=accept)
    status = response.json()
    assert (response.status, status["kind"], status["reason"]) == (406, "Status", "NotAcceptable")
    assert status["message"] == "only the following media types are accepted: application/json"


def test_unacceptable_request_creates_no_object(server: Any) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    path = f"{server.endpoint}/api/v1/namespaces/default/serviceaccounts"
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "accept": PROTOBUF}
    response = pool.request("POST", path, body=b'{"metadata": {"name": "a"}}', headers=headers)
    assert response.status == 406
    assert get(server, "/api/v1/namespaces/default/serviceaccounts/a").status == 404


@pytest.mark.parametrize(
    ("method", "accepted"),
    [
        ("POST", "application/json, application/yaml"),
        (
            "PATCH",
            "application/merge-patch+json,"
            " application/strategic-merge-patch+json, application/apply-patch+yaml",
        ),
    ],
)
def test_protobuf_bodies_are_rejected(server: Any, method: str, accepted: str) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    path = "/api/v1/namespaces/default/serviceaccounts" + ("/default" if method == "PATCH" else "")
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": PROTOBUF}
    response = pool.request(method, server.endpoint + path, body=b"k8s\x00", headers=headers)
    assert (response.status, response.json()["reason"]) == (415, "UnsupportedMediaType")
    assert response.json()["message"] == (
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3"])
def test_openapi_documents_are_missing(server: Any, path: str) -> None:
    assert get(server, path).status == 404


def test_version_names_sandbox_as_platform(server: Any) -> None:
    result = client.VersionApi(server.client()).get_code()
    assert (result.major, result.minor, result.platform) == ("1", "36", "sandbox/emulator")


def test_unknown_path_is_not_found(server: Any) -> None:
    with pytest.raises(ApiException) as raised:
        client.CustomObjectsApi(server.client()).list_cluster_custom_object("none", "v1", "things")
    assert error_status(raised.value) == (404, "the server could not find the requested resource")


def test_create_read_update_delete(core: client.CoreV1Api) -> None:
    created, code, _ = core.create_namespaced_service_account_with_http_info("default", account("a", x="1"))
    assert (code, created.metadata.labels) == (201, {"x": "1"})
    assert core.read_namespaced_service_account("a", "default") == created
    patched = core.patch_namespaced_service_account("a", "default", {"metadata": {"labels": {"y": "2"}}})
    assert patched.metadata.labels == {"x": "1", "y": "2"}
    service_accounts = core.list_namespaced_service_account("default", label_selector="y=2")
    assert [item.metadata.name for item in service_accounts.items] == ["a"]
    deleted = core.delete_namespaced_service_account("a", "default")
    assert deleted.metadata.uid == created.metadata.uid
    with pytest.raises(ApiException) as raised:
        core.read_namespaced_service_account("a", "default")
    assert error_status(raised.value) == (404, 'serviceaccounts "a" not found')


def test_client_lists_pages(core: client.CoreV1Api) -> None:
    for number in range(5):
        core.create_namespaced_config_map(
            "default", {"metadata": {"name": f"c{number}", "labels": {"page": "1"}}}
        )
    pages, token = [], None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="page", limit=2, _continue=token)
        pages.append([item.metadata.name for item in page.items])
        token = page.metadata._continue
        if not token:
            break
    assert pages == [["c0", "c1"], ["c2", "c3"], ["c4"]]


def test_dynamic_client_discovers_kinds(server: Any) -> None:
    result = dynamic.DynamicClient(server.client())
    for version, kind in (("v1", "ServiceAccount"), ("apps/v1", "DaemonSet"), ("batch/v1", "Job")):
        assert result.resources.get(api_version=version, kind=kind).kind == kind
    assert result.resources.get(api_version="v1", short_names=["sa"]).kind == "ServiceAccount"


def test_namespace_is_deleted_asynchronously(core: client.CoreV1Api) -> None:
    core.create_namespace({"metadata": {"name": "team"}})
    core.create_namespaced_config_map("team", {"metadata": {"name": "c"}})
    core.delete_namespace("team")
    end = time.monotonic() + 10
    while core.list_namespace(field_selector="metadata.name=team").items:
        assert time.monotonic() < end, "the namespace still exists"
        time.sleep(0.05)


def test_rbac_is_enforced(start_server: Any) -> None:
    server = start_server("--rbac", "--user", f"bob:{BOB_TOKEN}:readers")
    admin, bob = client.CoreV1Api(server.client()), client.CoreV1Api(server.client(BOB_TOKEN))
    with pytest.raises(ApiException) as raised:
        bob.list_service_account_for_all_namespaces()
    assert error_status(raised.value) == (
        403,
        'serviceaccounts is forbidden: User "bob" cannot list resource "serviceaccounts" in API group ""'
        " at the cluster scope",
    )
    body = {
        "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "readers"}],
    }
    client.RbacAuthorizationV1Api(server.client()).create_cluster_role_binding(body)
    assert bob.list_service_account_for_all_namespaces().items
    with pytest.raises(ApiException) as raised:
        bob.create_namespaced_service_account("default", account("a"))
    assert raised.value.status == 403
    assert admin.create_namespaced_service_account("default", account("a")).metadata.name == "a"


def test_control_requires_administrator(start_server: Any) -> None:
    server = start_server("--user", f"bob:{BOB_TOKEN}:")
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    for token, status in ((TOKEN, 200), (BOB_TOKEN, 403), ("wrong", 401)):
        response = pool.request(
            "GET", f"{server.endpoint}/_sandbox/counters", headers={"authorization": f"Bearer {token}"}
        )
        assert response.status == status
    assert server.control.ready()


def test_counters_count_operations(server: Any, core: client.CoreV1Api) -> None:
    core.create_namespaced_service_account("default", account("a"), dry_run="All")
    core.create_namespaced_service_account("default", account("a"))
    core.list_namespaced_service_account("default")
    result = server.control.counters()
    assert (result["reads"], result["writes"], result["dry_runs"]) == (1, 1, 1)
    assert result["operations"] == {"create serviceaccounts": 1, "list serviceaccounts": 1}
    server.control.reset_counters()
    assert server.control.counters()["total"] == 0


@pytest.mark.parametrize(
    ("kind", "status", "stored"),
    [
        ("throttle", 429, False),
        ("error500", 500, False),
        ("error503", 503, False),
        ("access_denied", 403, False),
        ("not_found", 404, False),
        ("conflict", 409, False),
    ],
)
def test_error_fault_returns_status(
    server: Any, core: client.CoreV1Api, kind: str, status: int, stored: bool
) -> None:
    server.control.set_faults([{"operation": "create serviceaccounts", "kind": kind, "times": 1}])
    with pytest.raises(ApiException) as raised:
        core.create_namespaced_service_account("default", account("a"))
    assert raised.value.status == status
    if kind == "throttle":
        assert raised.value.headers["Retry-After"] == "1"
    assert exists(core, "a") is stored
    core.create_namespaced_service_account("default", account("a"))
    assert server.control.counters()["faults"] == {kind: 1}


@pytest.mark.parametrize(
    ("path", "token", "faults", "status"),
    [
        ("/api/v1/namespaces/default/serviceaccounts", TOKEN, ["throttle"], 429),
        ("/api/v1/namespaces/default/serviceaccounts", "wrong", [], 401),
        ("/api/v1/namespaces/default/nothings", TOKEN, [], 404),
        ("/_sandbox/latency", "wrong", [], 401),
    ],
)
def test_error_after_complete_request_keeps_connection(
    server: Any, path: str, token: str, faults: list[str], status: int
) -> None:
    server.control.set_faults([{"operation": "create *", "kind": kind, "times": 1} for kind in faults])
    body = json.dumps({"metadata": {"name": "a"}}).encode()
    address = urllib3.util.parse_url(server.endpoint)
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with contextlib.closing(
        http.client.HTTPSConnection(address.host, address.port, context=context, timeout=30)
    ) as connection:
        connection.putrequest("POST", path)
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection_socket = connection.sock
        time.sleep(0.2)
        connection.send(body)
        response = connection.getresponse()
        response.read()
        connection.request("GET", "/readyz")
        second = connection.getresponse()
        assert (response.status, second.read(), connection.sock) == (status, b"ok", connection_socket)


@pytest.mark.parametrize(("kind", "stored"), [("reset_before", False), ("reset_after", True)])
def test_reset_fault_closes_connection(server: Any, core: client.CoreV1Api, kind: str, stored: bool) -> None:
    server.control.set_faults([{"operation": "create *", "kind": kind, "nth": 1}])
    with pytest.raises(urllib3.exceptions.ProtocolError) as raised:
        core.create_namespaced_service_account("default", account("a"))
    assert isinstance(raised.value.args[1], ConnectionResetError)
    assert exists(core, "a") is stored


@pytest.mark.parametrize(
    ("kind", "text"), [("html200", "<title>Sign in to the network</title>"), ("empty200", "")]
)
def test_proxy_fault_returns_page_of_proxy(server: Any, core: client.CoreV1Api, kind: str, text: str) -> None:
    server.control.set_faults([{"operation": "create *", "kind": kind, "times": 1}])
    response = core.create_namespaced_service_account("default", account("a"), _preload_content=False)
    assert response.status == 200
    assert text in response.data.decode()
    assert bool(response.data) is bool(text)
    assert not exists(core, "a")


def test_stall_delays_response_and_executes_request(server: Any, core: client.CoreV1Api) -> None:
    rule = {"operation": "create *", "kind": "stall", "times": 1}
    server.control.set_faults([{**rule, "seconds": 1}])
    start = time.monotonic()
    core.create_namespaced_service_account("default", account("a"))
    assert time.monotonic() - start >= 1
    server.control.set_faults([{**rule, "seconds": 120}])
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        core.create_namespaced_service_account("default", account("b"), _request_timeout=0.5)
    assert exists(core, "b")


@pytest.mark.parametrize(
    ("operation", "reason", "message"),
    [
        ("create", "AlreadyExists", 'serviceaccounts "a" already exists'),
        (
            "patch",
            "Conflict",
            'Operation cannot be fulfilled on serviceaccounts "a": the object has been modified; please '
            "apply your changes to the latest version and try again",
        ),
    ],
)
def test_conflict_message_depends_on_verb(
    server: Any, core: client.CoreV1Api, operation: str, reason: str, message: str
) -> None:
    server.control.set_faults([{"operation": f"{operation} serviceaccounts", "kind": "conflict"}])
    calls = {
        "create": lambda: core.create_namespaced_service_account("default", account("a")),
        "patch": lambda: core.patch_namespaced_service_account("a", "default", account("a")),
    }
    with pytest.raises(ApiException) as raised:
        calls[operation]()
    status = json.loads(raised.value.body)
    assert (raised.value.status, status["reason"], status["message"]) == (409, reason, message)


def test_throttle_sets_retry_after(server: Any, core: client.CoreV1Api) -> None:
    server.control.set_faults([{"kind": "throttle", "seconds": 7}])
    with pytest.raises(ApiException) as raised:
        core.list_namespace()
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (429, "7")


def exists(core: client.CoreV1Api, name: str) -> bool:
    service_accounts = core.list_namespaced_service_account("default", field_selector=f"metadata.name={name}")
    return bool(service_accounts.items)


def test_latency_delays_responses(server: Any, core: client.CoreV1Api) -> None:
    server.control.set_latency(60_000)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        core.list_namespace(_request_timeout=0.3)
    server.control.set_latency(0)
    assert core.list_namespace(_request_timeout=10).items


def test_state_and_reset(server: Any, core: client.CoreV1Api) -> None:
    core.create_namespaced_service_account("default", account("a"))
    server.control.set_associations([("default", "a")])
    state = server.control.state()
    names = [obj["metadata"]["name"] for obj in state["objects"]["serviceaccounts"]]
    assert "a" in names
    assert state["associations"] == [{"namespace": "default", "service_account": "a"}]
    server.control.reset()
    assert not exists(core, "a")
    assert server.control.state()["associations"] == []


def test_restore_restores_objects(server: Any, core: client.CoreV1Api) -> None:
    core.create_namespace({"metadata": {"name": "apps"}})
    created = core.create_namespaced_service_account("apps", account("a"))
    server.control.set_associations([("apps", "a")])
    saved_state = server.control.state()
    server.control.save("start")
    for _ in range(2):
        core.delete_namespaced_service_account("a", "apps")
        core.patch_namespaced_service_account("default", "default", {"metadata": {"labels": {"a": "b"}}})
        core.create_namespaced_service_account("default", account("stray"))
        server.control.reset()
        core.delete_namespaced_service_account("default", "default")
        server.control.restore("start")
        assert without_versions(server.control.state()) == without_versions(saved_state)
        assert core.read_namespaced_service_account("a", "apps").metadata.uid == created.metadata.uid
        assert not exists(core, "stray")
    core.patch_namespaced_service_account("a", "apps", {"metadata": {"labels": {"a": "b"}}})


def test_restore_of_unknown_checkpoint_fails(server: Any) -> None:
    with pytest.raises(KubeControlError, match=r"404 .*there is no checkpoint never"):
        server.control.restore("never")


def without_versions(state: Any) -> Any:
    """Return the state of a cluster without the resource versions, because a restore changes them."""
    if isinstance(state, dict):
        return {name: without_versions(value) for name, value in state.items() if name != "resourceVersion"}
    return [without_versions(item) for item in state] if isinstance(state, list) else state


def test_webhook_uses_associations_of_control_request(start_server: Any) -> None:
    server = start_server("--pod-identity-webhook")
    core = client.CoreV1Api(server.client())
    body = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    plain = core.create_namespaced_pod("default", body)
    server.control.set_associations([("default", "default")])
    injected = core.create_namespaced_pod("default", body)
    assert plain.spec.containers[0].env is None
    assert [variable.name for variable in injected.spec.containers[0].env] == [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ]


def test_webhook_may_know_other_associations_than_eks(start_server: Any) -> None:
    server = start_server("--pod-identity-webhook")
    core = client.CoreV1Api(server.client())
    body = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    server.control.set_associations([("default", "default")])
    server.control.set_known_associations([])
    late = core.create_namespaced_pod("default", body)
    server.control.set_known_associations(None)
    injected = core.create_namespaced_pod("default", body)
    assert late.spec.containers[0].env is None
    assert injected.spec.containers[0].env is not None


def test_server_with_webhook_has_eks_version(server: Any, start_server: Any) -> None:
    versions = [
        client.VersionApi(instance.client()).get_code().git_version
        for instance in (server, start_server("--pod-identity-webhook"))
    ]
    assert versions == ["v1.36.2+sandbox", "v1.36.2-eks-0000000+sandbox"]


@pytest.mark.parametrize(
    ("path", "token", "line"),
    [
        ("/version", TOKEN, "200 OK"),
        ("/version", "wrong", "401 Unauthorized"),
        ("/api/v1/namespaces/none", TOKEN, "404 Not Found"),
    ],
)
def test_responses_have_reason_phrase(server: Any, path: str, token: str, line: str) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file), retries=False)
    response = pool.request("GET", f"{server.endpoint}{path}", headers={"Authorization": f"Bearer {token}"})
    assert f"{response.status} {response.reason}" == line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_server_cleanly(start_server: Any, number: int) -> None:
    server = start_server()
    client.CoreV1Api(server.client()).list_namespace()
    server.process.send_signal(number)
    assert server.process.wait(timeout=10) == 0
    assert not server.control.ready()


def test_list_of_many_objects_has_pages(server: Any, core: client.CoreV1Api) -> None:
    for number in range(1000):
        core.create_namespaced_service_account("default", account(f"a-{number:04}"))
    pages, token = 0, None
    while True:
        page = core.list_namespaced_service_account("default", limit=500, _continue=token)
        pages, token = pages + len(page.items), page.metadata._continue
        if not token:
            break
    assert pages == 1001
    assert server.control.counters()["operations"]["list serviceaccounts"] == 3
