# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
# ruff: noqa: E501
"""Test verdicts on permissions. Each case has a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyError,
    parse_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.match import Cover
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    FactError,
    NamedPolicy,
    Required,
    check_permission,
    parse_required,
    permission_layers,
)

OBJECT = "arn:aws:s3:::b/k"
POD = Subject(
    cluster_arn="arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    namespace="default",
    service_account="my-service-account",
    role_arn="arn:aws:iam::111122223333:role/my-role",
)
OWN = "arn:aws:s3:::b/${aws:PrincipalTag/kubernetes-namespace}/*"
UNKNOWN = "arn:aws:s3:::b/${aws:SourceVpc}/*"
REGION = "arn:aws:s3:${aws:SourceVpc}:*:b/*"
# The decisions and messages, by test and case.
EXPECTED = yaml.safe_load(Path(__file__).with_name("permissions.yml").read_text(encoding="utf-8"))


def statement(action="s3:GetObject", resource="*", effect="Allow", condition=None, **more):
    content = {"Effect": effect}
    if "NotAction" not in more:
        content["Action"] = action
    if "NotResource" not in more:
        content["Resource"] = resource
    return {**content, **more, **({"Condition": condition} if condition else {})}


def policy(*statements, version="2012-10-17"):
    return {"Version": version, "Statement": list(statements)}


def check(
    identity,
    action="s3:GetObject",
    resource=OBJECT,
    context=None,
    boundary=None,
    session=None,
    subject=None,
    tags=None,
):
    documents = identity if isinstance(identity, list) else [identity]
    layers = permission_layers(
        [NamedPolicy(f"p{index}", document) for index, document in enumerate(documents, 1)],
        None if boundary is None else NamedPolicy("the boundary", boundary),
        None if session is None else NamedPolicy("the session policy", session),
    )
    return check_permission(layers, Required(action, resource, context or {}), pod_context(subject, tags))


ACTIONS = [
    (statement(), "s3:GetObject", "allowed", "equal"),
    (statement("S3:getOBJECT"), "s3:GetObject", "allowed", "actions are case-insensitive"),
    (statement("s3:Get*"), "s3:GetObject", "allowed", "pattern"),
    (statement("s3:Get?bject"), "s3:GetObject", "allowed", "pattern"),
    (statement("s3:Get?"), "s3:GetObject", "implicit_deny", "? is one character"),
    (statement("*"), "s3:GetObject", "allowed", "everything"),
    (statement("*:*"), "s3:GetObject", "allowed", "everything"),
    (statement("s3:*Object"), "s3:GetObjectAcl", "implicit_deny", "the end counts"),
    (statement(["s3:PutObject", "s3:GetObject"]), "s3:GetObject", "allowed", "one of them"),
    (statement("ec2:*"), "s3:GetObject", "implicit_deny", "another service"),
    (statement(NotAction="s3:Put*"), "s3:GetObject", "allowed", "not excepted"),
    (statement(NotAction="s3:Put*"), "s3:PutObject", "implicit_deny", "excepted"),
    (
        statement(NotAction=["iam:*", "s3:getobject"]),
        "s3:GetObject",
        "implicit_deny",
        "excepted, whatever the case",
    ),
    (statement("s3:*"), "s3:Get*", "allowed", "all of the request is covered"),
    (statement("s3:GetObject"), "s3:Get*", "partly_allowed", "only some of the request is covered"),
    (statement(NotAction="s3:GetObjectAcl"), "s3:Get*", "partly_allowed", "some of the request is excepted"),
]


@pytest.mark.parametrize(
    "case",
    ACTIONS,
    ids=lambda case: f"{case[0].get('Action', case[0].get('NotAction'))} {case[1]}: {case[3]}",
)
def test_action(case):
    document, action, decision, _reason = case
    assert check(policy(document), action).decision == decision


RESOURCES = [
    ("*", OBJECT, "allowed", "everything"),
    ("*", "*", "allowed", "an action without resource"),
    (OBJECT, "*", "implicit_deny", "an action without resource is not on one"),
    ("arn:aws:s3:us-west-2:*:*", "*", "implicit_deny", "an action without resource is not in a region"),
    ("arn:aws:s3:::*", "*", "allowed", "everything of the service"),
    (OBJECT, OBJECT, "allowed", "equal"),
    ("arn:aws:s3:::B/k", OBJECT, "implicit_deny", "ARNs are case-sensitive"),
    ("arn:aws:s3:::b", OBJECT, "implicit_deny", "the bucket is not its objects"),
    ("arn:aws:s3:::b/*", OBJECT, "allowed", "pattern"),
    ("arn:aws:s3:::b/*", "arn:aws:s3:::b", "implicit_deny", "the objects are not the bucket"),
    ("arn:aws:s3:::b*", "arn:aws:s3:::b/a/c", "allowed", "* crosses slashes"),
    ("arn:aws:s3:::b/?", OBJECT, "allowed", "one character"),
    ("arn:aws:s3:::b/?", "arn:aws:s3:::b/kk", "implicit_deny", "? is one character"),
    ("arn:aws:s3:::*/k", OBJECT, "allowed", "any bucket"),
    ("arn:*:s3:::b/k", "arn:aws-cn:s3:::b/k", "allowed", "any partition"),
    ("arn:aws:s3:::b/k", "arn:aws-cn:s3:::b/k", "implicit_deny", "another partition"),
    ("arn:aws:sqs:*:111122223333:q", "arn:aws:sqs:us-west-2:111122223333:q", "allowed", "any region"),
    ("arn:aws:sqs:*:q", "arn:aws:sqs:us-west-2:111122223333:q", "implicit_deny", "* never crosses a colon"),
    (
        "arn:aws:sqs:us-west-2:*",
        "arn:aws:sqs:us-west-2:111122223333:q",
        "allowed",
        "missing parts are completed",
    ),
    ("arn:aws:sqs:*", "arn:aws:sqs:us-west-2:111122223333:q", "allowed", "missing parts are completed"),
    ("arn:aws:sqs:*", "arn:aws:sns:us-west-2:111122223333:q", "implicit_deny", "another service"),
    (
        "arn:aws:logs:*:*:log-group:/aws/*",
        "arn:aws:logs:r:1:log-group:/aws/x:log-stream:y",
        "allowed",
        "the last part has colons",
    ),
    (["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"], OBJECT, "allowed", "one of them"),
    ("arn:aws:s3:::b/*", "arn:aws:s3:::b/*", "allowed", "all of the request is covered"),
    ("arn:aws:s3:::b/a*", "arn:aws:s3:::b/*", "partly_allowed", "only some of the request is covered"),
    ("arn:aws:s3:::b/?", "arn:aws:s3:::b/*", "partly_allowed", "? does not cover *"),
]


@pytest.mark.parametrize("case", RESOURCES, ids=lambda case: f"{case[0]} {case[1]}: {case[3]}")
def test_resource(case):
    resource, requested, decision, _reason = case
    assert check(policy(statement(resource=resource)), resource=requested).decision == decision


NOT_RESOURCES = [
    ("Allow", "arn:aws:s3:::c/*", OBJECT, "allowed", "not excepted"),
    ("Allow", "arn:aws:s3:::b/*", OBJECT, "implicit_deny", "excepted"),
    (
        "Allow",
        "arn:aws:s3:::b/secret/*",
        "arn:aws:s3:::b/*",
        "partly_allowed",
        "some of the request is excepted",
    ),
    ("Deny", "arn:aws:s3:::b/*", OBJECT, "allowed", "excepted from the Deny"),
    ("Deny", "arn:aws:s3:::c/*", OBJECT, "explicit_deny", "not excepted from the Deny"),
    (
        "Deny",
        "arn:aws:s3:::b/public/*",
        "arn:aws:s3:::b/*",
        "partly_allowed",
        "some of the request is not excepted",
    ),
]


@pytest.mark.parametrize("case", NOT_RESOURCES, ids=lambda case: f"{case[0]} {case[1]} {case[2]}: {case[4]}")
def test_not_resource(case):
    effect, excepted, requested, decision, _reason = case
    document = policy(
        statement(effect=effect, NotResource=excepted), *([statement()] if effect == "Deny" else [])
    )
    assert check(document, resource=requested).decision == decision


IN_BUCKET = "arn:aws:s3:::b/"


def except_for(resource, effect="Allow", **more):
    return statement(effect=effect, NotResource=IN_BUCKET + resource, **more)


# The statements, and the name of the object in the request.
TOGETHER = {
    "no name is empty, which only a proof shows": (
        [statement(resource=IN_BUCKET + "logs/?*")],
        "logs/*.json",
    ),
    "no denied name is empty, which only a proof shows": ([statement(), except_for("?*", "Deny")], "*b"),
    "the empty name is denied": ([statement(), except_for("?*", "Deny")], "*"),
    "one or the other": ([statement(resource=IN_BUCKET + "a*"), except_for("a*")], "*"),
    "a alone is in neither, which only a proof shows": (
        [statement(resource=IN_BUCKET + "a?*"), except_for("a*")],
        "*",
    ),
    "a list": ([statement(resource=[IN_BUCKET + "*a*", IN_BUCKET + "*b"]), except_for("*a*")], "?*"),
    "by length, which only a proof shows": ([statement(resource=[IN_BUCKET + "??*", IN_BUCKET + "?"])], "?*"),
    "not the empty name": ([statement(resource=[IN_BUCKET + "??*", IN_BUCKET + "?"])], "*"),
    "a statement of another action, whose Resource has a variable": (
        [
            except_for("a*"),
            statement(resource=IN_BUCKET + "a*"),
            statement("s3:PutObject", IN_BUCKET + "${aws:userid}/*", "Deny"),
        ],
        "*",
    ),
    "empty parts": ([statement(resource="arn:aws:s3:*:*:b/*")], "*"),
    "the value of a known variable": ([statement(resource=OWN), except_for("default/*")], "*"),
    "a Deny of the value of a known variable": (
        [statement(resource=OWN), statement(resource=IN_BUCKET + "default/*", effect="Deny")],
        "*",
    ),
    "a Deny of all resources except those of an unknown variable": (
        [statement(resource=[UNKNOWN, IN_BUCKET + "a"]), statement(resource=IN_BUCKET + "a", effect="Deny")],
        "*",
    ),
    "too many patterns": ([statement(resource=[f"{IN_BUCKET}{number}" for number in range(2_000)])], "*"),
    "a variable before the fifth colon of a Deny": (
        [statement(), statement(resource=REGION, effect="Deny")],
        "k",
    ),
    "a variable before the fifth colon of an Allow": ([statement(resource=REGION)], "k"),
    "by action under a condition": (
        [
            statement("s3:GetO*"),
            statement(NotAction="s3:geto*", condition={"Null": {"aws:SourceVpc": "true"}}),
        ],
        "*",
    ),
    "by action": ([statement("s3:GetO*"), statement(NotAction="s3:geto*")], "*"),
    "they overlap": ([statement("s3:GetO*"), statement(NotAction="s3:GetOb*")], "*"),
    "some in neither": ([statement("s3:GetOb*"), statement(NotAction="s3:GetO*")], "*"),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_requests_with_wildcards_by_several_statements(case):
    statements, name = TOGETHER[case]
    action = "s3:Get*" if any("NotAction" in document for document in statements) else "s3:GetObject"
    found = check(policy(*statements), action, IN_BUCKET + name, subject=POD)
    assert [found.decision, found.message] == EXPECTED["together"][case]


def everything_except(kind="identity", **elements):
    (rule,) = build_rules(parse_policy(policy(statement(**elements)), kind))
    return rule


# A rule, the action and the resource of a request, and the exceptions: none if the rule covers the whole request, unknown if no
# request describes them. A statement without an exception allows the request alone, so its list must not be empty by mistake.
EXCEPTIONS = [
    (everything_except(NotAction="s3:GetObject"), "s3:Get*", OBJECT, ["s3:getobject"], "a name in a pattern"),
    (everything_except(NotAction="S3:GetO*"), "s3:Get*", OBJECT, ["s3:geto*"], "a pattern in a pattern"),
    (everything_except(NotAction="s3:*"), "*Object", OBJECT, ["s3:*"], "patterns that overlap"),
    (everything_except(NotAction="s3:?*"), "s3:*?", OBJECT, ["s3:?*"], "equivalent patterns"),
    (everything_except(NotAction="s3:Put*"), "s3:Get*", OBJECT, [], "another action"),
    (
        everything_except(NotResource=IN_BUCKET + "a*"),
        "s3:GetObject",
        IN_BUCKET + "*",
        [IN_BUCKET + "a*"],
        "a pattern",
    ),
    (everything_except(NotResource=OBJECT), "s3:GetObject", IN_BUCKET + "?", [OBJECT], "an ARN in a pattern"),
    (
        everything_except(NotResource="arn:aws:s3:*"),
        "s3:GetObject",
        "arn:aws:s3*:::b",
        ["arn:aws:s3:*"],
        "a short ARN",
    ),
    (everything_except(NotResource=OBJECT), "s3:GetObject", IN_BUCKET + "a*", [], "another resource"),
    (
        everything_except("session", NotResource="arn:aws:s3:*"),
        "s3:GetObject",
        OBJECT,
        [],
        "a short ARN matches nothing",
    ),
    (everything_except(NotResource=UNKNOWN), "s3:GetObject", IN_BUCKET + "*", None, "a policy variable"),
    (everything_except(NotResource="arn:aws:s3:::*"), "s3:*", "*", None, "actions without a resource"),
    (
        everything_except(action="s3:GetO*", NotResource=OBJECT),
        "s3:Get*",
        OBJECT + "*",
        None,
        "other actions",
    ),
]


@pytest.mark.parametrize("case", EXCEPTIONS, ids=lambda case: case[-1])
def test_only_a_statement_for_the_whole_request_has_no_exceptions(case):
    rule, action, resource, values, _reason = case
    request = Request(action, resource)
    found = rule.exceptions(request, pod_context(POD))
    changed = (
        None
        if found is None
        else [
            exception.resource if exception.resource != resource else exception.action for exception in found
        ]
    )
    assert changed == values
    assert (found == []) is (rule.cover(request, pod_context(POD))[0] is Cover.ALL)


S3, EC2 = policy(statement()), policy(statement("ec2:*"))
# The policies of the role, the permissions boundary and the session policy.
LAYERS = {
    "identity alone": (S3, None, None),
    "nothing allows it": (EC2, None, None),
    "boundary allows": (S3, policy(statement("s3:*")), None),
    "boundary does not": (S3, EC2, None),
    "a boundary grants nothing": (EC2, S3, None),
    "boundary denies": (S3, policy(statement(), statement(effect="Deny")), None),
    "boundary denies what nothing allows": (EC2, policy(statement(), statement(effect="Deny")), None),
    "session policy allows": (S3, None, S3),
    "session policy does not": (S3, None, EC2),
    "a session policy grants nothing": (EC2, None, S3),
    "neither does": (S3, EC2, EC2),
    "one of two policies": ([EC2, S3], None, None),
    "a Deny in another policy": ([S3, policy(statement(effect="Deny"))], None, None),
    "a role without policies": ([], None, None),
    "a boundary alone": ([], S3, None),
}


@pytest.mark.parametrize("case", LAYERS)
def test_boundary_and_session_policy_limit_permissions(case):
    identity, boundary, session = LAYERS[case]
    found = check(identity, boundary=boundary, session=session)
    assert [found.decision, list(found.change), found.message] == EXPECTED["layers"][case]


VARIABLES = [
    ("arn:aws:s3:::b/default/x", POD, None, "allowed", (), "the session tag of the Pod"),
    ("arn:aws:s3:::b/other/x", POD, None, "implicit_deny", (), "another namespace"),
    (
        "arn:aws:s3:::b/default/x",
        None,
        None,
        "conditional",
        ("aws:PrincipalTag/kubernetes-namespace",),
        "not known who calls",
    ),
    ("arn:aws:s3:::c/default/x", None, None, "implicit_deny", (), "no value makes it this bucket"),
    ("arn:aws-cn:s3:::b/default/x", POD, None, "implicit_deny", (), "another partition"),
    ("arn:aws-cn:s3:::b/default/x", None, None, "implicit_deny", (), "no value makes it this partition"),
    (
        "arn:aws:s3:::b/default/x",
        None,
        {"aws:PrincipalTag/Kubernetes-Namespace": "default"},
        "allowed",
        (),
        "given in context",
    ),
    (
        "arn:aws:s3:::b/default/x",
        None,
        {"aws:PrincipalTag/kubernetes-namespace": None},
        "implicit_deny",
        (),
        "certainly absent",
    ),
    (
        "arn:aws:s3:::b/default/x",
        POD,
        {"aws:PrincipalTag/kubernetes-namespace": "other"},
        "implicit_deny",
        (),
        "context comes first",
    ),
]


@pytest.mark.parametrize("case", VARIABLES, ids=lambda case: case[5])
def test_variable_in_a_resource(case):
    resource, subject, context, decision, keys, _reason = case
    found = check(policy(statement(resource=OWN)), resource=resource, subject=subject, context=context)
    assert (found.decision, found.conditional_on) == (decision, keys)


CALLER = [
    ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, "implicit_deny", "a Pod has no MFA"),
    (
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
        "conditional",
        "false, or absent in a session that a service began",
    ),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, "allowed", "false or absent"),
    (
        {"Null": {"aws:MultiFactorAuthPresent": "false"}},
        "conditional",
        "whether it is there is not documented",
    ),
    ({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}, "implicit_deny", "there only after MFA"),
    ({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}, "allowed", "the role's account"),
    ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/my-*"}}, "allowed", "the role"),
    ({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, "allowed", "a session of a role"),
    ({"StringEquals": {"aws:PrincipalTag/eks-cluster-name": "my-cluster"}}, "allowed", "session tag"),
    ({"StringLike": {"aws:username": "*"}}, "implicit_deny", "a role session has no user name"),
    ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, "allowed", "a Pod is no service"),
    (
        {"Null": {"aws:PrincipalTag/kubernetes-pod-name": "false"}},
        "allowed",
        "the tag is there, whatever its value",
    ),
    (
        {"StringEquals": {"aws:PrincipalTag/kubernetes-pod-name": "x"}},
        "conditional",
        "its value is not known",
    ),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "conditional", "the address is not known"),
    ({"StringEquals": {"aws:PrincipalTag/team": "x"}}, "conditional", "the role's tags are not known"),
]


@pytest.mark.parametrize("case", CALLER, ids=lambda case: f"{case[0]}: {case[2]}")
def test_context_of_pod(case):
    condition, decision, _reason = case
    assert check(policy(statement(condition=condition)), subject=POD).decision == decision


@pytest.mark.parametrize("case", CALLER, ids=lambda case: str(case[0]))
def test_context_of_unknown_caller(case):
    assert check(policy(statement(condition=case[0]))).decision == "conditional"


@pytest.mark.parametrize(
    ("partition", "decision"), [("aws", "allowed"), ("aws-cn", "implicit_deny"), (None, "conditional")]
)
def test_partition_of_an_unknown_role(partition, decision):
    condition = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}
    caller = Subject(account_id="111122223333", partition=partition)
    assert check(policy(statement(condition=condition)), subject=caller).decision == decision


CONTEXT = [
    ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3:max-keys": 5}, "allowed"),
    ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": True}, "allowed"),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a"]}, "allowed"),
    (
        {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}},
        {"aws:TagKeys": ["a", "c"]},
        "implicit_deny",
    ),
    ({"Null": {"aws:TagKeys": "true"}}, {"aws:TagKeys": []}, "allowed"),
    ({"Null": {"aws:SourceVpc": "true"}}, {"AWS:sourcevpc": None}, "allowed"),
    ({"Null": {"aws:TagKeys": "true"}}, {"aws:TagKeys": [None]}, "allowed"),
    (
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "NotIpAddress": {"aws:SourceIp": "10.1.0.0/16"}},
        {"aws:SourceIp": "10.1.2.3"},
        "implicit_deny",
    ),
]


@pytest.mark.parametrize("case", CONTEXT, ids=str)
def test_context(case):
    condition, context, decision = case
    assert check(policy(statement(condition=condition)), context=context).decision == decision


# Conditions of one statement. If they contradict each other, it never applies, although the values of the keys are unknown.
CONDITIONS = [
    ({"StringEquals": {"aws:SourceVpc": "a"}, "StringNotEquals": {"aws:SourceVpc": "a"}}, "implicit_deny"),
    ({"StringEquals": {"aws:SourceVpc": ["a", "b"]}, "StringLike": {"aws:SourceVpc": "c*"}}, "implicit_deny"),
    ({"StringEquals": {"aws:SourceVpc": ["a", "b"]}, "StringLike": {"aws:SourceVpc": "b*"}}, "conditional"),
    ({"StringEquals": {"aws:SourceVpc": "a"}, "Null": {"aws:SourceVpc": "true"}}, "implicit_deny"),
    ({"StringEqualsIfExists": {"aws:SourceVpc": "a"}, "Null": {"aws:SourceVpc": "true"}}, "conditional"),
    (
        {"ArnEquals": {"aws:PrincipalArn": "a:*:c:d:e:f"}, "StringLike": {"aws:PrincipalArn": "a:b*"}},
        "conditional",
    ),
    (
        {"ArnEquals": {"aws:PrincipalArn": "a:b:c:d:e:f"}, "StringLike": {"aws:PrincipalArn": "a:x*"}},
        "implicit_deny",
    ),
    # These keys may have several values, of which each matches one of the conditions.
    ({"StringEquals": {"aws:TagKeys": "a"}, "StringLike": {"aws:TagKeys": "b*"}}, "conditional"),
    ({"StringEquals": {"t:key": "a"}, "StringLike": {"t:key": "b*"}}, "conditional"),
    # Only a proof with several values would show that these never apply.
    ({"NumericLessThan": {"s3:max-keys": "5"}, "NumericGreaterThan": {"s3:max-keys": "7"}}, "conditional"),
    ({"StringLike": {"aws:SourceVpc": "a*"}, "StringNotLike": {"aws:SourceVpc": "a*"}}, "conditional"),
]


@pytest.mark.parametrize("case", CONDITIONS, ids=str)
def test_conditions_on_the_same_key(case):
    condition, decision = case
    assert check(policy(statement(condition=condition))).decision == decision


def test_context_of_an_item_precedes_the_shared_context():
    context = {"AWS:sourcevpc": "b", "aws:UserAgent": "c"}
    (item,) = parse_required([{"action": "s3:GetObject", "context": {"aws:SourceVpc": "a"}}], context)
    assert item == Required("s3:GetObject", "*", {"aws:UserAgent": "c", "aws:SourceVpc": "a"})


def test_error_names_malformed_policy():
    with pytest.raises(PolicyError, match=r"^p2: Statement 1: Effect must be Allow or Deny, got 'allow'"):
        check([policy(statement()), policy({**statement(), "Effect": "allow"})])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"action": "GetObject"},
            "required_permissions item 1: action 'GetObject' must have the form service:Action, such as s3:GetObject.",
        ),
        *(
            (
                {"action": "s3:GetObject", "resource": resource},
                f"required_permissions item 1: resource '{resource or ''}' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/my-key, or '*' for an action that has no resource.",
            )
            for resource in ("arn:aws:s3", "my:bucket/a:b:c:d:e", "", None)
        ),
        (
            {"action": "s3:GetObject", "context": {"aws:a": {"b": 1}}},
            "required_permissions item 1: context aws:a must be text, a number, a boolean, null, or a list of them, got a mapping.",
        ),
        (
            {"action": "s3:GetObject", "context": {"aws:a": [["b"]]}},
            "required_permissions item 1: context aws:a must be text, a number, a boolean, null, or a list of them, got a list.",
        ),
        (
            {"action": "s3:GetObject", "context": {"aws:a": 10**5000}},
            "required_permissions item 1: context aws:a has more than 4,000 digits.",
        ),
        (
            {"action": ""},
            "required_permissions item 1: action '' must have the form service:Action, such as s3:GetObject.",
        ),
        (
            {"action": None},
            "required_permissions item 1: action '' must have the form service:Action, such as s3:GetObject.",
        ),
        (
            {"action": "s3:GetObject", "context": None},
            "required_permissions item 1: context is null. Set condition keys, or remove the option.",
        ),
        (
            {"action": "s3:GetObject", "context": {"aws:a": []}},
            "required_permissions item 1: context aws:a is an empty list. Set a value, or null if the request does not have the key.",
        ),
        (
            {"action": "s3:GetObject", "context": {"aws:a": ["x", None]}},
            "required_permissions item 1: context aws:a is a list with null. Set a value, or null if the request does not have the"
            " key.",
        ),
        *(
            (
                {"action": "s3:GetObject", "context": {key: "x"}},
                f"required_permissions item 1: context has '{key}', which is not a condition key. Write a condition key, such as"
                " aws:SourceVpc.",
            )
            for key in ("aws:SourceVpc ", "SourceVpc", ":a", "aws:")
        ),
        (
            {"action": "s3:GetObject", "context": {"": "x"}},
            "required_permissions item 1: context has an empty key. Write a condition key, such as aws:SourceVpc.",
        ),
        (
            {"action": "s3:GetObject", "context": {"aws:SourceVpc": "x", "AWS:sourcevpc": "y"}},
            "required_permissions item 1: context has aws:SourceVpc and AWS:sourcevpc, which are the same condition key. Remove one of them.",
        ),
    ],
)
def test_rejects_invalid_permissions(item, message):
    with pytest.raises(FactError) as caught:
        parse_required([item], {})
    assert str(caught.value) == message
