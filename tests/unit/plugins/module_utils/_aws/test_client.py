# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import (
    BotoApi,
    api_for,
    as_aws_error,
    response_pages,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MALFORMED, TOO_SLOW
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.service_data import new_session
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import Retries
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)

awsrequest = pytest.importorskip("botocore.awsrequest")
botocore_session = pytest.importorskip("botocore.session")
exceptions = pytest.importorskip("botocore.exceptions")
stub = pytest.importorskip("botocore.stub")

ROLE = {
    "Path": "/",
    "RoleName": "r",
    "RoleId": "AROAEXAMPLEEXAMPLE12",
    "Arn": "arn:aws:iam::111122223333:role/r",
    "CreateDate": "2026-11-24T10:15:30Z",
}


def simulated_retries() -> Retries:
    """Return the default retries with a simulated clock: a pause only advances its time."""
    slept = [0.0]
    return Retries(now=lambda: sum(slept), sleep=slept.append)


class Stubbed:
    """A botocore client whose responses the test defines, and a BotoApi that uses this client."""

    def __init__(self, service: str) -> None:
        self.client = botocore_session.get_session().create_client(
            service, region_name="us-west-2", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self.stubber = stub.Stubber(self.client)
        self.stubber.activate()
        self.api = BotoApi(lambda asked: self.client if asked == service else None, simulated_retries())


def test_only_the_failed_page_is_retried() -> None:
    eks = Stubbed("eks")
    requests = {"clusterName": "c"}
    first = {"associations": [{"serviceAccount": "a"}], "nextToken": "next"}
    second = {"associations": [{"serviceAccount": "b"}]}
    eks.stubber.add_response("list_pod_identity_associations", first, requests)
    eks.stubber.add_client_error("list_pod_identity_associations", "ServerException", "Oops", 500)
    eks.stubber.add_response("list_pod_identity_associations", second, {**requests, "nextToken": "next"})
    found = list(eks.api.pages("eks", "ListPodIdentityAssociations", requests, "associations"))
    assert [association["serviceAccount"] for association in found] == ["a", "b"]
    eks.stubber.assert_no_pending_responses()


@pytest.mark.parametrize("whole", [False, True], ids=["items", "answers"])
@pytest.mark.parametrize(
    ("markers", "reason"),
    [
        (["a", "a"], "The same next token was received twice"),
        (["a", None], "the response is truncated but has no token for the next page"),
    ],
)
def test_unusable_page_token_is_an_error(markers: list[str | None], reason: str, whole: bool) -> None:
    pages = [
        {"Roles": [], "IsTruncated": True, **({"Marker": association} if association else {})}
        for association in markers
    ]
    requests: list[dict[str, Any]] = []

    class Iam:
        def list_roles(self, **parameters: Any) -> dict[str, Any]:
            requests.append(parameters)
            return pages.pop(0)

    api = BotoApi(lambda _service: Iam(), simulated_retries())
    found = (
        response_pages(api, "iam", "ListRoles", {}) if whole else api.pages("iam", "ListRoles", {}, "Roles")
    )
    with pytest.raises(AwsError, match=reason) as caught:
        list(found)
    assert (caught.value.operation, caught.value.code) == ("iam:ListRoles", MALFORMED)
    assert len(requests) == len(markers)


@pytest.mark.parametrize(
    ("service", "operation", "answer", "attempts"),
    [
        ("eks", "CreatePodIdentityAssociation", "association", 2),
        ("eks", "CreateAddon", "addon", 2),
        ("iam", "CreatePolicyVersion", "PolicyVersion", 1),
    ],
)
def test_creation_with_a_lost_response_takes_effect_once(
    service: str, operation: str, answer: str, attempts: int
) -> None:
    requests: list[dict[str, Any]] = []

    class Client:
        def __getattr__(self, _name: str) -> Any:
            return self.send

        def send(self, **parameters: Any) -> dict[str, Any]:
            requests.append(parameters)
            if len(requests) == 1:
                raise exceptions.ConnectionClosedError(endpoint_url="https://aws.example")
            return {answer: {}}

    api = BotoApi(lambda _service: Client(), simulated_retries())
    with pytest.raises(AwsError) if attempts == 1 else nullcontext():
        api.call(service, operation, {})
    assert requests == [requests[0]] * attempts
    assert attempts == 1 or requests[0]


def test_throttled_service_gets_fewer_requests() -> None:
    slept: list[float] = []
    iam = Stubbed("iam")
    api = BotoApi(lambda _service: iam.client, Retries(lambda: sum(slept), slept.append, lambda: 0))
    iam.stubber.add_client_error("get_role", "Throttling", "Rate exceeded", 400)
    for _ in range(4):
        iam.stubber.add_response("get_role", {"Role": ROLE})
        iam.stubber.add_client_error("get_role", "NoSuchEntity", "Gone", 404)
    for _ in range(4):
        api.call("iam", "GetRole", {"RoleName": "r"})
        with pytest.raises(AwsError, match="Gone"):
            api.call("iam", "GetRole", {"RoleName": "r"})
    # The first pause is the one before the retry. Every response raises the rate again, also the one with an error.
    assert [round(pause, 5) for pause in slept] == [0.5, 0.03333, 0.0332, 0.03304, 0.03284]


def test_attempt_without_a_response_ends_at_the_time_limit() -> None:
    end = threading.Event()

    class Iam:
        def create_role(self, **_parameters: Any) -> None:
            end.wait()

    with pytest.raises(AwsError) as caught:
        BotoApi(lambda _service: Iam(), simulated_retries(), attempt_seconds=0.01).call(
            "iam", "CreateRole", {}
        )
    end.set()
    assert (caught.value.code, caught.value.outcome_unknown) == (TOO_SLOW, True)
    assert caught.value.text == "no complete response within 0.01 seconds (after 5 attempts)"


def test_number_of_pages_is_limited() -> None:
    requests: list[dict[str, Any]] = []

    class Iam:
        def list_roles(self, **parameters: Any) -> dict[str, Any]:
            requests.append(parameters)
            return {"Roles": [], "IsTruncated": True, "Marker": str(len(requests))}

    with pytest.raises(AwsError, match="the response has a token for another page after 1000") as caught:
        list(BotoApi(lambda _service: Iam(), simulated_retries()).pages("iam", "ListRoles", {}, "Roles"))
    assert (caught.value.code, len(requests)) == (MALFORMED, 1001)


@pytest.mark.parametrize(
    ("service", "operation", "method", "answer", "lacks"),
    [
        ("iam", "GetRole", "get_role", {"Role": ROLE}, "Role"),
        ("eks", "DescribeCluster", "describe_cluster", {"cluster": {"name": "c"}}, "cluster"),
    ],
)
def test_response_without_its_main_member_is_an_error(
    service: str, operation: str, method: str, answer: dict[str, Any], lacks: str
) -> None:
    """Check that an empty response raises an error, because botocore returns an empty response for a truncated body."""
    requests = {"RoleName": "r"} if service == "iam" else {"name": "c"}
    stubbed = Stubbed(service)
    stubbed.stubber.add_response(method, answer)
    assert stubbed.api.call(service, operation, requests)[lacks]

    class Empty:
        def __getattr__(self, _name: str) -> Any:
            return lambda **_parameters: {}

    with pytest.raises(AwsError) as caught:
        BotoApi(lambda _service: Empty(), simulated_retries()).call(service, operation, requests)
    assert str(caught.value) == (
        f"{service}:{operation}: {MALFORMED}: the response lacks {lacks}; possibly a proxy has truncated or repeated a response"
        " (after 3 attempts)"
    )
    assert caught.value.conflict


@pytest.mark.parametrize(
    ("parameter", "version"),
    [("targetRoleArn", "1.38.35"), ("disableSessionTags", "1.38.35"), ("policy", "1.42.46")],
)
def test_unknown_parameter_names_the_required_botocore(parameter: str, version: str) -> None:
    report = f'Unknown parameter in input: "{parameter}", must be one of: clusterName'
    error = exceptions.ParamValidationError(report=report)
    found = as_aws_error(error, "eks", "CreatePodIdentityAssociation")
    assert found.text == (
        f"Parameter validation failed: {report}. The installed botocore is too old for {parameter}, which needs "
        f"{version} or newer."
    )


def test_invalid_parameter_has_its_reason() -> None:
    iam = Stubbed("iam")
    # botocore rejects the parameter before it sends a request, so the stubber is not needed.
    iam.stubber.deactivate()
    with pytest.raises(AwsError) as caught:
        iam.api.call("iam", "GetRole", {"RoleNam": "r"})
    assert caught.value.code == "ParamValidationError"
    assert "RoleName" in caught.value.text
    assert "too old" not in caught.value.text


def test_missing_profile_is_named_before_any_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile other]\nregion = us-west-2\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    class Module:
        def __init__(self, profile: str) -> None:
            self.params = {"profile": profile}

        def client(self, service: str, **_extra: Any) -> Any:
            raise AssertionError(f"{service} was asked")

    with pytest.raises(AwsError) as caught:
        api_for(Module("nope"), 1, None)
    assert str(caught.value) == (
        "sts:GetCallerIdentity: ProfileNotFound: The config profile (nope) could not be found"
    )
    assert caught.value.remedy.startswith("Check the name in the option ⟨profile⟩ or in AWS_PROFILE:")
    api_for(Module("other"), 1, None)


@pytest.mark.parametrize("key", ["access_key", "secret_key", "session_token"])
def test_profile_with_access_keys_is_rejected(key: str) -> None:
    class Module:
        params: Mapping[str, Any] = {"profile": "other", key: "given"}

        def client(self, service: str, **_extra: Any) -> Any:
            raise AssertionError(f"{service} was asked")

    with pytest.raises(InputError) as caught:
        api_for(Module(), 1, None)
    assert list(caught.value.problems) == [
        "a profile (⟨profile⟩, AWS_PROFILE) and access keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) are "
        "both set, but only one of them can be used. Remove the profile or the access keys."
    ]


@pytest.mark.parametrize("identifier", ["x-amzn-requestid", "X-Amz-Request-Id"])
def test_response_with_a_request_id_is_accepted(identifier: str) -> None:
    class Iam:
        def get_role(self, **_parameters: Any) -> dict[str, Any]:
            return {
                "Role": ROLE,
                "ResponseMetadata": {"HTTPHeaders": {identifier: "1", "Content-Type": "text/xml"}},
            }

    assert BotoApi(lambda _service: Iam(), simulated_retries()).call("iam", "GetRole", {})["Role"] == ROLE


@pytest.mark.parametrize(
    "headers", [{}, {"x-amzn-requestid": "1", "content-type": "text/html; charset=utf-8"}]
)
@pytest.mark.parametrize("status", [200, 404])
def test_response_from_another_server_is_rejected(status: int, headers: dict[str, str]) -> None:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}

    class Proxy:
        def detach_role_policy(self, **_parameters: Any) -> dict[str, Any]:
            if status == 200:
                return {"ResponseMetadata": metadata}
            answer: Any = {"Error": {"Code": "NoSuchEntity", "Message": "gone"}, "ResponseMetadata": metadata}
            raise exceptions.ClientError(answer, "DetachRolePolicy")

    with pytest.raises(AwsError) as caught:
        BotoApi(lambda _service: Proxy(), simulated_retries()).call("iam", "DetachRolePolicy", {})
    assert (caught.value.code, caught.value.missing, caught.value.outcome_unknown) == ("NOT_AWS", False, True)
    assert caught.value.text == (
        "the response is not from AWS: it has no request ID, or is a web page (after 3 attempts)"
    )
    assert caught.value.remedy == (
        "Another server responds in place of AWS: check the proxy (HTTPS_PROXY, NO_PROXY), a sign-in "
        "page of the network, and endpoint_url (AWS_ENDPOINT_URL). Then run again."
    )


@pytest.mark.parametrize(
    "raw", ["2026-11-24T10:15:30Z", "2026-11-24T10:15:30.000Z", 1795515330.0, "1795515330"]
)
def test_session_parses_times(raw: object) -> None:
    parser = new_session(None).get_component("response_parser_factory").create_parser("query")
    assert parser._timestamp_parser(raw).astimezone(timezone.utc).isoformat() == "2026-11-24T10:15:30+00:00"
