# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AssumeRole from one account to another, and what the credentials can do there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, REGION, Endpoint, create_cluster, create_role, refusal, running

FLEET = f"arn:aws:iam::{OTHER_ACCOUNT}:role/teams/fleet"
CHAINED = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
TOO_LONG = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
HUB = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def trust(principal: Any, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def denied(who: str, arn: str = FLEET) -> tuple[int, str, str]:
    text = f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    return 403, "AccessDenied", text


ROOT = f"arn:aws:iam::{ACCOUNT}:root"
EXTERNAL_ID = {"StringEquals": {"sts:ExternalId": "my-fleet"}}


def assume(sts: Any, arn: str = FLEET, **more: Any) -> Any:
    return sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "session", **more})


def keys(answer: Any) -> dict[str, str]:
    found = answer["Credentials"]
    return {
        "key": found["AccessKeyId"],
        "secret": found["SecretAccessKey"],
        "token": found["SessionToken"],
    }


def make_fleet_role(endpoint: Endpoint, document: str, **more: Any) -> str:
    iam = endpoint.client("iam", account=OTHER_ACCOUNT)
    return create_role(iam, "fleet", document, Path="/teams/", **more)


def test_accounts_and_regions_hold_their_own(endpoint: Endpoint) -> None:
    for account, region, name in (
        (ACCOUNT, REGION, "here"),
        (ACCOUNT, "us-west-2", "west"),
        (OTHER_ACCOUNT, REGION, "there"),
    ):
        create_cluster(endpoint.client("eks", account=account, region=region), name)
        clusters = endpoint.client("eks", account=account, region=region).list_clusters()["clusters"]
        assert clusters == [name]
    create_role(endpoint.client("iam"), "app")
    assert endpoint.client("iam", account=OTHER_ACCOUNT).list_roles()["Roles"] == []


def test_the_credentials_act_in_the_account_of_the_role(endpoint: Endpoint) -> None:
    make_fleet_role(endpoint, trust(HUB))
    create_cluster(endpoint.client("eks", account=OTHER_ACCOUNT), "there")
    answer = assume(endpoint.client("sts"))
    session = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/fleet/session"
    assert answer["AssumedRoleUser"]["Arn"] == session
    assert endpoint.control.sessions() == [
        {
            "access_key_id": answer["Credentials"]["AccessKeyId"],
            "secret_access_key": answer["Credentials"]["SecretAccessKey"],
            "session_token": answer["Credentials"]["SessionToken"],
            "arn": session,
        }
    ]
    caller = endpoint.client("sts", **keys(answer)).get_caller_identity()
    assert (caller["Account"], caller["Arn"]) == (OTHER_ACCOUNT, session)
    assert endpoint.client("eks", **keys(answer)).list_clusters()["clusters"] == ["there"]
    made = create_role(endpoint.client("iam", **keys(answer)), "app")
    assert made == f"arn:aws:iam::{OTHER_ACCOUNT}:role/app"
    assert endpoint.control.counters()["accounts"][OTHER_ACCOUNT]["iam:CreateRole"] == 2


@pytest.mark.parametrize(
    ("document", "given"),
    [
        pytest.param(trust({"AWS": OTHER_ACCOUNT}), {}, id="not-trusted"),
        pytest.param(trust({"Service": "pods.eks.amazonaws.com"}), {}, id="a-service-only"),
        pytest.param(trust(HUB, **EXTERNAL_ID), {}, id="no-external-id"),
        pytest.param(trust(HUB, **EXTERNAL_ID), {"ExternalId": "my-fleets"}, id="wrong-external-id"),
        pytest.param(trust(HUB), {"RoleArn": FLEET.replace("teams/", "")}, id="other-path"),
        pytest.param(trust(HUB), {"RoleArn": FLEET.replace("fleet", "nobody")}, id="missing"),
    ],
)
def test_refused_by_the_trust_policy(endpoint: Endpoint, document: str, given: dict[str, str]) -> None:
    make_fleet_role(endpoint, document)
    refused = refusal(lambda: assume(endpoint.client("sts"), **given))
    assert refused == denied(ROOT, given.get("RoleArn", FLEET))


def test_the_right_external_id_opens(endpoint: Endpoint) -> None:
    make_fleet_role(endpoint, trust(HUB, **EXTERNAL_ID))
    assert assume(endpoint.client("sts"), ExternalId="my-fleet")["Credentials"]["AccessKeyId"]


def test_a_role_without_external_id_in_its_trust_takes_any(endpoint: Endpoint) -> None:
    make_fleet_role(endpoint, trust(HUB))
    assert assume(endpoint.client("sts"), ExternalId="whatever")["Credentials"]["AccessKeyId"]


class TestDuration:
    def test_is_bound_by_the_role(self, endpoint: Endpoint) -> None:
        make_fleet_role(endpoint, trust(HUB), MaxSessionDuration=7200)
        sts = endpoint.client("sts")
        assert assume(sts, DurationSeconds=7200)
        assert refusal(lambda: assume(sts, DurationSeconds=7201)) == (400, "ValidationError", TOO_LONG)

    def test_is_an_hour_where_roles_are_chained(self, endpoint: Endpoint) -> None:
        make_fleet_role(endpoint, trust("*"), MaxSessionDuration=7200)
        sts = endpoint.client("sts", **keys(assume(endpoint.client("sts"))))
        assert assume(sts, DurationSeconds=3600)
        assert refusal(lambda: assume(sts, DurationSeconds=3601)) == (400, "ValidationError", CHAINED)

    def test_of_all_sessions_can_be_set(self, endpoint: Endpoint, control: AwsControl) -> None:
        make_fleet_role(endpoint, trust(HUB))
        control.set_session_lifetime(0.001)
        try:
            session = keys(assume(endpoint.client("sts")))
        finally:
            control.set_session_lifetime(0)
        refused = refusal(lambda: endpoint.client("sts", **session).get_caller_identity())
        assert refused == (403, "ExpiredToken", "The security token included in the request is expired")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"RoleArn": "arn:aws:iam::1:role/fleet"}, "Request ARN is invalid", id="arn"),
        pytest.param(
            {"RoleSessionName": "a b"},
            "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]*",
            id="session-name",
        ),
        pytest.param(
            {"DurationSeconds": 43201},
            "1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: "
            "Member must have value less than or equal to 43200",
            id="duration",
        ),
        pytest.param(
            {"ExternalId": "a b"},
            "1 validation error detected: Value 'a b' at 'externalId' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@:\/-]*",
            id="external-id",
        ),
    ],
)
def test_parameters_are_checked(endpoint: Endpoint, given: dict[str, Any], message: str) -> None:
    make_fleet_role(endpoint, trust(HUB))
    assert refusal(lambda: assume(endpoint.client("sts"), **given)) == (400, "ValidationError", message)


@pytest.fixture(scope="module")
def guarded_endpoint() -> Iterator[Endpoint]:
    with running("--auth") as endpoint:
        yield endpoint


@pytest.fixture
def guarded(guarded_endpoint: Endpoint) -> Endpoint:
    guarded_endpoint.control.reset()
    guarded_endpoint.client("iam").create_user(UserName="deployer")
    return guarded_endpoint


class TestWithAuth:
    USER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
    MAY = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": FLEET}

    def sts(self, guarded: Endpoint, *statements: dict[str, Any]) -> Any:
        iam = guarded.client("iam")
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName="deployer", PolicyName="inline", PolicyDocument=document)
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        return guarded.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    def test_both_accounts_have_to_allow_it(self, guarded: Endpoint) -> None:
        make_fleet_role(guarded, trust(HUB, **EXTERNAL_ID))
        nothing = self.sts(guarded)
        assert refusal(lambda: assume(nothing, ExternalId="my-fleet")) == denied(self.USER)
        sts = self.sts(guarded, self.MAY)
        assert refusal(lambda: assume(sts)) == denied(self.USER)
        session = keys(assume(sts, ExternalId="my-fleet"))
        caller = guarded.client("sts", **session).get_caller_identity()
        assert caller["Account"] == OTHER_ACCOUNT

    def test_an_explicit_deny_is_said(self, guarded: Endpoint) -> None:
        make_fleet_role(guarded, trust(HUB))
        sts = self.sts(guarded, self.MAY, {**self.MAY, "Effect": "Deny"})
        status, code, message = denied(self.USER)
        message += " with an explicit deny in an identity-based policy"
        assert refusal(lambda: assume(sts)) == (status, code, message)

    def test_the_session_may_do_what_the_role_may(self, guarded: Endpoint) -> None:
        make_fleet_role(guarded, trust(HUB))
        session = keys(assume(self.sts(guarded, self.MAY)))
        eks = guarded.client("eks", **session)
        who = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/fleet/session"
        status, code, message = refusal(eks.list_clusters)
        assert (status, code) == (403, "AccessDeniedException")
        assert message.startswith(f"User: {who} is not authorized to perform: eks:ListClusters on resource: ")
