# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads in the controller's own process: one connection, and every error in the listing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
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
    Listing,
    Query,
    Trial,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import kubernetes_client
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ResourceNotFoundError

# Seconds that nobody waits for.
LONG = 60
QUERY = Query("v1", "Pod", "shop", ("a=b", "c"), ("status.phase!=Failed",))
ITEM = {"metadata": {"name": "x"}}


class FakeClient:
    """``answer`` is a body, or what is raised."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.configuration = SimpleNamespace(host="https://kube", ssl_ca_cert=None, verify_ssl=True)
        self.client = SimpleNamespace(version={"kubernetes": {"gitVersion": "v1.33.0"}})

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
    """The folder of this run of Ansible, and a process without a kubeconfig."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    for name in ("KUBECONFIG", "K8S_AUTH_KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def reader_of(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[kubernetes_client.ClientReader, FakeClient, list[Any]]:
    client, made = FakeClient(answer), []

    def connect(**options: Any) -> FakeClient:
        made.append(options)
        return client

    monkeypatch.setattr(kubernetes_client, "get_api_client", connect)
    return kubernetes_client.ClientReader({"context": "blue"}), client, made


def test_the_description_of_an_api_is_cached_in_the_folder_of_the_run(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """Any user can write a file of that name into the folder that the machine has for temporary files."""
    reader_of({"items": []}, monkeypatch)
    discoverer: Any = object.__new__(LazyDiscoverer)
    monkeypatch.setattr(discovery.Discoverer, "_Discoverer__init_cache", lambda _self: None)
    configuration = SimpleNamespace(host="https://kube")
    discovery.Discoverer.__init__(discoverer, SimpleNamespace(configuration=configuration), None)
    assert Path(discoverer._Discoverer__cache_file).parent == folder


def test_one_connection_for_all_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, made = reader_of({"items": [ITEM]}, monkeypatch)
    assert [reader.list_objects(QUERY), reader.list_objects(QUERY)] == [Listing([ITEM])] * 2
    assert reader.read_version() == {"gitVersion": "v1.33.0"}
    assert made == [{"context": "blue"}]
    assert client.asked[0] == {
        "resource": "v1 Pod",
        "namespace": "shop",
        "label_selector": "a=b,c",
        "field_selector": "status.phase!=Failed",
        "serialize": False,
        "_request_timeout": (10, 65),
    }


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({"KUBECONFIG": "/of/the/task"}, {"context": "blue", "kubeconfig": "/of/the/task"}),
        # The modules of kubernetes.core would use the other file.
        ({"KUBECONFIG": "/of/the/task", "K8S_AUTH_KUBECONFIG": "/other"}, {"context": "blue"}),
        ({}, {"context": "blue"}),
    ],
)
def test_the_kubeconfig_of_the_task_s_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: dict[str, str]
) -> None:
    """The Kubernetes client reads KUBECONFIG when it is imported, before a task has its environment."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    reader, _client, made = reader_of({"items": []}, monkeypatch)
    assert reader.list_objects(QUERY) == Listing([])
    assert made == [options]


def test_a_pod_of_the_cluster_is_what_kubernetes_core_finds_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/of/the/task")
    monkeypatch.setattr(kubernetes_client, "load_incluster_config", lambda: None)
    reader, _client, made = reader_of({"items": []}, monkeypatch)
    assert reader.list_objects(QUERY) == Listing([])
    assert made == [{"context": "blue"}]


def refusal(body: str | bytes) -> ApiException:
    error = ApiException(status=403, reason="Forbidden")
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
def test_what_goes_wrong_is_the_listings_error(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, error: ApiError
) -> None:
    reader, _client, _made = reader_of(raised, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(error=error)


POD = {"kind": "Pod", "metadata": {"namespace": "shop", "name": "probe"}}


def test_a_pod_is_tried_with_a_dry_run_over_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, made = reader_of({**POD, "spec": {}}, monkeypatch)
    assert reader.try_pods([POD, POD]) == [Trial({**POD, "spec": {}})] * 2
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
                "_request_timeout": (10, 65),
            }
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal('{"message":"pods is forbidden","code":403}'), ApiError(403, "pods is forbidden")),
        (ConnectionRefusedError("Connection refused"), ApiError(0, "Connection refused")),
        ({"items": []}, ApiError(0, "what answered is not the Kubernetes API: no Pod")),
    ],
)
def test_a_pod_that_could_not_be_tried_has_the_reason(
    monkeypatch: pytest.MonkeyPatch, answer: Any, error: ApiError
) -> None:
    reader, _client, _made = reader_of(answer, monkeypatch)
    assert reader.try_pods([POD]) == [Trial(error=error)]


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n"


def test_the_server_is_that_of_the_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reader, client, _made = reader_of({}, monkeypatch)
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
def test_what_is_no_list_is_no_empty_list(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    reader, _client, _made = reader_of(answer, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(
        error=ApiError(0, "what answered 200 is not the Kubernetes API: no list of Pod")
    )


@pytest.mark.parametrize(
    "error", [AttributeError("'str' object has no attribute 'groups'"), TypeError(), KeyError()]
)
def test_a_web_page_in_place_of_the_description_of_the_api_is_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    reader, _client, _made = reader_of({"items": []}, monkeypatch)

    def connect(**_options: Any) -> FakeClient:
        raise error

    monkeypatch.setattr(kubernetes_client, "get_api_client", connect)
    text = "what answered 200 is not the Kubernetes API: no description of its resources"
    assert reader.list_objects(QUERY) == Listing(error=ApiError(0, text))
    assert (reader.read_server(), reader.read_version()) == (ApiServer(), {})


def test_a_list_that_stalls_ends_with_a_named_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, client, _made = reader_of({"items": []}, monkeypatch)
    monkeypatch.setattr(kubernetes_client, "LONGEST_CALL", 0.2)
    monkeypatch.setattr(client, "get", lambda *_, **__: threading.Event().wait(LONG))
    began = time.monotonic()
    assert reader.list_objects(QUERY) == Listing(error=ApiError(0, "no complete answer within 0.2 seconds"))
    assert time.monotonic() - began < LONG


def test_how_long_the_api_wants_to_be_left_alone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ApiException(status=429, reason="Too Many Requests")
    error.body, error.headers = '{"message":"busy","code":429}', {"Retry-After": "7"}
    reader, _client, _made = reader_of(error, monkeypatch)
    assert reader.list_objects(QUERY) == Listing(error=ApiError(429, "busy", 7))


class Renewing:
    """An access with a token of its own for each time that it is asked."""

    arguments: dict[str, Any] = {}
    longest = 840.0

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.asked = 0

    def token(self, seconds: float) -> str:
        assert seconds == kubernetes_client.LONGEST_CALL
        if self.error:
            raise self.error
        self.asked += 1
        return f"token-{self.asked}"

    def lent(self, _seconds: float) -> Any:
        pytest.fail("the client takes its token as an option")


def test_the_client_asks_for_a_token_before_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the configuration of the Kubernetes client itself, which sends what its hook has set."""
    client = FakeClient({"items": []})
    client.configuration = Configuration(host="https://eks")  # type: ignore[assignment]
    made: list[dict[str, Any]] = []

    def connect(**options: Any) -> FakeClient:
        made.append(options)
        client.configuration.api_key = {"authorization": f"Bearer {options['api_key']}"}
        return client

    monkeypatch.setattr(kubernetes_client, "get_api_client", connect)
    reader = kubernetes_client.ClientReader({"host": "https://eks"}, Renewing())
    assert reader.list_objects(QUERY) == Listing([])
    [first, second] = (
        next(iter(client.configuration.auth_settings().values()))["value"]  # type: ignore[attr-defined]
        for _ in range(2)
    )
    [options] = made
    assert (options.pop("host"), options.pop("api_key")) == ("https://eks", "token-1")
    # So that no variable of the process says who asks.
    assert {"kubeconfig", "context", "username", "client_cert", "client_key"} < set(options)
    assert set(options.values()) == {""}
    assert (first, second) == ("Bearer token-2", "Bearer token-3")


def test_without_credentials_the_api_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    error = AwsError("sts:AssumeRole", "AccessDenied", "no.", ErrorKind.DENIED, "Allow it.")
    monkeypatch.setattr(kubernetes_client, "get_api_client", pytest.fail)
    reader = kubernetes_client.ClientReader({}, Renewing(error))
    assert reader.list_objects(QUERY) == Listing(
        error=ApiError(0, "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it.")
    )


def test_no_variable_of_the_process_identifies_the_caller_beside_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the configuration that kubernetes.core makes of the options."""
    for name in ("USERNAME", "PASSWORD", "CLIENT_CERT", "CLIENT_KEY", "KUBECONFIG", "API_KEY", "HOST"):
        monkeypatch.setenv(f"K8S_AUTH_{name}", "of the shell")
    found: list[Any] = []

    def connect(configuration: Any, **_headers: Any) -> FakeClient:
        found.append(configuration)
        return FakeClient({"items": []})

    monkeypatch.setattr(core_client, "create_api_client", connect)
    reader = kubernetes_client.ClientReader({"host": "https://eks"}, Renewing())
    assert reader.read_server() == ApiServer("https://eks", frozenset(), True)
    [configuration] = found
    assert configuration.api_key == {"authorization": "Bearer token-1"}
    assert not any((configuration.username, configuration.cert_file, configuration.key_file))


HANGING = """
import sys, threading, time
from types import SimpleNamespace
from ansible_collections.workload_identity.aws.plugins.plugin_utils import kubernetes_client as module

module.LONGEST_TRIALS = 0.5
module.get_api_client = lambda **_options: SimpleNamespace(
    resource=lambda *_: None, create=lambda *_, **__: time.sleep(60)
)
[trial] = module.ClientReader({}).try_pods([{"metadata": {}}])
print(trial.error.text)
"""


def test_dry_runs_that_were_given_up_do_not_keep_the_process() -> None:
    """The threads of a pool would: Python waits for them at its end."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=LONG / 2, check=True
    )
    assert done.stdout.startswith("no complete answer within 0.")
