# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test tokens for an EKS cluster: their contents, their signature and their renewal."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.eks_token import (
    EksToken,
    TokenSource,
    regional_client,
    sign_token,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

KEYS = ("AKIAEXAMPLEEXAMPLE01", "secret-of-the-example-0123456789", "session-token-of-the-example")
NOW = datetime(2026, 11, 26, 2, 0, tzinfo=timezone.utc)


def sts(endpoint: str | None = None, region: str = "eu-central-1", **more: object) -> Any:
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    session = boto3.session.Session(**dict(zip(names, KEYS, strict=True)), region_name=region)
    return session.client("sts", endpoint_url=endpoint, **more)


def presigned_url(token: EksToken) -> str:
    prefix, _, encoded = token.text.partition(".")
    assert prefix == "k8s-aws-v1"
    assert "=" not in encoded
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()


@pytest.mark.parametrize(("cluster", "fits"), [("blue", True), ("green", False)])
def test_signature_is_valid_only_for_its_cluster(cluster: str, fits: bool) -> None:
    """Compare the signature with botocore's signature of the same request with ``cluster`` in its header."""
    url = presigned_url(sign_token(sts(), "blue", NOW))
    parts = urlsplit(url)
    query = {name: value for name, [value] in parse_qs(parts.query).items()}
    request = AWSRequest(
        "GET",
        f"{parts.scheme}://{parts.netloc}/",
        {"x-k8s-aws-id": cluster},
        params={"Action": query["Action"], "Version": query["Version"]},
    )
    signer = SigV4QueryAuth(Credentials(*KEYS), "sts", "eu-central-1", expires=60)
    request.context["timestamp"] = query["X-Amz-Date"]
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert (signature == query["X-Amz-Signature"]) is fits


def test_missing_credentials_are_an_aws_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.session.Session(region_name="eu-central-1").client("sts")
    with pytest.raises(AwsError, match="NoCredentialsError: Unable to locate credentials"):
        sign_token(client, "blue", NOW)


@pytest.mark.parametrize(
    ("configured", "used"),
    [
        (None, "https://sts.us-west-2.amazonaws.com"),
        ("https://sts.amazonaws.com", "https://sts.us-west-2.amazonaws.com"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("https://sts-fips.us-west-2.amazonaws.com", "https://sts-fips.us-west-2.amazonaws.com"),
    ],
)
def test_token_uses_the_regional_sts_endpoint(configured: str | None, used: str) -> None:
    def make(_service: str, endpoint: str | None = configured) -> object:
        return sts(endpoint, "us-west-2", config=Config(retries={"mode": "standard"}))

    assert regional_client(make).meta.endpoint_url == used


class Signer:
    """A function that returns numbered tokens, which are valid for 14 minutes."""

    def __init__(self) -> None:
        self.now = NOW
        self.made = 0

    def __call__(self) -> EksToken:
        self.made += 1
        return EksToken(f"token-{self.made}", self.now + timedelta(minutes=14))


def test_token_is_reused_while_it_outlasts_a_call() -> None:
    signer = Signer()
    source = TokenSource(signer, lambda: signer.now)
    used = []
    for minutes, seconds in ((0, 120), (1, 120), (11, 120), (12, 120), (13, 120), (13, 839), (26, 120)):
        signer.now = NOW + timedelta(minutes=minutes)
        used.append(source.token(seconds).text)
    # At minute 12 the first token is valid for only two more minutes, which is not enough for a call of up to 120 seconds.
    assert used == ["token-1", "token-1", "token-1", "token-2", "token-2", "token-3", "token-4"]
    assert signer.made == 4
