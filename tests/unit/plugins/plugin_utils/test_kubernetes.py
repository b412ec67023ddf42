# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test requests to Kubernetes in the process of the task: one connection, an error for each failure, and separate writes of
objects."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible_collections.kubernetes.core.plugins.module_utils.client import discovery
from ansible_collections.kubernetes.core.plugins.module_utils.client.discovery import LazyDiscoverer
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core_client
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes as kubernetes
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes_access import GivenAccess
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import alarm
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError
from kubernetes.dynamic.resource import ResourceInstance

# A time in seconds, which is longer than all time limits in these tests.
LONG = 60
QUERY = Query("v1", "Pod", "shop", ("a=b", "c"), ("status.phase!=Failed",))
ITEM = {"metadata": {"name": "x"}}


class FakeClient:
    """A fake of the Kubernetes client. ``answer`` is the body of each response, or an exception that each request raises."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.configuration = SimpleNamespace(host="https://kube", ssl_ca_cert=None, verify_ssl=True)
        self.client = SimpleNamespace(
            version={"kubernetes": {"gitVersion": "v1.33.0"}}, client=SimpleNamespace(call_api=None)
        )

    def resource(self, kind: str, api_version: str) -> str:
        return f"{api_version} {kind}"

    def create(self, resource: str, definition: Any, **parameters: Any) -> Any:
        return self.get(resource, definition=definition, **parameters)

    def get(self, resource: str, **parameters: Any) -> Any:
        self.asked.append({"resource": resource, **parameters})
        if isinstance(self.answer, Exception):
            raise self.answer
        data = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return SimpleNamespace(data=data)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set the temporary folder of an Ansible run, and remove the variables that name a kubeconfig. Return the folder."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    for name in ("KUBECONFIG", "K8S_AUTH_KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def client_cluster(
    options: dict[str, Any], access: Any = None, writing: kubernetes.WriteOptions | None = None
) -> kubernetes.ClientCluster:
    connection = kubernetes.Connection(options, access or GivenAccess({}))
    return kubernetes.ClientCluster(connection, connection, writing or kubernetes.WriteOptions())


def fake_reader(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[kubernetes.ClientCluster, FakeClient, list[Any]]:
    client, made = FakeClient(answer), []

    def connect(**options: Any) -> FakeClient:
        made.append(options)
        return client

    monkeypatch.setattr(kubernetes, "get_api_client", connect)
    return client_cluster({"context": "blue"}), client, made


def test_api_description_is_cached_in_the_folder_of_the_run(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """Check that the cache is not in the shared temporary folder of the machine, where any user could create the cache file."""
    fake_reader({"items": []}, monkeypatch)
    discoverer: Any = object.__new__(LazyDiscoverer)
    monkeypatch.setattr(discovery.Discoverer, "_Discoverer__init_cache", lambda _self: None)
    configuration = SimpleNamespace(host="https://kube")
    discovery.Discoverer.__init__(discoverer, SimpleNamespace(configuration=configuration), None)
    assert Path(discoverer._Discoverer__cache_file).parent == folder


def test_one_connection_for_all_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, made = fake_reader({"items": [ITEM]}, monkeypatch)
    assert [reader.list_objects(QUERY), reader.list_objects(QUERY)] == [Listing([ITEM])] * 2
    assert reader.read_version() == {"gitVersion": "v1.33.0"}
    assert made == [{"context": "blue"}]
    assert client.asked[0] == {
        "resource": "v1 Pod",
        "namespace": "shop",
        "label_selector": "a=b,c",
        "field_selector": "status.phase!=Failed",
        "serialize": False,
    }


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({"KUBECONFIG": "/of/the/task"}, {"context": "blue", "kubeconfig": "/of/the/task"}),
        # The modules of kubernetes.core read K8S_AUTH_KUBECONFIG themselves, and it takes precedence.
        ({"KUBECONFIG": "/of/the/task", "K8S_AUTH_KUBECONFIG": "/other"}, {"context": "blue"}),
        ({}, {"context": "blue"}),
    ],
)
def test_kubeconfig_of_the_task_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: dict[str, str]
) -> None:
    """Check that KUBECONFIG is passed as an option. The Kubernetes client reads the variable when it is imported, which is too
    early."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    reader, _client, made = fake_reader({"items": []}, monkeypatch)
    assert reader.list_objects(QUERY) == Listing([])
    assert made == [options]


def test_in_cluster_configuration_has_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/of/the/task")
    monkeypatch.setattr(kubernetes, "load_incluster_config", lambda: None)
    reader, _client, made = fake_reader({"items": []}, monkeypatch)
    assert reader.list_objects(QUERY) == Listing([])
    assert made == [{"context": "blue"}]


def refusal(body: str | bytes, status: int = 403) -> ApiException:
    error = ApiException(status=status, reason="Forbidden")
    error.body = body
    return error


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (refusal('{"message":"pods is forbidden","code":403}'), ApiError(403, "pods is forbidden")),
        (refusal(b'{"message":"pods is forbidden","code":403}'), ApiError(403, "pods is forbidden")),
        (refusal(""), ApiError(403, "Forbidden")),
        (ResourceNotFoundError("No matches found"), ApiError(0, "No matches found")),
        (ConnectionRefusedError("Connection refused"), ApiError(0, "Connection refused")),
        (ValueError("no JSON"), ApiError(0, "no JSON")),
    ],
)
def test_list_returns_the_error_of_the_request(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, error: ApiError
) -> None:
    reader, _client, _made = fake_reader(raised, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(error=error)


POD = {"kind": "Pod", "metadata": {"namespace": "shop", "name": "probe"}}


def test_dry_runs_use_a_separate_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, made = fake_reader({**POD, "spec": {}}, monkeypatch)
    assert reader.dry_run_pods([POD, POD]) == [DryRun({**POD, "spec": {}})] * 2
    assert len(made) == 1
    assert (
        client.asked
        == [
            {
                "resource": "v1 Pod",
                "definition": POD,
                "namespace": "shop",
                "dry_run": "All",
                "serialize": False,
                "header_params": {"Connection": "close"},
            }
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal('{"message":"pods is forbidden","code":403}'), ApiError(403, "pods is forbidden")),
        (ConnectionRefusedError("Connection refused"), ApiError(0, "Connection refused")),
        ({"items": []}, ApiError(0, "the response is not from the Kubernetes API: no Pod")),
    ],
)
def test_failed_dry_run_has_the_reason(monkeypatch: pytest.MonkeyPatch, answer: Any, error: ApiError) -> None:
    reader, _client, _made = fake_reader(answer, monkeypatch)
    assert reader.dry_run_pods([POD]) == [DryRun(error=error)]


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n"


def test_server_is_read_from_the_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reader, client, _made = fake_reader({}, monkeypatch)
    assert reader.read_server() == ApiServer("https://kube")
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    client.configuration = SimpleNamespace(
        host="https://kube", ssl_ca_cert=str(tmp_path / "ca.pem"), verify_ssl=False
    )
    digest = hashlib.sha256(b"CERT").hexdigest()
    assert reader.read_server() == ApiServer("https://kube", frozenset({digest}), False)
    client.configuration.ssl_ca_cert = str(tmp_path / "gone.pem")
    assert reader.read_server() == ApiServer()


@pytest.mark.parametrize("answer", [b"<html>login</html>", b"", b"[]", b"{}", b'{"items": {}}'])
def test_invalid_list_is_not_an_empty_list(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    reader, _client, _made = fake_reader(answer, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(
        error=ApiError(0, "the response with status 200 is not from the Kubernetes API: no list of Pod")
    )


@pytest.mark.parametrize(
    "error", [AttributeError("'str' object has no attribute 'groups'"), TypeError(), KeyError()]
)
def test_web_page_instead_of_the_api_description_is_reported(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    reader, _client, _made = fake_reader({"items": []}, monkeypatch)

    def connect(**_options: Any) -> FakeClient:
        raise error

    monkeypatch.setattr(kubernetes, "get_api_client", connect)
    text = "the response with status 200 is not from the Kubernetes API: no description of its resources"
    assert reader.list_objects(QUERY) == Listing(error=ApiError(0, text))
    assert (reader.read_server(), reader.read_version()) == (ApiServer(), {})


def test_stalled_list_fails_with_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, _made = fake_reader({"items": []}, monkeypatch)
    monkeypatch.setattr(kubernetes, "LONGEST_CALL", 0.2)
    monkeypatch.setattr(client, "get", lambda *_, **__: threading.Event().wait(LONG))
    began = time.monotonic()
    assert reader.list_objects(QUERY) == Listing(error=ApiError(0, "no complete response within 0.2 seconds"))
    assert time.monotonic() - began < LONG


def test_retry_after_header_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ApiException(status=429, reason="Too Many Requests")
    error.body, error.headers = '{"message":"busy","code":429}', {"Retry-After": "7"}
    reader, _client, _made = fake_reader(error, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(error=ApiError(429, "busy", 7))


class Renewing:
    """A fake source of credentials. It returns a new token for each request."""

    arguments: dict[str, Any] = {}

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.asked = 0

    def token(self, seconds: float) -> str:
        assert seconds == kubernetes.LONGEST_CALL
        if self.error:
            raise self.error
        self.asked += 1
        return f"token-{self.asked}"


def test_client_requests_a_token_before_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a real configuration of the Kubernetes client, whose hook must set the token of each request."""
    client = FakeClient({"items": []})
    client.configuration = Configuration(host="https://eks")  # type: ignore[assignment]
    made: list[dict[str, Any]] = []

    def connect(**options: Any) -> FakeClient:
        made.append(options)
        client.configuration.api_key = {"authorization": f"Bearer {options['api_key']}"}
        return client

    monkeypatch.setattr(kubernetes, "get_api_client", connect)
    reader = client_cluster({"host": "https://eks"}, Renewing())
    assert reader.list_objects(QUERY) == Listing([])
    [first, second] = (
        next(iter(client.configuration.auth_settings().values()))["value"]  # type: ignore[attr-defined]
        for _ in range(2)
    )
    [options] = made
    assert (options.pop("host"), options.pop("api_key")) == ("https://eks", "token-1")
    # Empty options override environment variables, so only the token identifies the caller.
    assert {"kubeconfig", "context", "username", "client_cert", "client_key"} < set(options)
    assert set(options.values()) == {""}
    assert (first, second) == ("Bearer token-2", "Bearer token-3")


DENIED = AwsError("sts:AssumeRole", "AccessDenied", "no.", ErrorKind.DENIED, "Allow it.")


def test_no_request_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "get_api_client", pytest.fail)
    reader = client_cluster({}, Renewing(DENIED))
    assert reader.list_objects(QUERY) == Listing(
        error=ApiError(0, "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it.")
    )


def test_environment_does_not_override_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set K8S_AUTH variables, and check the configuration that kubernetes.core builds."""
    for name in ("USERNAME", "PASSWORD", "CLIENT_CERT", "CLIENT_KEY", "KUBECONFIG", "API_KEY", "HOST"):
        monkeypatch.setenv(f"K8S_AUTH_{name}", "of the shell")
    found: list[Any] = []

    def connect(configuration: Any, **_headers: Any) -> Any:
        found.append(configuration)
        return SimpleNamespace(client=SimpleNamespace(call_api=None))

    monkeypatch.setattr(core_client, "create_api_client", connect)
    reader = client_cluster({"host": "https://eks"}, Renewing())
    assert reader.read_server() == ApiServer("https://eks", frozenset(), True)
    [configuration] = found
    assert configuration.api_key == {"authorization": "Bearer token-1"}
    assert not any((configuration.username, configuration.cert_file, configuration.key_file))


HANGING = """
import sys, threading, time
from types import SimpleNamespace
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes as module
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes_access as module_access

module.LONGEST_DRY_RUNS = 0.5
module.get_api_client = lambda **_options: SimpleNamespace(
    resource=lambda *_: None,
    create=lambda *_, **__: time.sleep(60),
    client=SimpleNamespace(client=SimpleNamespace(call_api=None)),
)
connection = module.Connection({}, module_access.GivenAccess({}))
[trial] = module.ClientCluster(connection, connection, module.WriteOptions()).dry_run_pods([{"metadata": {}}])
print(trial.error.text)
"""


def test_abandoned_dry_runs_do_not_block_the_exit() -> None:
    """Check that the program exits although requests hang. With a thread pool, Python would wait for its threads at the exit."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=LONG / 2, check=True
    )
    assert done.stdout.startswith("no complete response within 0.")


def test_each_request_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that requests of kubernetes.core get a time limit, because kubernetes.core does not set one."""
    cluster, client, _made = fake_reader({"items": []}, monkeypatch)
    requests: list[Any] = []
    client.client.client.call_api = lambda *arguments, **more: requests.append((arguments, more))
    assert cluster.list_objects(QUERY) == Listing([])
    client.client.client.call_api("GET", "/api", _request_timeout=None)
    client.client.client.call_api("GET", "/api", _request_timeout=3)
    assert requests == [
        (("GET", "/api"), {"_request_timeout": (10, 65)}),
        (("GET", "/api"), {"_request_timeout": 3}),
    ]


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": "shop", "name": "proof"}}
CONFLICT = 'Apply failed with 1 conflict: conflict with "helm": .metadata.labels.team'
Answer = Callable[[str], Any]


def account(number: int, **metadata: Any) -> dict[str, Any]:
    named = {"namespace": "shop", "name": f"a{number}", **metadata}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named}


def accounts(count: int) -> list[dict[str, Any]]:
    return [account(number) for number in range(count)]


class Store:
    """A fake client of an API with ``objects`` by name. Each write, such as "apply a1", calls ``answer``, which may raise an
    error."""

    def __init__(self, *objects: Mapping[str, Any], answer: Answer = lambda _write: None) -> None:
        self.objects = {str(item["metadata"]["name"]): dict(item) for item in objects}
        self.answer = answer
        self.dry_run = False
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.configuration = SimpleNamespace()
        self.client = SimpleNamespace(client=SimpleNamespace(call_api=None))

    @property
    def writes(self) -> list[str]:
        return [write for write, _parameters in self.asked]

    def resource(self, kind: str, api_version: str) -> Any:
        return SimpleNamespace(kind=kind, group_version=api_version)

    def get(self, _resource: Any, name: str, **_where: Any) -> Any:
        if name not in self.objects:
            raise NotFoundError(ApiException(status=404))
        return ResourceInstance(None, self.objects[name])

    def apply(self, _resource: Any, definition: Any, namespace: str, **parameters: Any) -> Any:
        return self._write("apply", definition, {"namespace": namespace, **parameters})

    def create(self, _resource: Any, definition: Any, **parameters: Any) -> Any:
        return self._write("create", definition, parameters)

    def patch(self, _resource: Any, definition: Any, **parameters: Any) -> Any:
        return self._write("patch", definition, parameters)

    def delete(self, _resource: Any, name: str, **parameters: Any) -> Any:
        return self._write("delete", self.objects[name], parameters)

    def _write(self, verb: str, item: Any, parameters: dict[str, Any]) -> Any:
        write = f"{verb} {item['metadata']['name']}"
        # The newest kubernetes.core sets this parameter to get the raw response. The oldest does not set it, and gets an object.
        parameters.pop("serialize", None)
        self.asked.append((write, {**parameters, "dry run": self.dry_run}))
        self.answer(write)
        return SimpleNamespace(data=json.dumps(item).encode(), headers={}, to_dict=lambda: dict(item))


def store_cluster(
    monkeypatch: pytest.MonkeyPatch, store: Store, access: Any = None, **options: Any
) -> kubernetes.ClientCluster:
    found = {"defaults": kubernetes.read_write_options({}), "diff": True, **options}
    # kubernetes.core copies the client for dry runs. Use the same fake for both, which records all writes.
    monkeypatch.setattr(Store, "__copy__", lambda self: self, raising=False)
    monkeypatch.setattr(kubernetes, "get_api_client", lambda **_options: store)
    return client_cluster({}, access, kubernetes.WriteOptions(**found))


@pytest.mark.parametrize(
    ("option", "force"), [(True, True), (False, False), (["shop/a0"], True), (["shop/a1"], False)]
)
def test_service_accounts_use_server_side_apply(
    monkeypatch: pytest.MonkeyPatch, option: bool | list[str], force: bool
) -> None:
    store = Store(account(0))
    labelled = account(0, labels={"team": "shop"})
    written = store_cluster(monkeypatch, store, force=option).apply([labelled])
    assert store.asked == [
        (
            "apply a0",
            {
                "namespace": "shop",
                "server_side": True,
                "field_manager": "workload-identity",
                "force_conflicts": force,
                "dry run": False,
            },
        )
    ]
    [diff] = written.diffs
    assert (written.changed, diff["after_header"]) == (True, "ServiceAccount shop/a0")
    diffs = [json.loads(str(diff[side])) for side in ("before", "after")]
    assert diffs == [{"metadata": {}}, {"metadata": {"labels": {"team": "shop"}}}]


def test_equal_object_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(account(0))
    assert store_cluster(monkeypatch, store).apply([account(0)]) == WriteResult(False, {}, diffs=[])


def test_namespaces_are_created_before_service_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(write: str) -> None:
        if write == "apply a1":
            raise refusal(json.dumps({"message": CONFLICT, "code": 409}), 409)

    store = Store(answer=refuse)
    written = store_cluster(monkeypatch, store).apply([account(0), NAMESPACE, account(1)])
    assert (store.writes[0], sorted(store.writes[1:])) == ("create shop", ["apply a0", "apply a1"])
    # The key of a rejected manifest is its index in the list of manifests.
    assert (written.changed, written.refused) == (True, {2: ApiError(409, CONFLICT)})
    assert [diff["after_header"] for diff in written.diffs] == ["ServiceAccount shop/a0"]


def test_no_write_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def connect(**options: Any) -> None:
        made.append(options)
        raise ConnectionRefusedError("no route")

    monkeypatch.setattr(kubernetes, "get_api_client", connect)
    written = client_cluster({}).apply([NAMESPACE, account(0)])
    assert (written, len(made)) == (WriteResult(error=ApiError(0, "no route"), diffs=[]), 1)


def test_job_is_created_patched_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    cluster = store_cluster(monkeypatch, store)
    assert cluster.apply([JOB]).changed
    assert not cluster.patch([JOB]).changed
    assert not cluster.remove([JOB]).changed
    store.objects["proof"] = JOB
    cluster.patch([JOB])
    assert cluster.remove([JOB]).changed
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    strategic = "application/strategic-merge-patch+json"
    assert store.asked == [
        ("create proof", {"namespace": "shop", "dry run": False}),
        (
            "patch proof",
            {"name": "proof", "namespace": "shop", "content_type": strategic, "dry run": False},
        ),
        ("delete proof", {"namespace": "shop", "body": body, "dry run": False}),
    ]


def test_writes_in_check_mode_are_dry_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    cluster = store_cluster(monkeypatch, store, check_mode=True)
    assert cluster.apply([account(0)]).changed
    assert [parameters["dry run"] for _write, parameters in store.asked] == [True]


def test_no_diffs_without_diff_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = store_cluster(monkeypatch, Store(), diff=False)
    assert cluster.apply([account(0)]) == WriteResult(True, {}, diffs=[])


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (("Too many requests, please try again later.\n", 429, "2"), (429, "Too many requests", 2)),
        (('{"message":"busy","code":503}', 503, ""), (503, "busy", 0)),
        (("<html>no upstream</html>", 502, ""), (502, "<html>no upstream</html>", 0)),
    ],
)
def test_rejection_is_the_response_of_the_api(
    monkeypatch: pytest.MonkeyPatch, raised: tuple[str, int, str], error: tuple[int, str, int]
) -> None:
    body, status, retry_after = raised

    def refuse(_write: str) -> None:
        answer = refusal(body, status)
        answer.headers = {"Retry-After": retry_after}
        raise answer

    refused = store_cluster(monkeypatch, Store(answer=refuse)).apply([account(0)]).refused[0]
    assert (refused.status, refused.retry_after) == (error[0], error[2])
    assert refused.text.startswith(error[1])


def test_invalid_object_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Respond with a web page. The Kubernetes client returns it as text instead of raising an error."""
    store = Store()
    monkeypatch.setattr(store, "get", lambda *_, **__: "<html>login</html>")
    text = "the response with status 200 is not from the Kubernetes API: no ServiceAccount"
    assert store_cluster(monkeypatch, store).apply(accounts(2)) == WriteResult(
        False, {0: ApiError(0, text), 1: ApiError(0, text)}, diffs=[]
    )


def hang(*names: str) -> Answer:
    def wait(write: str) -> None:
        if write.split()[1] in names:
            threading.Event().wait(LONG)

    return wait


def test_write_without_response_ends_the_pending_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "LONGEST_CALL", 0.5)
    monkeypatch.setattr(kubernetes, "AT_ONCE", 1)
    store = Store(answer=hang("a1"))
    written = store_cluster(monkeypatch, store).apply(accounts(4))
    lost = "no complete response within 0.5 seconds"
    waiting = ApiError(0, f"not started, because another write failed: {lost}.")
    assert (written.changed, written.error, len(written.diffs)) == (True, None, 1)
    assert written.refused == {1: ApiError(0, lost), 2: waiting, 3: waiting}
    assert store.writes == ["apply a0", "apply a1"]


def test_writes_without_any_response_share_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "LONGEST_CALL", 0.2)
    monkeypatch.setattr(kubernetes, "AT_ONCE", 2)
    store = Store(answer=hang("a0", "a1"))
    written = store_cluster(monkeypatch, store).apply(accounts(5))
    assert written == WriteResult(error=ApiError(0, "no complete response within 0.2 seconds"), diffs=[])
    assert sorted(store.writes) == ["apply a0", "apply a1"]


def test_missing_credentials_end_the_pending_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    access = Renewing()
    store = Store(answer=lambda _write: setattr(access, "error", DENIED))
    monkeypatch.setattr(kubernetes, "AT_ONCE", 1)
    written = store_cluster(monkeypatch, store, access).apply(accounts(3))
    text = "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it."
    assert written.refused == {
        1: ApiError(0, text),
        2: ApiError(0, f"not started, because another write failed: {text}"),
    }
    again = store_cluster(monkeypatch, store, access).apply(accounts(3))
    assert (again, store.writes) == (WriteResult(error=ApiError(0, text), diffs=[]), ["apply a0"])


def test_objects_are_written_concurrently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write eight objects at the same time: each write waits until seven others are running."""
    barrier = threading.Barrier(8)
    store = Store(answer=lambda _write: barrier.wait(LONG))
    written = store_cluster(monkeypatch, store).apply(accounts(16))
    assert (written.refused, len(written.diffs)) == ({}, 16)
    assert [diff["after_header"] for diff in written.diffs] == [
        f"ServiceAccount shop/a{number}" for number in range(16)
    ]


def test_interrupt_waits_for_writes_in_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def work(write: str) -> None:
        time.sleep(0.5)
        ended.append(write)

    store = Store(answer=work)
    cluster = store_cluster(monkeypatch, store)
    with contextlib.suppress(TimeoutError), alarm(0.2):
        cluster.apply(accounts(20))
        pytest.fail("it was not interrupted")
    assert sorted(ended) == sorted(store.writes) == sorted(f"apply a{number}" for number in range(8))


def test_module_defaults_are_parsed_by_type() -> None:
    defaults = {"kubeconfig": "/k", "verify_ssl": "no", "ca_cert": "/ca", "wait": True, "namespace": "x"}
    assert kubernetes.read_client_options(defaults) == {
        "kubeconfig": "/k",
        "validate_certs": False,
        "ca_cert": "/ca",
    }
    options = kubernetes.read_write_options(defaults)
    assert (options["wait"], options["wait_timeout"], options["hidden_fields"]) == (True, 120, None)
    assert not {"kubeconfig", "validate_certs"} & options.keys()


def test_unknown_module_defaults_are_rejected() -> None:
    with pytest.raises(InputError) as error:
        kubernetes.read_write_options({"waits": True})
    assert error.value.problems[0].startswith(
        "module_defaults of kubernetes.core: waits. Supported parameters"
    )
