# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the comparison of a run with its approved plan."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.approval import (
    describe_unapproved,
    digest_changes,
    find_plan,
)

Raw = dict[str, Any]
ARN = "arn:aws:eks:us-west-2:111122223333:cluster/blue"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
TIME = "2026-11-26T02:00:00+00:00"


def change(resource: str, name: str, action: str, before: Raw | None, after: Raw | None, **more: Any) -> Raw:
    return {
        "resource": resource,
        "name": name,
        "action": action,
        "before": before,
        "after": after,
        "workload": "default/app",
        **more,
    }


def allow(*names: str, principal: str = "pods.eks.amazonaws.com") -> Raw:
    condition = {"StringEquals": {"aws:RequestTag/kubernetes-service-account": list(names)}}
    return {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": principal},
        "Condition": condition,
    }


def trust(*statements: Raw) -> Raw:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def document(*actions: str) -> Raw:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"} for action in actions]}


def attach(arn: str) -> Raw:
    return change("attachment", f"web {arn}", "attach", None, {"role": "web", "policy": arn})


CREATE = change("role", "web", "create", None, {"trust_policy": trust(allow("app")), "tags": {"team": "a"}})
ASSOCIATE = change("association", "default/app", "create", None, {"role_arn": "arn:web", "tags": {}})
APPLY = change("ServiceAccount", "default/app", "apply", None, {"labels": {"app": "web"}})
DELETE = change("policy", "p", "delete", {"document": document("s3:GetObject")}, None)
UPDATE = change(
    "policy", "p", "update", {"document": document("s3:GetObject")}, {"document": document("s3:PutObject")}
)
PLAN = [CREATE, attach(READ), ASSOCIATE, APPLY, UPDATE]


def trust_update(before: Raw, after: Raw) -> Raw:
    return change("trust_policy", "web", "update", {"trust_policy": before}, {"trust_policy": after})


def compare(planned: list[Raw], made: list[Raw]) -> list[str]:
    plan = {"time": TIME, "change_digests": digest_changes(planned)}
    return describe_unapproved(json.loads(json.dumps(plan)), made).splitlines()[1:]


@pytest.mark.parametrize(
    ("planned", "made"),
    [
        pytest.param(PLAN, PLAN, id="the same changes"),
        pytest.param(PLAN, PLAN[::-1], id="another order"),
        pytest.param(PLAN, [attach(READ)], id="fewer changes"),
        pytest.param(PLAN, [], id="no changes"),
        pytest.param(
            [CREATE], [{**CREATE, "workload": "default/b", "shared_with": ["x/y"]}], id="other workloads"
        ),
        pytest.param(
            [CREATE],
            [trust_update(trust(allow("other")), trust(allow("other"), allow("app")))],
            id="another cluster has created the role",
        ),
        pytest.param(
            [change("role", "web", "update", {"tags": {"a": "1"}}, {"tags": {"a": "2", "b": "3"}})],
            [
                change(
                    "role",
                    "web",
                    "update",
                    {"tags": {"a": "2", "c": "1"}},
                    {"tags": {"a": "2", "b": "3", "c": "1"}},
                )
            ],
            id="a part is done, and another tag was added",
        ),
    ],
)
def test_plan_approves(planned: list[Raw], made: list[Raw]) -> None:
    assert compare(planned, made) == []


@pytest.mark.parametrize(
    ("planned", "made", "lines"),
    [
        pytest.param(
            PLAN, [*PLAN, attach(ADMIN)], [f"- new: attach policy {ADMIN} to role web"], id="another policy"
        ),
        pytest.param(
            PLAN,
            [{**ASSOCIATE, "name": "default/b"}],
            ["- new: create association default/b: role arn:web"],
            id="association",
        ),
        pytest.param(
            [ASSOCIATE],
            [{**ASSOCIATE, "after": {"role_arn": "arn:other", "tags": {}}}],
            ['- differs by +role_arn "arn:other": create association default/app: role arn:other'],
            id="another role",
        ),
        pytest.param(
            [UPDATE],
            [{**UPDATE, "after": {"document": document("s3:PutObject", "iam:*")}}],
            [
                '- differs by +document Statement {"Action": "iam:*", "Effect": "Allow", "Resource": "*"}: '
                "update policy p (document): adds s3:PutObject, iam:* on *; removes s3:GetObject on *"
            ],
            id="another statement",
        ),
        pytest.param(
            [UPDATE],
            [{**UPDATE, "before": {"document": document("s3:DeleteObject")}}],
            [
                '- differs by -document Statement {"Action": "s3:DeleteObject", "Effect": "Allow", "Resource": "*"}: update '
                "policy p (document): adds s3:PutObject on *; removes s3:DeleteObject on *"
            ],
            id="AWS has changed",
        ),
        pytest.param(
            [UPDATE], [DELETE], ["- differs: delete policy p"], id="a deletion instead of an update"
        ),
        pytest.param(
            [DELETE],
            [{**DELETE, "before": {"document": document("s3:PutObject")}}],
            [
                '- differs by -document Statement {"Action": "s3:PutObject", "Effect": "Allow", "Resource": "*"}: delete policy p'
            ],
            id="a deletion of another document",
        ),
        pytest.param(
            [CREATE],
            [
                trust_update(
                    trust(allow("app")), trust(allow("app"), allow("app", principal="ec2.amazonaws.com"))
                )
            ],
            [
                '- differs by +trust_policy Statement {"Action": "sts:AssumeRole", "Condition": {"StringEquals": '
                '{"aws:RequestTag/kubernetes-service-account": ["app"]}}, "Effect": "Allow", "Principal": {"Service": '
                '"ec2.amazonaws.com"}}: update trust policy web (trust policy): adds sts:AssumeRole on Service ec2.amazonaws.com '
                "with aws:RequestTag/kubernetes-service-account app"
            ],
            id="another principal",
        ),
        pytest.param(
            [trust_update(trust(allow("app")), trust(allow("app"), allow("b")))],
            [trust_update(trust(allow("app")), trust(allow("b")))],
            [
                '- differs by -trust_policy Statement {"Action": "sts:AssumeRole", "Condition": {"StringEquals": '
                '{"aws:RequestTag/kubernetes-service-account": ["app"]}}, "Effect": "Allow", "Principal": {"Service": '
                '"pods.eks.amazonaws.com"}}: update trust policy web (trust policy): adds sts:AssumeRole on Service '
                "pods.eks.amazonaws.com with aws:RequestTag/kubernetes-service-account b; removes sts:AssumeRole on "
                "Service pods.eks.amazonaws.com with aws:RequestTag/kubernetes-service-account app"
            ],
            id="a statement is removed",
        ),
        pytest.param(
            [APPLY],
            [{**APPLY, "after": {"annotations": {"eks.amazonaws.com/role-arn": "arn:x"}}}],
            [
                '- differs by +annotations eks.amazonaws.com/role-arn "arn:x": apply ServiceAccount default/app'
            ],
            id="an annotation",
        ),
        pytest.param(
            [UPDATE],
            [{**UPDATE, "after": {"document": {"Statement": ["a" * 600]}}}],
            [f'- differs by +document Statement "{"a" * 499}…: update policy p (document)'],
            id="a long statement",
        ),
        pytest.param(
            [],
            [attach(f"arn:{number}") for number in range(12)],
            [*(f"- new: attach policy arn:{number} to role web" for number in range(10)), "- and 2 more"],
            id="many changes",
        ),
        pytest.param(
            [],
            [CREATE],
            [
                "- new: create role web: adds sts:AssumeRole on Service pods.eks.amazonaws.com with "
                "aws:RequestTag/kubernetes-service-account app"
            ],
            id="empty plan",
        ),
    ],
)
def test_difference_is_described(planned: list[Raw], made: list[Raw], lines: list[str]) -> None:
    assert compare(planned, made) == lines


@pytest.mark.parametrize(
    ("plan", "subject"),
    [
        pytest.param(
            None, "pod_identity_approved has no completed plan of this cluster, so it", id="no plan"
        ),
        pytest.param({"time": TIME}, f"the approved plan of {TIME}", id="no list"),
        pytest.param({"time": TIME, "change_digests": "none"}, f"the approved plan of {TIME}", id="text"),
        pytest.param(
            {"time": TIME, "change_digests": [{}, None]}, f"the approved plan of {TIME}", id="wrong items"
        ),
        pytest.param({"time": None, "change_digests": []}, "the approved plan of ", id="no changes, no time"),
    ],
)
def test_plans_without_digests_are_not_approved(plan: Raw | None, subject: str) -> None:
    head = describe_unapproved(plan, [CREATE]).splitlines()[0]
    assert head == f"{subject} lacks 1 of the 1 changes of this run:"
    assert describe_unapproved(plan, []) == ""


def test_latest_plan_of_the_cluster_counts() -> None:
    plan = {"cluster_arn": ARN, "step": "plan", "time": TIME}
    later = {**plan, "time": "2026-11-26T03:00:00+00:00"}
    others = [{**later, "cluster_arn": "other"}, {**later, "step": "apply"}, {**later, "stopped": True}]
    assert find_plan([later, plan, *others], ARN) is later
    assert find_plan(others, ARN) is None
