# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import (
    AssumedSession,
    BotoApi,
    Connection,
    api_with,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError

pytest.importorskip("boto3")

ARN = "arn:aws:iam::444455556666:role/fleet"
CALLER = "arn:aws:iam::111122223333:user/deployer"
BEGIN = datetime(2026, 11, 24, 10, 0, tzinfo=timezone.utc)
DENIED = f"User: {CALLER} is not authorized to perform: sts:AssumeRole on resource: {ARN}"


class Clock:
    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Sts:
    """A fake STS that numbers its sessions. If ``error`` is set, AssumeRole raises it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.error: AwsError | None = None
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert service == "sts"
        self.asked.append((operation, parameters))
        if self.error is not None:
            raise self.error
        number = len(self.sessions)
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{number}",
                "SecretAccessKey": f"secret-{number}",
                "SessionToken": f"token-{number}",
                "Expiration": self.clock.now + timedelta(seconds=parameters["DurationSeconds"]),
            }
        }

    @property
    def sessions(self) -> list[Mapping[str, Any]]:
        return [parameters for operation, parameters in self.asked if operation == "AssumeRole"]


def assumed_session(sts: Sts) -> AssumedSession:
    return AssumedSession(AssumeRole(ARN), sts, Connection(region="us-west-2"), sts.clock)


def access_key_id(session: AssumedSession) -> str:
    """Return the access key ID with which a new client of the session signs requests."""
    frozen = session.client("iam")._request_signer._credentials.get_frozen_credentials()
    assert frozen.secret_key.rpartition("-")[2] == frozen.token.rpartition("-")[2]
    return str(frozen.access_key)


def refused(text: str, code: str = "AccessDenied") -> AwsError:
    return classify("sts:AssumeRole", code, text)


class TestRefusals:
    def test_has_a_remedy(self) -> None:
        sts = Sts(Clock())
        sts.error = refused(DENIED)
        with pytest.raises(AwsError) as caught:
            assumed_session(sts).ready()
        assert caught.value.text == f"{DENIED}. Requested in region us-west-2, for account 444455556666."
        assert caught.value.remedy.startswith("Allow the caller sts:AssumeRole on this role")

    def test_transient_error_is_retried_at_once(self) -> None:
        sts = Sts(Clock())
        session = assumed_session(sts)
        sts.error = refused("Rate exceeded", "Throttling")
        with pytest.raises(AwsError, match="Rate exceeded"):
            session.ready()
        sts.error = None
        session.ready()
        assert len(sts.sessions) == 2

    def test_keeps_valid_credentials_if_an_early_renewal_fails(self) -> None:
        sts = Sts(Clock())
        session = assumed_session(sts)
        session.ready()
        sts.error = refused(DENIED)
        sts.clock.pass_by(3600 - 700)
        session.ready()
        assert access_key_id(session) == "ASIA1"
        sts.clock.pass_by(150)
        with pytest.raises(AwsError, match="is not authorized to perform: sts:AssumeRole"):
            session.ready()


class TestApi:
    def test_each_request_waits_for_credentials(self) -> None:
        order: list[str] = []

        class Iam:
            def get_role(self, **_parameters: Any) -> dict[str, Any]:
                order.append("request")
                return {"Role": {}}

        api = BotoApi(lambda _service: Iam(), ready=lambda: order.append("ready"))
        api.call("iam", "GetRole", {})
        api.call("iam", "GetRole", {})
        assert order == ["ready", "request"] * 2

    def test_failed_client_creation_is_an_aws_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        api = api_with(lambda _service, **_options: None, {}, Connection, 1, AssumeRole(ARN))
        with pytest.raises(AwsError) as caught:
            api.call("eks", "DescribeCluster", {"name": "c"})
        assert (caught.value.code, caught.value.remedy) == (
            "NoRegionError",
            "Set the region: the option ⟨region⟩, or AWS_REGION.",
        )
