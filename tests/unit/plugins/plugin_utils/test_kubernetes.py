# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test requests to Kubernetes in the process of the task: one connection, an error for each failure, and separate writes of
objects."""

from __future__ import annotations

import hashlib
import json
import os
import signal
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
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core_client
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Deadline,
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
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import Access
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import interruptible
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
)
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError
from kubernetes.dynamic.resource import ResourceInstance

# A time in seconds, which is longer than all time limits in these tests.
LONG = 60
QUERY = Query("v1", "Pod", "shop", ("a=b", "c"), ("status.phase!=Failed",))


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
    """Set the temporary folder of an Ansible run, a clock that sleeps without delay, and no variable that names a kubeconfig.

    Return the folder.
    """
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(kubernetes, "SystemClock", lambda _deadline: FakeClock())
    for name in ("KUBECONFIG", "K8S_AUTH_KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def client_cluster(
    options: dict[str, Any], access: Any = None, deadline: Deadline | None = None, **writing: Any
) -> kubernetes.ClientCluster:
    return kubernetes.ClientCluster(options, access or Access({}), deadline, **writing)


def test_cached_discovery_is_in_a_private_folder(folder: Path) -> None:
    """Another user could create the file of the cache first in the shared temporary folder."""
    client_cluster({})
    assert tempfile.gettempdir() == str(folder)


def fake_reader(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[kubernetes.ClientCluster, FakeClient, list[Any]]:
    client, made = FakeClient(answer), []

    def connect(**options: Any) -> FakeClient:
        made.append(options)
        return client

    monkeypatch.setattr(kubernetes, "get_api_client", connect)
    return client_cluster({"context": "blue"}), client, made


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


def test_list_has_its_selectors_and_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal('{"message":"busy","code":503}', 503)
    error.headers = {"Retry-After": "7"}
    reader, client, made = fake_reader(error, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(error=ApiError(503, "busy", 7))
    selectors = {"label_selector": "a=b,c", "field_selector": "status.phase!=Failed"}
    request = {"resource": "v1 Pod", "namespace": "shop", **selectors, "serialize": False}
    assert (client.asked, made) == ([request] * 6, [{"context": "blue"}])


def test_stalled_list_fails_with_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, _made = fake_reader({"items": []}, monkeypatch)
    monkeypatch.setattr(kubernetes, "LONGEST_CALL", 0.2)
    monkeypatch.setattr(client, "get", lambda *_, **__: threading.Event().wait(2))
    assert reader.list_objects(QUERY) == Listing(error=ApiError(0, "no complete response within 0.2 seconds"))


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


def test_environment_does_not_override_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
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

module.LONGEST_DRY_RUNS = 0.5
module.get_api_client = lambda **_options: SimpleNamespace(
    resource=lambda *_: None,
    create=lambda *_, **__: time.sleep(60),
    client=SimpleNamespace(client=SimpleNamespace(call_api=None)),
)
[trial] = module.ClientCluster({}, module.Access({})).dry_run_pods([{"metadata": {}}])
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
    # kubernetes.core copies the client for dry runs. Use the same fake for both, which records all writes.
    monkeypatch.setattr(Store, "__copy__", lambda self: self, raising=False)
    monkeypatch.setattr(kubernetes, "get_api_client", lambda **_options: store)
    return client_cluster({}, access, **{"diff": True, **options})


@pytest.mark.parametrize(
    ("force", "forces"), [(True, True), (False, False), (["shop/a0"], True), (["shop/a1"], False)]
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_service_account_is_applied_with_its_own_field_manager(
    monkeypatch: pytest.MonkeyPatch, force: bool | list[str], forces: bool, check_mode: bool
) -> None:
    """Check also that only the forced service accounts take over fields of others, and that check mode sends a dry run."""
    store = Store(account(0))
    labelled = account(0, labels={"team": "shop"})
    written = store_cluster(monkeypatch, store, force=force, check_mode=check_mode).apply([labelled])
    manager = {"server_side": True, "field_manager": "workload-identity", "force_conflicts": forces}
    assert store.asked == [("apply a0", {"namespace": "shop", **manager, "dry run": check_mode})]
    [diff] = written.diffs
    assert (written.changed, diff["after_header"]) == (True, "ServiceAccount shop/a0")
    diffs = [json.loads(str(diff[side])) for side in ("before", "after")]
    assert diffs == [{"metadata": {}}, {"metadata": {"labels": {"team": "shop"}}}]


@pytest.mark.parametrize(("objects", "changed"), [(accounts(1), False), ([], True)])
def test_equal_object_is_unchanged(
    monkeypatch: pytest.MonkeyPatch, objects: list[dict[str, Any]], changed: bool
) -> None:
    cluster = store_cluster(monkeypatch, Store(*objects), diff=False)
    assert cluster.apply([account(0)]) == WriteResult(changed, {}, diffs=[])


def test_job_is_created_patched_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check also that a patch has its own field manager, and that Pods of a Job are deleted with it."""
    store = Store()
    cluster = store_cluster(monkeypatch, store)
    assert cluster.apply([JOB]).changed
    assert not cluster.patch([JOB]).changed
    assert not cluster.remove([JOB]).changed
    store.objects["proof"] = JOB
    cluster.patch([JOB])
    assert cluster.remove([JOB]).changed
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    patch: dict[str, Any] = {"name": "proof", "content_type": "application/strategic-merge-patch+json"}
    parts: dict[str, dict[str, Any]] = {"create": {}, "patch": patch, "delete": {"body": body}}
    assert store.asked == [
        (f"{verb} proof", {"namespace": "shop", **more, "dry run": False}) for verb, more in parts.items()
    ]
    assert store.client.client.user_agent == "workload-identity-patch"


def test_no_write_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def connect(**options: Any) -> None:
        made.append(options)
        raise ConnectionRefusedError("no route")

    monkeypatch.setattr(kubernetes, "get_api_client", connect)
    written = client_cluster({}).apply([NAMESPACE, account(0)])
    lost = ApiError(0, "no route")
    waiting = ApiError(0, "not started, because another write failed: no route.")
    assert (written.error, written.refused, len(made)) == (lost, {0: lost, 1: waiting}, 1)


def test_invalid_object_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Respond with a web page. The Kubernetes client returns it as text instead of raising an error."""
    store = Store()
    monkeypatch.setattr(store, "get", lambda *_, **__: "<html>login</html>")
    text = ApiError(0, "the response with status 200 is not from the Kubernetes API: no ServiceAccount")
    written = store_cluster(monkeypatch, store).apply(accounts(2))
    assert written == WriteResult(False, {0: text, 1: text}, diffs=[])


def test_only_busy_writes_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reject the namespace once, so that the service account in it must wait, and one service account for good."""
    busy = {"create shop": 429, "apply a1": 503}

    def refuse(write: str) -> None:
        if write == "apply a2" or write in busy:
            raise refusal('{"message":"no"}', busy.pop(write, 403))

    store = Store(answer=refuse)
    written = store_cluster(monkeypatch, store).apply([NAMESPACE, account(0), account(1), account(2)])
    assert (written.changed, written.error, written.refused) == (True, None, {3: ApiError(403, "no")})
    assert store.writes[:2] == ["create shop"] * 2
    assert sorted(store.writes[2:]) == ["apply a0", "apply a1", "apply a1", "apply a2"]


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


LATE = ApiError(0, "the deadline of 60 s has passed")


def test_no_request_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(account(0), {**JOB, "metadata": {"name": "proof", "namespace": "shop"}})
    monkeypatch.setattr(Store, "__copy__", lambda self: self, raising=False)
    monkeypatch.setattr(kubernetes, "get_api_client", lambda **_options: store)
    cluster = client_cluster({}, None, Deadline(60, 0, lambda: 1))
    for write in (cluster.apply, cluster.patch, cluster.remove):
        assert write([account(0)]) == WriteResult(refused={0: LATE}, error=LATE, diffs=[])
    assert cluster.apply([JOB]).error == LATE
    assert cluster.list_objects(QUERY) == Listing(error=LATE)
    assert cluster.dry_run_pods([POD]) == [DryRun(error=LATE)]
    assert (cluster.read_version(), cluster.read_server()) == ({}, ApiServer())
    assert store.writes == []
    # The run deletes its own Jobs all the same.
    assert (cluster.remove([JOB]).changed, store.writes) == (True, ["delete proof"])


def hang(*names: str) -> Answer:
    def wait(write: str) -> None:
        if write.split()[1] in names:
            threading.Event().wait(LONG)

    return wait


def test_write_without_response_ends_the_pending_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "LONGEST_CALL", 1.0)
    monkeypatch.setattr(kubernetes, "AT_ONCE", 1)
    store = Store(answer=hang("a1"))
    written = store_cluster(monkeypatch, store).apply(accounts(4))
    lost = "no complete response within 1 seconds"
    waiting = ApiError(0, f"not started, because another write failed: {lost}.")
    assert (written.changed, written.error, len(written.diffs)) == (True, None, 1)
    assert written.refused == {1: ApiError(0, lost), 2: waiting, 3: waiting}
    assert store.writes == ["apply a0", "apply a1"]


def test_writes_without_any_response_share_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "LONGEST_CALL", 1.0)
    monkeypatch.setattr(kubernetes, "AT_ONCE", 2)
    store = Store(answer=hang("a0", "a1"))
    written = store_cluster(monkeypatch, store).apply(accounts(5))
    lost = ApiError(0, "no complete response within 1 seconds")
    waiting = ApiError(0, f"not started, because another write failed: {lost.text}.")
    assert (written.changed, written.error) == (False, lost)
    assert written.refused == {0: lost, 1: lost, 2: waiting, 3: waiting, 4: waiting}
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
    assert (again.error, len(again.refused), store.writes) == (ApiError(0, text), 3, ["apply a0"])


def test_interrupt_waits_for_writes_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def work(write: str) -> None:
        time.sleep(0.5)
        ended.append(write)

    store = Store(answer=work)
    cluster = store_cluster(monkeypatch, store)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(SystemExit), interruptible():
        cluster.apply(accounts(20))
    assert sorted(ended) == sorted(store.writes) == sorted(f"apply a{number}" for number in range(8))


def test_invalid_module_defaults_are_rejected() -> None:
    with pytest.raises(InputError) as error:
        kubernetes.read_client_options({"validate_certs": "perhaps"})
    assert error.value.problems[0].startswith(
        "module_defaults of kubernetes.core: argument 'validate_certs' is of type"
    )
