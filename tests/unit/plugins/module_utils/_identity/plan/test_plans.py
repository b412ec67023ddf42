# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test whole plans of scenes in which others share the resources: all changes, failures and findings with their texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import PurgeScope
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    TRUST_BARE,
    FakeAws,
    desired,
    engine,
    key,
    names,
    policy,
    policy_arn,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    ASSOCIATED,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.rules_world import (
    NOBODY,
    OTHER,
    STATEMENTS,
    create_policy,
    create_role,
    read_statements,
    retag,
    write_statements,
)

Raw = dict[str, Any]
PLANS = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
# The time of all responses. The resources are a day old, except one role.
NOW = ASSOCIATED + timedelta(days=1)
PURGE = PurgeScope(limit=99)


def create_account(*workloads: Raw, **options: Any) -> FakeAws:
    """Return an account in which the owner has applied an earlier list."""
    aws = FakeAws()
    assert run(aws, desired(*workloads, **options)).failures == ()
    for role in aws.iam.roles.values():
        role["CreateDate"] = ASSOCIATED
    return aws


def deny(aws: FakeAws, operation: str, **parameters: str) -> None:
    """Deny requests with these parameters."""
    service, _colon, name = operation.partition(":")
    answer = getattr(getattr(aws, service), name)

    def answer_or_deny(request: Mapping[str, Any]) -> Raw:
        if parameters.items() <= request.items():
            raise classify(operation, "AccessDenied", "no")
        found: Raw = answer(request)
        return found

    aws.replace(operation, answer_or_deny)


def add_statements(aws: FakeAws, role: str, *kinds: str) -> None:
    write_statements(aws, role, *read_statements(aws, role), *(STATEMENTS[kind] for kind in kinds))


def attach(aws: FakeAws, *names: str) -> None:
    aws.iam.roles["my-role"]["attached"] += [policy_arn(name) for name in names]


def with_further_policies() -> FakeAws:
    aws = create_account(workload())
    for name in ("denying", "extra", "no-document", "no-tags"):
        create_policy(aws, name)
    aws.iam.policies[policy_arn("denying")]["versions"]["v1"]["Statement"][0]["Effect"] = "Deny"
    attach(aws, "denying", "extra", "no-document", "no-tags")
    deny(aws, "iam:GetPolicyVersion", PolicyArn=policy_arn("no-document"))
    deny(aws, "iam:GetPolicy", PolicyArn=policy_arn("no-tags"))
    return aws


def with_policies(count: int) -> FakeAws:
    return create_account(workload(policies=[policy(f"p{number}") for number in range(count)]))


def with_departed_workloads() -> FakeAws:
    """Return an account whose list has lost all workloads except "app". Each departed workload has a separate role and policy."""
    names = ("clean", "contents", "new", "theirs", "used")
    workloads = [workload(name, role={"name": name}, policies=[policy(f"{name}-policy")]) for name in names]
    aws = create_account(workload(), *workloads)
    create_policy(aws, "foreign")
    aws.iam.roles["contents"]["attached"].append(policy_arn("foreign"))
    for name in ("theirs", "used"):
        add_statements(aws, name, "ec2")
    retag(aws.iam.roles["theirs"]["tags"], OTHER)
    aws.iam.roles["new"]["CreateDate"] = NOW
    aws.eks.associations = {
        identifier: row for identifier, row in aws.eks.associations.items() if row["serviceAccount"] != "new"
    }
    create_role(aws, "machines", STATEMENTS["ec2"], attached=["clean-policy", "theirs-policy"])
    return aws


def of_other_owners(owner: str) -> FakeAws:
    aws = create_account(workload())
    for tags in (aws.iam.roles["my-role"]["tags"], aws.iam.policies[policy_arn("my-policy")]["tags"]):
        retag(tags, owner)
    return aws


def unread(*operations: str) -> FakeAws:
    aws = create_account(workload(), workload("web", role={"name": "web"}, policies=[policy("web")]))
    parameters = {
        "eks:DescribePodIdentityAssociation": {"associationId": "a-00000000000000001"},
        "iam:GetRole": {"RoleName": "my-role"},
        "iam:GetPolicy": {"PolicyArn": policy_arn("my-policy")},
    }
    for operation in operations:
        deny(aws, operation, **parameters[operation])
    return aws


def shared_with(*kinds: str, **role: Any) -> FakeAws:
    aws = create_account(workload(role={"name": "my-role", **role}))
    add_statements(aws, "my-role", *kinds)
    return aws


def used_by_machines() -> FakeAws:
    aws = create_account(workload())
    create_role(aws, "machines", STATEMENTS["ec2"], attached=["my-policy"])
    return aws


def open_to_everyone() -> FakeAws:
    aws = create_account(workload())
    write_statements(aws, "my-role", *read_statements(aws, "my-role"), EVERYONE)
    return aws


EVERYONE: Raw = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
OPEN: Raw = {**TRUST_BARE, "Statement": [*TRUST_BARE["Statement"], EVERYONE]}
BOTH = workload(), workload("web", role={"name": "web"}, policies=[policy("web")])
LIMITED = workload(role={"name": "my-role", "max_session_duration": 7200, "tags": {"team": "a"}})
EDITED = workload(policies=[policy("my-policy", "s3:PutObject")])
TRUSTED = workload(role={"name": "my-role", "trust_policy": TRUST_BARE})
BROKEN = {key(): Finding(Code.ASSOCIATION_WOULD_BREAK, "Pods lose IRSA.", "Move them.", key())}
REFUSED = tuple(
    Finding(code, f"{code}.", "Correct it.", key("web"))
    for code in (Code.SERVICE_ACCOUNT_MISSING, Code.NAMESPACE_MISSING)
)
# By scene: the account, the list, and options. "desired" replaces fields of the desired state, and "state" is its state.
SCENES: dict[str, tuple[Callable[[], FakeAws], tuple[Raw, ...], Raw]] = {
    "policies that others attached": (with_further_policies, (workload(),), {}),
    "policies that others attached, to detach": (
        with_further_policies,
        (workload(),),
        {"purge_policies": True},
    ),
    "full role": (lambda: with_policies(10), (workload(policies=[policy("a")]),), {}),
    "role with room": (lambda: with_policies(1), (workload(policies=[policy("a")]),), {}),
    "objects in Kubernetes": (FakeAws, BOTH, {"desired": {"would_break": BROKEN, "refused": REFUSED}}),
    "purge of departed workloads": (with_departed_workloads, (workload(),), {"purge": PURGE}),
    "forced purge": (with_departed_workloads, (workload(),), {"purge": PURGE, "force": True}),
    "departed workloads without purge": (
        with_departed_workloads,
        (workload(), workload("clean", policies=[])),
        {},
    ),
    "teardown of another owner's resources": (
        lambda: of_other_owners(OTHER),
        (workload(),),
        {"state": "absent"},
    ),
    "teardown of unmarked resources": (lambda: of_other_owners(NOBODY), (workload(),), {"state": "absent"}),
    "teardown of a shared role": (lambda: shared_with("ec2", "wide"), (workload(),), {"state": "absent"}),
    "teardown of a role with further policies": (with_further_policies, (workload(),), {"state": "absent"}),
    "teardown with the policy of machines": (used_by_machines, (workload(),), {"state": "absent"}),
    "association not readable": (lambda: unread("eks:DescribePodIdentityAssociation"), BOTH, {}),
    "teardown, association not readable": (
        lambda: unread("eks:DescribePodIdentityAssociation"),
        BOTH,
        {"state": "absent"},
    ),
    "teardown, role not readable": (lambda: unread("iam:GetRole"), BOTH, {"state": "absent"}),
    "teardown, policy not readable": (lambda: unread("iam:GetPolicy"), BOTH, {"state": "absent"}),
    "limits of a shared role": (lambda: shared_with("ec2", "no Sid"), (LIMITED,), {}),
    "forced limits of a shared role": (lambda: shared_with("ec2", "no Sid"), (LIMITED,), {"force": True}),
    "narrower scope": (lambda: shared_with(trust_scope="account"), (workload(),), {}),
    "forced narrower scope": (lambda: shared_with(trust_scope="cluster"), (workload(),), {"force": True}),
    "statement without conditions": (
        lambda: shared_with("wide", trust_scope="anyone_in_account"),
        (workload(),),
        {},
    ),
    "statement for everyone": (open_to_everyone, (workload(),), {}),
    "whole trust policy for everyone": (
        open_to_everyone,
        (workload(role={"name": "my-role", "trust_policy": OPEN}),),
        {},
    ),
    "whole trust policy and a Deny": (lambda: shared_with("deny"), (TRUSTED,), {}),
    "forced trust policy and a Deny": (lambda: shared_with("deny"), (TRUSTED,), {"force": True}),
    "document of a policy of machines": (used_by_machines, (EDITED,), {}),
    "forced document of a policy of machines": (used_by_machines, (EDITED,), {"force": True}),
    "settings that the list does not have": (
        lambda: create_account(
            workload(disable_session_tags=True, target_role_arn="arn:aws:iam::444455556666:role/one")
        ),
        (workload(role={"name": "my-role", "trust_scope": "workload"}),),
        {},
    ),
}


def plan_scene(name: str) -> Plan:
    prepare, workloads, options = SCENES[name]
    aws, state = prepare(), options.get("state", "present")
    more = {option: value for option, value in options.items() if option not in ("state", "desired")}
    spec = replace(desired(*workloads, state=state, **more), **options.get("desired", {}))
    runner = engine(aws, spec, state)
    runner = replace(runner, cluster=replace(runner.cluster, answered_at=NOW))
    return runner.run(spec, state, check_mode=True).plan


def describe_plan(plan: Plan) -> Raw:
    parts = {
        "changes": names(plan),
        "failures": [
            f"{', '.join(map(str, failure.workloads))}: {failure.action} {failure.target.label}: {failure.error_code}: "
            f"{failure.message} {failure.remedy}"
            for failure in plan.failures
        ],
        "findings": [
            f"{found.workload or 'cluster'}: {found.severity} {found.code.value}: {found.message} {found.remedy}"
            for found in plan.findings
        ],
    }
    return {name: texts for name, texts in parts.items() if texts}


@pytest.mark.parametrize("name", SCENES)
def test_plan_of_a_scene(name: str) -> None:
    assert describe_plan(plan_scene(name)) == PLANS[name]
