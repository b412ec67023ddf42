# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the server process: its options, its address, its exit, and concurrent requests."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, MODULE, Endpoint, create_cluster, environment, running


def test_latency_option_takes_effect() -> None:
    with running("--latency-ms", "300") as endpoint:
        start = time.monotonic()
        endpoint.client("iam").list_roles()
        assert time.monotonic() - start >= 0.3


def test_listens_on_loopback_only(endpoint: Endpoint) -> None:
    port = int(endpoint.url.rpartition(":")[2])
    with socket.socket() as listener:
        # If the server listened on all addresses, its port on 127.0.0.2 would be in use.
        listener.bind(("127.0.0.2", port))


def test_sigterm_closes_open_connections() -> None:
    process = subprocess.Popen(
        [*MODULE, "--port", "0"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("embedded AWS ready on http://127.0.0.1:")
    port = int(line.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        AwsControl(f"http://127.0.0.1:{port}").set_latency(0)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


def test_busy_port_prints_one_line(endpoint: Endpoint) -> None:
    port = endpoint.url.rpartition(":")[2]
    result = subprocess.run(
        [*MODULE, "--port", port], env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode == 1
    assert result.stderr == f"embedded AWS: 127.0.0.1:{port} is already in use; choose another --port\n"


def test_concurrent_requests_create_one_association_each(endpoint: Endpoint, eks: Any, role_arn: str) -> None:
    create_cluster(eks, "demo")

    def create(number: int) -> str:
        association = endpoint.client("eks").create_pod_identity_association(
            clusterName="demo", namespace="default", serviceAccount=f"app-{number}", roleArn=role_arn
        )["association"]
        return str(association["associationId"])

    with ThreadPoolExecutor(8) as pool:
        identifiers = list(pool.map(create, range(40)))
    assert len(set(identifiers)) == 40
    assert len(endpoint.control.state(ACCOUNT)["associations"]) == 40


def test_concurrent_requests_for_one_service_account_create_one_association(
    endpoint: Endpoint, eks: Any, role_arn: str
) -> None:
    create_cluster(eks, "demo")

    def create(_: int) -> str:
        client = endpoint.client("eks")
        try:
            client.create_pod_identity_association(
                clusterName="demo", namespace="default", serviceAccount="app", roleArn=role_arn
            )
        except client.exceptions.ResourceInUseException:
            return "in use"
        return "created"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == ["created"] + ["in use"] * 7


def test_unknown_control_request(endpoint: Endpoint) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{endpoint.url}/_sandbox/nothing")
    assert caught.value.code == 404
    assert caught.value.read() == b'{"error":"no control request GET /_sandbox/nothing"}'


def test_concurrent_requests_for_one_cluster_create_one(endpoint: Endpoint) -> None:
    def create(_: int) -> str:
        client = endpoint.client("eks")
        try:
            create_cluster(client, "demo")
        except client.exceptions.ResourceInUseException:
            return "in use"
        return "created"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == ["created"] + ["in use"] * 7


def test_presigned_request_is_counted_by_query(endpoint: Endpoint) -> None:
    url = endpoint.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url) as response:
        assert f"<Account>{ACCOUNT}</Account>" in response.read().decode()
    assert endpoint.control.counters()["accounts"] == {ACCOUNT: {"sts:GetCallerIdentity": 1}}


def test_invalid_json_is_rejected(endpoint: Endpoint) -> None:
    scope = f"{ACCOUNT}/20260101/eu-central-1/eks/aws4_request"
    request = urllib.request.Request(
        f"{endpoint.url}/clusters",
        b"{",
        headers={"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 400
    assert json.loads(caught.value.read())["__type"] == "SerializationException"
