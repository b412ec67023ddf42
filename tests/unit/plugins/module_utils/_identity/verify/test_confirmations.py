# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the checks of a verification as a whole: the statuses, messages and remedies after a single fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    RolePermissions,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import (
    verify,
    workloads_from_associations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    Raw,
    agent,
    desired,
    engine,
    key,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

FOREIGN = "arn:aws:iam::444455556666:role/other"
OWN, POLICY = role_arn("my-role"), policy_arn("my-policy")
BY_ARN: Raw = {"role": {"arn": OWN}}
Fault = Callable[[FakeAws], object]


def changed(**fields: Any) -> Fault:
    """Return a fault that changes fields of the association (keys of the EKS API), of the role, or of the policy."""

    def change(aws: FakeAws) -> None:
        (association,) = aws.eks.associations.values()
        items = {"role": aws.iam.roles["my-role"], "policy": aws.iam.policies[POLICY]}
        for name, value in fields.items():
            items.get(name, association).update(value if name in items else {name: value})

    return change


def gone(kind: str) -> Fault:
    return lambda aws: getattr(aws.eks if kind == "associations" else aws.iam, kind).clear()


def lines(applied: Raw, fault: Fault | None, listed: Raw, cluster: Raw, **reads: Any) -> list[str]:
    """Apply a workload, make a fault, and verify. Return lines: the checks that pass, other checks, findings, remedies."""
    aws = FakeAws()
    run(aws, desired(workload(**applied)))
    if fault is not None:
        fault(aws)
    config = desired(workload(**listed))
    observed = engine(aws, config).observer().observe(config, planning=False)
    observed = replace(observed, cluster=replace(observed.cluster, **cluster))
    reads = {"agent": agent("ACTIVE", "v1.3-eksbuild.2"), **reads}
    (verified,) = verify(config, observed, VerificationReads(**reads))
    passed = [f"{check.name} {check.detail}".rstrip() for check in verified.checks if check.status == "pass"]
    found = [f"passed: {', '.join(passed)}"]
    for check in verified.checks:
        if check.status != "pass":
            found.append(f"{check.name} {check.status} {check.detail}".rstrip())
        for finding in check.findings:
            found += [f"{finding.severity} {finding.code}: {finding.message}", finding.remedy]
    return found


def permitted(*actions: str, trust: Raw | None = None, **more: Any) -> Raw:
    """Return reads in which a policy allows my-role actions, and the target role has a trust policy, or does not exist."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*", **more}
    policies = (NamedPolicy("a", {"Version": "2012-10-17", "Statement": [statement]}),) if actions else ()
    return {"permissions": {"my-role": RolePermissions(policies)}, "targets": {FOREIGN: trust}}


def trusting(principal: str, **more: Any) -> Raw:
    return {"Statement": [{**TRUST_BARE["Statement"][0], "Principal": {"AWS": principal}, **more}]}


TARGET: Raw = {"target_role_arn": FOREIGN}
ADDRESS: Raw = {"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.1"}}}
NEEDS: Raw = {"required_permissions": [{"action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"}]}
PUT: Raw = {"required_permissions": [{"action": "s3:PutObject", "resource": "arn:aws:s3:::b/k"}]}
KEY: Raw = {"required_permissions": [{"action": "kms:Decrypt", "resource": "*"}]}
SEVERAL: Raw = {"policies": [policy(f"p{number}") for number in range(4)]}
# The arguments of ``lines``. The lines of each case are in findings.yml.
CASES: dict[str, tuple[Any, ...]] = {
    "no fault": ({}, None, {}),
    "policy not attached": ({}, changed(role={"attached": []}), {}),
    "policy not attached to a role by ARN": ({}, changed(role={"attached": []}), BY_ARN),
    "several policies": (SEVERAL, None, SEVERAL),
    "policies missing": (
        {},
        gone("policies"),
        {"policies": [policy(), {"arn": policy_arn("gone")}, {"arn": "arn:aws:iam::aws:policy/Gone"}]},
    ),
    "contents": ({}, None, {"policies": [policy("my-policy", "s3:PutObject")]}),
    "contents of an unmarked policy": (
        {},
        changed(policy={"tags": {}}),
        {"policies": [policy("my-policy", "s3:PutObject")]},
    ),
    "settings of the role": (
        {},
        None,
        {"role": {"name": "My-role", "description": "d", "max_session_duration": 7200, "tags": {"a": "b"}}},
    ),
    "settings of an unmarked role": (
        {},
        changed(role={"tags": {}}),
        {"role": {"name": "my-role", "path": "/x/", "description": "d"}},
    ),
    "trust policy of the list": ({}, None, {"role": {"name": "my-role", "trust_policy": TRUST_BARE}}),
    "settings of the policy": (
        {"policies": [policy(description="a")]},
        None,
        {"policies": [policy("My-policy", description="c", tags={"a": "b"})]},
    ),
    "settings that the policy lacks": ({}, None, {"policies": [policy(path="/x/", description="c")]}),
    "nothing is marked": ({}, changed(role={"tags": {}}, policy={"tags": {}}, tags={}), {}),
    "no association": ({}, gone("associations"), {}),
    "no association, but similar ones": (
        {},
        gone("associations"),
        {},
        {},
        {"associated": [key("app", "other"), key("app2"), key("web")]},
    ),
    "no association, but a similar one": (
        {},
        gone("associations"),
        {},
        {},
        {"associated": [key("app", "other"), key("web")]},
    ),
    "association with another role": ({}, changed(roleArn=role_arn("else"), tags={}), {}),
    "association of an add-on with another role": (
        {},
        changed(roleArn=role_arn("else"), ownerArn="arn:addon"),
        {},
    ),
    "association of an add-on": ({}, changed(ownerArn="arn:addon"), {}),
    "no target role": ({}, None, {"target_role_arn": FOREIGN}),
    "target role": ({"target_role_arn": FOREIGN}, None, {"target_role_arn": ""}),
    "session tags are off": ({}, changed(disableSessionTags=True), {}),
    "session tags are off for an add-on": ({}, changed(disableSessionTags=True, ownerArn="arn:addon"), {}),
    "session tags are off, but listed": (
        {},
        changed(disableSessionTags=True),
        {"disable_session_tags": False},
    ),
    "tags of the association": ({}, None, {"tags": {"a": "b"}}),
    "role missing": ({}, gone("roles"), {}),
    "role by ARN missing": ({}, gone("roles"), BY_ARN),
    "role with another path": ({}, None, {"role": {"arn": role_arn("x/my-role")}}),
    "wide trust policy": ({}, changed(role={"trust": json.dumps(TRUST_BARE)}), {}),
    "wide trust policy of an unmarked role": (
        {},
        changed(role={"trust": json.dumps(TRUST_BARE), "tags": {}}),
        {},
    ),
    "trust policy for the cluster": ({"role": {"name": "my-role", "trust_scope": "cluster"}}, None, {}),
    "trust policy for the namespace": ({"role": {"name": "my-role", "trust_scope": "namespace"}}, None, {}),
    "unusable role": ({}, changed(role={"trust": json.dumps(TRUST_EC2)}), {}),
    "unusable role without mark": ({}, changed(role={"trust": json.dumps(TRUST_EC2), "tags": {}}), {}),
    "unusable role by ARN": ({}, changed(role={"trust": json.dumps(TRUST_EC2)}), BY_ARN),
    "platform version": ({}, None, {}, {"version": "1.28", "platform_version": "eks.3"}),
    "oldest platform version": ({}, None, {}, {"version": "1.28", "platform_version": "eks.4"}),
    "add-on with Auto Mode": ({}, None, {}, {"auto_mode": True}),
    "Auto Mode": ({}, None, {}, {"auto_mode": True}, {"agent": None}),
    "no agent": ({}, None, {}, {}, {"agent": None}),
    "agent not ready": ({}, None, {}, {}, {"agent": agent("DEGRADED")}),
    "agent with issues": ({}, None, {}, {}, {"agent": replace(agent(), issues=("a", "b"))}),
    "target role missing": (TARGET, None, TARGET, {}, permitted("sts:*")),
    "target role for another": (TARGET, None, TARGET, {}, permitted("sts:*", trust=trusting(FOREIGN))),
    "target role by address": (TARGET, None, TARGET, {}, permitted("sts:*", trust=trusting(OWN, **ADDRESS))),
    "target role for everyone": (TARGET, None, TARGET, {}, permitted("sts:*", trust=trusting("*"))),
    "target role not allowed": (TARGET, None, TARGET | NEEDS, {}, permitted("s3:*", trust=trusting(OWN))),
    "access by address": (TARGET, None, TARGET, {}, permitted("sts:*", trust=trusting(OWN), **ADDRESS)),
    "permission denied": (PUT, None, PUT, {}, permitted("kms:*")),
    "permission that an apply gives": (NEEDS, None, NEEDS, {}, permitted("kms:*")),
    "permission denied outside of S3": (KEY, None, KEY, {}, permitted("s3:*")),
    "permission by address": (KEY, None, KEY, {}, permitted("kms:*", **ADDRESS)),
    "permission": (NEEDS, None, NEEDS, {}, permitted("s3:*")),
    "role without policies": ({"policies": []}, None, {"policies": []}, {}, permitted()),
}
EXPECTED = yaml.safe_load(Path(__file__).with_name("findings.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_fault_has_its_findings(case: str) -> None:
    applied, fault, listed, *more = CASES[case]
    cluster, reads = (*more, {}, {})[:2]
    assert lines(applied, fault, listed, cluster, **reads) == EXPECTED[case]


def test_associations_become_workloads_with_roles_by_arn() -> None:
    aws = FakeAws()
    config = desired(workload("web", **TARGET, disable_session_tags=True), workload())
    run(aws, config)
    associations = engine(aws, config).observer().observe(config, planning=False).associations
    found = workloads_from_associations(associations.values())
    assert [(item.key, item.role and (item.role.name, item.role.arn)) for item in found] == [
        (key("app"), ("my-role", OWN)),
        (key("web"), ("my-role", OWN)),
    ]
    assert [(item.association.target_role_arn, item.association.disable_session_tags) for item in found] == [
        ("", False),
        (FOREIGN, True),
    ]
