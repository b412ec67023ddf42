# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads in the controller's own process: one connection, and every error in the listing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Query,
    Trial,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.api_server import (
    ApiServer,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.aws_errors import (
    AwsError,
    ErrorKind,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import kubernetes_client
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables
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


def reader_of(
    answer: Any, monkeypatch: pytest.MonkeyPatch, **environment: str
) -> tuple[kubernetes_client.ClientReader, FakeClient, list[Any]]:
    client, made = FakeClient(answer), []

    def connect(**options: Any) -> FakeClient:
        made.append({**options, "environment": os.environ.get("KUBECONFIG")})
        return client

    monkeypatch.setattr(kubernetes_client, "get_api_client", connect)
    return kubernetes_client.ClientReader({"context": "blue"}, environment), client, made


def test_one_connection_for_all_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    reader, client, made = reader_of({"items": [ITEM]}, monkeypatch, KUBECONFIG="/task")
    assert [reader.list_objects(QUERY), reader.list_objects(QUERY)] == [Listing([ITEM])] * 2
    assert reader.read_version() == {"gitVersion": "v1.33.0"}
    assert made == [{"context": "blue", "environment": "/task"}]
    assert "KUBECONFIG" not in os.environ
    assert client.asked[0] == {
        "resource": "v1 Pod",
        "namespace": "shop",
        "label_selector": "a=b,c",
        "field_selector": "status.phase!=Failed",
        "serialize": False,
        "_request_timeout": (10, 65),
    }


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


@pytest.mark.parametrize(
    "raised", [refusal('{"message":"Unauthorized","code":401}'), ResourceNotFoundError("No matches found")]
)
def test_an_exec_plugin_that_failed_is_told_rather_than_what_follows(
    monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    """The Kubernetes client logs it, and goes on without credentials."""
    reader, client, _made = reader_of(raised, monkeypatch)
    found = client.resource

    def resource(kind: str, api_version: str) -> str:
        logging.error("exec: process returned 255.\nUnable to locate credentials")
        return found(kind, api_version)

    monkeypatch.setattr(client, "resource", resource)
    error = ApiError(0, "exec plugin: exec: process returned 255. Unable to locate credentials")
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

    def lent(self, seconds: float) -> Any:
        return variables({"K8S_AUTH_API_KEY": self.token(seconds)})


def test_the_client_asks_for_a_token_before_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the configuration of the Kubernetes client itself, which sends what its hook has set."""
    client = FakeClient({"items": []})
    client.configuration = Configuration(host="https://eks")  # type: ignore[assignment]
    made: list[str | None] = []

    def connect(**_options: Any) -> FakeClient:
        made.append(os.environ.get("K8S_AUTH_API_KEY"))
        client.configuration.api_key = {"authorization": f"Bearer {made[-1]}"}
        return client

    monkeypatch.setattr(kubernetes_client, "get_api_client", connect)
    monkeypatch.delenv("K8S_AUTH_API_KEY", raising=False)
    reader = kubernetes_client.ClientReader({}, {}, Renewing())
    assert reader.list_objects(QUERY) == Listing([])
    [first, second] = (
        next(iter(client.configuration.auth_settings().values()))["value"]  # type: ignore[attr-defined]
        for _ in range(2)
    )
    assert made == ["token-2"]
    assert (first, second) == ("Bearer token-3", "Bearer token-4")
    assert "K8S_AUTH_API_KEY" not in os.environ


def test_without_credentials_the_api_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    error = AwsError("sts:AssumeRole", "AccessDenied", "no.", ErrorKind.DENIED, "Allow it.")
    monkeypatch.setattr(kubernetes_client, "get_api_client", pytest.fail)
    reader = kubernetes_client.ClientReader({}, {}, Renewing(error))
    assert reader.list_objects(QUERY) == Listing(
        error=ApiError(0, "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it.")
    )
