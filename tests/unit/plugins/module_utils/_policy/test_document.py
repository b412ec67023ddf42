# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
# ruff: noqa: E501
"""Test policy documents: how they are parsed, the location of errors, and the comparison of two documents by their meaning."""

from __future__ import annotations

import datetime
import json
from urllib.parse import quote

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.canonical import (
    display,
    same_meaning,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyError,
    parse_policy,
    to_json,
)

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}


def policy(*statements, **more):
    return {"Version": "2012-10-17", "Statement": list(statements), **more}


def test_version_as_yaml_date():
    document = {"Version": datetime.date(2012, 10, 17), "Statement": [ALLOW]}
    assert parse_policy(document).version == "2012-10-17"
    assert json.loads(to_json(document))["Version"] == "2012-10-17"


MISTAKES = [
    (None, "a policy document must be a mapping or JSON text, got null"),
    (7, "a policy document must be a mapping or JSON text, got a number"),
    ("", "the policy document is empty"),
    ("[]", "a policy document must be a JSON object, got a list"),
    ('{"Version"', "not JSON: Expecting ':' delimiter at line 1 column 11"),
    ('{"Version": NaN}', "not JSON: NaN is not a JSON value"),
    ({}, "the policy has no Statement"),
    ({"Statement": []}, "Statement is empty: a policy needs at least one statement"),
    ({"Statment": [ALLOW]}, "policy: unknown element 'Statment'; did you mean Statement?"),
    (
        {"Version": "2012-10-18", "Statement": [ALLOW]},
        "Version must be '2012-10-17' or '2008-10-17', got '2012-10-18'",
    ),
    ({"Version": 1, "Statement": [ALLOW]}, "Version must be '2012-10-17' or '2008-10-17', got a number"),
    ({"Id": 1, "Statement": [ALLOW]}, "Id must be text, got a number"),
    (policy("x"), "Statement 1: must be an object, got text"),
    (policy(ALLOW, {**ALLOW, "Sid": 5}), "Statement 2: Sid must be text, got a number"),
    (
        policy({**ALLOW, "Sid": "X", "Effect": "allow"}),
        "Statement 1 (Sid 'X'): Effect must be Allow or Deny, got 'allow'",
    ),
    *(
        (
            policy({**ALLOW, "Sid": sid, "Effect": "x"}),
            f"Statement 1 (Sid '{short}'): Effect must be Allow or Deny, got 'x'",
        )
        for sid, short in (("A" * 64, "A" * 64), ("A" * 65, f"{'A' * 61}..."))
    ),
    (policy({**ALLOW, "Effect": None}), "Statement 1: Effect is missing; it must be Allow or Deny"),
    (policy({**ALLOW, "Effect": ["Allow"]}), "Statement 1: Effect must be Allow or Deny, got a list"),
    (policy({**ALLOW, "Actions": "x"}), "Statement 1: unknown element 'Actions'; did you mean Action?"),
    (policy({**ALLOW, "NotAction": "x:y"}), "Statement 1: has both Action and NotAction; use exactly one"),
    (policy({"Effect": "Allow", "Resource": "*"}), "Statement 1: Action (or NotAction) is missing"),
    (policy({"Effect": "Allow", "Action": "s3:*"}), "Statement 1: Resource (or NotResource) is missing"),
    (policy({**ALLOW, "Action": []}), "Statement 1: Action is an empty list; it needs at least one value"),
    (policy({**ALLOW, "Action": ""}), "Statement 1: Action has an empty value"),
    (
        policy({**ALLOW, "Action": ["s3:Get", 1]}),
        "Statement 1: Action must be text or a list of text, got a list with a number",
    ),
    (
        policy({**ALLOW, "Action": {"a": 1}}),
        "Statement 1: Action must be text or a list of text, got a mapping",
    ),
    (
        policy({**ALLOW, "Action": "GetObject"}),
        "Statement 1: Action 'GetObject' must have the form service:Action, such as s3:GetObject",
    ),
    (policy({**ALLOW, "Resource": "my-bucket"}), "Statement 1: Resource 'my-bucket' must be an ARN or '*'"),
    (policy({**ALLOW, "Principal": "*"}), "Statement 1: Principal is allowed in a trust policy only"),
    (policy({**ALLOW, "Condition": []}), "Statement 1: Condition must be an object, got a list"),
    (
        policy({**ALLOW, "Condition": {"StringEqual": {"a": "b"}}}),
        "Statement 1: unknown condition operator 'StringEqual'; did you mean StringEquals?",
    ),
    (
        policy({**ALLOW, "Condition": {"ForSomeValues:StringEquals": {"a": "b"}}}),
        "Statement 1: unknown condition operator 'ForSomeValues:StringEquals'; did you mean StringEquals?",
    ),
    (
        policy({**ALLOW, "Condition": {"NullIfExists": {"a": "true"}}}),
        "Statement 1: Condition operator 'NullIfExists': Null does not support IfExists, ForAllValues or ForAnyValue",
    ),
    (
        policy({**ALLOW, "Condition": {"StringEquals": "x"}}),
        "Statement 1: Condition.StringEquals must be an object of condition keys, got text",
    ),
    (
        policy({**ALLOW, "Condition": {"StringEquals": {"": "x"}}}),
        "Statement 1: Condition.StringEquals has an empty condition key",
    ),
    (
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:a": None}}}),
        "Statement 1: Condition.StringEquals.aws:a: values must be text, numbers or booleans, got null",
    ),
    (
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:a": "x", "AWS:A": "y"}}}),
        "Statement 1: Condition.StringEquals.AWS:A: duplicate key for this operator (condition keys are case-insensitive)",
    ),
    (
        '{"Statement": [{"Sid": "A", "Effect": "Allow", "Effect": "Deny"}]}',
        "duplicate key 'Effect' in an object in the statement with Sid 'A'",
    ),
    (
        f'{{"Sid": "{"A" * 65}", "{"B" * 65}": 1, "{"B" * 65}": 2}}',
        f"duplicate key '{'B' * 64}' in an object in the statement with Sid '{'A' * 64}'",
    ),
]


@pytest.mark.parametrize(("document", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_errors_have_a_location(document, message):
    with pytest.raises(PolicyError) as caught:
        parse_policy(document)
    assert str(caught.value) == message


TRUST_MISTAKES = [
    (
        {**TRUST, "Resource": "*"},
        "Statement 1: Resource is not allowed in a trust policy (IAM: Has prohibited field Resource); remove it",
    ),
    (
        {**TRUST, "NotResource": "*"},
        "Statement 1: NotResource is not allowed in a trust policy (IAM: Has prohibited field NotResource); remove it",
    ),
    ({"Effect": "Allow", "Action": "sts:AssumeRole"}, "Statement 1: Principal (or NotPrincipal) is missing"),
    ({**TRUST, "NotPrincipal": "*"}, "Statement 1: has both Principal and NotPrincipal; use exactly one"),
    (
        {**TRUST, "Principal": "pods.eks.amazonaws.com"},
        'Statement 1: Principal \'pods.eks.amazonaws.com\' must be an object such as {"Service": "pods.eks.amazonaws.com"}, or "*"',
    ),
    ({**TRUST, "Principal": ["*"]}, "Statement 1: Principal must be an object or '*', got a list"),
    ({**TRUST, "Principal": {}}, "Statement 1: Principal is empty"),
    (
        {**TRUST, "Principal": {"service": "x"}},
        "Statement 1: Principal: unknown element 'service'; did you mean Service?",
    ),
    (
        {**TRUST, "Principal": {"Service": []}},
        "Statement 1: Principal.Service is an empty list; it needs at least one value",
    ),
    (
        {**TRUST, "Principal": {"AWS": 111122223333}},
        "Statement 1: Principal.AWS must be text or a list of text, got a number",
    ),
]


@pytest.mark.parametrize(("statement", "message"), TRUST_MISTAKES, ids=[m for _, m in TRUST_MISTAKES])
def test_trust_policy_errors_have_a_location(statement, message):
    with pytest.raises(PolicyError) as caught:
        parse_policy(policy(statement), "trust")
    assert str(caught.value) == message


def test_unknown_kind_of_policy():
    with pytest.raises(ValueError, match="kind must be one of identity, trust, session, boundary, got 'x'"):
        parse_policy(policy(ALLOW), "x")


SAME = [
    (policy(ALLOW), {"Statement": ALLOW, "Version": "2012-10-17"}, "one statement without a list"),
    (policy({**ALLOW, "Action": ["s3:GetObject"]}), policy(ALLOW), "one value without a list"),
    (
        policy({**ALLOW, "Action": ["s3:a", "s3:b"]}),
        policy({**ALLOW, "Action": ["s3:B", "s3:A", "s3:a"]}),
        "order, case and repetition of actions",
    ),
    (policy({**ALLOW, "Sid": "A"}), policy({**ALLOW, "Sid": "B"}), "the Sid"),
    (policy(ALLOW, Id="x"), policy(ALLOW), "the Id"),
    (
        policy(ALLOW, {**ALLOW, "Effect": "Deny"}),
        policy({**ALLOW, "Effect": "Deny"}, ALLOW, ALLOW),
        "order and repetition of statements",
    ),
    (policy({**ALLOW, "Condition": {}}), policy(ALLOW), "an empty Condition"),
    (
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:A": ["x", "y"]}, "Bool": {"aws:B": True}}}),
        policy(
            {**ALLOW, "Condition": {"Bool": {"AWS:b": "true"}, "stringequals": {"AWS:a": ["y", "x", "x"]}}}
        ),
        "spelling of conditions",
    ),
    ({"Statement": ALLOW, "Version": "2008-10-17"}, {"Statement": ALLOW}, "the old version said or not"),
    (
        policy({**TRUST, "Principal": {"AWS": "111122223333"}}),
        policy({**TRUST, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}),
        "the ID of an account or its root",
    ),
    (policy({**TRUST, "Principal": "*"}), policy({**TRUST, "Principal": {"AWS": "*"}}), "everyone"),
]
DIFFERENT = [
    (policy(ALLOW), policy({**ALLOW, "Effect": "Deny"}), "the effect"),
    (policy(ALLOW), policy({**ALLOW, "Resource": "arn:aws:s3:::b"}), "the resource"),
    (
        policy({**ALLOW, "Resource": "arn:aws:s3:::B"}),
        policy({**ALLOW, "Resource": "arn:aws:s3:::b"}),
        "case of a resource",
    ),
    (policy(ALLOW), {"Statement": ALLOW}, "the version"),
    (
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:a": "x"}}}),
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:a": "X"}}}),
        "case of a value",
    ),
    (
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:a": "x"}}}),
        policy({**ALLOW, "Condition": {"StringEqualsIfExists": {"aws:a": "x"}}}),
        "IfExists",
    ),
    (
        policy({**ALLOW, "Condition": {"ForAnyValue:StringEquals": {"aws:a": "x"}}}),
        policy({**ALLOW, "Condition": {"StringEquals": {"aws:a": "x"}}}),
        "a set operator",
    ),
    (
        policy({"Effect": "Allow", "NotAction": "s3:a", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "s3:a", "Resource": "*"}),
        "NotAction",
    ),
]


OTHERS = [
    {"AWS": "444455556666"},
    {"Service": "111122223333"},
    {"AWS": ["111122223333", "444455556666"]},
    "*",
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_documents_with_different_principals(other):
    document = policy({**TRUST, "Principal": {"AWS": "111122223333"}})
    assert same_meaning(document, policy({**TRUST, "Principal": other}), "trust") is False
    without = (
        policy({**TRUST, "Principal": "*"}),
        policy({"NotPrincipal": other, "Effect": "Allow", "Action": "sts:*"}),
    )
    assert same_meaning(*without, "trust") is False


def test_display_keeps_order_and_spelling():
    condition = {"StringEquals": {"AWS:b": ["y", "x", "x"]}, "Bool": {"aws:A": True}}
    first = {
        "Sid": "B",
        "Effect": "Allow",
        "Action": ["S3:Get", "s3:A"],
        "NotResource": "*",
        "Condition": condition,
    }
    assert display(policy(first, ALLOW)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                **first,
                "Action": ["S3:Get", "s3:A"],
                "NotResource": ["*"],
                "Condition": {"Bool": {"aws:A": ["true"]}, "StringEquals": {"AWS:b": ["x", "y"]}},
            },
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]},
        ],
    }


@pytest.mark.parametrize("case", SAME, ids=lambda case: case[2])
def test_equivalent_documents(case):
    kind = "trust" if "Principal" in str(case) else "identity"
    assert same_meaning(case[0], case[1], kind) is True
    assert same_meaning(json.dumps(case[0]), quote(json.dumps(case[1])), kind) is True


@pytest.mark.parametrize("case", DIFFERENT, ids=lambda case: case[2])
def test_different_documents(case):
    assert same_meaning(case[0], case[1]) is False


def test_rejects_values_without_json_form():
    with pytest.raises(PolicyError, match="a set cannot be part of a policy document"):
        to_json({"Statement": {1}})
