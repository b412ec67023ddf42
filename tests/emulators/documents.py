# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policy documents, and whether IAM stores them, to test the policy grammars of the collection and of the sandbox.

The answer is "unknown" if the documentation of AWS does not specify it. The sandbox may accept or reject such a document.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

ACCOUNT = "111122223333"


class Document(NamedTuple):
    """A policy document. ``answer`` is "yes" if IAM stores it, "no" if IAM rejects it, or "unknown"."""

    name: str
    kind: str
    text: str
    answer: str


def permissions(statement: dict[str, Any] | None = None, *more: dict[str, Any], **top: Any) -> str:
    first = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **(statement or {})}
    return _document(first, *more, **top)


def trust(statement: dict[str, Any] | None = None, *more: dict[str, Any], **top: Any) -> str:
    first = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        **(statement or {}),
    }
    return _document(first, *more, **top)


def _document(*statements: dict[str, Any], **top: Any) -> str:
    present = [
        {name: value for name, value in statement.items() if value is not None} for statement in statements
    ]
    whole = {"Version": "2012-10-17", "Statement": present, **top}
    return json.dumps({name: value for name, value in whole.items() if value is not None})


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


_PERMISSIONS = [
    ("plain", permissions(), "yes"),
    ("every action", permissions({"Action": "*"}), "yes"),
    ("wildcards in a name", permissions({"Action": ["s3:Get*", "ec2:Describe?nstances"]}), "yes"),
    ("an action before its service", permissions({"Action": " s3:GetObject"}), "no"),
    ("a space in a service", permissions({"Action": "s 3:GetObject"}), "no"),
    ("a space in a name", permissions({"Action": "s3:Get Object"}), "unknown"),
    ("a wildcard in a service", permissions({"Action": "s3*:GetObject"}), "no"),
    ("any service", permissions({"Action": "*:GetObject"}), "no"),
    ("two colons", permissions({"Action": "s3:Get:Object"}), "no"),
    ("no service", permissions({"Action": "GetObject"}), "no"),
    ("a principal", permissions({"Principal": "*"}), "no"),
    ("no resource", permissions({"Resource": None}), "no"),
    ("Action and NotAction", permissions({"NotAction": "s3:*"}), "no"),
    ("a bucket", permissions({"Resource": "arn:aws:s3:::my-bucket"}), "yes"),
    ("all resources but some", permissions({"Resource": None, "NotResource": "arn:aws:s3:::b/*"}), "yes"),
    ("a name instead of an ARN", permissions({"Resource": "my-bucket"}), "no"),
    ("an ARN without its prefix", permissions({"Resource": "*-bucket"}), "no"),
    ("a wildcard in an ARN's service", permissions({"Resource": "arn:aws:s3*:::b"}), "no"),
    ("any service in an ARN", permissions({"Resource": "arn:aws:*:us-west-2:111122223333:*"}), "unknown"),
    ("an ARN of two parts", permissions({"Resource": "arn:aws"}), "no"),
    ("a name instead of the account", permissions({"Resource": "arn:aws:s3::my_bucket"}), "no"),
    ("a variable as account", permissions({"Resource": "arn:aws:iam::${aws:PrincipalAccount}:role/r"}), "no"),
    ("a variable at the end", permissions({"Resource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"}), "yes"),
    ("an unknown partition", permissions({"Resource": "arn:oops:s3:::b"}), "no"),
    ("any partition", permissions({"Resource": "arn:*:s3:::b"}), "yes"),
    ("a bucket with a Region", permissions({"Resource": "arn:aws:s3:us-west-2::b"}), "no"),
    ("an access point", permissions({"Resource": "arn:aws:s3:us-west-2:111122223333:accesspoint/a"}), "yes"),
    ("a role with a Region", permissions({"Resource": "arn:aws:iam:us-west-2:111122223333:role/r"}), "no"),
    ("a Sid with a space", permissions({"Sid": "Read objects"}), "no"),
    ("a Sid with a hyphen", permissions({"Sid": "read-objects"}), "no"),
    ("a Sid that is a number", permissions({"Sid": 7}), "no"),
    (
        "a duplicate Sid",
        permissions({"Sid": "A"}, json.loads(permissions({"Sid": "A"}))["Statement"][0]),
        "no",
    ),
    ("an empty Sid", permissions({"Sid": ""}), "yes"),
    ("null as Sid", permissions({"Sid": "A"}).replace('"A"', "null"), "no"),
    ("an Id", permissions(Id="my-policy"), "no"),
    ("null as Id", permissions(Id="my-policy").replace('"my-policy"', "null"), "no"),
    ("an operator without keys", permissions({"Condition": {"StringEquals": {}}}), "no"),
    ("an unknown element", permissions({"Actions": "s3:*"}), "no"),
    ("an effect in lower case", permissions({"Effect": "allow"}), "no"),
    ("an unknown version", permissions(Version="2012-10-18"), "no"),
    ("an unknown operator", permissions(when("StringEqual", "aws:x", "y")), "no"),
    ("an operator in lower case", permissions(when("stringequals", "aws:x", "y")), "unknown"),
    ("Null with IfExists", permissions(when("NullIfExists", "aws:x", "true")), "no"),
    ("set operators", permissions(when("ForAllValues:StringLikeIfExists", "aws:TagKeys", ["a"])), "yes"),
    ("an unknown set operator", permissions(when("ForSomeValue:StringLike", "aws:TagKeys", "a")), "no"),
    ("a condition key without service", permissions(when("StringEquals", "namespace", "y")), "no"),
    ("a list as Condition", permissions({"Condition": []}), "no"),
    ("a mapping as value", permissions(when("StringEquals", "aws:x", {"y": "z"})), "no"),
    ("a number", permissions(when("NumericLessThan", "s3:max-keys", 10)), "yes"),
    ("a word instead of a number", permissions(when("NumericLessThan", "s3:max-keys", "ten")), "unknown"),
    ("a date", permissions(when("DateLessThan", "aws:CurrentTime", "2026-11-24T10:15:00Z")), "yes"),
    ("a word instead of a date", permissions(when("DateLessThan", "aws:CurrentTime", "tomorrow")), "no"),
    ("a word instead of an address", permissions(when("IpAddress", "aws:SourceIp", "office")), "unknown"),
    (
        "a duplicate condition key in other letter case",
        permissions({"Condition": {"StringEquals": {"aws:x": "y", "AWS:X": "y"}}}),
        "no",
    ),
    (
        "a duplicate operator",
        permissions(when("StringEquals", "aws:x", "y")).replace(
            '"Condition": {', '"Condition": {"StringEquals": {"aws:y": "z"}, '
        ),
        "no",
    ),
    ("a duplicate element", permissions().replace('"Effect"', '"Effect": "Deny", "Effect"'), "no"),
    (
        "a character outside Latin-1",
        permissions({"Action": "s3:Get\u4e2d"}).replace("\\u4e2d", "\u4e2d"),
        "no",
    ),
    ("not JSON", "{", "no"),
    ("no statements", json.dumps({"Version": "2012-10-17", "Statement": []}), "no"),
]

_TRUST = [
    ("the guide's statement", trust(), "yes"),
    ("the guide's Sid with spaces", trust({"Sid": "Allow EKS Auth to assume this role"}), "yes"),
    ("a Sid with other characters", trust({"Sid": "allow-eks"}), "unknown"),
    ("no version", trust(Version=None), "yes"),
    ("a resource", trust({"Resource": "*"}), "no"),
    ("an action of another service", trust({"Action": ["sts:AssumeRole", "s3:GetObject"]}), "no"),
    ("an action with a space before it", trust({"Action": " sts:AssumeRole"}), "no"),
    ("an action that AWS STS does not have", trust({"Action": ["sts:AssumeRole", "sts:TagSessions"]}), "no"),
    ("another action of AWS STS", trust({"Action": "sts:GetCallerIdentity"}), "unknown"),
    ("all actions but some", trust({"Action": None, "NotAction": "sts:AssumeRoleWithSAML"}), "no"),
    ("all of STS", trust({"Action": "sts:*"}), "unknown"),
    ("every action", trust({"Action": "*"}), "unknown"),
    ("the action in lower case", trust({"Action": ["sts:assumerole", "sts:tagsession"]}), "yes"),
    ("NotPrincipal with Allow", trust({"Principal": None, "NotPrincipal": {"AWS": ACCOUNT}}), "no"),
    (
        "NotPrincipal with Deny",
        trust({"Effect": "Deny", "Principal": None, "NotPrincipal": {"AWS": ACCOUNT}}),
        "no",
    ),
    ("no principal", trust({"Principal": None}), "no"),
    ("an unknown kind of principal", trust({"Principal": {"Services": "ec2.amazonaws.com"}}), "no"),
    ("a service without domain", trust({"Principal": {"Service": "lambda"}}), "no"),
    ("every service", trust({"Principal": {"Service": "*"}}), "no"),
    ("a misspelt service", trust({"Principal": {"Service": "pod.eks.amazonaws.com"}}), "unknown"),
    (
        "two services",
        trust({"Principal": {"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]}}),
        "yes",
    ),
    ("everyone", trust({"Principal": {"AWS": "*"}}), "yes"),
    ("everyone as text", trust({"Principal": "*"}), "unknown"),
    ("an account", trust({"Principal": {"AWS": ACCOUNT}}), "yes"),
    ("an account's root", trust({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}), "yes"),
    ("an unknown partition", trust({"Principal": {"AWS": f"arn:oops:iam::{ACCOUNT}:root"}}), "no"),
    ("another account", trust({"Principal": {"AWS": "444455556666"}}), "unknown"),
    ("eleven digits", trust({"Principal": {"AWS": "11112222333"}}), "no"),
    ("the name of a role", trust({"Principal": {"AWS": "my-role"}}), "no"),
    ("a wildcard in a role", trust({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/team-*"}}), "no"),
    ("a role", trust({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/my-role"}}), "yes"),
    (
        "a role that may not exist",
        trust({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}}),
        "unknown",
    ),
    ("a group", trust({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:group/team"}}), "no"),
    ("a bucket as principal", trust({"Principal": {"AWS": "arn:aws:s3:::b"}}), "no"),
    (
        "a session",
        trust({"Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/my-role/session"}}),
        "yes",
    ),
    ("Amazon Cognito", trust({"Principal": {"Federated": "cognito-identity.amazonaws.com"}}), "yes"),
    (
        "an identity provider",
        trust({"Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.example/id/A"}}),
        "unknown",
    ),
    ("a duplicate Sid", trust({"Sid": "A"}, json.loads(trust({"Sid": "A"}))["Statement"][0]), "no"),
    ("a Sid that is a list", trust({"Sid": []}), "no"),
    ("null as Sid", trust({"Sid": "A"}).replace('"A"', "null"), "no"),
    ("an Id", trust(Id="my-policy"), "yes"),
    ("null as Id", trust(Id="my-policy").replace('"my-policy"', "null"), "no"),
    ("an operator without keys", trust({"Condition": {"StringEquals": {}}}), "no"),
    ("an unknown operator", trust(when("StringMatches", "aws:x", "y")), "no"),
    ("a tag", trust(when("StringEquals", "aws:RequestTag/kubernetes-namespace", "default")), "yes"),
]

_SESSION = [
    ("plain", permissions(), "yes"),
    ("an incomplete ARN", permissions({"Resource": "arn:aws:sqs"}), "no"),
    ("a complete ARN", permissions({"Resource": "arn:aws:sqs:*:*:*"}), "yes"),
    ("a principal", permissions({"Principal": "*"}), "no"),
    ("an Id", permissions(Id="my-policy"), "no"),
]

DOCUMENTS = (
    *(Document(name, "managed", text, answer) for name, text, answer in _PERMISSIONS),
    Document("an incomplete ARN", "managed", permissions({"Resource": "arn:aws:sqs"}), "yes"),
    Document("an Id", "boundary", permissions(Id="my-policy"), "no"),
    Document("an Id", "identity", permissions(Id="my-policy"), "no"),
    Document("no version", "managed", permissions(Version=None), "no"),
    Document("an old version", "managed", permissions(Version="2008-10-17"), "no"),
    *(Document(name, "trust", text, answer) for name, text, answer in _TRUST),
    *(Document(name, "session", text, answer) for name, text, answer in _SESSION),
)
