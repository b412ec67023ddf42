# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test verdicts on requests with unknown keys.

A definite decision holds for all values of the unknown keys.
"""

from __future__ import annotations

from itertools import product

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import (
    UNKNOWN_VALUE,
    Context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    Required,
    check_permission,
    permission_layers,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import check_policy
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust

VPC, TAGS, ARN = "aws:SourceVpc", "aws:TagKeys", "aws:PrincipalArn"
ONE, TWO, THREE = "aws:PrincipalTag/one", "aws:PrincipalTag/two", "aws:PrincipalTag/three"
RESOURCE = "arn:aws:s3:::b/a/b"


def allow(condition=None, resource="*", effect="Allow"):
    statement = {"Effect": effect, "Action": "s3:GetObject", "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def deny(condition=None, resource="*"):
    return allow(condition, resource, "Deny")


def judge(statements, resource=RESOURCE, keys=None, action="s3:GetObject"):
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    layer = Layer("identity", build_rules(parse_policy(document)))
    context = Context({key.lower(): state for key, state in (keys or {}).items()}, default=UNKNOWN_VALUE)
    request = Request(action, resource)
    return evaluate((layer,), request, context)


def like(key, *patterns):
    return {"StringLike": {key: list(patterns)}}


# A name, statements and the decision. "conditional" is the decision if only the values of a key together prove another one.
DECISIONS = [
    (
        "three patterns, one negated",
        [allow({**like(VPC, "a*"), "StringLikeIfExists": {VPC: "*b"}, "StringNotLike": {VPC: "a*b"}})],
        "conditional",
    ),
    (
        "no moment between",
        [
            allow(
                {
                    "DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
                    "DateLessThan": {"aws:CurrentTime": "2026-01-01T01:00:00+01:00"},
                }
            )
        ],
        "conditional",
    ),
    ("a variable in a Resource", [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/b")], "conditional"),
    (
        "a variable in the middle",
        [allow(resource="arn:aws:s3:::b/*${aws:PrincipalTag/one}*"), deny(like(ONE, "*x*"))],
        "conditional",
    ),
    ("the end counts", [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/")], "implicit_deny"),
    ("no value fits", [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/c")], "implicit_deny"),
    (
        "two variables beside each other",
        [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}${aws:PrincipalTag/two}")],
        "conditional",
    ),
    (
        "a variable with a default",
        [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one, 'a'}/b"), deny({"StringEquals": {ONE: "a"}})],
        "conditional",
    ),
    (
        "a key that is compared with another",
        [
            allow({"StringEquals": {ONE: "${aws:PrincipalTag/two}"}}),
            deny({"StringEquals": {TWO: "${aws:PrincipalTag/one}"}}),
        ],
        "conditional",
    ),
    (
        "equal or not",
        [
            allow({"StringEquals": {ONE: "${aws:PrincipalTag/two}"}}),
            allow({"StringNotEquals": {ONE: "${aws:PrincipalTag/two}"}}),
        ],
        "conditional",
    ),
    (
        "any of a set",
        [allow({"ForAnyValue:StringEquals": {TAGS: "a"}, "ForAllValues:StringLike": {TAGS: "b*"}})],
        "conditional",
    ),
    (
        "a set with one of each",
        [
            allow({"ForAnyValue:StringEquals": {TAGS: "a"}, "ForAllValues:StringLike": {TAGS: ["b*", "a"]}}),
            deny({"ForAllValues:StringEquals": {TAGS: "a"}}),
        ],
        "conditional",
    ),
]


# The conditional cases that a proof would decide: they have one outcome, whatever the values of the keys are.
PROVABLE = {
    "three patterns, one negated": False,
    "no moment between": False,
    "a key that is compared with another": False,
    "equal or not": True,
    "any of a set": False,
}
TEXTS, DATES = ("a", "b", "ab", "aab"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")


@pytest.mark.parametrize("case", DECISIONS, ids=lambda case: case[0])
def test_decisions(case):
    name, statements, decision = case
    assert judge(statements).decision == decision
    if name in PROVABLE:
        sets = [(), *((text,) for text in TEXTS)]
        contexts = [
            {VPC: vpc, ONE: first, TWO: second, TAGS: tags, "aws:CurrentTime": (date,)}
            for vpc, first, second, date in product(sets, sets, sets, DATES)
            for tags in (*sets, TEXTS)
        ]
        assert {judge(statements, keys=keys).allowed for keys in contexts} == {PROVABLE[name]}


CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
SERVICE = {"Service": "pods.eks.amazonaws.com"}


def trust(*conditions):
    statements = [
        {
            "Effect": effect,
            "Principal": SERVICE,
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": c,
        }
        for effect, c in conditions
    ]
    return {"Version": "2012-10-17", "Statement": statements}


EQUALS = ("Equals", "NotEquals")
ARN_TAG, NAME_TAG = "aws:RequestTag/eks-cluster-arn", "aws:RequestTag/eks-cluster-name"
LINKED = [
    (
        "the account is that of the cluster's ARN",
        trust(("Allow", {"StringEquals": {ARN_TAG: CLUSTER, "aws:SourceAccount": "999999999999"}})),
        Subject(),
        "no",
    ),
    (
        "and the other way round",
        trust(
            ("Allow", {"StringEquals": {"aws:SourceAccount": "111122223333"}, "ArnLike": {ARN_TAG: CLUSTER}})
        ),
        Subject(),
        "conditional",
    ),
    (
        "an account and not this account",
        trust(("Allow", {f"String{operator}": {"aws:SourceAccount": "111122223333"} for operator in EQUALS})),
        Subject(),
        "no",
    ),
    (
        "the name is that of the cluster's ARN",
        trust(("Allow", {"StringEquals": {NAME_TAG: "other"}, "ArnEquals": {ARN_TAG: CLUSTER}})),
        Subject(),
        "no",
    ),
    (
        "a name that is known",
        trust(("Allow", {"ArnLike": {ARN_TAG: "arn:*:eks:*:*:cluster/my-cluster"}})),
        Subject(cluster="my-cluster"),
        "yes",
    ),
    (
        "a name that is known to be another",
        trust(("Allow", {"StringLike": {ARN_TAG: "*/other"}})),
        Subject(cluster="my-cluster"),
        "no",
    ),
    (
        "an account has twelve digits",
        trust(("Allow", {"StringLike": {"aws:SourceAccount": "????????????"}})),
        Subject(),
        "yes",
    ),
    (
        "the source is the cluster, if it is there",
        trust(
            (
                "Allow",
                {"Null": {"aws:SourceArn": "false"}, "StringNotLike": {"aws:SourceArn": "arn:*:cluster/*"}},
            )
        ),
        Subject(),
        "no",
    ),
    (
        "whether the source is set is not documented",
        trust(("Allow", {"Null": {"aws:SourceArn": "false"}})),
        Subject(),
        "conditional",
    ),
    (
        "the source is of the cluster's account",
        trust(
            ("Allow", {"StringEquals": {"aws:SourceAccount": "111122223333"}}),
            (
                "Deny",
                {
                    "Null": {"aws:SourceArn": "false"},
                    "ArnNotLike": {"aws:SourceArn": "arn:*:eks:*:111122223333:cluster/*"},
                },
            ),
        ),
        Subject(account_id="111122223333"),
        "yes",
    ),
    (
        "the path begins with the organization's ID",
        trust(
            (
                "Allow",
                {
                    "StringEquals": {"aws:SourceOrgID": "o-abcd"},
                    "StringLike": {"aws:SourceOrgPaths": "o-efgh/*"},
                },
            )
        ),
        Subject(),
        "no",
    ),
    (
        "no organization, no path",
        trust(("Allow", {"Null": {"aws:SourceOrgID": "true", "aws:SourceOrgPaths": "false"}})),
        Subject(),
        "no",
    ),
]


@pytest.mark.parametrize("case", LINKED, ids=lambda case: case[0])
def test_keys_with_common_value(case):
    _name, document, subject, usable = case
    found = check_trust(document, subject)
    assert found.usable == usable


def permission(identity, action, resource, session=None, **more):
    layers = permission_layers(
        [NamedPolicy("p", {"Version": "2012-10-17", "Statement": identity})],
        session=None
        if session is None
        else NamedPolicy("s", {"Version": "2012-10-17", "Statement": session}),
    )
    return check_permission(layers, Required(action, resource), pod_context(**more)).decision


def statement(action, resource, effect="Allow"):
    return {"Effect": effect, "Action": action, "Resource": resource}


QUEUE = "arn:aws:sqs:us-west-2:111122223333:q"
KNOWN = [
    (
        "an identity policy's ARN is completed",
        [statement("sqs:*", "arn:aws:sqs")],
        "sqs:SendMessage",
        QUEUE,
        None,
        "allowed",
    ),
    (
        "a session policy's is not",
        [statement("sqs:*", "*")],
        "sqs:SendMessage",
        QUEUE,
        [statement("sqs:*", "arn:aws:sqs")],
        "implicit_deny",
    ),
    (
        "all of a service, for an action without resource",
        [statement("s3:ListAllMyBuckets", "arn:aws:s3:::*")],
        "s3:ListAllMyBuckets",
        "*",
        None,
        "allowed",
    ),
    (
        "the same of another service",
        [statement("sqs:ListQueues", "arn:aws:sqs:*:*:*")],
        "sqs:ListQueues",
        "*",
        None,
        "allowed",
    ),
    (
        "not all of the service",
        [statement("s3:ListAllMyBuckets", "arn:aws:s3:::b*")],
        "s3:ListAllMyBuckets",
        "*",
        None,
        "implicit_deny",
    ),
    (
        "all of another service",
        [statement("s3:ListAllMyBuckets", "arn:aws:sqs:*:*:*")],
        "s3:ListAllMyBuckets",
        "*",
        None,
        "implicit_deny",
    ),
    (
        "a Deny of all of a service",
        [statement("s3:*", "*"), statement("s3:*", "arn:aws:s3:::*", "Deny")],
        "s3:ListAllMyBuckets",
        "*",
        None,
        "explicit_deny",
    ),
]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case[0])
def test_resources(case):
    _name, identity, action, resource, session, decision = case
    assert permission(identity, action, resource, session) == decision


def test_star_as_tag_value_is_literal():
    identity = [statement("s3:*", "arn:aws:s3:::b/${aws:PrincipalTag/team}")]
    context = pod_context().assume({"aws:principaltag/team": ("*",)})
    layers = permission_layers([NamedPolicy("p", {"Version": "2012-10-17", "Statement": identity})])
    assert (
        check_permission(layers, Required("s3:GetObject", "arn:aws:s3:::b/*"), context).decision
        == "conditional"
    )


def test_action_with_space_is_quoted():
    document = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": SERVICE, "Action": " sts:AssumeRole"},
    }
    checked = check_policy(document, Subject())
    (finding,) = [f for f in checked.verdict.findings if f.code == "TRUST_NOT_STORABLE"]
    assert finding.message == (
        "IAM rejects the document: Statement 1: the action ' sts:AssumeRole' does not belong to AWS STS, and a trust"
        " policy may only have actions that assume a role."
    )
    assert checked.suggestion is None
    stored = check_policy(document, Subject(), stored=True).verdict
    assert "TRUST_NOT_STORABLE" not in {finding.code for finding in stored.findings}


def test_source_arn_of_cluster_or_absent():
    condition = {
        "Null": {"aws:SourceArn": "false"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:eks:*:*:cluster/other"},
    }
    found = check_trust(trust(("Allow", condition)), Subject(cluster_arn=CLUSTER))
    assert found.usable == "no"
    (finding,) = [f for f in found.findings if f.code == "TRUST_CONDITION_UNMATCHED"]
    assert finding.message.endswith(f"but the request has '{CLUSTER}', or no such key.")
