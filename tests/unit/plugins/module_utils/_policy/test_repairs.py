# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the suggested change of a trust policy: the workload can use the role, and no other workload gets access."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import (
    Subject,
    pod_identity_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import Request
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.resources import Caller
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import check_policy
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import (
    check_trust,
    judge,
    prepare_trust,
)

ACCOUNT = "111122223333"
CLUSTER = f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/my-cluster"
KNOWN = Subject(cluster_arn=CLUSTER, namespace="default", service_account="my-service-account")
SERVICE = {"Service": "pods.eks.amazonaws.com"}
BOTH = ["sts:AssumeRole", "sts:TagSession"]
IN_CLUSTER = "aws:RequestTag/eks-cluster-arn"
IN_NAMESPACE = "aws:RequestTag/kubernetes-namespace"
NAMED = "aws:RequestTag/kubernetes-service-account"
OIDC = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/A"}
IRSA = {"Effect": "Allow", "Principal": OIDC, "Action": "sts:AssumeRoleWithWebIdentity"}
WORKLOAD = {IN_CLUSTER: CLUSTER, IN_NAMESPACE: "default", NAMED: "my-service-account"}
SID = "AllowEksAuthToAssumeRoleForPodIdentity"
OURS = {
    "Sid": SID,
    "Effect": "Allow",
    "Principal": SERVICE,
    "Action": BOTH,
    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT, **WORKLOAD}},
}
ADD = f"Add the statement {SID}."
ONLY_WORKLOAD = "Only this workload: requests of pods.eks.amazonaws.com with " + ", ".join(
    f"{key} {value}" for key, value in WORKLOAD.items()
)


def allow(equals=None, **more):
    condition = {"Condition": {"StringEquals": equals}} if equals else {}
    return {"Effect": "Allow", "Principal": SERVICE, "Action": BOTH, **condition, **more}


def deny(condition=None, **more):
    rest = {"Condition": condition} if condition else {}
    return {"Effect": "Deny", "Principal": SERVICE, "Action": "sts:*", **rest, **more}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def except_for(statement, key, *values):
    """Return a Deny that does not apply to requests with one of the values."""
    condition = statement.get("Condition", {})
    more = {**condition.get("StringNotEquals", {}), key: list(values) if len(values) > 1 else values[0]}
    return {**statement, "Condition": {**condition, "StringNotEquals": more}}


ELSEWHERE = {"StringNotEquals": {IN_NAMESPACE: "other"}}
# A name, a document, the statements of the suggested policy and the edit.
SUGGESTIONS = [
    ("an action is missing", [allow(Action="sts:AssumeRole")], [allow(Action="sts:AssumeRole"), OURS], ADD),
    ("IRSA only", [IRSA], [IRSA, OURS], ADD),
    ("another namespace", [allow({IN_NAMESPACE: "x"})], [allow({IN_NAMESPACE: "x"}), OURS], ADD),
    (
        "the Sid is used",
        [{**IRSA, "Sid": SID}],
        [{**IRSA, "Sid": SID}, {**OURS, "Sid": f"{SID}1"}],
        f"Add the statement {SID}1.",
    ),
    (
        "a Deny for everything",
        [allow(), deny(Sid="No")],
        [
            allow(),
            except_for(deny(Sid="No"), IN_CLUSTER, CLUSTER),
            except_for(deny(Sid="No1"), IN_NAMESPACE, "default"),
            except_for(deny(Sid="No2"), NAMED, "my-service-account"),
        ],
        "Replace Statement 2 (Sid 'No') with 3 statements that exclude this workload.",
    ),
    (
        "a Deny outside of a namespace, and no Allow",
        [IRSA, deny(ELSEWHERE)],
        [
            IRSA,
            except_for(deny(ELSEWHERE), IN_CLUSTER, CLUSTER),
            except_for(deny(ELSEWHERE), IN_NAMESPACE, "other", "default"),
            except_for(deny(ELSEWHERE), NAMED, "my-service-account"),
            OURS,
        ],
        f"Replace Statement 2 with 3 statements that exclude this workload; {ADD}",
    ),
    (
        "a Deny for everyone",
        [allow(), deny(Principal="*")],
        [
            allow(),
            except_for(deny(Principal="*"), "aws:PrincipalServiceName", "pods.eks.amazonaws.com"),
            except_for(deny(Principal="*"), IN_CLUSTER, CLUSTER),
            except_for(deny(Principal="*"), IN_NAMESPACE, "default"),
            except_for(deny(Principal="*"), NAMED, "my-service-account"),
        ],
        "Replace Statement 2 with 4 statements that exclude this workload.",
    ),
]


@pytest.mark.parametrize("case", SUGGESTIONS, ids=lambda case: case[0])
def test_suggestion(case):
    _name, statements, suggested, edit = case
    suggestion = check_policy(policy(*statements), KNOWN).suggestion
    assert suggestion is not None
    assert (suggestion.trust_policy["Statement"], suggestion.edit) == (suggested, edit)
    assert suggestion.lets_in == f"{ONLY_WORKLOAD}."
    assert suggestion.storable.answer != "no"
    assert check_trust(suggestion.trust_policy, KNOWN).usable == "yes"


# A name, a document and the workload.
NO_SUGGESTIONS = [
    ("usable", [allow()], KNOWN),
    ("two Deny statements", [allow(), deny(), deny(ELSEWHERE)], KNOWN),
    ("nothing is known", [IRSA], Subject()),
    ("IAM rejects the policy", [allow(Action="s3:GetObject")], KNOWN),
    (
        "a role of another account",
        [IRSA],
        replace(KNOWN, role_arn="arn:aws:iam::444455556666:role/my-role"),
    ),
]


@pytest.mark.parametrize("case", NO_SUGGESTIONS, ids=lambda case: case[0])
def test_no_suggestion(case):
    _name, statements, subject = case
    assert check_policy(policy(*statements), subject).suggestion is None


def test_suggestion_names_the_known_values():
    suggestion = check_policy(policy(IRSA), replace(KNOWN, cluster_arn=None, account_id=ACCOUNT)).suggestion
    assert suggestion is not None
    assert suggestion.lets_in == (
        f"Every workload: requests of pods.eks.amazonaws.com with aws:SourceAccount {ACCOUNT}, "
        f"{IN_NAMESPACE} default, {NAMED} my-service-account."
    )


def test_elements_of_a_stored_policy_are_accepted():
    deleted = [{"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEEXAMPLE12"}, "Action": "sts:AssumeRole"}]
    suggestion = check_policy(policy(*deleted), KNOWN, stored=True).suggestion
    assert suggestion is not None
    # Only the unique ID of a principal that may be deleted remains.
    assert [reason.statement for reason in suggestion.storable.reasons] == ["Statement 1"]


# Other workloads: a cluster of the same name in another Region, another namespace and another service account, or no tags.
OTHERS = [
    replace(KNOWN, session_tags=False),
    *(
        Subject(cluster_arn=cluster, namespace=namespace, service_account=name)
        for cluster in (CLUSTER, CLUSTER.replace("us-west-2", "us-east-1"))
        for namespace in ("default", "other")
        for name in ("my-service-account", "web")
        if (cluster, namespace, name) != (CLUSTER, "default", "my-service-account")
    ),
]
CONDITIONS = [
    None,
    {"StringEquals": {NAMED: "web"}},
    {"StringNotEquals": {NAMED: "web"}},
    {"StringNotEquals": {IN_NAMESPACE: ["other", "third"]}},
    {"StringNotEqualsIfExists": {IN_CLUSTER: "x"}},
    {"StringLike": {IN_NAMESPACE: "d*"}},
    {"Null": {NAMED: "true"}},
]
ACTION_LISTS = ["sts:AssumeRole", "sts:TagSession", BOTH]


def allows(document, subject):
    """Return the decision for a workload, and the decisions for sessions of EC2 and of a role."""
    rules = prepare_trust(document).rules
    callers = (Caller(service="ec2.amazonaws.com"), Caller(role_arn=f"arn:aws:iam::{ACCOUNT}:role/a"))
    context = pod_identity_context(subject)
    return [
        check_trust(document, subject).usable,
        *(
            judge(rules, [Request(action, None, caller) for action in BOTH], context).usable
            for caller in callers
        ),
    ]


@pytest.mark.parametrize("principal", [SERVICE, {"AWS": "*"}], ids=["the service", "everyone"])
def test_suggestion_lets_in_no_other_caller(principal):
    found = 0
    for allowed, narrowed, denied, excluded in product(ACTION_LISTS, CONDITIONS, ACTION_LISTS, CONDITIONS):
        condition = {"Condition": narrowed} if narrowed else {}
        document = policy(
            {"Effect": "Allow", "Principal": principal, "Action": allowed, **condition},
            deny(excluded, Action=denied, Principal=principal),
        )
        suggestion = check_policy(document, KNOWN).suggestion
        if suggestion is None:
            continue
        found += 1
        assert suggestion.lets_in == f"{ONLY_WORKLOAD}."
        for other in OTHERS:
            assert allows(suggestion.trust_policy, other) == allows(document, other), (document, other)
    assert found > 100
