# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test fault rules: which requests they select, and how the client fails."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, REGION, Endpoint, api_error, create_cluster, create_role

DENIED = (
    f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: {{0}} on resource: * because no "
    "identity-based policy allows the {0} action"
)


def outcomes(iam: Any, times: int) -> str:
    """Call ListRoles and return a character for each call: "." for success, "x" for an error."""
    letters = ""
    for _ in range(times):
        try:
            iam.list_roles()
            letters += "."
        except ClientError:
            letters += "x"
    return letters


class TestErrors:
    """Tests of faults that are error responses, with the codes and messages of the service."""

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("throttle", (400, "Throttling", "Rate exceeded")),
            ("error500", (500, "ServiceFailure", "Internal server error")),
            ("error503", (503, "ServiceUnavailable", "Service is unavailable")),
            ("access_denied", (403, "AccessDenied", DENIED.format("iam:ListRoles"))),
            ("not_found", (404, "NoSuchEntity", "The requested entity cannot be found.")),
            (
                "conflict",
                (
                    409,
                    "ConcurrentModification",
                    "Another request is modifying this entity; wait a few minutes and try again.",
                ),
            ),
        ],
    )
    def test_iam_returns_error(
        self, iam: Any, control: AwsControl, kind: str, expected: tuple[int, str, str]
    ) -> None:
        control.set_faults([{"kind": kind}])
        assert api_error(iam.list_roles) == expected

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("throttle", (429, "ThrottlingException", "Rate exceeded")),
            ("error500", (500, "ServerException", "Internal server error")),
            ("error503", (503, "ServiceUnavailableException", "Service is unavailable")),
            ("access_denied", (403, "AccessDeniedException", DENIED.format("eks:ListClusters"))),
            ("not_found", (404, "ResourceNotFoundException", "The requested entity cannot be found.")),
            ("conflict", (409, "ResourceInUseException", "The resource is in use.")),
        ],
    )
    def test_eks_returns_error(
        self, eks: Any, control: AwsControl, kind: str, expected: tuple[int, str, str]
    ) -> None:
        control.set_faults([{"kind": kind}])
        assert api_error(eks.list_clusters) == expected

    def test_custom_fault_returns_error_of_rule(self, eks: Any, control: AwsControl) -> None:
        rule = {"kind": "custom", "code": "ResourceLimitExceededException", "message": "Full.", "status": 400}
        control.set_faults([rule])
        assert api_error(eks.list_clusters) == (400, "ResourceLimitExceededException", "Full.")

    @pytest.mark.parametrize(
        "kind", ["throttle", "error500", "error503", "access_denied", "not_found", "conflict"]
    )
    def test_request_is_not_executed(self, iam: Any, control: AwsControl, kind: str) -> None:
        control.set_faults([{"kind": kind, "times": 1}])
        api_error(lambda: create_role(iam, "app"))
        assert control.state(ACCOUNT)["roles"] == {}


class TestTransport:
    def test_reset_before_does_not_execute_request(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "reset_before", "times": 1}])
        with pytest.raises(ConnectionClosedError):
            create_role(iam, "app")
        assert control.state(ACCOUNT)["roles"] == {}
        create_role(iam, "app")

    def test_reset_after_executes_request(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "reset_after", "times": 1}])
        with pytest.raises(ConnectionClosedError):
            create_role(iam, "app")
        assert list(control.state(ACCOUNT)["roles"]) == ["app"]
        assert api_error(lambda: create_role(iam, "app"))[1] == "EntityAlreadyExists"

    def test_malformed_xml_cannot_be_parsed(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "malformed", "times": 1}])
        with pytest.raises(ResponseParserError):
            iam.list_roles()
        assert iam.list_roles()["Roles"] == []

    def test_malformed_json_loses_members(self, eks: Any, control: AwsControl) -> None:
        """Send invalid JSON with status 200. botocore ignores it, so the response has no members."""
        control.set_faults([{"kind": "malformed", "times": 1}])
        assert eks.list_clusters().keys() == {"ResponseMetadata"}
        assert eks.list_clusters()["clusters"] == []


class TestProxy:
    """Tests of the responses that a proxy sends with status 200 instead of the response of AWS."""

    @pytest.mark.parametrize("kind", ["html200", "empty200"])
    def test_request_is_not_executed(self, iam: Any, control: AwsControl, kind: str) -> None:
        control.set_faults([{"kind": kind, "times": 1}])
        # The page is XML, but not a response of IAM. Which exception botocore raises depends on its version.
        with contextlib.suppress(ResponseParserError, KeyError):
            iam.create_role(RoleName="app", AssumeRolePolicyDocument="{}")
        assert control.state(ACCOUNT)["roles"] == {}
        assert control.counters()["statuses"] == {"200": 1}

    @pytest.mark.parametrize("kind", ["html200", "empty200"])
    def test_eks_response_lacks_members_and_request_id(
        self, eks: Any, control: AwsControl, kind: str
    ) -> None:
        control.set_faults([{"kind": kind, "times": 1}])
        response = eks.list_clusters()
        assert response.keys() == {"ResponseMetadata"}
        metadata = response["ResponseMetadata"]
        assert (metadata["HTTPStatusCode"], metadata.get("RequestId")) == (200, None)
        content_type = metadata["HTTPHeaders"].get("content-type", "")
        assert content_type == ("text/html; charset=utf-8" if kind == "html200" else "")


class TestSlow:
    def test_stall_delays_response_and_executes_request(
        self, endpoint: Endpoint, control: AwsControl
    ) -> None:
        control.set_faults([{"kind": "stall", "seconds": 1, "times": 1}])
        start = time.monotonic()
        create_role(endpoint.client("iam"), "app")
        assert time.monotonic() - start >= 1
        assert list(control.state(ACCOUNT)["roles"]) == ["app"]

    def test_trickle_sends_complete_body_slowly(self, iam: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        control.set_faults([{"kind": "trickle", "seconds": 1, "times": 1}])
        start = time.monotonic()
        assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["app"]
        assert time.monotonic() - start >= 1


class TestEndlessPages:
    @pytest.mark.parametrize("name", ["list_roles", "list_policies", "get_account_authorization_details"])
    def test_iam_list_never_ends(self, iam: Any, control: AwsControl, name: str) -> None:
        create_role(iam, "app")
        control.set_faults([{"kind": "endless_pages"}])
        pages = list(itertools.islice(iam.get_paginator(name).paginate(), 20))
        assert len(pages) == 20
        assert len({page["Marker"] for page in pages}) == 20

    def test_eks_list_never_ends(self, eks: Any, control: AwsControl) -> None:
        create_cluster(eks, "demo")
        control.set_faults([{"kind": "endless_pages"}])
        pages = list(itertools.islice(eks.get_paginator("list_clusters").paginate(), 20))
        assert [page["clusters"] for page in pages] == [["demo"]] * 20
        assert "nextToken" not in eks.describe_cluster(name="demo")


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
            pytest.param({"region": REGION}, "xxxxxx", id="region"),
            pytest.param({"region": "ap-*"}, "......", id="other-region"),
        ],
    )
    def test_rule_fails_selected_requests(
        self, iam: Any, control: AwsControl, rule: dict[str, Any], expected: str
    ) -> None:
        control.set_faults([{"kind": "throttle", **rule}])
        assert outcomes(iam, 6) == expected

    def test_rule_matches_operation_in_header(self, endpoint: Endpoint, control: AwsControl) -> None:
        organizations = endpoint.client("organizations")
        assert organizations.list_accounts()["Accounts"][0]["Id"] == ACCOUNT
        control.set_faults([{"kind": "access_denied", "operation": "organizations:ListAccounts"}])
        status, code, _message = api_error(organizations.list_accounts)
        assert (status, code) == (403, "AccessDeniedException")

    def test_nth_counts_only_matching_operation(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "throttle", "operation": "iam:ListRoles", "nth": 2}])
        create_role(iam, "app")
        assert outcomes(iam, 3) == ".x."

    def test_first_matching_rule_fires(self, iam: Any, control: AwsControl) -> None:
        control.set_faults([{"kind": "error500", "nth": 2}, {"kind": "throttle", "times": 2}])
        assert [api_error(iam.list_roles)[1] for _ in range(3)] == [
            "Throttling",
            "ServiceFailure",
            "Throttling",
        ]
        assert control.counters()["faults"] == {"error500": 1, "throttle": 2}
