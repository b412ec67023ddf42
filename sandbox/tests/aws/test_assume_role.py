# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test AssumeRole from one account to another, and the permissions of the new credentials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, Endpoint, api_error, create_cluster, create_role, running

FLEET = f"arn:aws:iam::{OTHER_ACCOUNT}:role/teams/fleet"
CHAINED = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
TOO_LONG = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
HUB = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def trust(principal: Any, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def denied(user: str, arn: str = FLEET) -> tuple[int, str, str]:
    text = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    return 403, "AccessDenied", text


ROOT = f"arn:aws:iam::{ACCOUNT}:root"
EXTERNAL_ID = {"StringEquals": {"sts:ExternalId": "my-fleet"}}


def assume(sts: Any, arn: str = FLEET, **options: Any) -> Any:
    return sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "session", **options})


def keys(response: Any) -> dict[str, str]:
    credentials = response["Credentials"]
    return {
        "key": credentials["AccessKeyId"],
        "secret": credentials["SecretAccessKey"],
        "token": credentials["SessionToken"],
    }


def create_fleet_role(endpoint: Endpoint, document: str, **options: Any) -> str:
    iam = endpoint.client("iam", account=OTHER_ACCOUNT)
    return create_role(iam, "fleet", document, Path="/teams/", **options)


def test_credentials_belong_to_account_of_role(endpoint: Endpoint) -> None:
    create_fleet_role(endpoint, trust(HUB))
    create_cluster(endpoint.client("eks", account=OTHER_ACCOUNT), "there")
    response = assume(endpoint.client("sts"))
    session = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/fleet/session"
    assert response["AssumedRoleUser"]["Arn"] == session
    assert endpoint.control.sessions() == [
        {
            "access_key_id": response["Credentials"]["AccessKeyId"],
            "secret_access_key": response["Credentials"]["SecretAccessKey"],
            "session_token": response["Credentials"]["SessionToken"],
            "arn": session,
        }
    ]
    caller = endpoint.client("sts", **keys(response)).get_caller_identity()
    assert (caller["Account"], caller["Arn"]) == (OTHER_ACCOUNT, session)
    assert endpoint.client("eks", **keys(response)).list_clusters()["clusters"] == ["there"]
    role_arn = create_role(endpoint.client("iam", **keys(response)), "app")
    assert role_arn == f"arn:aws:iam::{OTHER_ACCOUNT}:role/app"
    assert endpoint.control.counters()["accounts"][OTHER_ACCOUNT]["iam:CreateRole"] == 2


@pytest.mark.parametrize(
    ("document", "parameters"),
    [
        pytest.param(trust({"AWS": OTHER_ACCOUNT}), {}, id="not-trusted"),
        pytest.param(trust({"Service": "pods.eks.amazonaws.com"}), {}, id="a-service-only"),
        pytest.param(trust(HUB, **EXTERNAL_ID), {}, id="no-external-id"),
        pytest.param(trust(HUB, **EXTERNAL_ID), {"ExternalId": "my-fleets"}, id="wrong-external-id"),
        pytest.param(trust(HUB), {"RoleArn": FLEET.replace("teams/", "")}, id="other-path"),
        pytest.param(trust(HUB), {"RoleArn": FLEET.replace("fleet", "nobody")}, id="missing"),
    ],
)
def test_trust_policy_denies(endpoint: Endpoint, document: str, parameters: dict[str, str]) -> None:
    create_fleet_role(endpoint, document)
    error = api_error(lambda: assume(endpoint.client("sts"), **parameters))
    assert error == denied(ROOT, parameters.get("RoleArn", FLEET))


def test_correct_external_id_is_accepted(endpoint: Endpoint) -> None:
    create_fleet_role(endpoint, trust(HUB, **EXTERNAL_ID))
    assert assume(endpoint.client("sts"), ExternalId="my-fleet")["Credentials"]["AccessKeyId"]


class TestDuration:
    def test_is_limited_by_role(self, endpoint: Endpoint) -> None:
        create_fleet_role(endpoint, trust(HUB), MaxSessionDuration=7200)
        sts = endpoint.client("sts")
        assert assume(sts, DurationSeconds=7200)
        assert api_error(lambda: assume(sts, DurationSeconds=7201)) == (400, "ValidationError", TOO_LONG)

    def test_is_limited_to_one_hour_for_chained_roles(self, endpoint: Endpoint) -> None:
        create_fleet_role(endpoint, trust("*"), MaxSessionDuration=7200)
        sts = endpoint.client("sts", **keys(assume(endpoint.client("sts"))))
        assert assume(sts, DurationSeconds=3600)
        assert api_error(lambda: assume(sts, DurationSeconds=3601)) == (400, "ValidationError", CHAINED)

    def test_session_lifetime_overrides_duration(self, endpoint: Endpoint, control: AwsControl) -> None:
        create_fleet_role(endpoint, trust(HUB))
        control.set_session_lifetime(0.001)
        try:
            session = keys(assume(endpoint.client("sts")))
        finally:
            control.set_session_lifetime(0)
        error = api_error(lambda: endpoint.client("sts", **session).get_caller_identity())
        assert error == (403, "ExpiredToken", "The security token included in the request is expired")


@pytest.fixture(scope="module")
def shared_auth_endpoint() -> Iterator[Endpoint]:
    with running("--auth") as endpoint:
        yield endpoint


@pytest.fixture
def auth_endpoint(shared_auth_endpoint: Endpoint) -> Endpoint:
    shared_auth_endpoint.control.reset()
    shared_auth_endpoint.client("iam").create_user(UserName="deployer")
    return shared_auth_endpoint


class TestWithAuth:
    USER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
    ALLOW = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": FLEET}

    def sts(self, auth_endpoint: Endpoint, *statements: dict[str, Any]) -> Any:
        iam = auth_endpoint.client("iam")
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName="deployer", PolicyName="inline", PolicyDocument=document)
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        return auth_endpoint.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    def test_both_accounts_must_allow(self, auth_endpoint: Endpoint) -> None:
        create_fleet_role(auth_endpoint, trust(HUB, **EXTERNAL_ID))
        unprivileged = self.sts(auth_endpoint)
        assert api_error(lambda: assume(unprivileged, ExternalId="my-fleet")) == denied(self.USER)
        sts = self.sts(auth_endpoint, self.ALLOW)
        assert api_error(lambda: assume(sts)) == denied(self.USER)
        session = keys(assume(sts, ExternalId="my-fleet"))
        caller = auth_endpoint.client("sts", **session).get_caller_identity()
        assert caller["Account"] == OTHER_ACCOUNT

    def test_session_has_permissions_of_role(self, auth_endpoint: Endpoint) -> None:
        create_fleet_role(auth_endpoint, trust(HUB))
        session = keys(assume(self.sts(auth_endpoint, self.ALLOW)))
        eks = auth_endpoint.client("eks", **session)
        session_arn = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/fleet/session"
        status, code, message = api_error(eks.list_clusters)
        assert (status, code) == (403, "AccessDeniedException")
        assert message.startswith(
            f"User: {session_arn} is not authorized to perform: eks:ListClusters on resource: "
        )
