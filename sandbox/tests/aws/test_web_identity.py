# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test AssumeRoleWithWebIdentity, which issues credentials of a role for the token of an identity provider."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from .conftest import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REGION,
    Endpoint,
    api_error,
    create_cluster,
    create_role,
    running,
)

HOST = f"oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
SUBJECT = "system:serviceaccount:default:app"
AUDIENCE = "sts.amazonaws.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/teams/app"
DENIED = (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
MALFORMED = (
    400,
    "InvalidIdentityToken",
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
)
IRSA = {"StringEquals": {f"{HOST}:sub": SUBJECT, f"{HOST}:aud": AUDIENCE}}


def token(**changes: Any) -> str:
    """Return an unsigned service account token of ``default/app``. A change to None removes the claim."""
    claims = {
        "iss": f"https://{HOST}",
        "sub": SUBJECT,
        "aud": [AUDIENCE],
        "exp": int(time.time()) + 3600,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".x"


def allow(condition: Any = None, **changes: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        **changes,
    }
    return {**statement, "Condition": condition} if condition else statement


def trust(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def unsigned(endpoint: Endpoint) -> Any:
    """Return a client of STS without credentials."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1, "mode": "standard"})
    return boto3.client("sts", endpoint_url=endpoint.url, region_name=REGION, config=config)


def assume(endpoint: Endpoint, text: str | None = None, **options: Any) -> Any:
    parameters = {"RoleArn": ROLE, "RoleSessionName": "session", "WebIdentityToken": text or token()}
    return unsigned(endpoint).assume_role_with_web_identity(**{**parameters, **options})


def create_app_role(endpoint: Endpoint, *statements: dict[str, Any], **options: Any) -> str:
    document = trust(*statements or [allow(IRSA)])
    return create_role(endpoint.client("iam"), "app", document, Path="/teams/", **options)


def caller(endpoint: Endpoint, response: Any) -> Any:
    credentials = response["Credentials"]
    sts = endpoint.client(
        "sts",
        key=credentials["AccessKeyId"],
        secret=credentials["SecretAccessKey"],
        token=credentials["SessionToken"],
    )
    return sts.get_caller_identity()


def test_unsigned_request_returns_credentials_of_role(endpoint: Endpoint) -> None:
    create_app_role(endpoint)
    response = assume(endpoint)
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/session"
    assert response["AssumedRoleUser"]["Arn"] == session
    assert (response["SubjectFromWebIdentityToken"], response["Audience"], response["Provider"]) == (
        SUBJECT,
        AUDIENCE,
        PROVIDER,
    )
    assert caller(endpoint, response)["Arn"] == session


def test_token_of_created_cluster_is_accepted(endpoint: Endpoint) -> None:
    issuer = create_cluster(endpoint.client("eks"), "demo")["identity"]["oidc"]["issuer"]
    host = issuer.removeprefix("https://")
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"
    condition = {"StringEquals": {f"{host}:sub": SUBJECT}}
    create_app_role(endpoint, allow(condition, Principal={"Federated": provider}))
    assert assume(endpoint, token(iss=issuer))["Provider"] == provider
    assert api_error(lambda: assume(endpoint)) == DENIED


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(allow(), id="no-condition"),
        pytest.param(allow(IRSA), id="subject-and-audience"),
        pytest.param(allow({"StringLike": {f"{HOST}:sub": "system:serviceaccount:default:*"}}), id="pattern"),
        pytest.param(allow({"StringEquals": {f"{HOST.upper()}:SUB": SUBJECT}}), id="case-of-key"),
        pytest.param(
            allow({"StringEquals": {f"{HOST}:sub": ["other", SUBJECT]}}), id="one-of-several-values"
        ),
        pytest.param(allow({"StringNotEquals": {f"{HOST}:sub": "other"}}), id="negated"),
        pytest.param(
            allow({"ForAnyValue:StringEquals": {f"{HOST}:aud": [AUDIENCE, "other"]}}), id="set-operator"
        ),
        pytest.param(allow(IRSA, Action=["sts:AssumeRoleWith*", "sts:TagSession"]), id="actions"),
        pytest.param(allow(IRSA, Principal={"Federated": ["other", PROVIDER]}), id="providers"),
    ],
)
def test_matching_statement_allows(endpoint: Endpoint, statement: dict[str, Any]) -> None:
    create_app_role(endpoint, statement)
    assert assume(endpoint)["Credentials"]["AccessKeyId"].startswith("ASIA")


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([allow({"StringEquals": {f"{HOST}:sub": "other"}})], id="subject"),
        pytest.param([allow({"StringLike": {f"{HOST}:aud": "other*"}})], id="audience"),
        pytest.param([allow({"StringEquals": {"other.example.com:sub": SUBJECT}})], id="unknown-key"),
        pytest.param([allow({"NumericEquals": {f"{HOST}:sub": "1"}})], id="other-operator"),
        pytest.param(
            [allow({**IRSA, "StringLike": {f"{HOST}:sub": "other"}})], id="only-some-conditions-match"
        ),
        pytest.param([allow(Action="sts:AssumeRole")], id="action"),
        pytest.param(
            [allow(Principal={"Federated": PROVIDER.replace(ACCOUNT, OTHER_ACCOUNT)})], id="account"
        ),
        pytest.param([allow(Principal={"Federated": f"{PROVIDER}0"})], id="provider"),
        pytest.param([allow(Principal={"AWS": ACCOUNT})], id="no-provider"),
        pytest.param([allow(Principal="*")], id="everybody"),
        pytest.param([allow(), allow(IRSA, Effect="Deny")], id="explicit-deny"),
        pytest.param([allow(), allow(Effect="Deny", Principal="*")], id="explicit-deny-for-everybody"),
    ],
)
def test_trust_policy_denies(endpoint: Endpoint, statements: list[dict[str, Any]]) -> None:
    create_app_role(endpoint, *statements)
    assert api_error(lambda: assume(endpoint)) == DENIED


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Bearer", id="no-parts"),
        pytest.param("a.b.c", id="no-json"),
        pytest.param("a.W10.c", id="no-object"),
        pytest.param(token(iss=None), id="no-issuer"),
        pytest.param(token(sub=None), id="no-subject"),
        pytest.param(token(aud=[]), id="no-audience"),
        pytest.param(token(exp="soon"), id="no-number"),
    ],
)
def test_malformed_token_is_rejected(endpoint: Endpoint, text: str) -> None:
    create_app_role(endpoint)
    assert api_error(lambda: assume(endpoint, text)) == MALFORMED


@pytest.fixture(scope="module")
def auth_endpoint() -> Iterator[Endpoint]:
    with running("--auth") as endpoint:
        yield endpoint


def test_request_needs_no_credentials_with_auth(auth_endpoint: Endpoint) -> None:
    create_app_role(auth_endpoint)
    assert caller(auth_endpoint, assume(auth_endpoint))["Account"] == ACCOUNT
    assert api_error(lambda: assume(auth_endpoint, token(sub="other"))) == DENIED
