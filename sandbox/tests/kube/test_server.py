# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server over HTTPS, asked by the official Python client."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from kubernetes import client, dynamic, watch
from kubernetes.client.exceptions import ApiException
from sandbox.kube.control import KubeControlError

TOKEN = "administrator-token-0123456789"
BOB_TOKEN = "bob-token-0123456789"


def account(name: str, **labels: str) -> client.V1ServiceAccount:
    return client.V1ServiceAccount(metadata=client.V1ObjectMeta(name=name, labels=labels or None))


@pytest.fixture
def core(server: Any) -> client.CoreV1Api:
    return client.CoreV1Api(server.client())


def status_of(error: ApiException) -> tuple[int, str]:
    return error.status, json.loads(error.body)["message"]


def test_the_certificate_is_checked(server: Any) -> None:
    pool = urllib3.PoolManager(ca_certs=None, cert_reqs="CERT_REQUIRED", retries=False)
    with pytest.raises(urllib3.exceptions.SSLError):
        pool.request("GET", f"{server.endpoint}/version")


def test_it_listens_on_the_loopback_address_alone(server: Any) -> None:
    port = int(server.endpoint.rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
def test_health_needs_no_token(server: Any, path: str) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    answer = pool.request("GET", server.endpoint + path)
    assert (answer.status, answer.data) == (200, b"ok")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
def test_everything_else_does(server: Any, headers: dict[str, str]) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    answer = pool.request("GET", f"{server.endpoint}/api/v1/pods", headers=headers)
    assert (answer.status, answer.json()["message"]) == (401, "Unauthorized")


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
def test_discovery(server: Any, path: str, kind: str) -> None:
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
def test_answers_are_plain_json_where_that_is_also_accepted(
    server: Any, path: str, accept: str, kind: str
) -> None:
    answer = get(server, path, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["kind"] == kind


@pytest.mark.parametrize("verb", ["", "?watch=true"])
@pytest.mark.parametrize("accept", [TABLE, AGGREGATED, PROTOBUF, "application/yaml"])
def test_other_forms_are_refused(server: Any, accept: str, verb: str) -> None:
    answer = get(server, f"/api/v1/pods{verb}", accept=accept)
    status = answer.json()
    assert (answer.status, status["kind"], status["reason"]) == (406, "Status", "NotAcceptable")
    assert status["message"] == "only the following media types are accepted: application/json"


def test_a_refused_answer_leaves_no_object_behind(server: Any) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    path = f"{server.endpoint}/api/v1/namespaces/default/serviceaccounts"
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "accept": PROTOBUF}
    answer = pool.request("POST", path, body=b'{"metadata": {"name": "a"}}', headers=headers)
    assert answer.status == 406
    assert get(server, "/api/v1/namespaces/default/serviceaccounts/a").status == 404


@pytest.mark.parametrize(
    ("method", "accepted"),
    [
        ("POST", "application/json, application/yaml"),
        (
            "PATCH",
            "application/json-patch+json, application/merge-patch+json,"
            " application/strategic-merge-patch+json, application/apply-patch+yaml",
        ),
    ],
)
def test_bodies_in_protobuf_are_refused(server: Any, method: str, accepted: str) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    path = "/api/v1/namespaces/default/serviceaccounts" + ("/default" if method == "PATCH" else "")
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": PROTOBUF}
    answer = pool.request(method, server.endpoint + path, body=b"k8s\x00", headers=headers)
    assert (answer.status, answer.json()["reason"]) == (415, "UnsupportedMediaType")
    assert answer.json()["message"] == (
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3"])
def test_there_are_no_openapi_documents(server: Any, path: str) -> None:
    assert get(server, path).status == 404


def test_version(server: Any) -> None:
    found = client.VersionApi(server.client()).get_code()
    assert (found.major, found.minor, found.platform) == ("1", "36", "sandbox/emulator")


def test_unknown_paths(server: Any) -> None:
    with pytest.raises(ApiException) as raised:
        client.CustomObjectsApi(server.client()).list_cluster_custom_object("none", "v1", "things")
    assert status_of(raised.value) == (404, "the server could not find the requested resource")


def test_a_life(core: client.CoreV1Api) -> None:
    created, code, _ = core.create_namespaced_service_account_with_http_info("default", account("a", x="1"))
    assert (code, created.metadata.labels) == (201, {"x": "1"})
    assert core.read_namespaced_service_account("a", "default") == created
    patched = core.patch_namespaced_service_account("a", "default", {"metadata": {"labels": {"y": "2"}}})
    assert patched.metadata.labels == {"x": "1", "y": "2"}
    listed = core.list_namespaced_service_account("default", label_selector="y=2")
    assert [item.metadata.name for item in listed.items] == ["a"]
    deleted = core.delete_namespaced_service_account("a", "default")
    assert deleted.metadata.uid == created.metadata.uid
    with pytest.raises(ApiException) as raised:
        core.read_namespaced_service_account("a", "default")
    assert status_of(raised.value) == (404, 'serviceaccounts "a" not found')


def test_pages(core: client.CoreV1Api) -> None:
    for number in range(5):
        core.create_namespaced_config_map(
            "default", {"metadata": {"name": f"c{number}", "labels": {"page": "1"}}}
        )
    seen, token = [], None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="page", limit=2, _continue=token)
        seen.append([item.metadata.name for item in page.items])
        token = page.metadata._continue
        if not token:
            break
    assert seen == [["c0", "c1"], ["c2", "c3"], ["c4"]]


def test_the_dynamic_client_finds_every_kind(server: Any) -> None:
    found = dynamic.DynamicClient(server.client())
    for version, kind in (("v1", "ServiceAccount"), ("apps/v1", "DaemonSet"), ("batch/v1", "Job")):
        assert found.resources.get(api_version=version, kind=kind).kind == kind
    assert found.resources.get(api_version="v1", short_names=["sa"]).kind == "ServiceAccount"


def test_a_namespace_ends_a_moment_later(core: client.CoreV1Api) -> None:
    core.create_namespace({"metadata": {"name": "team"}})
    core.create_namespaced_config_map("team", {"metadata": {"name": "c"}})
    core.delete_namespace("team")
    stream = watch.Watch().stream(
        core.list_namespace, field_selector="metadata.name=team", timeout_seconds=10
    )
    assert "DELETED" in [event["type"] for event in stream]


def test_watch_sees_what_happens(core: client.CoreV1Api) -> None:
    version = core.list_namespaced_service_account("default").metadata.resource_version
    core.create_namespaced_service_account("default", account("before"))

    def later() -> None:
        core.patch_namespaced_service_account("before", "default", {"metadata": {"labels": {"x": "1"}}})
        core.create_namespaced_service_account("kube-public", account("elsewhere"))
        core.delete_namespaced_service_account("before", "default")

    thread = threading.Timer(0.2, later)
    thread.start()
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(
        core.list_namespaced_service_account, "default", resource_version=version, timeout_seconds=10
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watcher.stop()
    thread.join()
    assert seen == [("ADDED", "before"), ("MODIFIED", "before"), ("DELETED", "before")]


def stream(server: Any, path: str) -> Iterator[dict[str, Any]]:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = pool.request("GET", server.endpoint + path, headers=headers, preload_content=False)
    for line in answer.read(decode_content=True).splitlines():
        yield json.loads(line)


def test_watch_starts_with_what_there_is_and_ends_with_a_bookmark(server: Any) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts?watch=True&timeoutSeconds=1&allowWatchBookmarks=true"
    events = list(stream(server, path))
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[0]["object"]["metadata"]["name"] == "default"
    bookmark = events[1]["object"]
    assert (bookmark["kind"], bookmark["metadata"]["resourceVersion"].isdigit()) == ("ServiceAccount", True)


def test_watch_list_marks_the_end_of_the_initial_events(server: Any) -> None:
    path = (
        "/api/v1/namespaces?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true"
        "&resourceVersionMatch=NotOlderThan"
    )
    events = list(stream(server, path))
    assert [event["type"] for event in events[:5]] == ["ADDED"] * 4 + ["BOOKMARK"]
    assert events[4]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_rbac_is_enforced(start_server: Any) -> None:
    server = start_server("--rbac", "--user", f"bob:{BOB_TOKEN}:readers")
    admin, bob = client.CoreV1Api(server.client()), client.CoreV1Api(server.client(BOB_TOKEN))
    with pytest.raises(ApiException) as raised:
        bob.list_service_account_for_all_namespaces()
    assert status_of(raised.value) == (
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


def test_an_administrator_may_impersonate(server: Any) -> None:
    api = server.client()
    api.set_default_header("Impersonate-User", "bob")
    found = client.AuthenticationV1Api(api).create_self_subject_review({})
    assert found.status.user_info.username == "bob"


def test_control_needs_an_administrator(start_server: Any) -> None:
    server = start_server("--user", f"bob:{BOB_TOKEN}:")
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file))
    for token, status in ((TOKEN, 200), (BOB_TOKEN, 403), ("wrong", 401)):
        answer = pool.request(
            "GET", f"{server.endpoint}/_sandbox/counters", headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status == status
    assert server.control.ready()


def test_counters(server: Any, core: client.CoreV1Api) -> None:
    core.create_namespaced_service_account("default", account("a"), dry_run="All")
    core.create_namespaced_service_account("default", account("a"))
    core.list_namespaced_service_account("default")
    found = server.control.counters()
    assert (found["reads"], found["writes"], found["dry_runs"]) == (1, 1, 1)
    assert found["operations"] == {"create serviceaccounts": 1, "list serviceaccounts": 1}
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
def test_faults_that_answer(
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
def test_a_refusal_waits_for_the_whole_request_and_keeps_the_connection(
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
        used = connection.sock
        time.sleep(0.2)
        connection.send(body)
        answer = connection.getresponse()
        answer.read()
        connection.request("GET", "/readyz")
        after = connection.getresponse()
        assert (answer.status, after.read(), connection.sock) == (status, b"ok", used)


@pytest.mark.parametrize(("kind", "stored"), [("reset_before", False), ("reset_after", True)])
def test_faults_of_the_connection(server: Any, core: client.CoreV1Api, kind: str, stored: bool) -> None:
    server.control.set_faults([{"operation": "create *", "kind": kind, "nth": 1}])
    with pytest.raises(urllib3.exceptions.ProtocolError) as raised:
        core.create_namespaced_service_account("default", account("a"))
    assert isinstance(raised.value.args[1], ConnectionResetError)
    assert exists(core, "a") is stored


@pytest.mark.parametrize(
    ("kind", "text"), [("html200", "<title>Sign in to the network</title>"), ("empty200", "")]
)
def test_faults_that_are_not_the_api(server: Any, core: client.CoreV1Api, kind: str, text: str) -> None:
    server.control.set_faults([{"operation": "create *", "kind": kind, "times": 1}])
    answer = core.create_namespaced_service_account("default", account("a"), _preload_content=False)
    assert answer.status == 200
    assert text in answer.data.decode()
    assert bool(answer.data) is bool(text)
    assert not exists(core, "a")


def test_a_stall_answers_late_and_is_done(server: Any, core: client.CoreV1Api) -> None:
    rule = {"operation": "create *", "kind": "stall", "times": 1}
    server.control.set_faults([{**rule, "seconds": 1}])
    before = time.monotonic()
    core.create_namespaced_service_account("default", account("a"))
    assert time.monotonic() - before >= 1
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
def test_a_conflict_is_worded_for_the_verb(
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


def test_throttling_names_its_pause(server: Any, core: client.CoreV1Api) -> None:
    server.control.set_faults([{"kind": "throttle", "seconds": 7}])
    with pytest.raises(ApiException) as raised:
        core.list_namespace()
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (429, "7")


def exists(core: client.CoreV1Api, name: str) -> bool:
    listed = core.list_namespaced_service_account("default", field_selector=f"metadata.name={name}")
    return bool(listed.items)


def test_latency_delays_answers(server: Any, core: client.CoreV1Api) -> None:
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


def test_a_checkpoint(server: Any, core: client.CoreV1Api) -> None:
    core.create_namespace({"metadata": {"name": "apps"}})
    made = core.create_namespaced_service_account("apps", account("a"))
    server.control.set_associations([("apps", "a")])
    kept = server.control.state()
    server.control.keep("start")
    for _ in range(2):
        core.delete_namespaced_service_account("a", "apps")
        core.patch_namespaced_service_account("default", "default", {"metadata": {"labels": {"a": "b"}}})
        core.create_namespaced_service_account("default", account("stray"))
        server.control.reset()
        core.delete_namespaced_service_account("default", "default")
        server.control.restore("start")
        assert without_versions(server.control.state()) == without_versions(kept)
        assert core.read_namespaced_service_account("a", "apps").metadata.uid == made.metadata.uid
        assert not exists(core, "stray")
    core.patch_namespaced_service_account("a", "apps", {"metadata": {"labels": {"a": "b"}}})


def test_a_checkpoint_that_was_never_made(server: Any) -> None:
    with pytest.raises(KubeControlError, match=r"404 .*there is no checkpoint never"):
        server.control.restore("never")


def without_versions(state: Any) -> Any:
    """Resource versions are new ones."""
    if isinstance(state, dict):
        return {name: without_versions(value) for name, value in state.items() if name != "resourceVersion"}
    return [without_versions(item) for item in state] if isinstance(state, list) else state


def test_reset_ends_open_watches(server: Any) -> None:
    threading.Timer(0.3, server.control.reset).start()
    path = "/api/v1/namespaces?watch=true&timeoutSeconds=60"
    assert {event["type"] for event in stream(server, path)} == {"ADDED"}


def test_the_webhook_follows_the_control_endpoint(start_server: Any) -> None:
    server = start_server("--pod-identity-webhook")
    core = client.CoreV1Api(server.client())
    body = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    before = core.create_namespaced_pod("default", body)
    server.control.set_associations([("default", "default")])
    after = core.create_namespaced_pod("default", body)
    assert before.spec.containers[0].env is None
    assert [variable.name for variable in after.spec.containers[0].env] == [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ]


def test_the_webhook_is_turned_on_and_off(server: Any, core: client.CoreV1Api) -> None:
    def is_injected() -> bool:
        body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        return core.create_namespaced_pod("default", body, dry_run="All").spec.containers[0].env is not None

    server.control.set_associations([("default", "default")])
    assert not is_injected()
    server.control.set_webhook(True)
    assert is_injected()
    server.control.set_webhook(True, delays_ms=[600_000])
    assert not is_injected()
    server.control.set_webhook(False)
    assert not is_injected()


def test_only_a_server_with_the_webhook_passes_for_one_of_eks(server: Any, start_server: Any) -> None:
    versions = [
        client.VersionApi(one.client()).get_code().git_version
        for one in (server, start_server("--pod-identity-webhook"))
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
def test_answers_have_a_reason_phrase(server: Any, path: str, token: str, line: str) -> None:
    pool = urllib3.PoolManager(ca_certs=str(server.ca_file), retries=False)
    answer = pool.request("GET", f"{server.endpoint}{path}", headers={"Authorization": f"Bearer {token}"})
    assert f"{answer.status} {answer.reason}" == line


def test_staged_logs(server: Any, core: client.CoreV1Api) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    core.create_namespaced_pod("default", body)
    server.control.set_logs({("default", "p"): "arn:aws:sts::123456789012:assumed-role/my-role/x\n"})
    found = core.read_namespaced_pod_log("p", "default")
    assert found == "arn:aws:sts::123456789012:assumed-role/my-role/x\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_a_second_start_keeps_the_certificate(
    start_server: Any, number: int
) -> None:
    server = start_server()
    client.CoreV1Api(server.client()).list_namespace()
    server.process.send_signal(number)
    assert server.process.wait(timeout=10) == 0
    assert not server.control.ready()


def test_a_pod_ends_by_itself_and_a_namespace_after_it(server: Any, core: client.CoreV1Api) -> None:
    server.control.set_termination(pod_ms=300, namespace_ms=100)
    core.create_namespace({"metadata": {"name": "ending"}})
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    core.create_namespaced_pod("ending", {"metadata": {"name": "p"}, "spec": spec})
    pod = core.delete_namespaced_pod("p", "ending", grace_period_seconds=20)
    assert pod.metadata.deletion_grace_period_seconds == 20
    core.delete_namespace("ending")
    end = time.monotonic() + 60
    while any(space.metadata.name == "ending" for space in core.list_namespace().items):
        assert time.monotonic() < end, "the namespace is still there"
        time.sleep(0.05)


def test_history_ends_where_it_is_compacted(server: Any, core: client.CoreV1Api) -> None:
    version = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", {"metadata": {"name": "later"}})
    server.control.compact()
    with pytest.raises(ApiException) as raised:
        core.list_namespaced_config_map("default", resource_version=version, resource_version_match="Exact")
    assert status_of(raised.value) == (410, "The resourceVersion for the provided list is too old.")


def test_the_client_scales(server: Any) -> None:
    apps = client.AppsV1Api(server.client())
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
    apps.create_namespaced_deployment("default", {"metadata": {"name": "scaled"}, "spec": spec})
    apps.patch_namespaced_deployment_scale("scaled", "default", {"spec": {"replicas": 4}})
    assert apps.read_namespaced_deployment_scale("scaled", "default").spec.replicas == 4
    assert apps.read_namespaced_deployment("scaled", "default").spec.replicas == 4


def test_thousands_of_objects_are_listed_in_pages(server: Any, core: client.CoreV1Api) -> None:
    for number in range(1000):
        core.create_namespaced_service_account("default", account(f"a-{number:04}"))
    seen, token = 0, None
    while True:
        page = core.list_namespaced_service_account("default", limit=500, _continue=token)
        seen, token = seen + len(page.items), page.metadata._continue
        if not token:
            break
    assert seen == 1001
    assert server.control.counters()["operations"]["list serviceaccounts"] == 3
