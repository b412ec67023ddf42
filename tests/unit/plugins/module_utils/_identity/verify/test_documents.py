# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies that grant nothing are told before anything is changed, the commonest also without a catalogue."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.documents import (
    lint_documents,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)

BUCKET = "arn:aws:s3:::my-pod-secrets-bucket"


def linted(action: str, resource: Any, known: bool, **more: Any) -> list[str]:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}],
    }
    workload = {
        "namespace": "default",
        "service_account": "app",
        "role": {"name": "r"},
        "policies": [{"name": "p", "document": document}],
        **more,
    }
    found = lint_documents(parse_workloads([workload], "c"), load_catalogue() if known else None)
    return [finding.message for finding in found]


@pytest.mark.parametrize("known", [False, True], ids=["without catalogue", "with"])
def test_the_policy_of_the_guide_grants_nothing(known: bool) -> None:
    [message] = linted("s3:GetObject", BUCKET, known)
    assert "Statement 1 allows s3:GetObject on nothing it could act on: " in message


@pytest.mark.parametrize("known", [False, True], ids=["without catalogue", "with"])
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"{BUCKET}/*"),
        ("s3:GetObject", f"{BUCKET}*"),
        ("s3:GetObject", [BUCKET, f"{BUCKET}/*"]),
        ("s3:ListBucket", BUCKET),
        ("s3:*", BUCKET),
    ],
)
def test_a_policy_that_may_grant_something_is_not_told(action: str, resource: Any, known: bool) -> None:
    assert linted(action, resource, known) == []


def test_an_action_that_does_not_exist_is_told_whatever_is_required() -> None:
    required = {"required_permissions": [{"action": "s3:GetObject", "resource": f"{BUCKET}/a"}]}
    for more in ({}, required):
        assert linted("s3:GetObjct", f"{BUCKET}/*", True, **more) == [
            "policy p: Statement 1 allows s3:GetObjct, but there is no action s3:GetObjct; did you mean s3:GetObject?"
        ]
