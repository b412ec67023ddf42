# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the steps that change a policy document. Each step makes only one kind of change.

A step adds Deny statements ("restricts"), adds Allow statements (""), removes Allow statements ("takes"), or removes Deny
statements ("lifts").
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.policies import (
    gives,
    steps,
    takes,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    desired,
    names,
    plan,
    policy_arn,
    run,
    workload,
)

READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}
WRITE = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
BOTH = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}
NO_WRITE = {**WRITE, "Effect": "Deny"}
ONLY_TLS = {**READ, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}


def allow(action: Any, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


QUEUE = "arn:aws:sqs:us-west-2:111122223333:"


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


@pytest.mark.parametrize(
    ("present", "new", "more", "less"),
    [
        (document(READ), document(READ, WRITE), True, False),
        (document(READ, WRITE), document(READ), False, True),
        (document(READ), document(WRITE), True, True),
        (document(READ), document(BOTH), True, False),
        (document(BOTH), document(WRITE), False, True),
        (document(BOTH), document(BOTH, NO_WRITE), False, True),
        (document(BOTH, NO_WRITE), document(BOTH), True, False),
        (document(READ), document(ONLY_TLS), True, True),
        (document({**READ, "Sid": "One"}), document({**READ, "Sid": "Two"}), False, False),
        (document({**READ, "NotResource": "a", "Resource": "b"}), document(READ), True, True),
        ({"Version": "2012-10-17", "Statement": READ}, document(READ), False, False),
        (document(allow("sqs:SendMessage")), document(allow("sqs:*")), True, False),
        (document(allow("sqs:sendmessage")), document(allow("sqs:SendMessage")), False, False),
        (document(allow(["s3:Get*", "s3:List*"])), document(allow("s3:Get*")), False, True),
        (document(allow("s3:G*t")), document(allow("s3:G?t")), False, True),
        (document(allow("sqs:*", f"{QUEUE}jobs")), document(allow("sqs:*", f"{QUEUE}*")), True, False),
        (document(allow("sqs:*", "*")), document(allow("sqs:*", f"{QUEUE}*")), False, True),
        (document(allow("sqs:*", f"{QUEUE}*")), document(allow("sqs:Send*", "*")), True, True),
        # A wildcard does not match the colons between the parts of an ARN.
        (document(allow("s3:*", "arn:aws:s3:::b")), document(allow("s3:*", "arn:aws:*:b")), True, True),
        # The policy variable may have any value.
        (
            document(allow("s3:*", "arn:aws:s3:::${aws:username}")),
            document(allow("s3:*", "arn:aws:s3:::*")),
            True,
            True,
        ),
        (document(allow("nonsense")), document(allow("s3:*")), True, True),
    ],
)
def test_compares_allowed_and_denied_actions(
    present: dict[str, Any], new: dict[str, Any], more: bool, less: bool
) -> None:
    assert (gives(present, new), takes(present, new)) == (more, less)


def test_document_steps_deny_allow_remove_and_lift() -> None:
    old = document({**READ, "Sid": "S"}, NO_WRITE)
    other = document({**WRITE, "Sid": "S"}, {**READ, "Effect": "Deny"})
    no_read = {**READ, "Effect": "Deny"}
    assert steps(old, other) == [
        ("restricts", document({**READ, "Sid": "S"}, NO_WRITE, no_read)),
        ("", document({**WRITE, "Sid": "S"}, no_read, READ, NO_WRITE)),
        ("takes", document({**WRITE, "Sid": "S"}, no_read, NO_WRITE)),
        ("lifts", other),
    ]
    same = document(READ, NO_WRITE), document(WRITE, NO_WRITE)
    assert steps(*same) == [("", document(WRITE, NO_WRITE, READ)), ("takes", same[1])]


@pytest.mark.parametrize(
    ("present", "new", "step"),
    [
        (document(READ), document(BOTH), ""),
        (document(BOTH), document(READ), "takes"),
        (document(READ), document(READ, NO_WRITE), "restricts"),
        (document(READ, NO_WRITE), document(READ), "lifts"),
        # Policy variables need the version 2012-10-17. In this document, ${aws:username} is plain text.
        (document(READ, version="2008-10-17"), document(WRITE, NO_WRITE), ""),
    ],
)
def test_change_of_one_kind_has_one_step(present: dict[str, Any], new: dict[str, Any], step: str) -> None:
    assert steps(present, new) == [(step, new)]


def test_sid_is_unique_at_every_step() -> None:
    old = document({**READ, "Sid": "A"}, {**NO_WRITE, "Sid": "B"})
    other = document({**WRITE, "Sid": "B"}, {**NO_WRITE, "Sid": "A", "Action": "s3:*"})
    for _step, between in steps(old, other):
        sids = [statement["Sid"] for statement in between["Statement"] if "Sid" in statement]
        assert len(sids) == len(set(sids))


def desired_documents(first: dict[str, Any], two: dict[str, Any]) -> Any:
    return desired(workload(policies=[{"name": "one", "document": first}, {"name": "two", "document": two}]))


def test_exchanged_statements_need_two_versions_per_document() -> None:
    aws = FakeAws()
    run(aws, desired_documents(document(READ), document(WRITE)))
    spec = desired_documents(document(WRITE), document(READ))
    arns = [policy_arn("one"), policy_arn("two")]
    assert names(plan(aws, spec)) == [f"update policy {arn}" for arn in (*arns, *arns)]
    outcome = run(aws, spec)
    assert outcome.failures == ()
    sent = [
        json.loads(parameters["PolicyDocument"]) for parameters in aws.parameters("iam:CreatePolicyVersion")
    ]
    assert sent == [document(WRITE, READ), document(READ, WRITE), document(WRITE), document(READ)]
    assert names(plan(aws, spec)) == []


def test_single_changed_document_has_one_step() -> None:
    aws = FakeAws()
    run(aws, desired_documents(document(READ), document(WRITE)))
    spec = desired_documents(document(WRITE), document(WRITE))
    assert names(plan(aws, spec)) == [f"update policy {policy_arn('one')}"]


@pytest.mark.parametrize("default", ["v1", "v3", "v5"])
def test_two_oldest_versions_are_deleted_at_the_quota(default: str) -> None:
    aws = FakeAws()
    run(aws, desired_documents(document(READ), document(WRITE)))
    for number in range(2, 6):
        aws.iam.policies[policy_arn("one")]["versions"][f"v{number}"] = document(READ)
    aws.iam.policies[policy_arn("one")] |= {"default": default, "last": 5}
    assert run(aws, desired_documents(document(WRITE), document(READ))).failures == ()
    versions = aws.iam.policies[policy_arn("one")]["versions"]
    assert sorted(versions) == ["v3", "v4", "v5", "v6", "v7"]
    assert versions["v7"] == document(WRITE)


def test_documents_that_cannot_be_merged_change_separately() -> None:
    aws = FakeAws()
    long = {**READ, "Resource": [f"arn:aws:s3:::bucket/{number:04d}/*" for number in range(120)]}
    other = {**WRITE, "Resource": [f"arn:aws:s3:::bucket/{number:04d}" for number in range(120)]}
    run(aws, desired_documents(document(long), document(WRITE)))
    spec = desired_documents(document(other), document(READ))
    assert names(plan(aws, spec)) == [
        f"update policy {policy_arn('two')}",
        f"update policy {policy_arn('one')}",
        f"update policy {policy_arn('two')}",
    ]
    assert run(aws, spec).failures == ()
    assert names(plan(aws, spec)) == []
