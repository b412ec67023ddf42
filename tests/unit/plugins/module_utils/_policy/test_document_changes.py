# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the lines about the permissions that a change of a policy document adds and removes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document_changes import (
    describe_document_change,
)

OBJECTS, BUCKET = "arn:aws:s3:::b/*", "arn:aws:s3:::b"
VPC = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}


def statement(action: Any, resource: Any = OBJECTS, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "one added, one removed": (
        document(statement(["s3:GetObject", "s3:DeleteObject"])),
        document(statement(["s3:GetObject", "s3:PutObject"])),
        f"adds s3:PutObject on {OBJECTS}; removes s3:DeleteObject on {OBJECTS}",
    ),
    "equal": (document(statement("s3:GetObject")), document(statement(["s3:getobject"], [OBJECTS])), ""),
    "Sid and order": (
        document(statement("s3:GetObject", Sid="A"), statement("sqs:SendMessage", "*")),
        document(statement("sqs:SendMessage", "*"), statement("s3:GetObject", Sid="B")),
        "",
    ),
    "actions with the same resources": (
        document(statement("s3:GetObject")),
        document(
            statement(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]), statement("s3:ListBucket", BUCKET)
        ),
        f"adds s3:PutObject, s3:DeleteObject on {OBJECTS}; adds s3:ListBucket on {BUCKET}",
    ),
    "resources": (
        document(statement("s3:ListBucket", [BUCKET])),
        document(statement("s3:ListBucket", [BUCKET, f"{BUCKET}1", f"{BUCKET}2"])),
        f"adds s3:ListBucket on {BUCKET}1, {BUCKET}2",
    ),
    "many resources": (
        document(statement("s3:ListBucket", [BUCKET])),
        document(statement("s3:ListBucket", [BUCKET, *(f"{BUCKET}{number}" for number in range(4))])),
        f"adds s3:ListBucket on {BUCKET}0, {BUCKET}1 and 2 more",
    ),
    "many actions": (
        document(statement("s3:GetObject")),
        document(
            statement([f"ec2:Describe{letter}" for letter in "ABCDEFG"], "*"), statement("s3:GetObject")
        ),
        "adds ec2:DescribeA, ec2:DescribeB, ec2:DescribeC, ec2:DescribeD and 3 more on *",
    ),
    "many groups": (
        document(statement("s3:GetObject")),
        document(
            *(statement([f"a:X{number}", f"a:Y{number}"], f"{BUCKET}{number}/*") for number in range(7))
        ),
        f"{'; '.join(f'adds a:X{number}, a:Y{number} on {BUCKET}{number}/*' for number in range(4))}; adds 6 more actions; "
        f"removes s3:GetObject on {OBJECTS}",
    ),
    "one more action": (
        document(statement("s3:GetObject")),
        document(
            statement("s3:GetObject"),
            *(statement(f"a:X{number}", f"{BUCKET}{number}", "Deny") for number in "12345"),
        ),
        f"{'; '.join(f'adds Deny of a:X{number} on {BUCKET}{number}' for number in '1234')}; adds 1 more action",
    ),
    "wildcard covers an action": (
        document(statement("s3:*")),
        document(statement(["s3:*", "s3:GetObject", "s3:Put?bject*"])),
        "",
    ),
    "wildcard of an action is narrowed": (
        document(statement("s3:Get*")),
        document(statement("s3:GetObject")),
        f"removes s3:Get* on {OBJECTS}",
    ),
    "wildcard covers a resource": (
        document(statement("s3:GetObject", "*")),
        document(statement("s3:GetObject", ["*", OBJECTS])),
        "",
    ),
    "wildcard of a resource is widened": (
        document(statement("s3:GetObject", f"{BUCKET}/a/*")),
        document(statement("s3:GetObject", OBJECTS)),
        f"adds s3:GetObject on {OBJECTS}",
    ),
    "question mark does not cover a wildcard": (
        document(statement("s3:GetObject", f"{BUCKET}/?")),
        document(statement("s3:GetObject", [f"{BUCKET}/?", OBJECTS])),
        f"adds s3:GetObject on {OBJECTS}",
    ),
    "policy variables are unknown": (
        document(statement("s3:GetObject", f"{BUCKET}/${{aws:PrincipalTag/team}}/*")),
        document(statement("s3:GetObject", [f"{BUCKET}/${{aws:PrincipalTag/team}}/*", f"{BUCKET}/blue/*"])),
        f"adds s3:GetObject on {BUCKET}/blue/*",
    ),
    "condition is added": (
        document(statement("s3:GetObject")),
        document(statement("s3:GetObject", Condition=VPC)),
        f"removes s3:GetObject on {OBJECTS}",
    ),
    "condition is removed": (
        document(statement("s3:GetObject", Condition=VPC)),
        document(statement("s3:GetObject")),
        f"adds s3:GetObject on {OBJECTS}",
    ),
    "condition is changed": (
        document(statement("s3:GetObject", Condition=VPC)),
        document(
            statement("s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": ["vpc-2", "vpc-3"]}})
        ),
        f"adds s3:GetObject on {OBJECTS} if StringEquals aws:SourceVpc vpc-2, vpc-3; "
        f"removes s3:GetObject on {OBJECTS} if StringEquals aws:SourceVpc vpc-1",
    ),
    "values at the end of a condition are changed": (
        document(statement("s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": list("abcde")}})),
        document(statement("s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": list("abcdf")}})),
        f"adds s3:GetObject on {OBJECTS} if StringEquals aws:SourceVpc a, b and 3 more; "
        f"removes s3:GetObject on {OBJECTS} if StringEquals aws:SourceVpc a, b and 3 more",
    ),
    "Deny": (
        document(statement("s3:*")),
        document(statement("s3:*"), statement("s3:DeleteObject", "*", "Deny", Condition=VPC)),
        "adds Deny of s3:DeleteObject on * if StringEquals aws:SourceVpc vpc-1",
    ),
    "Deny becomes Allow": (
        document(statement("s3:GetObject", effect="Deny")),
        document(statement("s3:GetObject")),
        f"adds s3:GetObject on {OBJECTS}; removes Deny of s3:GetObject on {OBJECTS}",
    ),
    "NotAction and NotResource": (
        document({"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}),
        document({"Effect": "Allow", "NotAction": "iam:*", "NotResource": [BUCKET, OBJECTS]}),
        f"adds all actions except iam:* on all resources except {BUCKET}, {OBJECTS}; "
        "removes all actions except iam:*, sts:* on *",
    ),
    "fewer exceptions": (
        document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        document({"Effect": "Allow", "NotAction": "iam:CreateUser", "Resource": "*"}),
        "adds all actions except iam:CreateUser on *; removes all actions except iam:* on *",
    ),
    "narrower exception with a wildcard in the other document": (
        document({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": OBJECTS}),
        document({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": f"{BUCKET}/x"}),
        f"adds s3:GetObject on all resources except {BUCKET}/x; "
        f"removes s3:GetObject on all resources except {OBJECTS}",
    ),
    "letter case of a condition key": (
        document(statement("s3:GetObject", Condition=VPC)),
        document(statement("s3:GetObject", Condition={"stringequals": {"AWS:sourcevpc": ["vpc-1"]}})),
        "",
    ),
    "Version": (
        document(statement("s3:GetObject"), version="2008-10-17"),
        document(statement("s3:GetObject")),
        "changes Version from 2008-10-17 to 2012-10-17",
    ),
    "too many permissions": (
        document(statement("s3:GetObject")),
        document(
            statement(
                [f"s3:A{number}" for number in range(100)], [f"{BUCKET}{number}" for number in range(50)]
            )
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_difference_of_two_documents(name: str) -> None:
    present, desired, text = CASES[name]
    assert describe_document_change(present, desired) == text


def test_covered_permissions_of_large_documents_are_not_left_out() -> None:
    present = document(statement(["b:*", *(f"a:X{number}" for number in range(700))], "*"))
    desired = document(statement(["b:*", "b:Get", *(f"a:Y{number}" for number in range(600))], "*"))
    assert describe_document_change(present, desired) == (
        "adds b:Get, a:Y0, a:Y1, a:Y2 and 597 more on *; removes a:X0, a:X1, a:X2, a:X3 and 696 more on *"
    )
    assert describe_document_change(None, document(statement([f"a:X{n}" for n in range(4_001)], "*"))) == ""


@pytest.mark.parametrize("value", [{}, "{", {"Statement": "x"}, 1])
def test_unreadable_document_has_no_difference(value: object) -> None:
    assert describe_document_change(value, document(statement("s3:GetObject"))) == ""


def test_trust_policy_names_every_principal_and_value() -> None:
    def allow(principal: Any, *accounts: str) -> dict[str, Any]:
        tags = {"aws:RequestTag/kubernetes-service-account": list(accounts)}
        condition = {"StringEquals": {"aws:SourceAccount": "111122223333", **tags}}
        more = {"Condition": condition} if accounts else {}
        return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more}

    pods = {"Service": "pods.eks.amazonaws.com"}
    guests = {"AWS": [f"arn:aws:iam::11112222333{number}:root" for number in range(6)]}
    found = describe_document_change(
        document(allow(pods, "a")), document(allow(pods, *"abcdef"), allow(guests)), "trust"
    )
    account = "StringEquals aws:SourceAccount 111122223333"
    caller = "Service pods.eks.amazonaws.com with aws:RequestTag/kubernetes-service-account"
    assert found == (
        f"adds sts:AssumeRole on {', '.join(f'{caller} {name}' for name in 'bcdef')} if {account}; "
        f"adds sts:AssumeRole on {', '.join(f'AWS {arn}' for arn in guests['AWS'])}"
    )
    wide = describe_document_change(document(allow(pods)), document(allow(pods, "a")), "trust")
    assert (
        wide
        == f"adds sts:AssumeRole on {caller} a if {account}; removes sts:AssumeRole on Service pods.eks.amazonaws.com"
    )
