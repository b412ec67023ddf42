# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how EKS checks the role of an association: existence, account, trust policy and propagation."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, POD_IDENTITY_TRUST, api_error, create_role

pytestmark = pytest.mark.usefixtures("cluster")

MISSING = (400, "InvalidParameterException", "Role provided in the request does not exist")
CROSS_ACCOUNT = (403, "AccessDeniedException", "Cross-account pass role is not allowed")
BAD_TRUST = (
    400,
    "InvalidParameterException",
    "Trust policy of the role provided is invalid. Follow the official documentation to resolve the issue.",
)
SERVICE = "pods.eks.amazonaws.com"
BOTH = ["sts:AssumeRole", "sts:TagSession"]


def statement(**changed: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": BOTH, **changed}


def trust(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def create(eks: Any, role_arn: str) -> Any:
    return eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=role_arn
    )["association"]


@pytest.fixture(params=["create", "update"])
def associate(request: pytest.FixtureRequest, iam: Any, eks: Any) -> Callable[[str], Any]:
    """Return a function that sets the role of an association: with a create request, or with an update request."""
    if request.param == "create":
        return lambda arn: create(eks, arn)
    association = create(eks, create_role(iam, "good"))
    identifier = association["associationId"]
    return lambda arn: eks.update_pod_identity_association(
        clusterName="demo", associationId=identifier, roleArn=arn
    )["association"]


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        pytest.param(f"arn:aws:iam::{ACCOUNT}:role/nobody", MISSING, id="missing"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:role/wrong/path/app", MISSING, id="wrong-path"),
        pytest.param(f"arn:aws:iam::{OTHER_ACCOUNT}:role/app", CROSS_ACCOUNT, id="other-account"),
        pytest.param("", CROSS_ACCOUNT, id="empty"),
    ],
)
def test_unusable_role_is_rejected(
    iam: Any, associate: Callable[[str], Any], arn: str, expected: tuple[int, str, str]
) -> None:
    create_role(iam, "app", Path="/right/path/")
    assert api_error(lambda: associate(arn)) == expected


def test_role_with_a_path_is_accepted(iam: Any, associate: Callable[[str], Any]) -> None:
    arn = create_role(iam, "app", Path="/team/a/")
    assert arn == f"arn:aws:iam::{ACCOUNT}:role/team/a/app"
    assert associate(arn)["roleArn"] == arn


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(trust(statement()), id="the-guide"),
        pytest.param(trust(statement(Action="sts:*")), id="sts-star"),
        pytest.param(trust(statement(Action="*")), id="star"),
        pytest.param(trust(statement(Action=["STS:assumerole", "sts:tag*"])), id="any-case-and-wildcard"),
        pytest.param(
            trust(statement(Principal={"Service": ["ec2.amazonaws.com", SERVICE]})), id="service-list"
        ),
        pytest.param(trust(*(statement(Action=action) for action in BOTH)), id="two-statements"),
        pytest.param(json.dumps({"Statement": statement()}), id="single-statement-object"),
        pytest.param(
            trust(statement(Condition={"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}})),
            id="condition-that-will-not-hold",
        ),
        pytest.param(trust(statement(), statement(Effect="Deny")), id="denied-elsewhere"),
    ],
)
def test_valid_trust_policy_is_accepted(iam: Any, associate: Callable[[str], Any], document: str) -> None:
    arn = create_role(iam, "app", document)
    assert associate(arn)["roleArn"] == arn


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(trust(statement(Action="sts:AssumeRole")), id="no-tag-session"),
        pytest.param(trust(statement(Action="sts:TagSession")), id="no-assume-role"),
        pytest.param(trust(statement(Principal={"Service": "ec2.amazonaws.com"})), id="other-service"),
        pytest.param(trust(statement(Principal={"AWS": "*"})), id="everybody"),
        pytest.param(trust(statement(Effect="Deny")), id="deny"),
        pytest.param(
            trust(statement(Action="sts:AssumeRole"), statement(Principal={"AWS": ACCOUNT})),
            id="tag-session-for-another",
        ),
        pytest.param(
            trust(
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.example/id/A"},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                }
            ),
            id="irsa",
        ),
    ],
)
def test_invalid_trust_policy_is_rejected(iam: Any, associate: Callable[[str], Any], document: str) -> None:
    arn = create_role(iam, "app", document)
    assert api_error(lambda: associate(arn)) == BAD_TRUST


def create_eventually(eks: Any, role_arn: str) -> Any:
    """Create an association, and retry for about ten seconds until EKS accepts the role."""
    for _ in range(100):
        try:
            return create(eks, role_arn)
        except eks.exceptions.InvalidParameterException:
            time.sleep(0.1)
    return create(eks, role_arn)


class TestPropagation:
    """Tests of the propagation delay, after which EKS sees a change in IAM."""

    def test_new_role_is_invisible_before_delay(self, iam: Any, eks: Any, control: AwsControl) -> None:
        control.set_propagation(60_000)
        arn = create_role(iam, "app")
        assert iam.get_role(RoleName="app")["Role"]["Arn"] == arn
        assert api_error(lambda: create(eks, arn)) == MISSING
        control.set_propagation(0)
        assert create(eks, arn)["roleArn"] == arn

    def test_new_role_is_visible_after_delay(self, iam: Any, eks: Any, control: AwsControl) -> None:
        control.set_propagation(200)
        arn = create_role(iam, "app")
        assert create_eventually(eks, arn)["roleArn"] == arn

    def test_changed_trust_policy_is_visible_after_delay(
        self, iam: Any, eks: Any, control: AwsControl
    ) -> None:
        arn = create_role(iam, "app", trust(statement(Action="sts:AssumeRole")))
        time.sleep(1.5)
        control.set_propagation(1400)
        iam.update_assume_role_policy(RoleName="app", PolicyDocument=POD_IDENTITY_TRUST)
        assert api_error(lambda: create(eks, arn)) == BAD_TRUST
        assert create_eventually(eks, arn)["roleArn"] == arn

    def test_recreated_role_is_invisible_before_delay(self, iam: Any, eks: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        control.set_propagation(60_000)
        iam.delete_role(RoleName="app")
        assert api_error(lambda: create(eks, create_role(iam, "app"))) == MISSING
