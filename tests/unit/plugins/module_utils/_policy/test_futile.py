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


CASES = {
    "a boundary of another service": (GET, [], [policy("ec2:*")], "limit"),
    "a boundary of another bucket": (GET, [], [policy("s3:*", resource="arn:aws:s3:::other/*")], "limit"),
    "a boundary of the same service": (GET, [], [policy("s3:*")], ""),
    "some permissions remain": (
        policy("s3:*", resource=OBJECTS),
        [],
        [policy("s3:GetObject", resource=ONE)],
        "",
    ),
    "some of all permissions remain": (policy("s3:*"), [], [policy("s3:GetObject", resource=ONE)], ""),
    "a Deny of everything": (GET, [DENY], [], "other"),
    "a Deny of everything on every resource": (policy("s3:GetObject"), [DENY], [], "other"),
    "a Deny of some permissions": (GET, [policy("s3:*", effect="Deny", resource=ONE)], [], ""),
    "a conditional Deny": (
        GET,
        [policy("s3:*", effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})],
        [],
        "",
    ),
    "a boundary with a condition that is never true": (GET, [], [policy("s3:*", Condition=TAG)], "limit"),
    "a short ARN": (policy("sqs:*", resource="arn:aws:sqs:*"), [], [policy("sqs:*")], ""),
    "the permissions have a condition that is never true": (policy("s3:*", Condition=TAG), [], [], ""),
    "a boundary with NotAction": (GET, [], [all_but("s3:*")], "limit"),
    "a boundary that excludes another service": (GET, [], [all_but("iam:*")], ""),
    "permissions of a NotAction are not enumerated": (all_but("iam:*"), [], [policy("ec2:*")], ""),
    "nothing is granted": (DENY, [], [policy("ec2:*")], ""),
    "one of two grants remains": (
        {"Version": "2012-10-17", "Statement": [*GET["Statement"], *policy("ec2:Run*")["Statement"]]},
        [],
        [policy("ec2:*")],
        "",
    ),
}


@pytest.mark.parametrize(("granting", "further", "limits", "cause"), CASES.values(), ids=CASES)
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
