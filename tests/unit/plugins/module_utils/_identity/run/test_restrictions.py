# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run keeps and reports restrictions of a managed role that another tool or a person has added."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    closed,
    closed_for,
    merge_trust,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    FakeAws,
    agent,
    desired,
    engine,
    plan,
    role_arn,
    run,
    workload,
)


def restrict(aws: FakeAws, *statements: dict[str, Any], name: str = "my-role") -> None:
    trust = json.loads(aws.iam.roles[name]["trust"])
    trust["Statement"].extend(statements)
    aws.iam.roles[name]["trust"] = json.dumps(trust)


ROLE = role_arn("my-role")


LIFT = (
    "Find out who added the statement and why (event UpdateAssumeRolePolicy of the role in CloudTrail). To remove the "
    "statement, edit the trust policy of the role."
)


def restricted(spec: Desired, *statements: dict[str, Any], name: str = "my-role") -> FakeAws:
    """Return an account in which a person has added statements to the trust policy of a role."""
    aws = FakeAws()
    run(aws, spec)
    restrict(aws, *statements, name=name)
    return aws


def verified(aws: FakeAws, spec: Desired) -> list[Verified]:
    reads = VerificationReads(agent())
    return verify(spec, engine(aws, spec).observer().observe(spec), reads)


def trust_checks(aws: FakeAws, spec: Desired) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (
            str(workload_.workload.key),
            check.status,
            [(str(finding.code), finding.severity) for finding in check.findings],
        )
        for workload_ in verified(aws, spec)
        for check in workload_.checks
        if check.name == "trust"
    ]


SERVICE = "pods.eks.amazonaws.com"
# A statement as a person may write it: its keys have another order, and single values are not in lists.
QUARANTINE = {"Action": "sts:*", "Principal": {"Service": SERVICE}, "Effect": "Deny", "Sid": "Quarantine"}
OF_ONE_NAMESPACE = {
    **QUARANTINE,
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "batch"}},
}
OF_ONE_POD = {**QUARANTINE, "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-pod-name": "pod-0"}}}


GIVEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Pods",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    ],
}


def test_merge_keeps_a_closed_role_closed() -> None:
    old = {**GIVEN, "Statement": [*GIVEN["Statement"], QUARANTINE]}
    new = closed({**GIVEN, "Statement": [QUARANTINE]}, CLUSTER_ARN)
    assert merge_trust(old, new, old) == new
    assert merge_trust(old, new, new) == new
    joined = {
        **GIVEN,
        "Statement": [*GIVEN["Statement"], {**GIVEN["Statement"][0], "Sid": "Other", "Condition": {}}],
    }
    assert closed_for(merge_trust(old, new, joined)) == ""


def test_merge_keeps_a_concurrent_deny() -> None:
    old = {**GIVEN, "Statement": [*GIVEN["Statement"], OF_ONE_POD]}
    present = {**old, "Statement": [*old["Statement"], QUARANTINE]}
    for new in (GIVEN, old, {**GIVEN, "Statement": [*old["Statement"], OF_ONE_NAMESPACE]}):
        assert QUARANTINE in merge_trust(old, new, present)["Statement"]


@pytest.mark.parametrize(
    ("statement", "status", "severity", "end"),
    [
        (
            QUARANTINE,
            "fail",
            "error",
            f"denies sts:* to {SERVICE}, which prevents the workload from using the role.",
        ),
        (
            {**QUARANTINE, "Principal": "*"},
            "fail",
            "error",
            "denies sts:* to everyone, which prevents the workload from using the role.",
        ),
        (
            {**QUARANTINE, "Sid": None, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},
            "fail",
            "error",
            f"denies sts:* to {SERVICE} where StringEquals aws:SourceAccount '{ACCOUNT}', which prevents the workload from "
            "using the role.",
        ),
        (
            OF_ONE_POD,
            "warning",
            "warning",
            f"denies sts:* to {SERVICE} where StringEquals aws:RequestTag/kubernetes-pod-name 'pod-0', which may prevent the "
            "workload from using the role.",
        ),
        (
            OF_ONE_NAMESPACE,
            "pass",
            "info",
            f"denies sts:* to {SERVICE} where StringEquals aws:RequestTag/kubernetes-namespace 'batch', which does not affect "
            "the workload.",
        ),
    ],
)
def test_verification_reports_the_deny_and_its_effect(
    statement: dict[str, Any], status: str, severity: str, end: str
) -> None:
    spec = desired(workload("app"))
    aws = restricted(spec, {name: value for name, value in statement.items() if value is not None})
    assert trust_checks(aws, spec) == [("default/app", status, [("ROLE_RESTRICTED", severity)])]
    (workload_,) = verified(aws, spec)
    (finding,) = workload_.findings
    label = "Statement 2 (Sid 'Quarantine')" if statement["Sid"] else "Statement 2"
    assert finding.statement == label
    assert finding.message == (
        f"{label} of the trust policy of role {ROLE} {end} This collection did not write that statement, and keeps it."
    )
    assert finding.remedy == LIFT
    by_arn = desired(workload("app", role={"arn": ROLE}))
    codes = [("ROLE_RESTRICTED", severity)] if severity != "info" else []
    assert trust_checks(aws, by_arn) == [("default/app", status, codes)]
    assert [failure.remedy for failure in plan(aws, by_arn).failures] == [LIFT] * (status == "fail")
