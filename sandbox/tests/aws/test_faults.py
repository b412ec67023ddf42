# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: which request a rule picks, and what the client sees."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError
from sandbox.aws.control import AwsControl, AwsControlError

from .conftest import ACCOUNT, OTHER_ACCOUNT, Endpoint, create_role, refusal

DENIED = (
    f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: {{0}} on resource: * because no "
    "identity-based policy allows the {0} action"
)


def outcomes(iam: Any, times: int) -> str:
    """One letter a call of ListRoles: . answered, x refused."""
    letters = ""
    for _ in range(times):
        try:
            iam.list_roles()
            letters += "."
        except ClientError:
            letters += "x"
    return letters


class TestAnswers:
    """Each kind as the service itself words it."""

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("throttle", (400, "Throttling", "Rate exceeded")),
            ("error500", (500, "ServiceFailure", "Internal server error")),
            ("error503", (503, "ServiceUnavailable", "Service is unavailable")),
            ("access_denied", (403, "AccessDenied", DENIED.format("iam:ListRoles"))),
        ],
    )
    def test_iam(self, iam: Any, control: AwsControl, kind: str, expected: tuple[int, str, str]) -> None:
        control.set_faults([{"kind": kind}])
        assert refusal(iam.list_roles) == expected

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("throttle", (429, "ThrottlingException", "Rate exceeded")),
            ("error500", (500, "ServerException", "Internal server error")),
            ("error503", (503, "ServiceUnavailableException", "Service is unavailable")),
            ("access_denied", (403, "AccessDeniedException", DENIED.format("eks:ListClusters"))),
        ],
    )
    def test_eks(self, eks: Any, control: AwsControl, kind: str, expected: tuple[int, str, str]) -> None:
        control.set_faults([{"kind": kind}])
        assert refusal(eks.list_clusters) == expected

    def test_sts_is_throttled_as_iam_is(self, endpoint: Endpoint, control: AwsControl) -> None:
        control.set_faults([{"kind": "throttle"}])
        refused = refusal(endpoint.client("sts").get_caller_identity)
        assert refused == (400, "Throttling", "Rate exceeded")

    def test_custom(self, eks: Any, control: AwsControl) -> None:
        rule = {"kind": "custom", "code": "ResourceLimitExceededException", "message": "Full.", "status": 400}
        control.set_faults([rule])
        assert refusal(eks.list_clusters) == (400, "ResourceLimitExceededException", "Full.")

    @pytest.mark.parametrize("kind", ["throttle", "error500", "error503", "access_denied"])
    def test_request_has_no_effect(self, iam: Any, control: AwsControl, kind: str) -> None:
        control.set_faults([{"kind": kind, "times": 1}])
        refusal(lambda: create_role(iam, "app"))
        assert control.state(ACCOUNT)["roles"] == {}


class TestTransport:
    def test_reset_before_has_no_effect(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "reset_before", "times": 1}])
        with pytest.raises(ConnectionClosedError):
            create_role(iam, "app")
        assert control.state(ACCOUNT)["roles"] == {}
        create_role(iam, "app")

    def test_reset_after_has_its_effect(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "reset_after", "times": 1}])
        with pytest.raises(ConnectionClosedError):
            create_role(iam, "app")
        assert list(control.state(ACCOUNT)["roles"]) == ["app"]
        assert refusal(lambda: create_role(iam, "app"))[1] == "EntityAlreadyExists"

    def test_malformed_xml_cannot_be_parsed(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "malformed", "times": 1}])
        with pytest.raises(ResponseParserError):
            iam.list_roles()
        assert iam.list_roles()["Roles"] == []

    def test_malformed_json_is_an_answer_without_its_members(self, eks: Any, control: AwsControl) -> None:
        """botocore does not complain of broken JSON in an answer of status 200."""
        control.set_faults([{"kind": "malformed", "times": 1}])
        assert eks.list_clusters().keys() == {"ResponseMetadata"}
        assert eks.list_clusters()["clusters"] == []

    def test_malformed_has_its_effect(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "malformed", "times": 1}])
        with pytest.raises(ResponseParserError):
            create_role(iam, "app")
        assert list(control.state(ACCOUNT)["roles"]) == ["app"]

    def test_sdk_retries_through_a_reset(self, endpoint: Endpoint, control: AwsControl) -> None:
        control.set_faults([{"kind": "reset_before", "times": 2}])
        client = endpoint.client("iam", attempts=3)
        assert client.list_roles()["Roles"] == []
        assert control.counters()["operations"] == {"iam:ListRoles": 3}


class TestSelection:
    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            pytest.param({}, "xxxxxx", id="always"),
            pytest.param({"nth": 3}, "..x...", id="third"),
            pytest.param({"every": 2}, ".x.x.x", id="every-second"),
            pytest.param({"times": 2}, "xx....", id="twice"),
            pytest.param({"every": 2, "times": 2}, ".x.x..", id="every-second-twice"),
            pytest.param({"operation": "iam:List*"}, "xxxxxx", id="pattern"),
            pytest.param({"operation": "iam:Get*"}, "......", id="other-operation"),
            pytest.param({"operation": "eks:*"}, "......", id="other-service"),
            pytest.param({"account": OTHER_ACCOUNT}, "......", id="other-account"),
        ],
    )
    def test_rule(self, iam: Any, control: AwsControl, rule: dict[str, Any], expected: str) -> None:
        control.set_faults([{"kind": "throttle", **rule}])
        assert outcomes(iam, 6) == expected

    def test_nth_counts_every_operation_of_the_run(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "throttle", "nth": 2}])
        create_role(iam, "app")
        assert outcomes(iam, 2) == "x."

    def test_nth_of_an_operation_counts_that_one(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "throttle", "operation": "iam:ListRoles", "nth": 2}])
        create_role(iam, "app")
        assert outcomes(iam, 3) == ".x."

    def test_first_rule_decides_and_only_it_counts_as_fired(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "error500", "nth": 2}, {"kind": "throttle", "times": 2}])
        assert [refusal(iam.list_roles)[1] for _ in range(3)] == [
            "Throttling",
            "ServiceFailure",
            "Throttling",
        ]
        assert [(rule["seen"], rule["fired"]) for rule in control.faults()] == [(3, 1), (3, 2)]
        assert control.counters()["faults"] == {"error500": 1, "throttle": 2}

    def test_rule_ends_after_its_duration(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "throttle", "duration_ms": 300}])
        assert outcomes(iam, 1) == "x"
        time.sleep(0.4)
        assert outcomes(iam, 1) == "."

    def test_setting_rules_replaces_them(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "throttle"}])
        control.set_faults([])
        assert outcomes(iam, 1) == "."

    def test_control_requests_never_fail(self, control: AwsControl) -> None:
        control.set_faults([{"kind": "reset_before"}])
        assert control.ready()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param({"kind": "boom"}, "kind must be one of", id="kind"),
        pytest.param({"kind": "throttle", "nht": 1}, "unknown member of a fault rule: nht", id="member"),
        pytest.param({"kind": "throttle", "nth": 0}, "nth must be a whole number of at least 1: 0", id="nth"),
        pytest.param({"kind": "custom"}, "a fault rule of kind custom needs a code", id="code"),
    ],
)
def test_rule_refused(iam: Any, control: AwsControl, rule: dict[str, Any], message: str) -> None:
    with pytest.raises(AwsControlError) as caught:
        control.set_faults([rule])
    assert message in str(caught.value)
    assert outcomes(iam, 1) == "."
