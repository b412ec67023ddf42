# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the finding about policies that deny every permission that other policies grant. Only certain denials count."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    find_denying_policies,
)

SUBJECT = Subject(
    cluster_arn="arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    namespace="default",
    service_account="app",
    account_id="111122223333",
    partition="aws",
    role_arn="arn:aws:iam::111122223333:role/my-role",
    session_tags=True,
)
OBJECTS = "arn:aws:s3:::bucket/*"
ONE = "arn:aws:s3:::bucket/one"


def policy(*actions: str, effect: str = "Allow", resource: str = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def all_but(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": action, "Resource": "*"}]}


GET = policy("s3:GetObject", resource=OBJECTS)
DENY = policy("s3:*", effect="Deny")
TAG = {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "elsewhere"}}


@pytest.mark.parametrize(
    ("granting", "further", "limits", "cause"),
    [
        pytest.param(GET, [], [policy("ec2:*")], "limit", id="a boundary of another service"),
        pytest.param(GET, [], [policy("s3:*")], "", id="a boundary of the same service"),
        pytest.param(
            policy("s3:*", resource=OBJECTS),
            [],
            [policy("s3:GetObject", resource=ONE)],
            "",
            id="some permissions remain",
        ),
        pytest.param(
            policy("s3:*"),
            [],
            [policy("s3:GetObject", resource=ONE)],
            "",
            id="some of all permissions remain",
        ),
        pytest.param(GET, [DENY], [], "other", id="a Deny of everything"),
        pytest.param(
            policy("s3:GetObject"), [DENY], [], "other", id="a Deny of everything on every resource"
        ),
        pytest.param(
            GET, [policy("s3:*", effect="Deny", resource=ONE)], [], "", id="a Deny of some permissions"
        ),
        pytest.param(
            GET,
            [policy("s3:*", effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})],
            [],
            "",
            id="a conditional Deny",
        ),
        pytest.param(
            GET,
            [],
            [policy("s3:*", Condition=TAG)],
            "limit",
            id="a boundary with a condition that is never true",
        ),
        pytest.param(policy("sqs:*", resource="arn:aws:sqs:*"), [], [policy("sqs:*")], "", id="a short ARN"),
        pytest.param(
            policy("s3:*", Condition=TAG),
            [],
            [],
            "",
            id="the permissions have a condition that is never true",
        ),
        pytest.param(GET, [], [all_but("s3:*")], "limit", id="a boundary with NotAction"),
        pytest.param(GET, [], [all_but("iam:*")], "", id="a boundary that excludes another service"),
        pytest.param(
            all_but("iam:*"), [], [policy("ec2:*")], "", id="permissions of a NotAction are not enumerated"
        ),
        pytest.param(DENY, [], [policy("ec2:*")], "", id="nothing is granted"),
        pytest.param(
            {"Version": "2012-10-17", "Statement": [*GET["Statement"], *policy("ec2:Run*")["Statement"]]},
            [],
            [policy("ec2:*")],
            "",
            id="one of two grants remains",
        ),
    ],
)
def test_denying_policies(
    granting: dict[str, Any], further: list[dict[str, Any]], limits: list[dict[str, Any]], cause: str
) -> None:
    found = find_denying_policies(
        [NamedPolicy("own", granting), *(NamedPolicy("other", document) for document in further)],
        [NamedPolicy("limit", document) for document in limits],
        SUBJECT,
        {},
    )
    assert found == ([cause] if cause else [])
