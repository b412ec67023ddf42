# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EKS asks of a role before it accepts it: existence, account, trust, and propagation."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sandbox.aws.control import AwsControl

from .conftest import ACCOUNT, OTHER_ACCOUNT, POD_IDENTITY_TRUST, create_role, refusal

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
def hand_over(request: pytest.FixtureRequest, iam: Any, eks: Any) -> Callable[[str], Any]:
    """Give EKS a role, in a new association or in one that has a good role."""
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
        pytest.param(f"arn:aws:iam::{ACCOUNT}:role/wrong/path/there", MISSING, id="wrong-path"),
        pytest.param(f"arn:aws:iam::{OTHER_ACCOUNT}:role/there", CROSS_ACCOUNT, id="other-account"),
        pytest.param("", CROSS_ACCOUNT, id="empty"),
    ],
)
def test_role_refused(
    iam: Any, hand_over: Callable[[str], Any], arn: str, expected: tuple[int, str, str]
) -> None:
    create_role(iam, "there", Path="/right/path/")
    assert refusal(lambda: hand_over(arn)) == expected


def test_role_with_a_path_is_accepted(iam: Any, hand_over: Callable[[str], Any]) -> None:
    arn = create_role(iam, "app", Path="/team/a/")
    assert arn == f"arn:aws:iam::{ACCOUNT}:role/team/a/app"
    assert hand_over(arn)["roleArn"] == arn


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
def test_trust_accepted(iam: Any, hand_over: Callable[[str], Any], document: str) -> None:
    arn = create_role(iam, "app", document)
    assert hand_over(arn)["roleArn"] == arn


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
def test_trust_refused(iam: Any, hand_over: Callable[[str], Any], document: str) -> None:
    arn = create_role(iam, "app", document)
    assert refusal(lambda: hand_over(arn)) == BAD_TRUST


def created_in_the_end(eks: Any, role_arn: str) -> Any:
    """The association, once EKS sees the role as it is."""
    for _ in range(100):
        try:
            return create(eks, role_arn)
        except eks.exceptions.InvalidParameterException:
            time.sleep(0.1)
    return create(eks, role_arn)


class TestPropagation:
    """A change is seen by EKS only after the delay; IAM itself sees it at once."""

    def test_new_role_does_not_exist_yet(self, iam: Any, eks: Any, control: AwsControl) -> None:
        control.set_propagation(60_000)
        arn = create_role(iam, "app")
        assert iam.get_role(RoleName="app")["Role"]["Arn"] == arn
        assert refusal(lambda: create(eks, arn)) == MISSING
        control.set_propagation(0)
        assert create(eks, arn)["roleArn"] == arn

    def test_new_role_exists_after_the_delay(self, iam: Any, eks: Any, control: AwsControl) -> None:
        control.set_propagation(200)
        arn = create_role(iam, "app")
        assert created_in_the_end(eks, arn)["roleArn"] == arn

    def test_changed_trust_is_the_old_one_until_then(self, iam: Any, eks: Any, control: AwsControl) -> None:
        arn = create_role(iam, "app", trust(statement(Action="sts:AssumeRole")))
        time.sleep(1.5)
        control.set_propagation(1400)
        iam.update_assume_role_policy(RoleName="app", PolicyDocument=POD_IDENTITY_TRUST)
        assert refusal(lambda: create(eks, arn)) == BAD_TRUST
        assert created_in_the_end(eks, arn)["roleArn"] == arn

    def test_recreated_role_is_a_new_one(self, iam: Any, eks: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        control.set_propagation(60_000)
        iam.delete_role(RoleName="app")
        assert refusal(lambda: create(eks, create_role(iam, "app"))) == MISSING
