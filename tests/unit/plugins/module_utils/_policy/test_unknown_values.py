# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test verdicts on requests with unknown keys.

A definite decision is proven for all values of the unknown keys. A conditional decision has two witnesses: values with which the
request is allowed, and values with which it is denied.
"""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
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
    pod_context,
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
    found = evaluate((layer,), request, context)
    for witness, allowed in ((found.allowed_when, True), (found.denied_when, False)):
        if witness is not None:
            completed = context.assume({key.lower(): state for key, state in witness.items()})
            assert evaluate((layer,), request, completed).allowed is allowed
    return found


def like(key, *patterns):
    return {"StringLike": {key: list(patterns)}}


NOW, EPOCH, TEAM = "aws:CurrentTime", "aws:EpochTime", "aws:RequestTag/Team"
NEW_YEAR, NEW_YEAR_SECONDS = "2026-01-01T00:00:00Z", "1767225600"
NO_TAGS, HAS_TEAM = {"Null": {TAGS: "true"}}, {"Null": {TEAM: "false"}}
IS_TEAM = {"ForAnyValue:StringEquals": {TAGS: "team"}}


def statements_on(action, *conditions):
    """Return a statement that allows an action with the first condition, and statements that deny it with each of the others."""
    return [
        {"Effect": effect, "Action": action, "Resource": "*", "Condition": condition}
        for effect, condition in zip(["Allow", *["Deny"] * len(conditions)], conditions, strict=False)
    ]


# Cases in which the values of several keys depend on each other.
# A case has a name, an action, the conditions of the Allow and the Deny statements, known keys, the decision, and both witnesses.
LINKED = [
    (
        "before in one spelling and after in the other",
        "s3:GetObject",
        [{"DateLessThan": {NOW: NEW_YEAR}, "NumericGreaterThan": {EPOCH: NEW_YEAR_SECONDS}}],
        {},
        "implicit_deny",
        None,
        None,
    ),
    (
        "both as dates",
        "s3:GetObject",
        [{"DateLessThan": {NOW: NEW_YEAR}, "DateGreaterThan": {EPOCH: NEW_YEAR_SECONDS}}],
        {},
        "implicit_deny",
        None,
        None,
    ),
    (
        "a Deny for each moment that is allowed",
        "s3:GetObject",
        [{"DateLessThan": {NOW: NEW_YEAR}}, {"NumericLessThanEquals": {EPOCH: NEW_YEAR_SECONDS}}],
        {},
        "explicit_deny",
        None,
        None,
    ),
    (
        "both spellings in the witnesses",
        "s3:GetObject",
        [{"DateLessThan": {NOW: NEW_YEAR}, "NumericGreaterThan": {EPOCH: "1767139200"}}],
        {},
        "conditional",
        {NOW: ("2025-12-31T12:00:00Z",), EPOCH: ("1767182400",)},
        {NOW: ("2025-12-30T23:59:59Z",), EPOCH: ("1767139199",)},
    ),
    (
        "seconds for dates",
        "s3:GetObject",
        [{"DateLessThan": {EPOCH: NEW_YEAR}}],
        {},
        "conditional",
        {EPOCH: ("1767225599",)},
        {EPOCH: (NEW_YEAR_SECONDS,)},
    ),
    (
        "there is always a moment",
        "s3:GetObject",
        [{"Null": {NOW: "false", EPOCH: "false"}}],
        {},
        "allowed",
        None,
        None,
    ),
    (
        "the seconds of a known date",
        "s3:GetObject",
        [{"NumericGreaterThanEquals": {EPOCH: NEW_YEAR_SECONDS}}],
        {NOW: (NEW_YEAR,)},
        "allowed",
        None,
        None,
    ),
    (
        "the date of known seconds",
        "s3:GetObject",
        [{"DateGreaterThan": {NOW: NEW_YEAR}}],
        {EPOCH: (NEW_YEAR_SECONDS,)},
        "implicit_deny",
        None,
        None,
    ),
    (
        "a pattern of a date is none of seconds",
        "s3:GetObject",
        [{"StringLike": {NOW: "2026-*", EPOCH: "17*"}}],
        {},
        "conditional",
        None,
        {NOW: ("1970-01-01T00:00:00Z",), EPOCH: ("0",)},
    ),
    (
        "a Deny between two moments that are one",
        "s3:GetObject",
        [
            {"Null": {NOW: "false"}},
            {"DateLessThan": {NOW: NEW_YEAR}, "DateGreaterThan": {EPOCH: NEW_YEAR_SECONDS}},
        ],
        {},
        "allowed",
        None,
        None,
    ),
    (
        "a Deny of tags without keys",
        "s3:GetObject",
        [{"StringEquals": {TEAM: "a"}}, NO_TAGS],
        {TEAM: ("a",)},
        "allowed",
        None,
        None,
    ),
    (
        "a tag without its key",
        "s3:GetObject",
        [{"StringEquals": {TEAM: "a"}, **NO_TAGS}],
        {},
        "implicit_deny",
        None,
        None,
    ),
    (
        "a tag beside other keys only",
        "s3:GetObject",
        [{"StringEquals": {TEAM: "a"}, "ForAllValues:StringEquals": {TAGS: ["owner", "cost"]}}],
        {},
        "implicit_deny",
        None,
        None,
    ),
    (
        "a Deny of the key denies the tag",
        "s3:GetObject",
        [{"StringEquals": {TEAM: "a"}}, {"ForAnyValue:StringEqualsIgnoreCase": {TAGS: "TEAM"}}],
        {},
        "explicit_deny",
        None,
        None,
    ),
    (
        "another letter case of the key",
        "s3:GetObject",
        [{"StringEquals": {TEAM: "a"}}, IS_TEAM],
        {},
        "conditional",
        {TEAM: ("a",), TAGS: ("teaM",)},
        {TAGS: ("team",)},
    ),
    (
        "the key of a known tag",
        "s3:GetObject",
        [{"ForAllValues:StringEquals": {TAGS: "owner"}}],
        {TEAM: ("a",)},
        "implicit_deny",
        None,
        None,
    ),
    (
        "no tag without a known key",
        "s3:GetObject",
        [{"StringEquals": {TEAM: "a"}}],
        {TAGS: ("owner",)},
        "implicit_deny",
        None,
        None,
    ),
    (
        "a key has its tag where tags are added",
        "iam:TagRole",
        [IS_TEAM, HAS_TEAM],
        {},
        "explicit_deny",
        None,
        None,
    ),
    (
        "a known key has its tag where tags are added",
        "iam:TagRole",
        [HAS_TEAM],
        {TAGS: ("Team",)},
        "allowed",
        None,
        None,
    ),
    (
        "a key that is removed has no tag",
        "iam:UntagRole",
        [IS_TEAM, HAS_TEAM],
        {},
        "conditional",
        {TAGS: ("team",), TEAM: ()},
        {TEAM: ("",)},
    ),
    (
        "an action that has no aws:TagKeys",
        "backup:CopyIntoBackupVault",
        [{"StringEquals": {TEAM: "a"}, **NO_TAGS}],
        {},
        "conditional",
        {TEAM: ("a",), TAGS: ()},
        {TEAM: ("a",), TAGS: ("x",)},
    ),
]


@pytest.mark.parametrize("case", LINKED, ids=lambda case: case[0])
def test_linked_keys(case):
    _name, action, conditions, keys, decision, allowed_when, denied_when = case
    found = judge(statements_on(action, *conditions), keys=keys, action=action)
    assert (found.decision, found.allowed_when, found.denied_when) == (decision, allowed_when, denied_when)


# Cases in which the outcome is the same for all values of the unknown keys.
PROVEN = [
    (
        "ARN parts are compared one by one",
        [
            allow({"ArnLike": {ARN: "arn:aws:iam::*:role/a*"}}),
            deny({"ArnNotLike": {ARN: "arn:*:iam::*:role/a*"}}),
        ],
        None,
    ),
    (
        "a wildcard does not reach into the next part",
        [allow({"ArnLike": {ARN: "arn:aws:iam::1*:role/x"}, "ArnEquals": {ARN: "arn:aws:iam::*2:role/y"}})],
        "implicit_deny",
    ),
    (
        "another partition",
        [allow({"ArnLike": {ARN: "arn:aws:*:*:*:*"}, "ArnEquals": {ARN: "arn:aws-cn:*:*:*:*"}})],
        "implicit_deny",
    ),
    (
        "more values than anybody tries",
        [
            allow({"StringEquals": {VPC: [f"v{n}" for n in range(90)]}}),
            deny({"StringEquals": {VPC: [f"v{n}" for n in range(89)]}}),
            deny({"StringEquals": {VPC: "v89"}}),
        ],
        "explicit_deny",
    ),
    (
        "three patterns, one negated",
        [allow({**like(VPC, "a*"), "StringLikeIfExists": {VPC: "*b"}, "StringNotLike": {VPC: "a*b"}})],
        "implicit_deny",
    ),
    (
        "three patterns that exclude each other",
        [allow({**like(VPC, "a*"), "StringLikeIfExists": {VPC: "*b"}, "StringNotLike": {VPC: ["a*", "z"]}})],
        "implicit_deny",
    ),
    (
        "three patterns that leave nothing over",
        [allow({"Null": {VPC: "false"}}), deny(like(VPC, "?*")), deny({"StringEquals": {VPC: ""}})],
        "explicit_deny",
    ),
    (
        "one character is not two",
        [allow({**like(VPC, "?"), "StringLikeIfExists": {VPC: "??"}})],
        "implicit_deny",
    ),
    (
        "one character or more is something",
        [allow(like(VPC, "?*")), allow({"StringNotLike": {VPC: "?*"}})],
        "allowed",
    ),
    (
        "a long beginning and a long end",
        [allow({**like(VPC, "p" * 70 + "*"), "StringLikeIfExists": {VPC: "*" + "s" * 70}})],
        "conditional",
    ),
    (
        "a block with a hole",
        [
            allow({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            deny({"IpAddress": {"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/10"]}}),
        ],
        "explicit_deny",
    ),
    (
        "a block with a hole in the hole",
        [
            allow({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            deny({"IpAddress": {"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11"]}}),
        ],
        "conditional",
    ),
    (
        "between two dates",
        [
            allow(
                {
                    "DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
                    "DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:01Z"},
                }
            )
        ],
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
        "implicit_deny",
    ),
    (
        "between two numbers",
        [allow({"NumericGreaterThan": {"s3:max-keys": "5"}, "NumericLessThan": {"s3:max-keys": "5.0001"}})],
        "conditional",
    ),
    (
        "every number is one or the other",
        [
            allow({"NumericLessThan": {"s3:max-keys": "5"}}),
            allow({"NumericGreaterThanEquals": {"s3:max-keys": "5"}}),
            allow({"Null": {"s3:max-keys": "true"}}),
        ],
        "allowed",
    ),
    (
        "letter case beside the same text",
        [allow({"StringEqualsIgnoreCase": {VPC: "abc"}, "StringNotEquals": {VPC: ["abc", "ABC"]}})],
        "conditional",
    ),
    (
        "every spelling denied",
        [
            allow({"StringEqualsIgnoreCase": {VPC: "ab"}}),
            deny({"StringEquals": {VPC: ["ab", "aB", "Ab", "AB"]}}),
        ],
        "explicit_deny",
    ),
    ("a variable in a Resource", [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/b")], "conditional"),
    (
        "a variable in a Resource that may be one value only",
        [
            allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/b"),
            deny({"StringEquals": {ONE: "a"}}),
        ],
        "explicit_deny",
    ),
    (
        "a variable in the middle",
        [allow(resource="arn:aws:s3:::b/*${aws:PrincipalTag/one}*"), deny(like(ONE, "*x*"))],
        "conditional",
    ),
    ("no value fits", [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/c")], "implicit_deny"),
    (
        "two variables beside each other",
        [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}${aws:PrincipalTag/two}")],
        "conditional",
    ),
    (
        "the same variable twice",
        [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/${aws:PrincipalTag/one}")],
        "implicit_deny",
    ),
    (
        "a variable with a default",
        [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one, 'a'}/b"), deny({"StringEquals": {ONE: "a"}})],
        "conditional",
    ),
    (
        "a default that does not count where the tag is there",
        [
            allow(
                {"Null": {ONE: "false"}, "StringEquals": {ONE: "c"}},
                resource="arn:aws:s3:::b/${aws:PrincipalTag/one, 'a'}/b",
            )
        ],
        "implicit_deny",
    ),
    (
        "a key that is compared with another",
        [
            allow({"StringEquals": {ONE: "${aws:PrincipalTag/two}"}}),
            deny({"StringEquals": {TWO: "${aws:PrincipalTag/one}"}}),
        ],
        "explicit_deny",
    ),
    (
        "equal or not",
        [
            allow({"StringEquals": {ONE: "${aws:PrincipalTag/two}"}}),
            allow({"StringNotEquals": {ONE: "${aws:PrincipalTag/two}"}}),
        ],
        "allowed",
    ),
    (
        "a key that is another with something behind it",
        [
            allow({"StringEquals": {ONE: "${aws:PrincipalTag/two}x"}, "StringLike": {ONE: "*y"}}),
        ],
        "implicit_deny",
    ),
    (
        "any of a set",
        [
            allow({"ForAnyValue:StringEquals": {TAGS: "a"}, "ForAllValues:StringLike": {TAGS: "b*"}}),
        ],
        "implicit_deny",
    ),
    (
        "a set with one of each",
        [
            allow({"ForAnyValue:StringEquals": {TAGS: "a"}, "ForAllValues:StringLike": {TAGS: ["b*", "a"]}}),
            deny({"ForAllValues:StringEquals": {TAGS: "a"}}),
        ],
        "conditional",
    ),
    (
        "no set is left over",
        [
            allow({"ForAllValues:StringEquals": {TAGS: ["a", "b"]}}),
            deny({"ForAnyValue:StringEquals": {TAGS: ["a", "b"]}}),
            deny({"Null": {TAGS: "true"}}),
        ],
        "explicit_deny",
    ),
]


@pytest.mark.parametrize("case", PROVEN, ids=lambda case: case[0])
def test_proven_verdicts(case):
    _name, statements, decision = case
    found = judge(statements)
    if decision is not None:
        assert found.decision == decision
    assert found.undecided is False
    assert (found.allowed_when is not None) is (found.decision == "conditional")
    assert (found.denied_when is not None) is (found.decision == "conditional")


def test_adjacent_variables_with_one_known():
    target = "arn:aws:s3:::b/${aws:PrincipalTag/one}${aws:PrincipalTag/two}"
    statements = [allow(resource=target), deny({"StringEquals": {TWO: "b"}})]
    assert judge(statements, keys={ONE: ("a/",)}).decision == "explicit_deny"
    assert judge(statements, keys={ONE: ("b/",)}).decision == "implicit_deny"
    assert judge(statements[:1], keys={ONE: ("a/",)}).decision == "conditional"


def test_repeated_variable_has_one_value():
    twice = [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/one}/${aws:PrincipalTag/one}")]
    found = judge(twice, "arn:aws:s3:::b/a/a")
    assert (found.decision, found.allowed_when) == ("conditional", {ONE: ("a",)})
    assert judge(twice, "arn:aws:s3:::b/a/b").decision == "implicit_deny"


def test_witnesses():
    found = judge([allow({"StringEquals": {VPC: "vpc-1"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})])
    assert found.conditional_on == (VPC, "aws:SourceIp")
    assert found.allowed_when == {VPC: ("vpc-1",), "aws:SourceIp": ("10.0.0.0",)}
    assert found.denied_when is not None
    assert set(found.denied_when) <= {VPC, "aws:SourceIp"}


def test_untried_values_are_not_excluded():
    # "q/x" would satisfy the condition. The evaluator does not try it, because the policy does not contain the values "q" and
    # "x".
    condition = {
        "StringEquals": {ONE: "${aws:PrincipalTag/two}/${aws:PrincipalTag/three}"},
        "StringLike": {ONE: "q*"},
    }
    assert judge([allow(condition)]).decision == "conditional"


def test_exhausted_budget_is_undecided():
    names = [f"aws:PrincipalTag/{name}" for name in "abcdefgh"]
    pairs = [(first, second) for first in names for second in names if first < second]
    statements = [allow(), *(deny({"StringEquals": {first: f"*${{{second}}}?"}}) for first, second in pairs)]
    statements += [
        deny({"StringNotLike": {name: f"{n}*${{{names[n - 1]}}}"}}) for n, name in enumerate(names)
    ]
    found = judge(statements)
    assert (found.decision, found.undecided) == ("conditional", True)
    assert found.allowed_when is None
    assert found.denied_when is not None


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
    assert (found.usable, found.undecided) == (usable, False)


def test_linked_keys_agree_in_witness():
    found = check_trust(
        trust(
            (
                "Allow",
                {
                    "ArnLike": {ARN_TAG: "arn:aws:eks:*:*:cluster/my-*"},
                    "StringLike": {"aws:SourceAccount": "9*", NAME_TAG: "*-x"},
                },
            )
        ),
        Subject(),
    )
    assert found.allowed_when is not None
    arn, account, name = (found.allowed_when[key][0] for key in (ARN_TAG, "aws:SourceAccount", NAME_TAG))
    assert (arn.split(":")[4], arn.rpartition("/")[2]) == (account, name)


def test_witness_has_keys_of_inapplicable_statements():
    """Check that a witness also has the keys of a statement that can never apply, here because both keys have the same value."""
    found = check_trust(
        trust(
            ("Allow", {"ForAnyValue:StringNotEquals": {"aws:ResourceOrgID": "${aws:SourceOrgID}"}}),
            ("Allow", {"StringEquals": {"aws:SourceOrgID": "o-abcd"}}),
        ),
        Subject(),
    )
    assert found.usable == "conditional"
    for witness in (found.allowed_when, found.denied_when):
        assert witness is not None
        assert witness["aws:ResourceOrgID"] == witness["aws:SourceOrgID"]


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
        == "implicit_deny"
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
    assert [suggestion.edits[0] for suggestion in checked.suggestions] == [
        "Remove Statement 1, which has only ' sts:AssumeRole'."
    ]


def test_source_arn_of_cluster_or_absent():
    condition = {
        "Null": {"aws:SourceArn": "false"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:eks:*:*:cluster/other"},
    }
    found = check_trust(trust(("Allow", condition)), Subject(cluster_arn=CLUSTER))
    assert found.usable == "no"
    (finding,) = [f for f in found.findings if f.code == "TRUST_CONDITION_UNMATCHED"]
    assert finding.message.endswith(f"but the request has '{CLUSTER}', or no such key.")
