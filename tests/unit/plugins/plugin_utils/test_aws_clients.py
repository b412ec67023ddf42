# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test AWS clients on the controller: their options, the role they assume, and the tokens that they sign."""

from __future__ import annotations

import base64
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible_collections.amazon.aws.plugins.module_utils import botocore
from ansible_collections.workload_identity.aws.plugins.lookup import eks_token
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.eks_token import LIFETIME
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sessions import Sessions
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils._aws_clients import (
    AwsClients,
    check_options,
    validate_arguments,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import clients_of_task
from botocore.client import BaseClient

ARN = "arn:aws:iam::444455556666:role/fleet"
ROLE = AssumeRole(ARN, "my-fleet")
END = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
NOW = END - timedelta(minutes=5)
ENDPOINT = "http://127.0.0.1:9"
KEYS = {"access_key": "AKIAOWN", "secret_key": "secret", "session_token": "token"}
OPTIONS = {**KEYS, "region": "eu-west-1", "endpoint_url": ENDPOINT}
ASSUMED = {"assume_role_arn": ARN, "assume_role_external_id": "my-fleet"}
WITHOUT_ID = {"RoleArn": ARN, "RoleSessionName": "workload-identity", "DurationSeconds": 3600}
ASSUME = {**WITHOUT_ID, "ExternalId": "my-fleet"}
Sent = list[tuple[Any, ...]]


def read_url(url: str) -> tuple[str, ...]:
    """Return the endpoint of a presigned URL, and the access key, the region and the session token of its signature."""
    query = parse_qs(urlsplit(url).query)
    key, _day, region, *_rest = query["X-Amz-Credential"][0].split("/")
    return url.partition("/?")[0], key, region, query["X-Amz-Security-Token"][0]


def read_token(token: str) -> tuple[str, ...]:
    encoded = token.removeprefix("k8s-aws-v1.")
    return read_url(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Return the requests: their parameters, number of connections, endpoint and credentials."""
    requests: Sent = []

    def send(client: Any, _operation: str, parameters: Any) -> dict[str, Any]:
        width = client.meta.config.max_pool_connections
        requests.append((parameters, width, *read_url(client.generate_presigned_url("get_caller_identity"))))
        names = {"AccessKeyId": "ASIAROLE", "SecretAccessKey": "other", "SessionToken": "session"}
        return {"Credentials": {**names, "Expiration": END}, "Account": "444455556666"}

    monkeypatch.setattr(BaseClient, "_make_api_call", send)
    for name in ("ENDPOINT_URL", "REGION", "DEFAULT_REGION", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CONFIG_FILE"):
        monkeypatch.setenv(f"AWS_{name}", "/ignored")
    return requests


def test_requests_have_the_options_or_the_role(sent: Sent) -> None:
    source, clients = AwsClients(OPTIONS), AwsClients(OPTIONS, ROLE)
    for api in (source.api, source.connect(20, None), clients.api, source.connect(20, AssumeRole(ARN))):
        api.call("sts", "GetCallerIdentity", {})
    assert sent == [
        ({}, 10, ENDPOINT, "AKIAOWN", "eu-west-1", "token"),
        ({}, 20, ENDPOINT, "AKIAOWN", "eu-west-1", "token"),
        (ASSUME, 10, ENDPOINT, "AKIAOWN", "eu-west-1", "token"),
        ({}, 10, ENDPOINT, "ASIAROLE", "eu-west-1", "session"),
        (WITHOUT_ID, 10, ENDPOINT, "AKIAOWN", "eu-west-1", "token"),
        ({}, 20, ENDPOINT, "ASIAROLE", "eu-west-1", "session"),
    ]
    assert (source.region, AwsClients({}).region) == ("eu-west-1", "")
    assert source.client("iam").meta.config.user_agent.startswith("APN/1.0 Ansible/")
    for clients in (source, AwsClients(OPTIONS, ROLE)):
        assert clients.client("sts", "http://127.0.0.1:8").meta.endpoint_url == "http://127.0.0.1:8"


def test_sessions_assume_each_role_once_in_their_home(sent: Sent) -> None:
    sessions = Sessions(OPTIONS, "us-west-2", 20)
    places = ((None, "eu-west-1"), (ROLE, "eu-west-1"), (ROLE, "eu-west-3"))
    for api in [sessions.api(role, region) for role, region in places]:
        api.call("sts", "GetCallerIdentity", {})
    assert sent == [
        (ASSUME, 20, ENDPOINT, "AKIAOWN", "us-west-2", "token"),
        ({}, 20, ENDPOINT, "AKIAOWN", "eu-west-1", "token"),
        ({}, 20, ENDPOINT, "ASIAROLE", "eu-west-1", "session"),
        ({}, 20, ENDPOINT, "ASIAROLE", "eu-west-3", "session"),
    ]
    assert [Sessions({}, home).home for home in ("", "eu-west-1")] == ["us-east-1", "eu-west-1"]


def test_home_is_the_region_of_the_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile dev]\nregion = us-east-2\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert [Sessions({"profile": "dev"}, home).home for home in ("", "eu-west-1")] == [
        "us-east-2",
        "eu-west-1",
    ]


class Lookup(eks_token.LookupModule):
    """The lookup plugin without options from the configuration of Ansible."""

    def set_options(self, *, direct: dict[str, Any], **_more: Any) -> None:
        self.options = {"want": "token", **direct}

    def get_options(self, *_more: Any) -> dict[str, Any]:
        return self.options

    def get_option(self, option: str, *_more: Any) -> Any:
        return self.options.get(option)


def test_lookup_signs_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eks_token, "datetime", SimpleNamespace(now=lambda _zone: NOW))
    for more, *caller, ends in (
        ({}, "AKIAOWN", "token", NOW + LIFETIME),
        (ASSUMED, "ASIAROLE", "session", END),
    ):
        tokens = Lookup().run(["blue", ["green"]], **OPTIONS, **more)
        credentials = Lookup().run(["blue"], want="credential", **OPTIONS, **more)
        found = [read_token(token) for token in (*tokens, credentials[0]["token"])]
        assert found == [(ENDPOINT, caller[0], "eu-west-1", caller[1])] * 3
        assert credentials[0]["expires_at"] == f"{ends:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        ([], {}, "eks_token needs the names of EKS clusters, got no name."),
        (["blue", "a\tb"], {}, "eks_token needs the names of EKS clusters, got 'a\\tb'."),
        (
            ["blue"],
            {"assume_role_external_id": "fleet"},
            "assume_role_external_id has no effect without assume_role_arn; set the ARN of the role to assume, or leave "
            "assume_role_external_id out.",
        ),
        (
            ["blue", "green"],
            ASSUMED,
            "No token for blue, green: sts:AssumeRole: AccessDenied: No. Requested in region eu-west-1, for the role "
            f"{ARN} of account 444455556666. Allow the caller sts:AssumeRole on this role, and add the caller to the trust "
            "policy of the role. If the trust policy requires sts:ExternalId, assume_role_external_id must have that value. "
            "AWS does not report which of these is missing, or whether the role exists: check the ARN as well.",
        ),
    ],
)
def test_lookup_names_the_problem(
    monkeypatch: pytest.MonkeyPatch, terms: list[Any], options: dict[str, Any], message: str
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise classify("sts:AssumeRole", "AccessDenied", "No.")

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    with pytest.raises(AnsibleLookupError) as caught:
        Lookup().run(terms, **OPTIONS, **options)
    assert str(caught.value) == message


def test_invalid_options_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    task: Any = SimpleNamespace(with_defaults=lambda _name, arguments: arguments)
    with pytest.raises(InputError, match=r"^a profile \(pod_identity_profile, AWS_PROFILE\) and access keys"):
        clients_of_task(task, {**KEYS, "profile": "dev"})
    spec: dict[str, Any] = {"width": {"type": "int", "default": 4}, "names": {"type": "list"}}
    assert validate_arguments(spec, {"names": "a,b"}) == {"width": 4, "names": ["a", "b"]}
    with pytest.raises(AnsibleError, match=r"^argument 'width' is of type str and .*\nargument 'names'"):
        validate_arguments(spec, {"width": "x", "names": {"a": 1}})
    monkeypatch.setattr(botocore, "HAS_BOTO3", False)
    with pytest.raises(AnsibleError) as missing:
        check_options({})
    assert str(missing.value) == (
        f"requests to AWS need the Python packages boto3 and botocore, which are missing in {sys.executable}. Install them: "
        f"{sys.executable} -m pip install boto3 botocore."
    )
